r"""Shows that a trained model gives the same picture on every runtime.

    python -m export.verify --workdir=runs/facades --checkpoint=best --output=parity

Exports the run, converts it in every form, and gives the same images and the same
noise z to Keras, the SavedModel in Python and in TensorFlow Serving's C++ session,
TFLite and TF.js. Writes `parity.json`, `parity.md` (the table) and `parity.png` (the
outputs and their differences), and ends with exit status 1 if a runtime is further
from Keras than its limit or fails, or the noise is not alive. The models are kept in
`models/` below the output, until the next run.

TFLite needs LiteRT, TF.js Node and `make node`, and Chromium on the path. Where one of
them is not there, `--runtimes`, once for each, names the others:

    python -m export.verify --workdir=runs/facades --output=parity --runtimes=cpp --runtimes=tflite

The images are held-out ones of the training's data set. Where that is not on this machine,
`--dataset` and `--data_dir` name other pairs, with which int8 is calibrated too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import math
import pathlib
import platform
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from absl import flags

from export import (
    cpp_session,
    limits,
    litert,
    parity_models,
    runtimes,
    tfjs_browser,
    tfjs_node,
)
from export.runtimes import Inputs, Run, Runtime
from pix2pix_tf import commands, files, grids, run_folder
from pix2pix_tf.errors import InputError, MissingInputError

EXIT_DIFFERS = 1
RUNTIMES = ("cpp", "tflite", "node", "chromium")
NUM_DRAWS = 64  # Of the noise, whose mean is compared between runtimes.
_PICTURES = 2  # Images shown in parity.png.
_RUNTIMES_IN_A_ROW = 4  # Of it; with more the titles could not be read.


class _Measured(NamedTuple):
    """What a runtime gave.

    Attributes:
        outputs: Of `with_noise`, for each image.
        milliseconds: Of all repetitions but the first of each image.
        draws: Outputs of `serving_default` for one image, `[count, height, width, channels]`.
    """

    outputs: list[np.ndarray]
    milliseconds: list[float]
    draws: np.ndarray


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string("workdir", None, "Run folder of the training.", required=True)
    flags.DEFINE_string("output", None, "Folder for models and results.", required=True)
    flags.DEFINE_string("checkpoint", "newest", commands.CHECKPOINT_HELP)
    flags.DEFINE_integer("num_images", 5, "Held-out images to compare.", lower_bound=1)
    flags.DEFINE_integer("repeat", 5, "Runs of which the median time is taken.", lower_bound=1)
    flags.DEFINE_integer(
        "num_draws", NUM_DRAWS, "Draws of the noise whose mean is compared.", lower_bound=2
    )
    flags.DEFINE_integer("num_threads", 2, "CPU threads of TFLite.", lower_bound=1)
    flags.DEFINE_multi_enum(
        "runtimes",
        list(RUNTIMES),
        RUNTIMES,
        "A runtime to compare, beside Python's SavedModel. For several, repeat the flag.",
    )
    flags.DEFINE_string(
        "dataset", "", "Pairs to compare with: name or folder. Empty: as in the training."
    )
    flags.DEFINE_string("data_dir", "", "Folder of published sets. Empty: as in the training.")


def main(unused_arguments: list[str]) -> int:
    """Verifies what the flags name; returns the exit status."""
    options = flags.FLAGS
    output = pathlib.Path(options.output)
    files.make_output_folder(output)
    result = verify(
        pathlib.Path(options.workdir),
        output,
        checkpoint=options.checkpoint,
        num_images=options.num_images,
        repeat=options.repeat,
        num_draws=options.num_draws,
        num_threads=options.num_threads,
        wanted=options.runtimes,
        dataset=options.dataset,
        data_dir=options.data_dir,
    )
    print((output / "parity.md").read_text(encoding="utf-8"))
    failures = [fault for row in result["runtimes"] for fault in row["faults"]]
    for fault in failures + result["faults"]:
        print(f"FAILED: {_first_line(fault)}")
    return EXIT_DIFFERS if failures or result["faults"] else 0


def verify(
    workdir: pathlib.Path,
    output: pathlib.Path,
    *,
    checkpoint: str = "newest",
    num_images: int = 5,
    repeat: int = 5,
    num_draws: int = NUM_DRAWS,
    num_threads: int = 2,
    wanted: Sequence[str] = RUNTIMES,
    dataset: str = "",
    data_dir: str = "",
) -> dict:
    """Exports, converts, runs and compares.

    Args:
        workdir: The run folder.
        output: The folder for models and results.
        checkpoint: "newest", "best", or a step.
        num_images: Of which `with_noise` is compared; fewer if there are no more.
        repeat: Runs of which the median time is taken.
        num_draws: Calls of `serving_default` with the first image.
        num_threads: CPU threads of TFLite.
        wanted: Some of `RUNTIMES`.
        dataset: Pairs to compare with; empty means those of the training.
        data_dir: Where published sets are; empty means as in the training.

    Returns:
        What `parity.json` holds, where a number that is not finite is null.

    Raises:
        InputError: If the run cannot be exported, the images are not available, or a runtime
            is not installed.
    """
    from pix2pix_tf import networks, serving
    from pix2pix_tf.config import TrainConfig

    workdir, output = pathlib.Path(workdir), pathlib.Path(output)
    # What is missing is said now, not after the conversions.
    _check_installed(wanted)
    config = TrainConfig.load(workdir)
    config = dataclasses.replace(
        config, dataset=dataset or config.dataset, data_dir=data_dir or config.data_dir
    )
    reference = _keras(workdir, config, checkpoint)
    random = np.random.default_rng(0)
    noise_size = networks.noise_size(config)
    split, images = _held_out_images(config, num_images)
    inputs = [
        dict(image=image, z=random.random((1, noise_size), dtype=np.float32)) for image in images
    ]
    models = output / "models"
    parity_models.make_room(models)
    version = serving.save_version(
        workdir, models / parity_models.SAVED_MODEL, checkpoint=checkpoint
    )
    card = serving.read_model_card(version)

    expected = _measure(reference, inputs, repeat, num_draws)
    rows = [_row(reference, expected, expected, noise_size)]
    pictures = {reference.name: expected.outputs[:_PICTURES]}
    # One after the other: together, the models of a 256x256 run take gigabytes.
    for subject in parity_models.subjects(
        version, models, wanted, num_threads=num_threads, dataset=dataset, data_dir=data_dir
    ):
        runtime = subject.runtime
        print(f"{runtime.name} ...", flush=True)
        gc.collect()  # The model before: graphs of TensorFlow are cycles.
        try:
            subject.convert()
            measured = _measure(runtime, inputs, repeat, num_draws)
        except _faults_of_runtimes() as error:  # The other runtimes are still worth knowing.
            rows.append(dict(name=runtime.name, faults=[f"{runtime.name}: {error}"]))
            continue
        pictures[runtime.name] = measured.outputs[:_PICTURES]
        rows.append(_row(runtime, measured, expected, noise_size))

    exported = runtimes.saved_model(version)
    faults = _checked(exported, lambda: _stranger_faults(exported, inputs))
    if noise_size:
        faults += _checked(exported, lambda: _restart_faults(exported, inputs[0]))
    result = dict(
        workdir_step=card["step"],
        crop_size=card["config"]["crop_size"],
        num_images=len(inputs),
        split=split,
        noise_size=noise_size,
        num_draws=num_draws,
        num_threads=num_threads,
        versions=card["versions"],
        python=platform.python_version(),
        runtimes=rows,
        faults=faults,
    )
    files.write_atomically(output / "parity.json", _json(result).encode())
    files.write_atomically(output / "parity.md", _table(result).encode())
    _write_picture(output / "parity.png", inputs, pictures)
    return result


def _check_installed(wanted: Sequence[str]) -> None:
    """Refuses to go on without what the runtimes need.

    Raises:
        MissingInputError: If something is not installed; it says how to do without.
    """
    needs = dict(
        cpp=[],
        tflite=[litert.check_installed],
        node=[tfjs_node.find_node],
        chromium=[tfjs_node.find_node, tfjs_browser.find_chromium],
    )
    missing = {}
    for name in wanted:
        for check in needs[name]:
            try:
                check()
            except MissingInputError as error:
                missing.setdefault(name, str(error))
    if missing:
        reasons = dict.fromkeys(missing.values())  # Node is missing once, for two runtimes.
        rest = [name for name in RUNTIMES if name in set(wanted) - set(missing)] or ["cpp"]
        raise MissingInputError(
            f"{' '.join(reasons)} Or leave {' and '.join(missing)} out: "
            f"{' '.join(f'--runtimes={name}' for name in rest)}"
        )


def _held_out_images(config, count: int) -> tuple[str, list[np.ndarray]]:
    """Returns a split, held out if the set has such, and its first inputs.

    Each is float32 in [-1, 1], `[1, crop_size, crop_size, channels]`.
    """
    from pix2pix_tf.data import pairs, pipeline

    try:
        found = pairs.find_split(config.dataset, ("test", "val"), data_dir=config.data_dir)
        split = found or "train"
        reader = pipeline.open_reader(config, split, size=config.crop_size)
    except InputError as error:
        raise InputError(
            f"The images to compare with are not available: {error} Or name others with --dataset "
            "and --data_dir."
        ) from None
    examples = pipeline.evaluation_examples(reader, crop_size=config.crop_size, limit=count)
    return split, [example.source.numpy() for example in examples]


def _keras(workdir: pathlib.Path, config, checkpoint: str) -> Runtime:
    """Returns the reference: the generator as it is trained, called with training=True."""

    weights, _ = run_folder.find_weights(workdir, checkpoint)

    @contextlib.contextmanager
    def opened() -> Iterator[Run]:
        import tensorflow as tf

        from pix2pix_tf import networks

        generator = networks.build_generator(config)
        networks.load_weights(generator, weights)
        call = tf.function(lambda image, z: generator([image, z], training=True))

        def run(signature: str, inputs: Inputs) -> np.ndarray:
            z = inputs.get("z")
            if z is None:
                z = np.random.default_rng().random(
                    (1, networks.noise_size(config)), dtype=np.float32
                )
            return call(tf.constant(inputs["image"]), tf.constant(z)).numpy()

        yield runtimes.timed(run)

    return Runtime("Keras, training=True", weights, limits.EXACT, opened)


def _faults_of_runtimes() -> tuple[type[Exception], ...]:
    """Returns what a conversion or a runtime raises where the model or the machine is at fault.

    All else is a defect of this program, and keeps its traceback.
    """
    import tensorflow as tf

    return (
        cpp_session.CppError,
        litert.LiteRtError,
        tfjs_node.NodeError,
        tfjs_browser.BrowserError,
        InputError,
        tf.errors.OpError,
        OSError,
        MemoryError,
    )


def _measure(runtime: Runtime, inputs: list[Inputs], repeat: int, num_draws: int) -> _Measured:
    """Returns what a runtime gives; its model is in the memory while this runs."""
    outputs, milliseconds = [], []
    with runtime.open() as run:
        for one in inputs:
            # The first run of a runtime plans and allocates; its time is not the user's.
            found, times = run("with_noise", one, repeat + 1)
            outputs.append(found[-1])
            milliseconds += times[1:]
        draws, _ = run("serving_default", dict(image=inputs[0]["image"]), num_draws)
    return _Measured(outputs, milliseconds, draws[:, 0])


def _row(runtime: Runtime, measured: _Measured, expected: _Measured, noise_size: int) -> dict:
    """Returns a runtime's row of `parity.json`, with its faults."""
    differences = [
        np.abs(found - wanted) for found, wanted in zip(measured.outputs, expected.outputs)
    ]
    row = dict(
        name=runtime.name,
        megabytes=runtime.megabytes,
        mean_difference=float(np.mean([difference.mean() for difference in differences])),
        max_difference=float(np.max([difference.max() for difference in differences])),
        mean_limit=runtime.limit.mean,
        max_limit=runtime.limit.max,
        mean_shift_limit=runtime.limit.mean_shift,
        milliseconds=float(np.median(measured.milliseconds)),
        distinct_draws=len({draw.tobytes() for draw in measured.draws}),
    )
    faults = _difference_faults(row, runtime.limit)
    if noise_size:
        row.update(_noise_row(measured.draws, expected.draws))
        faults += _noise_faults(row, runtime.limit)
    else:
        faults += _no_noise_faults(row)
    return {**row, "faults": faults}


