"""Writes the golden weights with the Keras at hand, and the output that they must give.

    .venv/bin/python -m tests.golden.make           Keras 2.15: keras2_*.weights.h5.gz
    .venv-current/bin/python -m tests.golden.make   Keras 3: keras3_*.weights.h5.gz

Both hold the same weights, so `expected.npz` is one for both. Needed again only
when the networks change.
"""

from __future__ import annotations

import gzip
import pathlib
import tempfile

import keras
import numpy as np

from pix2pix_tf import networks
from pix2pix_tf.run_folder import GENERATOR_WEIGHTS
from tests import tiny_runs

_FOLDER = pathlib.Path(__file__).resolve().parent
_NORMS = ("batch", "instance", "none")


def main() -> None:
    """Writes the files beside this one."""
    major = keras.__version__.split(".")[0]
    outputs = {}
    for norm in _NORMS:
        with tempfile.TemporaryDirectory() as parent:
            run = pathlib.Path(parent, "run")
            config = tiny_runs.write_run(run, norm=norm, base_filters=1)
            weights = (run / GENERATOR_WEIGHTS).read_bytes()
            generator = tiny_runs.read_generator(run)
        path = _FOLDER / f"keras{major}_{norm}.weights.h5.gz"
        path.write_bytes(gzip.compress(weights, mtime=0))
        image = tiny_runs.random_image(1, config.crop_size, config.crop_size, 3)
        z = tiny_runs.random_noise(1, networks.noise_size(config))
        outputs[norm] = np.array(generator([image, z]))
    np.savez_compressed(_FOLDER / "expected.npz", **outputs)


if __name__ == "__main__":
    main()
