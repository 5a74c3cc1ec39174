"""What all tests share."""

import gc
import os
import pathlib
import re
import sys
from unittest import mock

import pytest

# Where each core has a process of its own, more threads would only wait for each other. Said
# before TensorFlow is imported; the processes that tests start keep to it as well.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.update(TF_NUM_INTRAOP_THREADS="1", OMP_NUM_THREADS="1")


_GIGABYTES_A_PROCESS = 3  # With what it starts; see BUILD.md.


def pytest_xdist_auto_num_workers(config):
    """Returns how many processes `--numprocesses=auto` starts: as many as the memory holds."""
    # What the system would free on demand counts too: of free memory alone little is left.
    memory = re.search(r"MemAvailable: +(\d+) kB", pathlib.Path("/proc/meminfo").read_text())
    most = int(memory[1]) * 1024 / 1e9 // _GIGABYTES_A_PROCESS
    return max(1, min(len(os.sched_getaffinity(0)), int(most)))


def pytest_collection_modifyitems(items):
    """Leaves out `tf.test.TestCase.test_session`, a helper that pytest takes for a test."""
    items[:] = [item for item in items if item.name != "test_session"]


def pytest_collection_finish():
    """Spares the garbage collector the imported modules, of which nothing becomes garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="class")
def _seed_once_a_class():
    """Sets TensorFlow's seed once a class, where `tf.test.TestCase` would before each test.

    With the seed TensorFlow forgets all that it has compiled: up to two seconds a test where a
    network is called. So what a test draws depends on those before it in its class: one that needs
    certain numbers seeds a generator of its own.
    """
    seeds = sys.modules.get("tensorflow.python.framework.random_seed")
    if seeds is None:
        yield
        return
    seeds.set_seed(seeds.DEFAULT_GRAPH_SEED)
    with mock.patch.object(seeds, "set_random_seed"):  # That of TensorFlow 1, which the class uses.
        yield


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