def _noise_row(draws: np.ndarray, expected: np.ndarray) -> dict:
    """Returns how alive the noise is, and how far the mean over it is from the reference's."""
    count = len(draws)
    # Of the mean of N draws against the mean of N others: each has the variance s^2 / N.
    sampling = np.sqrt((draws.var(axis=0, ddof=1) + expected.var(axis=0, ddof=1)) / count)
    shift = draws.mean(axis=0) - expected.mean(axis=0)
    return dict(
        spread=float(draws.std(axis=0, ddof=1).mean()),
        expected_spread=float(expected.std(axis=0, ddof=1).mean()),
        mean_shift=float(np.sqrt(np.mean(np.square(shift)))),
        sampling_error=float(np.sqrt(np.mean(np.square(sampling)))),
    )


def _difference_faults(row: dict, limit: limits.Limit) -> list[str]:
    """Returns what is wrong with a runtime's outputs of `with_noise`, in words."""
    faults = []
    for kind, allowed in (("mean", limit.mean), ("max", limit.max)):
        found = row[f"{kind}_difference"]
        if not found <= allowed:
            faults.append(f"{row['name']}: {kind} difference {found:.2g}, limit {allowed:.2g}")
    return faults


def _noise_faults(row: dict, limit: limits.Limit) -> list[str]:
    """Returns what is wrong with the noise that a runtime draws, in words."""
    faults = []
    if row["distinct_draws"] < 2:
        faults.append(f"{row['name']}: all calls of serving_default give the same picture")
    # Rounding to 8 bits adds a third, see docs/parity.md; a dropout that is lost takes as much.
    ratio = row["spread"] / max(row["expected_spread"], 1e-12)
    if not 0.7 <= ratio <= 1.6:
        faults.append(f"{row['name']}: the noise is {ratio:.2f} times as strong as Keras'")
    # Twice the error that is expected of two samples of the same distribution; a quantised
    # model is a slightly different one, by what its limit allows.
    allowed = 2 * row["sampling_error"] + limit.mean_shift
    if not row["mean_shift"] <= allowed:
        faults.append(
            f"{row['name']}: the mean over draws is off by {row['mean_shift']:.2g}, allowed "
            f"{allowed:.2g}"
        )
    return faults


