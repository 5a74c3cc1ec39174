r"""Prints what the input pipeline delivers: images a second, from JPEG files to jittered batches.

    python -m benchmarks.input_pipeline

Reads pairs as large as those of facades, drawn here, one by one as training takes them: from
files, as in the first epoch, and from memory, as in all others.
"""

from __future__ import annotations

import pathlib
import tempfile
import time

import numpy as np
from absl import flags
from PIL import Image

from benchmarks import results
from pix2pix_tf import commands

_NUM_ROUNDS = 5
_MEMORY_MEGABYTES = 2048


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_integer("crop_size", 256, "Pixels; the paper's are 256.")
    flags.DEFINE_integer("num_pairs", 400, "Pairs to draw; facades have 400.", lower_bound=1)


def main(unused_arguments: list[str]) -> None:
    """Prints the table."""
    options = flags.FLAGS
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        _draw_pairs(pathlib.Path(folder) / "train", count=options.num_pairs, size=options.crop_size)
        for name, cache_megabytes in (("JPEG files", 0), ("memory", _MEMORY_MEGABYTES)):
            rates = _measure(
                folder,
                crop_size=options.crop_size,
                cache_megabytes=cache_megabytes,
                num_images=options.num_pairs,
            )
            low, median, high = np.percentile(rates, [25, 50, 75])
            rows.append([name, f"{median:,.0f} ({low:,.0f} to {high:,.0f})"])
    print(results.markdown_table(["source", "images/s"], rows))


def _measure(dataset: str, *, crop_size: int, cache_megabytes: int, num_images: int) -> list[float]:
    """Returns images a second of some rounds, each of `num_images`."""
    from pix2pix_tf.config import TrainConfig
    from pix2pix_tf.data import pipeline, readers

    config = TrainConfig(dataset=dataset, direction="BtoA", crop_size=crop_size)
    reader = readers.open_reader(
        config, "train", size=config.load_size, cache_megabytes=cache_megabytes
    )
    reader.read_all()  # As training does before its first step.
    batches = iter(pipeline.training_batches(reader, batch_size=1, crop_size=crop_size))
    rates = []
    for _ in range(1 + _NUM_ROUNDS):
        start = time.perf_counter()
        for _ in range(num_images):
            next(batches)
        rates.append(num_images / (time.perf_counter() - start))
    return rates[1:]


def _draw_pairs(folder: pathlib.Path, *, count: int, size: int) -> None:
    """Writes pairs side by side as JPEG files of some 40 KB at 256 pixels, as facades have."""
    folder.mkdir()
    random = np.random.RandomState(0)
    for number in range(count):
        cells = random.randint(0, 256, [size // 16, size // 16, 3])
        labels = cells.repeat(16, 0).repeat(16, 1)
        texture = random.normal(0, 12, [size, size, 1])
        photo = np.clip(0.5 * labels + 64 + texture, 0, 255)
        pixels = np.concatenate([photo, labels], axis=1).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"pair_{number:04d}.jpg", quality=90)


if __name__ == "__main__":
    define_flags()
    commands.run(main)
