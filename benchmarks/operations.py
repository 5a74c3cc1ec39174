r"""Profiles a training step of this project: the time of each kind of operation.

    python -m benchmarks.operations --json=operations.json --pythons=.venv/bin/python

One operation runs at a time, each on all cores, so that their times add up to the step's; a
step of training, which overlaps them, is somewhat faster. An operation that computes more than
its name says is counted under its name.
"""

from __future__ import annotations

import collections
import pathlib
import statistics
import tempfile
from typing import Any

from absl import flags

from benchmarks import interpreters, limits, results, rounds
from benchmarks.contenders import Work
from pix2pix_tf import commands

_NUM_STEPS = 5
_MOST_SHOWN = 12


def define_flags() -> None:
    """Defines the flags of this command."""
    interpreters.define_pythons_flag()
    results.define_json_flag()
    flags.DEFINE_integer("crop_size", 256, "Pixels; the paper's are 256.")
    flags.DEFINE_integer("base_filters", 64, "Of both networks; the paper's are 64.")
    flags.DEFINE_integer("batch_size", 1, "Images a step.", lower_bound=1)
    for module in (interpreters, results):
        flags.adopt_module_key_flags(module)


def main(unused_arguments: list[str]) -> None:
    """Measures, prints the tables and writes the JSON."""
    options = flags.FLAGS
    result = measure(
        interpreters.find_pythons(options.pythons),
        crop_size=options.crop_size,
        base_filters=options.base_filters,
        batch_size=options.batch_size,
    )
    print(table(result))
    results.write(result, options.json)


def measure(
    pythons: dict[str, str], *, crop_size: int = 256, base_filters: int = 64, batch_size: int = 1
) -> dict[str, Any]:
    """Returns the milliseconds of each kind of operation, for each TensorFlow and precision.

    Args:
        pythons: Interpreters with TensorFlow, by the name of their stack.
        crop_size: Pixels.
        base_filters: Of both networks.
        batch_size: Images a step.
    """
    groups = []
    for stack, python in pythons.items():
        for precision in limits.PRECISIONS:
            rounds.say(f"Operations of a step, {stack}, {precision}:")
            contender = dict(
                name=f"project, {precision}",
                python=python,
                make="benchmarks.operations:profiled",
                settings=dict(
                    crop_size=crop_size,
                    base_filters=base_filters,
                    batch_size=batch_size,
                    precision=precision,
                ),
            )
            groups.append(
                dict(stack=stack, **rounds.alternate([contender], num_rounds=1, count=1)[0])
            )
    return dict(benchmark="operations", num_steps=_NUM_STEPS, groups=groups)


def profiled(settings: dict) -> tuple[Work, dict]:
    """Makes this project's step, having profiled it; see `train_step_contenders.project`."""
    import tensorflow as tf

    from benchmarks import train_step_contenders

    tf.config.threading.set_inter_op_parallelism_threads(1)
    work, facts = train_step_contenders.project(settings)
    work(2)
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        seconds = work(_NUM_STEPS)
        tf.profiler.experimental.stop()
        (path,) = pathlib.Path(folder).rglob("*.xplane.pb")
        milliseconds = read_profile(path.read_bytes())
    facts["milliseconds_of_step"] = 1e3 * statistics.median(seconds)
    facts["milliseconds"] = {kind: total / _NUM_STEPS for kind, total in milliseconds.most_common()}
    return work, facts


def read_profile(contents: bytes) -> collections.Counter:
    """Returns the milliseconds of all operations in a profile, by their kind.

    Args:
        contents: Of an `.xplane.pb` file, where operations are called "NAME:KIND".
    """
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    totals = collections.Counter()
    for plane in xplane_pb2.XSpace.FromString(contents).planes:
        for line in plane.lines:
            for event in line.events:
                _, is_operation, kind = plane.event_metadata[event.metadata_id].name.partition(":")
                if is_operation and kind.isidentifier():
                    totals[kind] += event.duration_ps / 1e9
    return totals


def table(result: dict) -> str:
    """Returns the results as Markdown."""
    parts = []
    for group in result["groups"]:
        if "error" in group:
            parts.append(f"**{group['name']}, {group['stack']}** failed: {group['error']}")
            continue
        facts = group["facts"]
        step, milliseconds = facts["milliseconds_of_step"], facts["milliseconds"]
        shown = dict(list(milliseconds.items())[:_MOST_SHOWN])
        shown["all others"] = sum(milliseconds.values()) - sum(shown.values())
        rows = [
            [kind, results.number(value, 1), results.percent(value / step)]
            for kind, value in shown.items()
        ]
        parts.append(
            f"**{group['name']}, batch {group['settings']['batch_size']}, {group['stack']}**: a "
            f"step of {step:.0f} ms, one operation at a time"
        )
        parts.append(results.markdown_table(["operation", "ms a step", "of the step"], rows))
    return "\n\n".join(parts)


if __name__ == "__main__":
    define_flags()
    commands.run(main)
