"""What all tests share."""


def pytest_collection_modifyitems(items):
    """Leaves out `tf.test.TestCase.test_session`, a helper that pytest takes for a test."""
    items[:] = [item for item in items if item.name != "test_session"]
