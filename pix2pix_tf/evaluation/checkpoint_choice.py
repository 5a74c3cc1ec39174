"""Scores every checkpoint that a run kept, and names the best."""

from __future__ import annotations

import json
import pathlib

from pix2pix_tf import files, run_folder
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation import page, runner
from pix2pix_tf.evaluation.outputs import ModelOutputs
from pix2pix_tf.evaluation.reference import Reference
from pix2pix_tf.inference import translator
from pix2pix_tf.metrics import METRICS, NEITHER, badness

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
        metric: A name of `METRICS`; not one that only describes.
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
    num_pairs = len(reference.reader)
    _check_measured(metric, reference)
    files.make_output_folder(output)

    def outputs_of(step: int) -> ModelOutputs:
        return ModelOutputs(
            translator.load(workdir, checkpoint=str(step)),
            name=pathlib.Path(workdir).resolve().name,
            num_pairs=num_pairs,
            seed=reference.seed,
            num_samples=num_samples,
        )

    scores: dict[int, dict] = {}
    known = {}
    for step in map(run_folder.step_of, folders):
        print(f"Step {step:,} ...", flush=True)
        scores[step] = runner.measure(outputs_of(step), reference)["scores"]
        value = scores[step].get(metric, {}).get("value")
        if value is not None:
            known[step] = value
    if not known:
        raise InputError(f"{metric} has no value at any checkpoint. Choose another --metric.")
    best = min(known, key=lambda step: badness(metric, known[step]))
    result = dict(
        dataset=reference.dataset,
        split=reference.split,
        num_images=num_pairs,
        seed=reference.seed,
        metric=metric,
        best_step=best,
        scores=scores,
    )
    text = json.dumps(result, indent=1, allow_nan=False) + "\n"
    files.write_atomically(output / RESULT_FILE, text.encode())
    runner.evaluate(outputs_of(best), reference, output)
    return result


def _check_measured(metric: str, reference: Reference) -> None:
    """Refuses a metric that has no value here, before minutes are spent on the others."""
    measures = runner.make_measures(reference, num_samples=1, num_pairs=len(reference.reader))
    names = [name for one in measures for name in one.names]
    measured = [name for name in names if METRICS[name].better != NEITHER]
    if metric not in measured:
        raise InputError(
            f"--metric is {metric!r}, by which nothing can be chosen here. Use one of "
            f"{', '.join(measured)}. The FCN-score needs --segmenter, fid and kid the weights of "
            "Inception."
        )


def table(result: dict) -> str:
    """Returns the scores of all checkpoints as lines for a terminal, the best marked."""
    names = list(next(iter(result["scores"].values())))
    lines = [f"{result['num_images']} images of {result['dataset']}, {result['split']}:"]
    lines.append("  ".join([f"{'step':>8}", *(f"{name:>8}" for name in names)]))
    for step, scores in result["scores"].items():
        values = [f"{page.number(scores[x]['value']):>{max(len(x), 8)}}" for x in names]
        mark = ["best"] if step == result["best_step"] else []
        lines.append("  ".join([f"{step:8,}", *values, *mark]))
    lines.append(f"Best by {result['metric']}: step {result['best_step']:,}.")
    return "\n".join(lines)
