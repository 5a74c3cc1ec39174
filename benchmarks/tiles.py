r"""Measures time and memory of translating one large image, by tiles or in one piece.

    python -m benchmarks.tiles --model=runs/facades --input=photo.jpg --json=tiles.json
    python -m benchmarks.tiles --width=2048 --height=2048 --whole

Each is measured in a process of its own, which translates the image once: the peak of
resident memory, VmHWM of Linux, above what the process had with the model loaded. In one
piece that is per pixel of the padded image and filter what
`inference.translator.BYTES_PER_PIXEL_AND_FILTER` states. Without `--model` the weights are
untrained, which changes neither.
"""

from __future__ import annotations

import contextlib
import math
import pathlib
import tempfile
import time
from typing import Any

from absl import flags

from benchmarks import interpreters, results, rounds
from benchmarks.contenders import Work
from pix2pix_tf import commands, files, run_folder
from pix2pix_tf.config import PICTURE_CHANNELS, TrainConfig
from pix2pix_tf.errors import InputError

_TIMEOUT_SECONDS = 4 * 3600.0
_DRAWN_SIZE = 512  # Pixels of the scene that is enlarged where no picture is given.


def define_flags() -> None:
    """Defines the flags of this command."""
    interpreters.define_pythons_flag()
    results.define_json_flag()
    flags.DEFINE_string(
        "model", "", "A run folder, or an exported SavedModel. Empty: one with untrained weights."
    )
    flags.DEFINE_string("input", "", "Picture, brought to the size. Empty: a drawn scene.")
    flags.DEFINE_integer("width", 6000, "Pixels.", lower_bound=1)
    flags.DEFINE_integer("height", 4000, "Pixels.", lower_bound=1)
    flags.DEFINE_integer("tile", 1024, "Side of a tile in pixels; as of translate.", lower_bound=1)
    flags.DEFINE_boolean("whole", False, "In one piece, instead of by tiles.")
    flags.DEFINE_integer("crop_size", 256, "Pixels, of untrained weights; the paper's are 256.")
    flags.DEFINE_integer("base_filters", 64, "Of untrained weights; the paper's are 64.")
    for module in (interpreters, results):
        flags.adopt_module_key_flags(module)


def main(unused_arguments: list[str]) -> int:
    """Measures, prints the table and writes the JSON; returns 1 if a measurement failed."""
    options = flags.FLAGS
    result = measure(
        interpreters.find_pythons(options.pythons),
        model=options.model,
        picture=options.input,
        width=options.width,
        height=options.height,
        tile=0 if options.whole else options.tile,
        crop_size=options.crop_size,
        base_filters=options.base_filters,
    )
    print(table(result))
    results.write(result, options.json)
    return int(any("error" in item for group in result["groups"] for item in group["contenders"]))


def measure(
    pythons: dict[str, str],
    *,
    model: str = "",
    picture: str = "",
    width: int = 6000,
    height: int = 4000,
    tile: int = 1024,
    crop_size: int = 256,
    base_filters: int = 64,
) -> dict[str, Any]:
    """Returns time and memory of one translation on each stack.

    Args:
        pythons: Interpreters with TensorFlow, by the name of their stack.
        model: A run folder or an export; empty for untrained weights.
        picture: A file, brought to the size; empty for a drawn scene.
        width: Pixels of the image.
        height: Pixels of the image.
        tile: Side of a tile in pixels; 0 for one piece.
        crop_size: Of untrained weights.
        base_filters: Of untrained weights.

    Raises:
        InputError: If the model takes no pictures, or the model or the picture is not there.
    """
    groups = []
    with tempfile.TemporaryDirectory(prefix="pix2pix_tf_") as folder:
        path = pathlib.Path(folder, "picture.png")
        run = pathlib.Path(model).resolve() if model else pathlib.Path(folder, "run")
        if not model:
            _write_untrained(run, crop_size=crop_size, base_filters=base_filters)
        config = _read_config(run)
        _write_picture(path, picture, width=width, height=height)
        name = f"by tiles of {tile}" if tile else "in one piece"
        settings = dict(model=str(run), path=str(path), tile=tile)
        for stack, python in pythons.items():
            rounds.say(f"Translation of {width}x{height} pixels, {stack}:")
            item = _measure_one(name, python, settings)
            if "error" not in item:
                item.update(_per_pixel(item, config, width=width, height=height))
            item["settings"] = dict(tile=tile, model=model or "untrained")
            groups.append(dict(stack=stack, contenders=[item]))
    return dict(
        benchmark="tiles",
        width=width,
        height=height,
        crop_size=config.crop_size,
        base_filters=config.base_filters,
        groups=groups,
    )


