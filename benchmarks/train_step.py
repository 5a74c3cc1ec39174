r"""Times a training step of this project and of its peers, side by side.

    python -m benchmarks.train_step --json=train_step.json \
        --pythons=.venv/bin/python,.venv-current/bin/python --torch_python=PATH

The peers: the step of TensorFlow's tutorial (`tutorial_recipe`), and that of the
PyTorch reference (`pytorch_recipe`). First each peer tries its settings; the best,
which the table names, then takes turns with this project's steps, for each batch size
and each TensorFlow. All get the same synthetic batch, and the limits of the machine are
measured in the same turns.
"""

from __future__ import annotations

from typing import Any

from absl import flags

from benchmarks import arithmetic, interpreters, limits, results, rounds
from benchmarks.contenders import available_cpus
from pix2pix_tf import commands

_PRECISIONS = limits.PRECISIONS


def define_flags() -> None:
    """Defines the flags of this command."""
    interpreters.define_pythons_flag()
    interpreters.define_torch_flag()
    results.define_json_flag()
    flags.DEFINE_multi_integer("batch_size", [1, 4], "Images a step.", lower_bound=1)
    flags.DEFINE_integer("crop_size", 256, "Pixels; the paper's are 256.")
    flags.DEFINE_integer("base_filters", 64, "Of both networks; the paper's are 64.")
    flags.DEFINE_integer("num_rounds", 4, "Turns of each contender.", lower_bound=1)
    flags.DEFINE_integer("num_steps", 2, "Steps timed in a turn, after one that is not.")
    for module in (interpreters, results):
        flags.adopt_module_key_flags(module)


def main(unused_arguments: list[str]) -> None:
    """Measures, prints the tables and writes the JSON."""
    options = flags.FLAGS
    result = measure(
        interpreters.find_pythons(options.pythons),
        interpreters.find_torch(options.torch_python),
        batch_sizes=options.batch_size,
        crop_size=options.crop_size,
        base_filters=options.base_filters,
        num_rounds=options.num_rounds,
        num_steps=options.num_steps,
    )
    print(table(result))
    if result["trials"]:
        print(f"\n{trials_table(result['trials'])}")
    results.write(result, options.json)


def measure(
    pythons: dict[str, str],
    torch_python: str | None,
    *,
    batch_sizes: list[int],
    crop_size: int = 256,
    base_filters: int = 64,
    num_rounds: int = 4,
    num_steps: int = 2,
) -> dict[str, Any]:
    """Returns the times of all contenders, and the limits of the machine.

    Args:
        pythons: Interpreters with TensorFlow, by the name of their stack.
        torch_python: One with PyTorch, or None.
        batch_sizes: Images a step.
        crop_size: Pixels.
        base_filters: Of both networks.
        num_rounds: Turns of each contender.
        num_steps: Steps timed in a turn.
    """
    groups, trials, limit_results = [], [], []
    for batch_size in batch_sizes:
        sizes = dict(crop_size=crop_size, base_filters=base_filters, batch_size=batch_size)
        pytorch = []
        if torch_python:
            for precision in _PRECISIONS:
                best, tried = best_pytorch(torch_python, dict(sizes, precision=precision))
                pytorch += best
                trials += tried
        for stack, python in pythons.items():
            tutorial = []
            for precision in _PRECISIONS:
                best, tried = best_tutorial(stack, python, dict(sizes, precision=precision))
                tutorial += best
                trials += tried
            rounds.say(f"Training step, batch {batch_size}, {stack}:")
            steps = [
                dict(
                    name=f"project, {precision}",
                    python=python,
                    make="benchmarks.train_step_contenders:project",
                    settings=dict(sizes, precision=precision),
                )
                for precision in _PRECISIONS
            ]
            # The tutorial's order of updates: the same work as it does.
            steps.append(
                dict(
                    name="project, bfloat16, simultaneous",
                    python=python,
                    make="benchmarks.train_step_contenders:project",
                    settings=dict(sizes, precision="bfloat16", update_order="simultaneous"),
                )
            )
            bounds = limits.contenders(
                {stack: python}, torch_python, matrix_size=2048, copy_megabytes=256
            )
            names = [contender["name"] for contender in bounds]
            measured = rounds.alternate(
                [*steps, *tutorial, *pytorch, *bounds], num_rounds=num_rounds, count=num_steps
            )
            limit_results += [result for result in measured if result["name"] in names]
            groups.append(
                dict(
                    stack=stack,
                    batch_size=batch_size,
                    contenders=[result for result in measured if result["name"] not in names],
                )
            )
    bounds = limits.summarize(limit_results)
    for group in groups:
        for result in group["contenders"]:
            if "error" not in result:
                result.update(_rates(result, bounds))
        group["ratios"] = ratios(group["contenders"])
    return dict(
        benchmark="train_step",
        num_rounds=num_rounds,
        num_steps=num_steps,
        limits=bounds,
        groups=groups,
        trials=trials,
    )


