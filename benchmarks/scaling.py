r"""Times training by two workers on this machine, against one.

    python -m benchmarks.scaling --json=scaling.json --pythons=.venv/bin/python

Each worker has half of the cores to itself and one image a step, so that adding a
worker adds cores, as adding a machine does. The workers talk over the loopback device.
Efficiency is the images a second of two, over twice those of one. Beside it, what the
same cores do as one process with both images: on one machine that is how to train.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import Any

from absl import flags

from benchmarks import interpreters, results, rounds
from benchmarks.contenders import Contender, ContenderError, available_cpus
from pix2pix_tf import commands
from pix2pix_tf.errors import InputError

_MAKE = "benchmarks.train_step_contenders:project"


def define_flags() -> None:
    """Defines the flags of this command."""
    interpreters.define_pythons_flag()
    results.define_json_flag()
    flags.DEFINE_integer("crop_size", 256, "Pixels; the paper's are 256.")
    flags.DEFINE_integer("base_filters", 64, "Of both networks; the paper's are 64.")
    flags.DEFINE_integer("num_rounds", 3, "Turns of each arrangement.", lower_bound=1)
    flags.DEFINE_integer("num_steps", 2, "Steps timed in a turn, after one that is not.")
    for module in (interpreters, results):
        flags.adopt_module_key_flags(module)


def main(unused_arguments: list[str]) -> None:
    """Measures, prints the tables and writes the JSON."""
    options = flags.FLAGS
    result = measure(
        interpreters.find_pythons(options.pythons),
        crop_size=options.crop_size,
        base_filters=options.base_filters,
        num_rounds=options.num_rounds,
        num_steps=options.num_steps,
    )
    print(table(result))
    results.write(result, options.json)


def measure(
    pythons: dict[str, str],
    *,
    crop_size: int = 256,
    base_filters: int = 64,
    num_rounds: int = 3,
    num_steps: int = 2,
) -> dict[str, Any]:
    """Returns the times of one worker, two workers, and one process with the cores of both.

    Args:
        pythons: Interpreters with TensorFlow, by the name of their stack.
        crop_size: Pixels.
        base_filters: Of both networks.
        num_rounds: Turns of each arrangement.
        num_steps: Steps timed in a turn.

    Raises:
        InputError: If this process may use one core only.
    """
    cpus = available_cpus()
    if len(cpus) < 2 or not hasattr(os, "sched_setaffinity"):
        raise InputError(
            "Scaling is measured with half of the cores a worker, which takes Linux and two cores."
        )
    half = len(cpus) // 2
    halves = [cpus[:half], cpus[half : 2 * half]]
    sizes = dict(crop_size=crop_size, base_filters=base_filters, precision="auto")
    groups = []
    for stack, python in pythons.items():
        rounds.say(f"Scaling, {stack}:")
        common = dict(python=python, make=_MAKE)
        alone = dict(sizes, batch_size=1, threads=half)
        shared = dict(sizes, batch_size=2, threads=half, strategy="multiworker")
        joined = dict(sizes, batch_size=2, threads=2 * half)
        arrangements = {
            "one worker": [dict(common, name="one worker", settings=alone, cpus=halves[0])],
            "two workers": [
                dict(
                    common,
                    name=f"worker {index}",
                    settings=shared,
                    cpus=halves[index],
                    environment=dict(TF_CONFIG=config),
                )
                for index, config in enumerate(_cluster(2))
            ],
            "one process": [
                dict(common, name="one process", settings=joined, cpus=halves[0] + halves[1])
            ],
        }
        measured = _alternate(arrangements, num_rounds=num_rounds, num_steps=num_steps)
        groups.append(dict(stack=stack, arrangements=measured, **efficiency(measured)))
    return dict(
        benchmark="scaling",
        num_rounds=num_rounds,
        num_steps=num_steps,
        cores_of_a_worker=half,
        groups=groups,
    )


def _alternate(
    arrangements: dict[str, list[dict]], *, num_rounds: int, num_steps: int
) -> list[dict[str, Any]]:
    """Lets groups of processes take turns; those of a group work together."""
    found = []
    with contextlib.ExitStack() as stack:
        running = {}
        for name, members in arrangements.items():
            rounds.say(f"  starting {name} ...")
            try:
                # All of a group before any is waited for: they meet while they start.
                group = [stack.enter_context(Contender(**member)) for member in members]
                running[name] = [contender.wait_until_ready() for contender in group]
            except ContenderError as error:
                found.append(rounds.failure(name, members[0]["settings"], error))
        seconds: dict[str, list[float]] = {name: [] for name in running}
        for number in range(num_rounds):
            rounds.say(f"  round {number + 1} of {num_rounds} ...")
            for name, group in list(running.items()):
                try:
                    for contender in group:
                        contender.ask(1 + num_steps)
                    # A step is over when the slowest is done with it.
                    answers = [contender.answer()[1:] for contender in group]
                    seconds[name] += map(max, zip(*answers))
                except ContenderError as error:
                    del running[name]
                    found.append(rounds.failure(name, group[0].settings, error))
        for name, group in running.items():
            result = rounds.success(group[0], seconds[name])
            batch_size = group[0].settings["batch_size"]
            found.append(
                dict(
                    result,
                    name=name,
                    peak_resident_gigabytes=sum(x.peak_resident_bytes for x in group) / 1e9,
                    images_per_second=batch_size / result["seconds"]["median"],
                )
            )
    order = list(arrangements)
    return sorted(found, key=lambda result: order.index(result["name"]))


def efficiency(measured: list[dict]) -> dict[str, float | None]:
    """Returns the speed of two workers as a share of twice that of one, and of one process'."""
    rates = {item["name"]: item.get("images_per_second") for item in measured}

    def share(of: str, factor: int) -> float | None:
        if not rates["two workers"] or not rates[of]:
            return None
        return rates["two workers"] / (factor * rates[of])

    return dict(efficiency=share("one worker", 2), share_of_one_process=share("one process", 1))


def _cluster(num_workers: int) -> list[str]:
    """Returns TF_CONFIG of each worker on this machine."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(num_workers)]
        for free in sockets:
            free.bind(("localhost", 0))
        workers = [f"localhost:{free.getsockname()[1]}" for free in sockets]
    return [
        json.dumps(dict(cluster=dict(worker=workers), task=dict(type="worker", index=index)))
        for index in range(num_workers)
    ]


def table(result: dict) -> str:
    """Returns the results as Markdown."""
    parts = []
    for group in result["groups"]:
        rows = []
        for item in group["arrangements"]:
            if "error" in item:
                rows.append([item["name"], f"failed: {item['error']}", "", ""])
                continue
            rows.append(
                [
                    f"{item['name']}, batch {item['settings']['batch_size']}",
                    results.spread(item["seconds"], 3),
                    results.number(item["images_per_second"], 2),
                    results.number(item["peak_resident_gigabytes"], 2),
                ]
            )
        parts.append(f"**Scaling, {group['stack']}**")
        heads = ["arrangement", "s a step", "images/s", "GB"]
        parts.append(results.markdown_table(heads, rows))
        parts.append(
            f"Efficiency of two workers of {result['cores_of_a_worker']} core(s) each: "
            f"{results.percent(group['efficiency'])}. One process with the cores of both and the "
            f"same batch: two workers reach {results.percent(group['share_of_one_process'])} of "
            "its speed."
        )
    return "\n\n".join(parts)


if __name__ == "__main__":
    define_flags()
    commands.run(main)
