"""The pairs of a split, read as a configuration has them."""

from __future__ import annotations

from pix2pix_tf.config import LAB, TrainConfig
from pix2pix_tf.data import augment, pairs, photos, pipeline


def open_reader(
    config: TrainConfig, split: str, *, size: augment.Size, cache_megabytes: int = 0
) -> pipeline.PairReader:
    """Returns the pairs of one split as the configuration has them.

    Args:
        config: Names the data set, its folder, channels, direction and colour space.
        split: "train", "val" or "test".
        size: Pixels of the shorter side; or (height, width) to cover.
        cache_megabytes: Memory for decoded images.
    """
    source = _open_source(config, split, size)
    return make_reader(config, source, size=size, cache_megabytes=cache_megabytes)


def make_reader(
    config: TrainConfig, source: pairs.PairSource, *, size: augment.Size, cache_megabytes: int = 0
) -> pipeline.PairReader:
    """Returns the pairs of a source as the configuration has them; see `open_reader`."""
    return pipeline.PairReader(
        source,
        size=size,
        direction=config.direction,
        cache_megabytes=cache_megabytes,
        color_space=config.color_space,
    )


def _open_source(config: TrainConfig, split: str, size: augment.Size) -> pairs.PairSource:
    scene_size = max(config.crop_shape)
    if config.color_space == LAB:
        return photos.open_photos(
            config.dataset,
            split,
            data_dir=config.data_dir,
            photo_side="B" if config.direction == "AtoB" else "A",
            scaled_to=size,
            scene_size=scene_size,
        )
    sides = [
        (config.input_channels, config.input_limits),
        (config.output_channels, config.output_limits),
    ]
    if config.direction == "BtoA":
        sides.reverse()
    (a_channels, a_range), (b_channels, b_range) = sides
    return pairs.open_pairs(
        config.dataset,
        split,
        data_dir=config.data_dir,
        a_channels=a_channels,
        b_channels=b_channels,
        a_range=a_range,
        b_range=b_range,
        scaled_to=size,
        scene_size=scene_size,
    )
