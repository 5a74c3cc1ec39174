r"""Times the input pipeline: images a second, from JPEG files or records to jittered batches.

    python -m benchmarks.input_pipeline --json=input_pipeline.json \
        --pythons=.venv/bin/python,.venv-current/bin/python

Reads 400 pairs as large as those of facades, drawn here, or those of `--dataset`. This
project's pipeline is timed reading files, as in the first epoch, the same files out of
TFRecord files, and from its memory, as in all other epochs; the tutorial's reads the files in
every epoch. Training takes one pair
after the other, so the batches have one.
"""

from __future__ import annotations

import functools
import io
import pathlib
import subprocess
import tempfile
from typing import Any

import numpy as np
from absl import flags

from benchmarks import interpreters, results, rounds
from benchmarks.contenders import REPOSITORY, Work, timed
from pix2pix_tf import commands
from pix2pix_tf.errors import InputError

NUM_PAIRS = 400  # As facades have for training.
# name: (maker, settings). Another form of the data is another line.
SOURCES = {
    "project, from JPEG files": ("project", dict(cache_megabytes=0)),
    "project, from TFRecord files": ("project_on_records", dict(cache_megabytes=0)),
    "project, from memory": ("project", dict(cache_megabytes=2048)),
    "tutorial, from JPEG files": ("tutorial", dict()),
}


def define_flags() -> None:
    """Defines the flags of this command."""
    interpreters.define_pythons_flag()
    results.define_json_flag()
    flags.DEFINE_string(
        "dataset", "", "Published set or folder of pairs side by side; empty: drawn here."
    )
    flags.DEFINE_string("data_dir", "", "Folder of published sets.")
    flags.DEFINE_integer("num_pairs", NUM_PAIRS, "Pairs to draw.", lower_bound=1)
    flags.DEFINE_integer("crop_size", 256, "Pixels; the paper's are 256.")
    flags.DEFINE_integer("num_rounds", 5, "Turns of each contender.", lower_bound=1)
    flags.DEFINE_integer("num_images", 400, "Images timed in a turn.", lower_bound=1)
    for module in (interpreters, results):
        flags.adopt_module_key_flags(module)


def main(unused_arguments: list[str]) -> None:
    """Measures, prints the tables and writes the JSON."""
    options = flags.FLAGS
    result = measure(
        interpreters.find_pythons(options.pythons),
        dataset=options.dataset,
        data_dir=options.data_dir,
        num_pairs=options.num_pairs,
        crop_size=options.crop_size,
        num_rounds=options.num_rounds,
        num_images=options.num_images,
    )
    print(table(result))
    results.write(result, options.json)


def measure(
    pythons: dict[str, str],
    *,
    dataset: str = "",
    data_dir: str = "",
    num_pairs: int = NUM_PAIRS,
    crop_size: int = 256,
    num_rounds: int = 5,
    num_images: int = 400,
) -> dict[str, Any]:
    """Returns the times of all contenders, which are seconds an image.

    Args:
        pythons: Interpreters with TensorFlow, by the name of their stack.
        dataset: A published set or a folder; empty to draw pairs.
        data_dir: Folder of published sets.
        num_pairs: Pairs to draw.
        crop_size: Pixels.
        num_rounds: Turns of each contender.
        num_images: Images timed in a turn.
    """
    groups = []
    with tempfile.TemporaryDirectory() as folder:
        if not dataset:
            dataset = f"{folder}/pairs"
            draw_pairs(pathlib.Path(dataset) / "train", count=num_pairs, size=crop_size)
        else:
            from pix2pix_tf.data import registry  # Imports Keras, which takes seconds.

            dataset = str(registry.locate(dataset, data_dir))  # The tutorial's reads a folder.
        dataset, records = str(pathlib.Path(dataset).resolve()), f"{folder}/records"
        write_records(next(iter(pythons.values())), dataset, records)
        settings = dict(
            dataset=dataset, records=records, crop_size=crop_size, num_images=num_images
        )
        for stack, python in pythons.items():
            rounds.say(f"Input pipeline, {stack}:")
            contenders = [
                dict(
                    name=name,
                    python=python,
                    make=f"benchmarks.input_pipeline:{maker}",
                    settings=dict(settings, **more),
                )
                for name, (maker, more) in SOURCES.items()
            ]
            measured = rounds.alternate(contenders, num_rounds=num_rounds, count=1)
            for item in measured:
                for name in ("dataset", "records"):
                    del item["settings"][name]  # Folders of this machine.
                if "error" not in item:
                    item["images_per_second"] = num_images / item["seconds"]["median"]
            groups.append(dict(stack=stack, contenders=measured))
    return dict(
        benchmark="input_pipeline", num_rounds=num_rounds, num_images=num_images, groups=groups
    )


