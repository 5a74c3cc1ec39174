"""Photos with class maps: read, checked, and augmented for training."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pix2pix_tf import seeds
from pix2pix_tf.data import augment, classes, images, label_pictures, pairs
from pix2pix_tf.data.classes import ClassTable
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation.fcn_score.class_maps import TrueClasses
from pix2pix_tf.evaluation.fcn_score.segmenter_config import SegmenterConfig

# What a crop shows of a photo: a share of each side, and how much one differs from the other.
_SMALLEST_SIDE, _STRETCH = 0.5, 1.25
_BRIGHTNESS = 0.2  # Added or taken, of a range of 2.
_NUM_CHECKED = 4  # Pairs whose labels are looked at, so that photos are not taken for them.
_CONTRAST = 0.3  # Likewise the factors of contrast and saturation: 0.7 to 1.3.


class Photos(NamedTuple):
    """The photos of a split with the truth about them.

    Attributes:
        pixels: uint8 `[N, size, size, 3]`.
        class_maps: uint8 `[N, map_height, map_width]`, of the same views.
    """

    pixels: np.ndarray
    class_maps: np.ndarray


def find_classes(config: SegmenterConfig) -> ClassTable:
    """Returns the classes of the labels, with the side of the photos as the pictures show it.

    Raises:
        InputError: If the classes are not known; if no side of the training pairs shows them, or
            both do; or, of classes that go by the data set's name, if the side of its photos does.
    """
    named = classes.read(config.classes) if config.classes else classes.find(config.dataset)
    classes.check_told_apart(named)
    source = _open(config, "train")
    tests = {side: label_pictures.LabelTest(named) for side in "AB"}
    for index in range(min(_NUM_CHECKED, len(source.names))):
        for test, pixels in zip(tests.values(), source.read(index)):
            test.add(images.shown_pixels(images.normalize_image(pixels)))  # From 16 bits, too.
    sides = [side for side, test in tests.items() if test.shows_classes]
    if config.classes:
        if len(sides) != 1:
            raise InputError(
                f"{'Both sides' if sides else 'Neither side'} of the training pairs of "
                f"'{config.dataset}' shows the classes of '{config.classes}' as colours: one has "
                "to, and the other has to be the photo."
            )
        return dataclasses.replace(named, photo_side="B" if sides == ["A"] else "A")
    if sides == [named.photo_side]:
        raise InputError(
            f"Side {named.photo_side} of the training pairs shows the classes of {named.name}, and "
            "has to be the photo. Name the classes by --classes, which takes either side."
        )
    return named


def read_photos(config: SegmenterConfig, table: ClassTable, split: str) -> Photos:
    """Returns the photos of a split, scaled to the crop size, all in memory.

    Class maps keep the size of their files, which scores are counted at.

    Args:
        config: Names the data set and the class maps.
        table: The classes, and the side of the photos.
        split: "train", "val" or "test".

    Raises:
        InputError: If a picture or a class map is missing, not square or wrong.
    """
    size, source = config.crop_size, _open(config, split)
    maps = TrueClasses(config.class_maps, split, source.names, table)

    def read(index: int) -> tuple[np.ndarray, np.ndarray]:
        photo, labels = source.read(index)[:: 1 if table.photo_side == "A" else -1]
        truth = maps.read(source.names[index], labels)
        photo = images.denormalize_image(images.normalize_image(photo))  # From 16 bits, too.
        return augment.resize_to_cover(photo, size).numpy(), truth

    photos, truths = zip(*pairs.map_all(read, range(len(source.names))))
    sizes = sorted({truth.shape for truth in truths})
    if len(sizes) > 1:
        raise InputError(
            f"The class maps of {split} differ in size (height, width): {sizes[0]} and "
            f"{sizes[-1]}. Bring them to one size, without interpolating."
        )
    if all((truth == classes.IGNORED).all() for truth in truths):
        raise InputError("Every pixel of the class maps is ignored. Check the folder of the maps.")
    return Photos(np.stack(photos), np.stack(truths))


def _open(config: SegmenterConfig, split: str) -> pairs.PairSource:
    place = dict(data_dir=config.data_dir, scene_size=config.crop_size)
    return pairs.open_pairs(config.dataset, split, **place)


def training_batches(photos: Photos, config: SegmenterConfig, *, start: int) -> tf.data.Dataset:
    """Returns endless batches of (image, class map), a pure function of seed and position.

    Shapes:
        image: `[batch_size, crop_size, crop_size, 3]`, float32 in [-1, 1].
        class map: `[batch_size, crop_size, crop_size]`, int32 with `IGNORED`.

    Args:
        photos: The training split.
        config: Gives the crop size, the batch size and the seed.
        start: Position of the first example; a resumed run goes on where it was.
    """
    count = len(photos.pixels)
    # Tensors once, not constants of the graph.
    pixels, class_maps = tf.constant(photos.pixels), tf.constant(photos.class_maps)
    order_stream = tf.constant(seeds.stream(config.seed, seeds.ORDER), tf.int64)
    jitter_stream = tf.constant(seeds.stream(config.seed, seeds.JITTER), tf.int64)

    def load(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        index = tf.random.experimental.index_shuffle(
            position % count, seed=tf.stack([order_stream, position // count]), max_index=count - 1
        )
        image = images.normalize_image(pixels[index])
        return augment_example(
            image,
            class_maps[index],
            crop_size=config.crop_size,
            seed=tf.stack([jitter_stream, position]),
        )

    return (
        tf.data.Dataset.counter(start)
        .map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .batch(config.batch_size, drop_remainder=True)
        .prefetch(2)
    )


def augment_example(image, class_map, *, crop_size: int, seed) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns a random part of a photo and its class map, with the photo's colours changed.

    The part has half to all of each side, is stretched to a square, and flipped left
    to right half of the time.

    Args:
        image: float32 `[height, width, 3]` in [-1, 1].
        class_map: uint8 `[map_height, map_width]` of the same view.
        crop_size: Pixels of what is returned.
        seed: Two integers.

    Returns:
        (float32 `[crop_size, crop_size, 3]` in [-1, 1], int32 `[crop_size, crop_size]`).
    """
    draws = tf.unstack(tf.random.stateless_uniform([8], seed))
    side = _SMALLEST_SIDE + (1.0 - _SMALLEST_SIDE) * draws[0]
    stretch = _STRETCH ** (2.0 * draws[1] - 1.0)
    share = tf.minimum(tf.stack([side * stretch, side / stretch]), 1.0)
    corner = (1.0 - share) * tf.stack(draws[2:4])
    box = tf.concat([corner, corner + share], axis=0)[tf.newaxis]
    image = _crop(image, box, crop_size, "bilinear")
    class_map = _crop(tf.cast(class_map, tf.float32)[..., tf.newaxis], box, crop_size, "nearest")
    class_map = tf.cast(class_map[..., 0], tf.int32)
    image, class_map = tf.cond(
        draws[4] < 0.5, lambda: (image[:, ::-1], class_map[:, ::-1]), lambda: (image, class_map)
    )
    image = image + _BRIGHTNESS * (2.0 * draws[5] - 1.0)
    grey = tf.reduce_mean(image, axis=-1, keepdims=True)
    image = grey + (image - grey) * (1.0 + _CONTRAST * (2.0 * draws[6] - 1.0))
    middle = tf.reduce_mean(image)
    image = middle + (image - middle) * (1.0 + _CONTRAST * (2.0 * draws[7] - 1.0))
    return tf.clip_by_value(image, -1.0, 1.0), class_map


def _crop(values, box, size: int, method: str) -> tf.Tensor:
    return tf.image.crop_and_resize(values[tf.newaxis], box, [0], [size, size], method=method)[0]
