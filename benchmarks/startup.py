r"""Times the start of training: from the start of the process to the end of the first step.

    python -m benchmarks.startup --json=startup.json \
        --pythons=.venv/bin/python,.venv-current/bin/python --torch_python=PATH

This project's time is that of its whole command, `python -m pix2pix_tf.train`, with
drawn scenes, the untrained samples written first; it also says how often the step was
traced in the steps after. The peers make their networks and take a step on a synthetic
batch, without reading data.
"""

from __future__ import annotations

import pathlib
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from absl import flags

from benchmarks import interpreters, results, rounds
from benchmarks.contenders import Work, seconds_since_start
from pix2pix_tf import commands

TARGET_SECONDS = 20.0
_NUM_STEPS = 3  # After the first, two that must not trace anew.


def define_flags() -> None:
    """Defines the flags of this command."""
    interpreters.define_pythons_flag()
    interpreters.define_torch_flag()
    results.define_json_flag()
    flags.DEFINE_integer("crop_size", 256, "Pixels; the paper's are 256.")
    flags.DEFINE_integer("base_filters", 64, "Of both networks; the paper's are 64.")
    flags.DEFINE_integer("num_rounds", 2, "Starts of each contender.", lower_bound=1)
    for module in (interpreters, results):
        flags.adopt_module_key_flags(module)


def main(unused_arguments: list[str]) -> None:
    """Measures, prints the tables and writes the JSON."""
    options = flags.FLAGS
    result = measure(
        interpreters.find_pythons(options.pythons),
        interpreters.find_torch(options.torch_python),
        crop_size=options.crop_size,
        base_filters=options.base_filters,
        num_rounds=options.num_rounds,
    )
    print(table(result))
    results.write(result, options.json)


def measure(
    pythons: dict[str, str],
    torch_python: str | None,
    *,
    crop_size: int = 256,
    base_filters: int = 64,
    num_rounds: int = 2,
) -> dict[str, Any]:
    """Returns the seconds that all contenders took to start.

    Args:
        pythons: Interpreters with TensorFlow, by the name of their stack.
        torch_python: One with PyTorch, or None.
        crop_size: Pixels.
        base_filters: Of both networks.
        num_rounds: Starts of each contender.
    """
    sizes = dict(crop_size=crop_size, base_filters=base_filters)
    step = dict(sizes, batch_size=1, precision="float32")
    contenders = []
    for stack, python in pythons.items():
        contenders += [
            dict(
                name=f"project, {stack}",
                python=python,
                make="benchmarks.startup:train_command",
                settings=sizes,
            ),
            dict(
                name=f"tutorial, {stack}",
                python=python,
                make="benchmarks.train_step_contenders:tutorial",
                settings=dict(step, is_compiled=False),
            ),
        ]
    if torch_python:
        contenders.append(
            dict(
                name="pytorch",
                python=torch_python,
                make="benchmarks.train_step_contenders:pytorch",
                settings=dict(step, channels_last=True, adam="fused", threads=0, is_compiled=False),
            )
        )
    rounds.say("Start of training:")
    return dict(
        benchmark="startup",
        num_rounds=num_rounds,
        target_seconds=TARGET_SECONDS,
        contenders=start_each(contenders, num_rounds=num_rounds),
    )


def start_each(contenders: Sequence[dict], *, num_rounds: int) -> list[dict[str, Any]]:
    """Starts each contender in turn, alone, `num_rounds` times, and returns the results.

    Args:
        contenders: Arguments of `Contender`, each.
        num_rounds: A failure in any of them is the contender's result.
    """
    starts: dict[str, list[float]] = {item["name"]: [] for item in contenders}
    done: dict[str, dict] = {}
    for _ in range(num_rounds):
        for arguments in contenders:
            if "error" in done.get(arguments["name"], {}):
                continue
            ready, failed = rounds.start([arguments])
            for contender in ready:
                contender.close()
                # The project's own process knows best when its first step was done.
                seconds = contender.facts.get("seconds_to_first_step", contender.seconds_to_ready)
                starts[contender.name].append(seconds)
                done[contender.name] = rounds.success(contender, starts[contender.name])
            for result in failed:
                done[result["name"]] = result
    return [done[item["name"]] for item in contenders]


def train_command(settings: dict) -> tuple[Work, dict]:
    """Runs the command of training for some steps, watching the first, and has no more work.

    Its facts are `seconds_to_first_step`, since the start of the process, and
    `num_traces` of the step after all of them.
    """
    from pix2pix_tf import train

    watched = {}
    with tempfile.TemporaryDirectory() as folder:
        sys.argv = [
            train.__name__,
            f"--workdir={pathlib.Path(folder) / 'run'}",
            f"--num_steps={_NUM_STEPS}",
            f"--crop_size={settings['crop_size']}",
            f"--base_filters={settings['base_filters']}",
        ]
        train.define_flags()
        from pix2pix_tf.training import loop

        loop.make_train_step = _watch(loop.make_train_step, watched)
        try:
            commands.run(train.main)
        except SystemExit as leaving:
            if leaving.code:
                raise RuntimeError(f"Training ended with status {leaving.code}.") from None
    return lambda count: [0.0] * count, watched


def _watch(make_train_step, watched: dict):
    """Returns `make_train_step`, whose steps note in `watched` when the first was done."""

    def make_watched(*arguments):
        train_step = make_train_step(*arguments)

        def step(batch):
            losses = train_step(batch)
            if "seconds_to_first_step" not in watched:
                float(losses["generator_loss"])  # Waits for the step.
                watched["seconds_to_first_step"] = seconds_since_start()
            watched["num_traces"] = train_step.experimental_get_tracing_count()
            return losses

        return step

    return make_watched


def table(result: dict) -> str:
    """Returns the results as Markdown."""
    rows = []
    for item in result["contenders"]:
        if "error" in item:
            rows.append([item["name"], f"failed: {item['error']}", "", ""])
            continue
        traces = item["facts"].get("num_traces")
        rows.append(
            [
                item["name"],
                results.spread(item["seconds"], 1),
                "" if traces is None else str(traces),
                results.number(item["peak_resident_gigabytes"], 2),
            ]
        )
    heads = ["contender", "s to the end of step 1", "traces", "GB"]
    target = f"This project aims at {result['target_seconds']:.0f} s, and at one trace."
    return f"{results.markdown_table(heads, rows)}\n\n{target}"


if __name__ == "__main__":
    define_flags()
    commands.run(main)
