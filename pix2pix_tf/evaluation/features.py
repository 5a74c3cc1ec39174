"""Networks whose features stand for what a picture shows, for distances between sets.

Inception v3 as `keras.applications` has it, or a segmenter. Published FID comes from
another set of Inception weights, so values here compare with one another alone.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from pix2pix_tf import files
from pix2pix_tf.errors import InputError, first_line
from pix2pix_tf.evaluation.distribution_distance import frechet_distance, kernel_distance
from pix2pix_tf.evaluation.fcn_score.segmenter import ORIGIN, Segmenter
from pix2pix_tf.evaluation.measure import Measure, MeasuredPair, Score

NO_INCEPTION = "none"
_INCEPTION_SIZE = 299  # Pixels, as it was trained.
_BATCH_SIZE = 8


class FeatureNetwork(NamedTuple):
    """Turns pictures into features.

    Attributes:
        name: For people.
        origin: Where its weights come from.
        digest: SHA-256 of the file of the weights; None for those that Keras has.
        distances: Names of the Fréchet and of the kernel distance of its features.
        features: Returns `[batch, num_features]` of float32 `[batch, size, size, 3]` in
            [-1, 1].
    """

    name: str
    origin: str
    digest: str | None
    distances: tuple[str, str]
    features: Callable[[np.ndarray], np.ndarray]


def load_inception(weights: pathlib.Path | None = None) -> FeatureNetwork:
    """Returns Inception v3 without its last layer: 2048 features, pooled over the picture.

    Pictures are scaled to 299x299, bilinearly, with antialiasing where that shrinks them.

    Args:
        weights: A file of weights without the top; None for ImageNet's, from Keras'
            cache or downloaded to it.

    Raises:
        InputError: If the weights are not available, or of another network.
    """
    if weights:
        files.require_file(weights)
    try:
        network = keras.applications.InceptionV3(
            include_top=False, pooling="avg", weights=str(weights) if weights else "imagenet"
        )
    except Exception as error:  # Keras raises a bare one for a failed download.
        raise InputError(
            f"The weights of Inception v3 without its top cannot be loaded from "
            f"{repr(str(weights)) if weights else 'the Internet'} ({first_line(error)[:200]}). "
            "Give their file with --feature_weights; Keras calls it "
            "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5."
        ) from None

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)])
    def run(pictures):
        # Its preprocessing is to [-1, 1], where the pictures are already.
        scaled = tf.image.resize(pictures, 2 * [_INCEPTION_SIZE], antialias=True)
        return network(scaled, training=False)

    return FeatureNetwork(
        "Inception v3 of keras.applications",
        f"the file {weights.name}" if weights else "ImageNet, keras.applications",
        files.sha256(weights) if weights else None,
        ("fid", "kid"),
        lambda pictures: run(tf.constant(pictures)).numpy(),
    )


def find(weights: str, segmenter: Segmenter | None) -> tuple[FeatureNetwork | None, list[str]]:
    """Returns the best feature network there is, and notes on what was not to be had.

    Args:
        weights: File of Inception's weights; "" for ImageNet's; "none" to do without.
        segmenter: Taken where there is no Inception, its distances being neither FID nor KID.

    Raises:
        InputError: If a file was given that cannot be used.
    """
    notes = []
    if weights != NO_INCEPTION:
        try:
            return load_inception(pathlib.Path(weights) if weights else None), []
        except InputError as error:
            if weights:
                raise
            notes.append(f"Neither FID nor KID is measured. {error}")
    if segmenter is None:
        return None, notes
    names = ("segmenter_frechet_distance", "segmenter_kernel_distance")
    network = FeatureNetwork("the segmenter", ORIGIN, segmenter.digest, names, segmenter.features)
    return network, notes


class DistributionMeasure(Measure):
    """Fréchet and kernel distance between all outputs and all targets.

    Args:
        network: Gives the features that are compared.
        seed: Seed of the bootstrap.
    """

    section = "distribution"

    def __init__(self, network: FeatureNetwork, *, seed: int = 0):
        self._network, self._seed = network, seed
        self._waiting: list[np.ndarray] = []
        self._features: list[np.ndarray] = []  # Output and target by turns.

    def add(self, pair: MeasuredPair) -> dict[str, float]:
        """Adds a pair, which has no score of its own."""
        self._waiting += pair.both_in_colour
        if len(self._waiting) == _BATCH_SIZE:
            self._flush()
        return {}

    def _flush(self) -> None:
        if self._waiting:
            self._features.append(self._network.features(np.stack(self._waiting)))
            self._waiting = []

    def result(self) -> tuple[dict | None, list[Score]]:
        """Returns the distances, with what they are of; None for fewer than two pairs."""
        self._flush()
        features = np.concatenate(self._features)
        outputs, targets = features[0::2], features[1::2]
        if len(outputs) < 2:
            return None, []
        frechet, kernel = self._network.distances
        value = frechet_distance(outputs, targets)
        kernel_value, interval = kernel_distance(outputs, targets, seed=self._seed)
        if frechet == "fid":
            self.notes = [
                f"FID and KID are of {len(outputs)} outputs and {len(targets)} targets, by "
                f"{self._network.name} with the weights of {self._network.origin}. At this number "
                "of images FID is biased: too large. Published values are of other weights, and "
                "not comparable with these."
            ]
        result = {
            "feature_network": self._network.name,
            "weights": self._network.origin,
            "weights_sha256": self._network.digest,
            "num_features": features.shape[-1],
            "num_outputs": len(outputs),
            "num_targets": len(targets),
            frechet: value,
            kernel: kernel_value,
            f"{kernel}_interval": interval,
        }
        return result, [Score(frechet, value), Score(kernel, kernel_value, interval=interval)]
