"""Scores every checkpoint that a run kept, and names the best."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterable

from pix2pix_tf import files, run_folder
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation import page, runner
from pix2pix_tf.evaluation.outputs import ModelOutputs
from pix2pix_tf.evaluation.reference import Reference
from pix2pix_tf.evaluation.score import DISTANCES, badness
from pix2pix_tf.inference import translator

RESULT_FILE = "checkpoints.json"


def choose(
    workdir: pathlib.Path,
    reference: Reference,
    output: pathlib.Path,
    *,
    metric: str = "l1",
    num_samples: int = 1,
) -> dict:
    """Scores the checkpoints, writes `checkpoints.json`, and evaluates the best in full.

    Args:
        workdir: The run folder.
        reference: What they are compared with, and by what.
        output: Folder for the results; made if needed.
        metric: One of `score.CHOOSABLE`.
        num_samples: Draws of each input.

    Returns:
        What `checkpoints.json` holds: `metric`, `best_step`, and the `scores` of each
        step.

    Raises:
        InputError: If the run has no checkpoints, or the metric is not measured.
    """
    folders = run_folder.list_checkpoints(workdir)
    if not folders:
        raise InputError(
            f"'{workdir}' has no checkpoints. Pass a run folder, and leave --checkpoints out for "
            "one that holds its newest weights alone."
        )
    network = reference.features
    distances = (network.frechet_name, network.kernel_name) if network else ()
    if metric in DISTANCES and metric not in distances:  # Before minutes are spent on the others.
        raise _not_measured(metric, distances or ["no distances"])
    files.make_output_folder(output)
    scores: dict[int, dict] = {}
    for folder in folders:
        step = run_folder.step_of(folder)
        print(f"Step {step:,} ...", flush=True)
        outputs = _open(workdir, step, reference, num_samples)
        scores[step] = runner.measure(outputs, reference)["scores"]
        if metric not in scores[step]:
            raise _not_measured(metric, scores[step])
    known = {step: found[metric]["value"] for step, found in scores.items()}
    known = {step: value for step, value in known.items() if value is not None}
    if not known:
        raise InputError(f"{metric} has no value at any checkpoint. Choose another --metric.")
    best = min(known, key=lambda step: badness(metric, known[step]))
    result = dict(
        dataset=reference.dataset,
        split=reference.split,
        num_images=len(reference.reader),
        seed=reference.seed,
        metric=metric,
        best_step=best,
        scores=scores,
    )
    text = json.dumps(result, indent=1, allow_nan=False) + "\n"
    files.write_atomically(output / RESULT_FILE, text.encode())
    runner.evaluate(_open(workdir, best, reference, num_samples), reference, output)
    return result


def _not_measured(metric: str, measured: Iterable[str]) -> InputError:
    return InputError(
        f"metric is {metric!r}, which is not measured here. Measured are: {', '.join(measured)}. "
        "fid and kid need the weights of Inception; without these --segmenter gives distances of "
        "its own features."
    )


def _open(workdir: pathlib.Path, step: int, reference: Reference, num_samples: int) -> ModelOutputs:
    return ModelOutputs(
        translator.load(workdir, checkpoint=str(step)),
        name=pathlib.Path(workdir).resolve().name,
        num_pairs=len(reference.reader),
        seed=reference.seed,
        num_samples=num_samples,
    )


def table(result: dict) -> str:
    """Returns the scores of all checkpoints as lines for a terminal, the best marked."""
    names = list(next(iter(result["scores"].values())))
    widths = [max(len(name), 8) for name in names]
    lines = [f"{result['num_images']} images of {result['dataset']}, {result['split']}:"]
    lines.append("  ".join([f"{'step':>8}", *(f"{x:>{w}}" for x, w in zip(names, widths))]))
    for step, scores in result["scores"].items():
        values = (page.number(scores[name]["value"]) for name in names)
        mark = "  best" if step == result["best_step"] else ""
        lines.append(
            "  ".join([f"{step:8,}", *(f"{x:>{w}}" for x, w in zip(values, widths))]) + mark
        )
    lines.append(f"Best by {result['metric']}: step {result['best_step']:,}.")
    return "\n".join(lines)
