"""What all tests share."""

import gc

import pytest


def pytest_collection_modifyitems(items):
    """Leaves out `tf.test.TestCase.test_session`, a helper that pytest takes for a test."""
    items[:] = [item for item in items if item.name != "test_session"]


def pytest_collection_finish():
    """Spares the garbage collector the imported modules, of which nothing becomes garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _forget_gradients():
    """Takes out of TensorFlow's registry what the functions of a module have put there.

    Each trace of a `tf.custom_gradient` is registered for good, and holds its graph: over
    all tests, gigabytes.
    """
    from tensorflow.python.framework import ops  # Loads TensorFlow, after the collection.

    registry = ops.gradient_registry._registry  # Nothing public takes from it.
    before = set(registry)
    yield
    for name in set(registry) - before:
        del registry[name]