def best_tutorial(stack: str, python: str, sizes: dict) -> tuple[list[dict], list[dict]]:
    """Tries the tutorial's step as it is and compiled by XLA; returns as `best_pytorch`."""
    rounds.say(f"Settings of the tutorial, batch {sizes['batch_size']}, {sizes['precision']}:")
    contender = dict(
        name=f"tutorial, {sizes['precision']}",
        python=python,
        make="benchmarks.train_step_contenders:tutorial",
        settings=dict(sizes, is_compiled=False),
    )
    best, tried = _best(contender, [dict(), dict(is_compiled=True)], known=sizes)
    return best, [dict(result, name=f"{result['name']}, {stack}") for result in tried]


def best_pytorch(torch_python: str, sizes: dict) -> tuple[list[dict], list[dict]]:
    """Tries the settings of the PyTorch peer in turn, each on top of the best before.

    Returns:
        Arguments of `Contender` for the best, or nothing if none works, and what
        every trial took.
    """
    threads = len(available_cpus())
    settings = dict(sizes, channels_last=True, adam="fused", is_compiled=False, threads=threads)
    variations = [
        dict(),
        dict(channels_last=False),
        dict(adam="foreach"),
        dict(adam="plain"),
        dict(is_compiled=True),
    ]
    if threads >= 4:
        # Where two logical cores share one, half of them are often faster.
        variations.append(dict(threads=threads // 2))
    rounds.say(f"Settings of PyTorch, batch {sizes['batch_size']}, {sizes['precision']}:")
    contender = dict(
        name=f"pytorch, {sizes['precision']}",
        python=torch_python,
        make="benchmarks.train_step_contenders:pytorch",
        settings=settings,
    )
    return _best(contender, variations, known=sizes)


def _best(contender: dict, variations: list[dict], *, known: dict) -> tuple[list[dict], list[dict]]:
    """Tries variations of a contender's settings in turn, each on top of the best before.

    Args:
        contender: Arguments of `Contender`.
        variations: Of its settings.
        known: Settings that all have, which the names leave out.

    Returns:
        The best, or nothing if none works, and what every trial took.
    """
    tried, best, best_seconds = [], None, float("inf")
    for variation in variations:
        settings = dict((best or contender)["settings"], **variation)
        texts = [f"{key}={value}" for key, value in settings.items() if key not in known]
        candidate = dict(
            contender, name=f"{contender['name']} ({', '.join(texts)})", settings=settings
        )
        (result,) = rounds.alternate([candidate], num_rounds=2, count=3)
        tried.append(result)
        if "error" not in result and result["seconds"]["median"] < best_seconds:
            best, best_seconds = candidate, result["seconds"]["median"]
    return [best] if best else [], tried


def _rates(result: dict, bounds: dict) -> dict[str, float | None]:
    """Returns what follows from the time of a step and the limits of the machine."""
    settings, facts = result["settings"], result["facts"]
    seconds = result["seconds"]["median"]
    gflop = settings["batch_size"] * arithmetic.step_gflop(
        crop_size=settings["crop_size"],
        base_filters=settings["base_filters"],
        fresh_logits=facts["fresh_logits"],
    )
    limit = limits.step_seconds(
        bounds,
        precision=settings["precision"],
        gflop=gflop,
        num_parameters=sum(facts["num_parameters"]),
    )
    return dict(
        images_per_second=settings["batch_size"] / seconds,
        gflop_per_image=gflop / settings["batch_size"],
        gflop_per_second=gflop / seconds,
        limit_seconds=limit,
        share_of_limit=limit / seconds if limit else None,
    )


def ratios(contenders: list[dict]) -> dict[str, float]:
    """Returns images a second of this project's best as multiples of each peer's best.

    "float32 / tutorial" compares in float32 alone, "best / tutorial" whatever is best of
    each. The order of updates that is not the default counts for itself alone:
    "simultaneous / tutorial" compares it with the peer's best.
    """
    best: dict[tuple[str, str], float] = {}
    for result in contenders:
        if "error" in result:
            continue
        settings = result["settings"]
        kind = result["name"].split(",")[0]
        if settings.get("update_order", "sequential") == "sequential":
            scopes = ("best", settings["precision"])
        else:
            scopes = (settings["update_order"],)
        for scope in scopes:
            known = best.get((scope, kind), 0.0)
            best[scope, kind] = max(known, result["images_per_second"])
    peers = [(scope, kind, rate) for (scope, kind), rate in best.items() if kind != "project"]
    peers += [("simultaneous", kind, rate) for scope, kind, rate in peers if scope == "best"]
    return {
        f"{scope} / {kind}": best[scope, "project"] / rate
        for scope, kind, rate in peers
        if (scope, "project") in best
    }


def table(result: dict) -> str:
    """Returns the results as Markdown."""
    bounds = result["limits"]
    peaks = [
        f"{results.number(bounds['gflop_per_second'][precision], 0)} GFLOP/s in {precision}"
        for precision in _PRECISIONS
    ]
    parts = [
        f"Best product of matrices: {', '.join(peaks)}; copying moves "
        f"{results.number(bounds['copy_gigabytes_per_second'], 1)} GB/s."
    ]
    for group in result["groups"]:
        rows = []
        for item in group["contenders"]:
            if "error" in item:
                rows.append([item["name"], f"failed: {item['error']}", *[""] * 5])
                continue
            rows.append(
                [
                    item["name"],
                    results.spread(item["seconds"], 3),
                    results.number(item["images_per_second"], 2),
                    results.number(item["gflop_per_second"], 0),
                    results.number(item["limit_seconds"], 2),
                    results.percent(item["share_of_limit"]),
                    results.number(item["peak_resident_gigabytes"], 2),
                ]
            )
        heads = ["contender", "s a step", "images/s", "GFLOP/s", "limit, s", "of limit", "GB"]
        parts.append(f"**Batch {group['batch_size']}, {group['stack']}**")
        parts.append(results.markdown_table(heads, rows))
        multiples = [f"{name} {value:.2f}x" for name, value in group["ratios"].items()]
        if multiples:
            parts.append(f"This project's images a second: {'; '.join(multiples)}.")
    return "\n\n".join(parts)


def trials_table(trials: list[dict]) -> str:
    """Returns what each setting of the peers took, as Markdown."""
    rows = [
        [
            item["name"],
            str(item["settings"]["batch_size"]),
            f"failed: {item['error']}" if "error" in item else results.spread(item["seconds"], 3),
        ]
        for item in trials
    ]
    return results.markdown_table(["setting", "batch", "s a step"], rows)


if __name__ == "__main__":
    define_flags()
    commands.run(main)