def draw_pairs(folder: pathlib.Path, *, count: int, size: int) -> None:
    """Writes pairs side by side as JPEG files of some 40 KB at 256 pixels, as facades have.

    Args:
        folder: Made here.
        count: How many.
        size: Pixels of one side.
    """
    from PIL import Image

    folder.mkdir(parents=True)
    random = np.random.RandomState(0)
    for number in range(count):
        cells = random.randint(0, 256, [size // 16, size // 16, 3])
        labels = cells.repeat(16, 0).repeat(16, 1)
        texture = random.normal(0, 12, [size, size, 1])
        photo = np.clip(0.5 * labels + 64 + texture, 0, 255)
        pixels = np.concatenate([photo, labels], axis=1).astype(np.uint8)
        contents = io.BytesIO()
        Image.fromarray(pixels).save(contents, "JPEG", quality=90)
        (folder / f"pair_{number:04d}.jpg").write_bytes(contents.getvalue())


def write_records(python: str, dataset: str, output: str) -> None:
    """Writes a folder of pairs as TFRecord files.

    Args:
        python: An interpreter with TensorFlow; all write the same bytes.
        dataset: The folder.
        output: Made here.

    Raises:
        InputError: If it cannot be done.
    """
    command = [python, "-m", "pix2pix_tf.prepare", "records"]
    done = subprocess.run(
        [*command, f"--input={dataset}", f"--output={output}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise InputError(f"'{dataset}' could not be written as records. {reason}")


def project_on_records(settings: dict) -> tuple[Work, dict]:
    """Makes the same batches as `project` from the records of the pairs."""
    return project(dict(settings, dataset=settings["records"]))


def project(settings: dict) -> tuple[Work, dict]:
    """Makes this project's training batches; an image is timed as `num_images` of them."""
    import tensorflow as tf

    from pix2pix_tf.config import TrainConfig
    from pix2pix_tf.data import pipeline

    config = TrainConfig(
        dataset=settings["dataset"],
        direction="BtoA",
        crop_size=settings["crop_size"],
        cache_megabytes=settings["cache_megabytes"],
    )
    reader = pipeline.open_reader(
        config, "train", size=config.load_size, cache_megabytes=config.cache_megabytes
    )
    reader.read_all()  # As training does before its first step.
    batches = pipeline.training_batches(reader, batch_size=1, crop_size=config.crop_size)
    facts = dict(versions=dict(tensorflow=tf.__version__), num_pairs=len(reader))
    return _epochs(batches, settings), facts


def tutorial(settings: dict) -> tuple[Work, dict]:
    """Makes the tutorial's training batches: read, resize, crop and flip, shuffle, batch."""
    import tensorflow as tf

    size = settings["crop_size"]
    load_size = round(size * 286 / 256)

    def load(path):
        both = tf.cast(tf.io.decode_jpeg(tf.io.read_file(path)), tf.float32)
        width = tf.shape(both)[1] // 2
        source, target = both[:, width:], both[:, :width]
        resize = functools.partial(tf.image.resize, size=[load_size] * 2, method="nearest")
        stacked = tf.stack([resize(source), resize(target)])
        stacked = tf.image.random_crop(stacked, [2, size, size, 3]) / 127.5 - 1.0
        if tf.random.uniform(()) > 0.5:
            stacked = tf.image.flip_left_right(stacked)
        return stacked[0], stacked[1]

    files = tf.data.Dataset.list_files(f"{settings['dataset']}/train/*.jpg")
    num_pairs = int(files.cardinality())
    batches = files.map(load, num_parallel_calls=tf.data.AUTOTUNE).shuffle(400).batch(1)
    facts = dict(versions=dict(tensorflow=tf.__version__), num_pairs=num_pairs)
    return _epochs(batches.repeat(), settings), facts


def _epochs(batches, settings: dict) -> Work:
    """Returns work that takes the next `num_images` batches of an endless pipeline."""
    iterator = iter(batches)

    def take():
        for _ in range(settings["num_images"]):
            next(iterator)

    return timed(take)


def table(result: dict) -> str:
    """Returns the results as Markdown."""
    parts = []
    for group in result["groups"]:
        rows = []
        for item in group["contenders"]:
            if "error" in item:
                rows.append([item["name"], f"failed: {item['error']}", "", ""])
                continue
            rows.append(
                [
                    item["name"],
                    results.number(item["images_per_second"], 0),
                    results.spread(item["seconds"], 2, factor=1e3 / result["num_images"]),
                    results.number(item["peak_resident_gigabytes"], 2),
                ]
            )
        parts.append(f"**Input pipeline, {group['stack']}**")
        parts.append(results.markdown_table(["source", "images/s", "ms an image", "GB"], rows))
    return "\n\n".join(parts)


if __name__ == "__main__":
    define_flags()
    commands.run(main)
