r"""Compares the first losses of training with those of the plain form of the same step.

    python -m benchmarks.agreement --dataset=facades --direction=BtoA --json=agreement.json

The plain form has TensorFlow's convolutions, Keras' Adam and normalisation written out.
Both start from the same weights and see the same examples and noise in float32, so that
only the order of sums differs. Training enlarges such a difference with every step; how
much is "within noise" shows a third run: the plain form with one thread, where again
nothing but the order of sums differs.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np
from absl import flags

from benchmarks import results, rounds
from benchmarks.contenders import REPOSITORY
from pix2pix_tf import commands
from pix2pix_tf.errors import InputError

_FORMS = ("project", "plain", "plain, one thread")
_LOSSES = ("discriminator_loss", "adversarial_loss", "l1_loss")


def define_flags() -> None:
    """Defines the flags of this command."""
    results.define_json_flag()
    flags.DEFINE_string("dataset", "demo", "As of pix2pix_tf.train.")
    flags.DEFINE_string("direction", "AtoB", "As of pix2pix_tf.train.")
    flags.DEFINE_integer("num_steps", 200, "Steps to compare.", lower_bound=2)
    flags.DEFINE_integer("crop_size", 256, "Pixels; the paper's are 256.")
    flags.DEFINE_integer("base_filters", 64, "Of both networks; the paper's are 64.")
    flags.adopt_module_key_flags(results)


def main(unused_arguments: list[str]) -> None:
    """Trains in each form, prints the table and writes the JSON."""
    options = flags.FLAGS
    result = measure(
        dict(
            dataset=options.dataset,
            direction=options.direction,
            num_steps=options.num_steps,
            crop_size=options.crop_size,
            base_filters=options.base_filters,
            precision="float32",
        )
    )
    print(table(result))
    results.write(result, options.json)


def measure(settings: dict) -> dict[str, Any]:
    """Returns the losses of each form, and how far they are apart.

    Args:
        settings: Of `TrainConfig`.
    """
    losses = {}
    with tempfile.TemporaryDirectory() as folder:
        for form in _FORMS:
            rounds.say(f"Training, {form} ...")
            path = pathlib.Path(folder) / "losses.json"
            command = ["-m", "benchmarks.agreement_run", form, json.dumps(settings), str(path)]
            done = subprocess.run([sys.executable, *command], cwd=REPOSITORY)
            if done.returncode:
                raise InputError(f"The run of '{form}' ended with status {done.returncode}.")
            losses[form] = json.loads(path.read_text(encoding="utf-8"))
    return dict(
        benchmark="agreement",
        stack=f"Python {sys.version_info.major}.{sys.version_info.minor}",
        settings=dict(settings, dataset=pathlib.Path(settings["dataset"]).name),
        losses=losses,
        differences={
            form: differences(losses[form], losses["plain"]) for form in _FORMS if form != "plain"
        },
    )


def differences(found: list[dict], expected: list[dict]) -> dict[str, dict[str, float]]:
    """Returns, for each loss, how far two runs are apart.

    Returns:
        `first`: relative, at the first step. `largest`: relative to the mean loss, at
        any step. `of_the_means`: relative, of the means over all steps.
    """
    apart = {}
    for name in _LOSSES:
        a, b = (np.array([step[name] for step in run]) for run in (found, expected))
        apart[name] = dict(
            first=float(abs(a[0] - b[0]) / abs(b[0])),
            largest=float(np.abs(a - b).max() / np.abs(b).mean()),
            of_the_means=float(abs(a.mean() - b.mean()) / abs(b.mean())),
        )
    return apart


def table(result: dict) -> str:
    """Returns the differences as Markdown."""
    rows = [
        [f"{form} and plain, {name}", *(f"{value:.1e}" for value in apart.values())]
        for form, by_loss in result["differences"].items()
        for name, apart in by_loss.items()
    ]
    heads = ["relative difference", "first step", "largest", "of the means"]
    settings = result["settings"]
    return (
        f"Losses of {settings['num_steps']} steps on {settings['dataset']}, float32, "
        f"{result['stack']}:\n\n{results.markdown_table(heads, rows)}"
    )


if __name__ == "__main__":
    define_flags()
    commands.run(main)
