r"""Times a training step of this project and of its peers, side by side.

    python -m benchmarks.train_step --json=train_step.json \
        --pythons=.venv/bin/python,.venv-current/bin/python --torch_python=PATH

The peers: the step of TensorFlow's tutorial (`tutorial_recipe`), and that of the
PyTorch reference (`pytorch_recipe`). First each peer tries its settings; the best,
which the table names, then takes turns with this project's steps, for each batch size
and each TensorFlow. All get the same synthetic batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from absl import flags

from benchmarks import machine, results, rounds
from pix2pix_tf import commands

_PRECISIONS = ("float32", "bfloat16")
# Settings of the peers to try; each adds to the best before.
_TUTORIAL_VARIATIONS = [dict(is_compiled=False), dict(is_compiled=True)]
_PYTORCH_VARIATIONS = [
    dict(channels_last=True, is_compiled=False),
    dict(channels_last=False),
    dict(is_compiled=True),
]
WITHOUT_ONEDNN = dict(TF_ENABLE_ONEDNN_OPTS="0")  # Environment.


def define_flags() -> None:
    """Defines the flags of this command."""
    results.define_flags()
    flags.DEFINE_string("json", "", "File for the results; empty for none.")
    flags.DEFINE_multi_integer("batch_size", [1, 4], "Images a step.", lower_bound=1)
    flags.DEFINE_integer(
        "accumulate", 1, "Parts in which this project takes a batch, as of pix2pix_tf.train."
    )
    flags.DEFINE_integer(
        "num_steps", 2, "Steps timed in a turn, after one that is not.", lower_bound=1
    )
    flags.adopt_module_key_flags(results)


def main(unused_arguments: list[str]) -> None:
    """Measures, prints the tables and writes the JSON."""
    options = flags.FLAGS
    result = measure(
        **results.settings_from_flags(),
        batch_sizes=options.batch_size,
        accumulate=options.accumulate,
        num_steps=options.num_steps,
    )
    print(table(result))
    results.write(result, options.json)


def measure(
    *,
    pythons: dict[str, str],
    torch_python: str | None,
    crop_size: int,
    base_filters: int,
    num_rounds: int,
    without_onednn: bool,
    batch_sizes: Sequence[int] = (1, 4),
    accumulate: int = 1,
    num_steps: int = 2,
) -> dict[str, Any]:
    """Returns the times of all contenders.

    Args:
        pythons: Interpreters with TensorFlow, by the name of their stack.
        torch_python: One with PyTorch, or None.
        crop_size: Pixels.
        base_filters: Filters of both networks.
        num_rounds: Turns of each contender.
        without_onednn: Whether this project is also measured without oneDNN.
        batch_sizes: Images a step.
        accumulate: Parts in which this project takes a batch.
        num_steps: Steps timed in a turn.
    """
    described = machine.describe()
    groups, trials = [], []
    for batch_size in batch_sizes:
        sizes = dict(crop_size=crop_size, base_filters=base_filters, batch_size=batch_size)
        pytorch = _in_both_precisions("pytorch", torch_python, sizes) if torch_python else []
        pytorch = _best(pytorch, _PYTORCH_VARIATIONS, trials)
        for stack, python in pythons.items():
            tutorial = _in_both_precisions("tutorial", python, sizes)
            tutorial = _best(tutorial, _TUTORIAL_VARIATIONS, trials)
            own = _project(python, sizes, accumulate=accumulate, without_onednn=without_onednn)
            rounds.say(f"Training step, batch {batch_size}, {stack}:")
            contenders = rounds.alternate(
                [*own, *tutorial, *pytorch], num_rounds=num_rounds, count=num_steps
            )
            for item in contenders:
                if "error" not in item:
                    item["images_per_second"] = batch_size / item["seconds"]["median"]
            groups.append(
                dict(
                    stack=stack,
                    batch_size=batch_size,
                    contenders=contenders,
                    ratios=ratios(contenders),
                )
            )
    return dict(
        benchmark="train_step",
        machine=described,
        num_rounds=num_rounds,
        num_steps=num_steps,
        groups=groups,
        trials=trials,
    )


def _project(python: str, sizes: dict, *, accumulate: int, without_onednn: bool) -> list[dict]:
    """Returns arguments of `Contender` for this project's steps."""
    if accumulate > 1:
        sizes = dict(sizes, accumulate=accumulate)
    steps = _in_both_precisions("project", python, sizes)
    # The tutorial's order of updates: the same work as it does.
    simultaneous = dict(steps[-1], name=f"{steps[-1]['name']}, simultaneous")
    simultaneous["settings"] = dict(simultaneous["settings"], update_order="simultaneous")
    plain = [
        dict(step, name=f"{step['name']}, no oneDNN", environment=WITHOUT_ONEDNN) for step in steps
    ]
    return [*steps, simultaneous, *(plain if without_onednn else [])]


