"""Small pairs for tests of the measures, and what stands for the model that made their outputs."""

from __future__ import annotations

import numpy as np

from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data.pipeline import Example
from pix2pix_tf.evaluation.measure import MeasuredPair


class FakeTranslator:
    """Stands for a trained model: the input, nearer to grey the fewer steps, and a little noise.

    Args:
        config: How the model was trained.
        step: How long; outputs of different steps have different scores.
    """

    def __init__(self, config: TrainConfig, *, step: int | None = None):
        self.config, self.step = config, step

    def __call__(self, source: np.ndarray, *, seed: int, sample: int) -> np.ndarray:
        contrast = min((self.step or 50) / 100, 0.9)
        noise = np.random.default_rng([seed, sample]).uniform(-0.1, 0.1, source.shape)
        return (contrast * source + noise).astype(np.float32)

    def translate_example(self, example: Example, *, seed: int, sample: int) -> np.ndarray:
        return self(example.source[0].numpy(), seed=seed, sample=sample)


def make_pair(output: np.ndarray, target: np.ndarray, *, name="pair", source=None) -> MeasuredPair:
    """Returns a pair of uint8 pictures; `output` may be several draws.

    Args:
        output: `[size, size, channels]`, or `[draws, size, size, channels]`.
        target: `[size, size, channels]`.
        name: Of the pair.
        source: As `target`, which stands in for it.
    """
    draws = output if output.ndim == 4 else output[np.newaxis]
    source = target if source is None else source
    return MeasuredPair(name, *(x for x in (_image(source), draws, _image(target))))


def _image(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) / 127.5 - 1.0


def random_pixels(*shape: int, seed: int = 0) -> np.ndarray:
    """Returns uint8 of all values."""
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)
