r"""Measures the peak of resident memory of training on large images, in parts or at once.

    python -m benchmarks.memory --json=memory.json --pythons=.venv/bin/python

A batch goes through the networks whole, and in `accumulate` parts: less memory, more
time, and each part normalised by its own statistics.
"""

from __future__ import annotations

from typing import Any

from absl import flags

from benchmarks import interpreters, results, rounds
from pix2pix_tf import commands


def define_flags() -> None:
    """Defines the flags of this command."""
    interpreters.define_pythons_flag()
    results.define_json_flag()
    flags.DEFINE_integer("crop_size", 512, "Pixels.")
    flags.DEFINE_integer("base_filters", 64, "Of both networks; the paper's are 64.")
    flags.DEFINE_integer("batch_size", 4, "Images a step.", lower_bound=1)
    flags.DEFINE_multi_integer("accumulate", [1, 2, 4], "Parts of a batch.", lower_bound=1)
    flags.DEFINE_enum("precision", "bfloat16", ["float32", "bfloat16"], "Of the arithmetic.")
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
        accumulate=options.accumulate,
        precision=options.precision,
    )
    print(table(result))
    results.write(result, options.json)


def measure(
    pythons: dict[str, str],
    *,
    crop_size: int = 512,
    base_filters: int = 64,
    batch_size: int = 4,
    accumulate: tuple[int, ...] = (1, 2, 4),
    precision: str = "bfloat16",
) -> dict[str, Any]:
    """Returns time and memory of a step for each way to work a batch off.

    Args:
        pythons: Interpreters with TensorFlow, by the name of their stack.
        crop_size: Pixels.
        base_filters: Of both networks.
        batch_size: Images a step.
        accumulate: Parts of a batch, each tried by itself.
        precision: Of the arithmetic.
    """
    groups = []
    for stack, python in pythons.items():
        rounds.say(f"Memory, {stack}:")
        measured = []
        for parts in accumulate:
            contender = dict(
                name="at once" if parts == 1 else f"in {parts} parts",
                python=python,
                make="benchmarks.train_step_contenders:project",
                settings=dict(
                    crop_size=crop_size,
                    base_filters=base_filters,
                    batch_size=batch_size,
                    accumulate=parts,
                    precision=precision,
                ),
            )
            # One after another: side by side they would fill the memory.
            measured += rounds.alternate([contender], num_rounds=1, count=2)
        groups.append(dict(stack=stack, contenders=measured))
    return dict(benchmark="memory", groups=groups)


def table(result: dict) -> str:
    """Returns the results as Markdown."""
    parts = []
    for group in result["groups"]:
        settings = group["contenders"][0]["settings"]
        size = settings["crop_size"]
        parts.append(
            f"**Batch {settings['batch_size']} at {size}x{size}, {settings['precision']}, "
            f"{group['stack']}**"
        )
        rows = [
            [item["name"], f"failed: {item['error']}", ""]
            if "error" in item
            else [
                item["name"],
                results.spread(item["seconds"], 2),
                results.number(item["peak_resident_gigabytes"], 2),
            ]
            for item in group["contenders"]
        ]
        parts.append(results.markdown_table(["batch", "s a step", "GB"], rows))
    return "\n\n".join(parts)


if __name__ == "__main__":
    define_flags()
    commands.run(main)