def _no_noise_faults(row: dict) -> list[str]:
    """Returns a fault if a runtime draws noise for a model that has none."""
    if row["distinct_draws"] == 1:
        return []
    return [f"{row['name']}: the model has no noise, and calls of serving_default differ"]


def _checked(runtime: Runtime, check: Callable[[], list[str]]) -> list[str]:
    """Returns the faults that a check finds, or the one that ends it."""
    gc.collect()
    try:
        return check()
    except _faults_of_runtimes() as error:
        return [f"{runtime.name}: {error}"]


def _stranger_faults(runtime: Runtime, inputs: list[Inputs]) -> list[str]:
    """Returns a fault if another image in a batch changes a bit of the first one's output."""
    first, other = inputs[0], inputs[-1]
    outputs = []
    with runtime.open() as run:
        for stranger in (other, {name: value[:, ::-1] for name, value in other.items()}):
            batch = {name: np.concatenate([first[name], stranger[name]]) for name in first}
            outputs.append(run("with_noise", batch, 1)[0][0, 0])
    same = np.array_equal(outputs[0], outputs[1])
    return [] if same else [f"{runtime.name}: a stranger in the batch changes the output"]


def _restart_faults(runtime: Runtime, inputs: Inputs) -> list[str]:
    """Returns a fault if a model that is loaded anew draws the same noise again."""

    def draw() -> np.ndarray:
        with runtime.open() as run:
            return run("serving_default", dict(image=inputs["image"]), 1)[0]

    first = draw()
    gc.collect()
    if not np.array_equal(first, draw()):
        return []
    return [f"{runtime.name}: loaded anew, serving_default gives the same picture again"]


