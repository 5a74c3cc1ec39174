"""What all tests share."""

import gc
import os
import sys

import pytest

# Where each core has a process of its own, more threads would only wait for each other. Said
# before TensorFlow is imported; the processes that tests start keep to it as well.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.update(TF_NUM_INTRAOP_THREADS="1", OMP_NUM_THREADS="1")


def pytest_collection_modifyitems(items):
    """Leaves out `tf.test.TestCase.test_session`, a helper that pytest takes for a test."""
    items[:] = [item for item in items if item.name != "test_session"]


def pytest_collection_finish():
    """Spares the garbage collector the imported modules, of which nothing becomes garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _forget_gradients():
    """Takes out of TensorFlow's registry what the traces of a module have put there.

    Each trace of a `tf.custom_gradient` is registered for good, and holds its graph: over
    all tests, gigabytes.
    """
    yield
    ops = sys.modules.get("tensorflow.python.framework.ops")
    if ops is not None:
        registry = ops.gradient_registry._registry  # Nothing public takes from it.
        for name in [name for name in registry if name.startswith("CustomGradient-")]:
            del registry[name]