def _measure_one(name: str, python: str, settings: dict) -> dict[str, Any]:
    arguments = dict(
        name=name,
        python=python,
        make="benchmarks.tiles:translate_once",
        settings=settings,
        timeout_seconds=_TIMEOUT_SECONDS,
    )
    ready, failed = rounds.start([arguments])  # Ready is what has done its work once.
    if failed:
        return failed[0]
    (contender,) = ready
    contender.close()
    idle = contender.facts["idle_resident_bytes"]
    return dict(
        name=name,
        seconds=contender.facts["seconds"],
        idle_resident_gigabytes=idle / 1e9,
        above_idle_gigabytes=(contender.peak_resident_bytes - idle) / 1e9,
    )


def _per_pixel(item: dict, config: TrainConfig, *, width: int, height: int) -> dict[str, float]:
    """Returns the memory above the idle process by pixel of the padded image, and by filter."""
    crop = config.crop_size
    num_pixels = math.prod(-(-side // crop) * crop for side in (width, height))
    num_bytes = 1e9 * item["above_idle_gigabytes"] / num_pixels
    return dict(
        bytes_per_pixel=num_bytes, bytes_per_pixel_and_filter=num_bytes / config.base_filters
    )


def translate_once(settings: dict) -> tuple[Work, dict]:
    """Makes one translation, in a contender; the time of the last is a fact.

    Args:
        settings: `model`, `path` of the picture, and `tile`, 0 for one piece.
    """
    from pix2pix_tf.inference import tiles, translator

    if settings["tile"]:
        translate = tiles.load(settings["model"], tile=settings["tile"])
    else:
        translate = translator.load(settings["model"])
    with contextlib.suppress(OSError):
        # Forgets the peak so far: loading a model may take more than a small picture.
        pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    facts = dict(idle_resident_bytes=_resident_bytes())

    def work(count: int) -> list[float]:
        seconds = []
        for _ in range(count):
            start = time.perf_counter()
            translate.translate_file(pathlib.Path(settings["path"]))
            seconds.append(time.perf_counter() - start)
        facts["seconds"] = seconds[-1]
        return seconds

    return work, facts


def _resident_bytes() -> int:
    """Returns the resident memory of this process."""
    status = pathlib.Path("/proc/self/status").read_text(encoding="utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return 1024 * int(line.split()[1])


def _write_untrained(run: pathlib.Path, *, crop_size: int, base_filters: int) -> None:
    from pix2pix_tf import keras_compat
    from pix2pix_tf.networks import build_generator

    config = TrainConfig(crop_size=crop_size, base_filters=base_filters)
    run.mkdir()
    config.save(run)
    weights = keras_compat.weights_file(build_generator(config))
    files.write_atomically(run / run_folder.GENERATOR_WEIGHTS, weights)


def _read_config(run: pathlib.Path) -> TrainConfig:
    from pix2pix_tf.inference import translator

    config, _ = translator.load_generator(run)
    if config.input_file_channels not in PICTURE_CHANNELS or config.input_range:
        raise InputError(
            f"'{run}' takes {config.input_channels} channel(s), or values of its own: no pictures. "
            "Name another --model."
        )
    return config


def _write_picture(path: pathlib.Path, picture: str, *, width: int, height: int) -> None:
    from PIL import Image

    from pix2pix_tf.data import images, scenes

    if picture:
        pixels = images.read_pixels(pathlib.Path(picture), channels=3)
    else:
        pixels = scenes.draw_scene(_DRAWN_SIZE, seed=0, index=0).photo
    Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC).save(path)


def table(result: dict) -> str:
    """Returns the results as Markdown."""
    parts = []
    for group in result["groups"]:
        parts.append(
            f"**One image of {result['width']}x{result['height']}, {result['base_filters']} "
            f"filters, {group['stack']}**"
        )
        rows = [
            [item["name"], f"failed: {item['error']}", "", "", "", ""]
            if "error" in item
            else [
                item["name"],
                results.number(item["seconds"], 1),
                results.number(item["idle_resident_gigabytes"], 2),
                results.number(item["above_idle_gigabytes"], 2),
                results.number(item["bytes_per_pixel"], 0),
                results.number(item["bytes_per_pixel_and_filter"], 2),
            ]
            for item in group["contenders"]
        ]
        heads = ["image", "s", "GB idle", "GB above", "bytes a pixel", "and filter"]
        parts.append(results.markdown_table(heads, rows))
    return "\n\n".join(parts)


if __name__ == "__main__":
    define_flags()
    commands.run(main)