def _table(result: dict) -> str:
    """Returns the rows as a table in Markdown."""
    lines = [
        f"Step {result['workdir_step']}, {result['crop_size']}x{result['crop_size']}, batch 1, "
        f"{result['num_images']} images of {result['split']}; Python {result['python']}, "
        + ", ".join(f"{name} {number}" for name, number in result["versions"].items())
        + ".",
        "",
        "| runtime | MB | mean difference | max difference | limits | ms | noise: spread "
        "| shift of the mean / sampling error |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in result["runtimes"]:
        if "megabytes" not in row:
            reason = _first_line(row["faults"][0].removeprefix(f"{row['name']}: "))
            lines.append(f"| {row['name']} | failed: {_escape(reason)} |")
            continue
        noise = "none | none"
        if result["noise_size"]:
            noise = f"{row['spread']:.4f} | {row['mean_shift']:.4f} / {row['sampling_error']:.4f}"
        lines.append(
            f"| {row['name']} | {row['megabytes']:.1f} | {row['mean_difference']:.1e} "
            f"| {row['max_difference']:.1e} | {row['mean_limit']:g} / {row['max_limit']:g} "
            f"| {row['milliseconds']:.0f} | {noise} |"
        )
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    """Returns a text as a cell of a table has it, whose cells end with a bar."""
    return text.replace("|", "\\|")


def _first_line(text: str) -> str:
    """Returns what fits in a line of a report; the whole text is in parity.json."""
    return next(iter(text.splitlines()), "")


def _json(result: dict) -> str:
    """Returns a result as JSON, which has no numbers that are not finite: they are null."""

    def finite(value):
        if isinstance(value, dict):
            return {name: finite(one) for name, one in value.items()}
        if isinstance(value, list):
            return [finite(one) for one in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(finite(result), indent=1, allow_nan=False) + "\n"


def _write_picture(path: pathlib.Path, inputs: list[Inputs], pictures: dict) -> None:
    """Writes a row of outputs and a row of their differences for each image.

    Runtimes that are too many for one row of readable titles go on below, beside the input again.
    """
    import tensorflow as tf

    from pix2pix_tf.data import images

    reference = next(iter(pictures.values()))
    num_columns = min(len(pictures), _RUNTIMES_IN_A_ROW)
    bands = []
    for start in range(0, len(pictures), num_columns):
        names = list(pictures)[start : start + num_columns]
        blank = [np.ones_like(reference[0][0])] * (num_columns - len(names))
        rows = []
        for number, (expected,) in enumerate(reference):
            outputs = [pictures[name][number][0] for name in names]
            rows.append([inputs[number]["image"][0], *outputs, *blank])
            # Grey where they agree; ten times the difference.
            differences = [np.clip(10 * (x - expected), -1, 1) for x in outputs]
            rows.append([np.zeros_like(expected), *differences, *blank])
        titles = ["input; below: difference x 10", *names, *[""] * len(blank)]
        bands.append(grids.sample_grid(rows, titles))
    grid = np.concatenate(bands)
    files.write_atomically(path, images.encode_image(tf.constant(grid), ".png"))


if __name__ == "__main__":
    define_flags()
    commands.run(main)
