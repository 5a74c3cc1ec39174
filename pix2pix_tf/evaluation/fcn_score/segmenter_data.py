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
# Which side the labels are: of so many pairs, spread evenly, the least share of pixels that have
# the colour of a class, and by how much that of the photos has to be less.
_NUM_CHECKED, _LEAST_SHARE, _LEAST_DISTANCE = 8, 0.5, 0.1
_CONTRAST = 0.3  # Likewise the factors of contrast and saturation: 0.7 to 1.3.


class Photos(NamedTuple):
    """The photos of a split with the truth about them.

    Attributes:
        pixels: uint8 `[N, size, size, 3]`.
        class_maps: uint8 `[N, map_height, map_width]`, of the same views.
    """

    pixels: np.ndarray
    class_maps: np.ndarray


def open_split(config: SegmenterConfig, split: str) -> pairs.PairSource:
    """Returns the pairs of "train", "val" or "test"; raises InputError if there are none."""
    place = dict(data_dir=config.data_dir, scene_size=config.crop_size)
    return pairs.open_pairs(config.dataset, split, **place)


def find_classes(config: SegmenterConfig, source: pairs.PairSource) -> ClassTable:
    """Returns the classes of the labels, and on which side the photos are.

    Of classes that the settings name, the pictures tell the side; of those that go by the name of
    the data set, it is that of the published one.

    Args:
        config: Names the data set, and perhaps the classes.
        source: The training pairs; some are looked at.

    Raises:
        InputError: If the classes are not known, their file cannot be used, or two have one
            colour; if a pair cannot be read; if the pictures do not tell the side, or show labels
            where the photos should be.
    """
    named = classes.read(config.classes) if config.classes else classes.find(config.dataset)
    if not config.class_maps:
        classes.check_told_apart(named)
    count = len(source.names)
    some = np.linspace(0, count - 1, min(_NUM_CHECKED, count)).round().astype(int)
    sides, tests = {}, {}
    for side, pictures in zip("AB", zip(*map(source.read, some))):
        shown = [images.shown_pixels(images.normalize_image(x)) for x in pictures]  # 16 bits, too.
        sides[side] = np.mean([label_pictures.share_of(x, named) for x in shown])
        tests[side] = label_pictures.LabelTest(named)
        for picture in shown:
            tests[side].add(picture)
    photos, labels = sorted(sides, key=sides.get)
    is_told = sides[labels] >= _LEAST_SHARE and sides[labels] - sides[photos] >= _LEAST_DISTANCE
    # Black has the colour of a class, perhaps, and dark photos have few values as well.
    if config.classes and tests[labels if is_told else "A"].holds_indexes:
        raise InputError(
            f"The labels of the training pairs of '{config.dataset}' {label_pictures.OF_INDEXES}"
        )
    if config.classes and not is_told:
        raise InputError(
            f"Neither side of the training pairs of '{config.dataset}' clearly shows the classes "
            f"of '{config.classes}' as colours (A by {sides['A']:.0%} of its pixels, B by "
            f"{sides['B']:.0%}), so it is not known which one is the photo. Name the right classes "
            "by --classes."
        )
    if config.classes:
        return dataclasses.replace(named, photo_side=photos)
    if is_told and labels == named.photo_side:
        raise InputError(
            f"Side {labels} of the training pairs shows the classes of {named.name}, and has to be "
            "the photo. Name the classes by --classes, which takes either side."
        )
    return named


def read_photos(
    config: SegmenterConfig, table: ClassTable, split: str, source: pairs.PairSource
) -> Photos:
    """Returns the photos of a split, scaled to the crop size, all in memory.

    Class maps keep the size of their files, which scores are counted at.

    Args:
        config: Names the class maps, and the size.
        table: The classes, and the side of the photos.
        split: "train", "val" or "test".
        source: Its pairs.

    Raises:
        InputError: If a picture or a class map is missing, not square or wrong.
    """
    maps = TrueClasses(config.class_maps, split, source.names, table)

    def read(index: int) -> tuple[np.ndarray, np.ndarray]:
        pair = source.read(index)
        photo, labels = pair if table.photo_side == "A" else reversed(pair)
        truth = maps.read(source.names[index], labels)
        photo = images.denormalize_image(images.normalize_image(photo))  # From 16 bits, too.
        return augment.resize_to_cover(photo, config.crop_size).numpy(), truth

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