def _in_both_precisions(kind: str, python: str, sizes: dict) -> list[dict]:
    """Returns arguments of `Contender` for steps of one kind, see `makers`."""
    return [
        dict(
            name=f"{kind}, {precision}",
            python=python,
            make=f"benchmarks.makers:{kind}_step",
            settings=dict(sizes, precision=precision),
        )
        for precision in machine.precisions()
    ]


def _best(contenders: list[dict], variations: list[dict], trials: list[dict]) -> list[dict]:
    """Tries variations of the settings of contenders in turn, each on top of the best before.

    Args:
        contenders: Arguments of `Contender`, each.
        variations: Changes to their settings; the names tell them.
        trials: Gets what each took.

    Returns:
        The best of each contender that works.
    """
    found = []
    for contender in contenders:
        rounds.say(f"Settings of {contender['name']}:")
        best, best_seconds = contender, float("inf")
        for variation in variations:
            settings = dict(best["settings"], **variation)
            texts = [f"{x}={settings[x]}" for x in variations[0]]
            name = f"{contender['name']} ({', '.join(texts)})"
            candidate = dict(contender, name=name, settings=settings)
            (result,) = rounds.alternate([candidate], num_rounds=2, count=3)
            trials.append(result)
            if "error" not in result and result["seconds"]["median"] < best_seconds:
                best, best_seconds = candidate, result["seconds"]["median"]
        if best is not contender:
            found.append(best)
    return found


def ratios(contenders: list[dict]) -> dict[str, float]:
    """Returns images a second of this project's best as multiples of each peer's best.

    "float32 / tutorial" compares in float32 alone, "best / tutorial" whatever is best of
    each. Variants of this project count for themselves: "simultaneous / tutorial" compares
    the other order of updates with the peer's best.
    """
    best: dict[tuple[str, str], float] = {}
    for item in contenders:
        if "error" not in item:
            kind, precision, *variant = item["name"].partition(" (")[0].split(", ")
            for scope in variant or ("best", precision):
                known = best.get((scope, kind), 0.0)
                best[scope, kind] = max(known, item["images_per_second"])
    found = {}
    for (scope, kind), rate in best.items():
        if kind == "project":
            for (peers_scope, peer), peers_rate in best.items():
                # A variant has no like among the peers.
                is_like = peers_scope == (scope if scope in ("best", *_PRECISIONS) else "best")
                if peer != "project" and is_like:
                    found[f"{scope} / {peer}"] = rate / peers_rate
    return found


def table(result: dict) -> str:
    """Returns the results as Markdown."""
    columns = {
        "s a step": lambda item: results.spread(item["seconds"], 3),
        "images/s": lambda item: results.number(item["images_per_second"], 2),
        "s to the first": lambda item: results.number(item["seconds_to_first"], 1),
        "GB": lambda item: results.number(item["peak_resident_gigabytes"], 2),
    }
    parts = []
    for group in result["groups"]:
        parts.append(f"**Batch {group['batch_size']}, {group['stack']}**")
        parts.append(results.contenders_table(group["contenders"], columns))
        multiples = [f"{name} {value:.2f}x" for name, value in group["ratios"].items()]
        if multiples:
            parts.append(f"This project's images a second: {'; '.join(multiples)}.")
    tried = {
        "batch": lambda item: str(item["settings"]["batch_size"]),
        "s a step": lambda item: results.spread(item["seconds"], 3),
    }
    parts.append("Settings that the peers were tried with:")
    parts.append(results.contenders_table(result["trials"], tried))
    return "\n\n".join(parts)


if __name__ == "__main__":
    define_flags()
    commands.run(main)
