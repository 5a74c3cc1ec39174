r"""Times the translation of one image: the SavedModel against the generators of the peers.

    python -m benchmarks.inference --json=inference.json \
        --pythons=.venv/bin/python,.venv-current/bin/python --torch_python=PATH

The SavedModel, of untrained weights, answers through `serving_default`. The tutorial calls
`generator(x, training=True)` in float32, as written there; also shown is the same call
compiled by `tf.function`, which the tutorial does not do. PyTorch calls its generator in
training mode too, as it is and compiled.
"""

from __future__ import annotations

from typing import Any

from absl import flags

from benchmarks import machine, results, rounds
from benchmarks.train_step import WITHOUT_ONEDNN
from pix2pix_tf import commands

_OWN = "SavedModel"


def define_flags() -> None:
    """Defines the flags of this command."""
    results.define_flags()
    flags.DEFINE_string("json", "", "File for the results; empty for none.")
    flags.DEFINE_integer(
        "num_images", 20, "Images timed in a turn, after two that are not.", lower_bound=1
    )
    flags.adopt_module_key_flags(results)


def main(unused_arguments: list[str]) -> None:
    """Measures, prints the tables and writes the JSON."""
    options = flags.FLAGS
    result = measure(
        **results.settings_from_flags(),
        num_images=options.num_images,
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
    num_images: int = 20,
) -> dict[str, Any]:
    """Returns the times of all contenders.

    Args:
        pythons: Interpreters with TensorFlow, by the name of their stack.
        torch_python: One with PyTorch, or None.
        crop_size: Pixels of the image.
        base_filters: Filters of the generators.
        num_rounds: Turns of each contender.
        without_onednn: Whether the SavedModel is also measured without oneDNN.
        num_images: Images timed in a turn.
    """
    described = machine.describe()
    sizes = dict(crop_size=crop_size, base_filters=base_filters)
    groups = []
    for stack, python in pythons.items():
        rounds.say(f"Translation of one image, {stack}:")
        own = dict(
            name=_OWN,
            python=python,
            make="benchmarks.makers:project_translation",
            settings=sizes,
        )
        contenders = [own]
        if without_onednn:
            contenders.append(dict(own, name=f"{_OWN}, no oneDNN", environment=WITHOUT_ONEDNN))
        peers = dict(tutorial=python, **(dict(pytorch=torch_python) if torch_python else {}))
        for kind, interpreter in peers.items():
            for is_compiled in (False, True):
                contenders.append(
                    dict(
                        name=f"{kind}, compiled" if is_compiled else kind,
                        python=interpreter,
                        make=f"benchmarks.makers:{kind}_translation",
                        settings=dict(sizes, is_compiled=is_compiled),
                    )
                )
        measured = rounds.alternate(
            contenders, num_rounds=num_rounds, count=num_images, num_warmup=2
        )
        groups.append(dict(stack=stack, contenders=measured, ratios=ratios(measured)))
    return dict(
        benchmark="inference",
        machine=described,
        num_rounds=num_rounds,
        num_images=num_images,
        groups=groups,
    )


def ratios(contenders: list[dict]) -> dict[str, float]:
    """Returns how many times as long as the SavedModel each other takes, by its median."""
    medians = {
        item["name"]: item["seconds"]["median"] for item in contenders if "error" not in item
    }
    own = medians.pop(_OWN, None)
    return {name: median / own for name, median in medians.items()} if own else {}


def table(result: dict) -> str:
    """Returns the results as Markdown."""
    columns = {
        "p50, ms": lambda item: results.number(1e3 * item["seconds"]["median"], 1),
        "p95, ms": lambda item: results.number(1e3 * item["seconds"]["p95"], 1),
        "GB": lambda item: results.number(item["peak_resident_gigabytes"], 2),
    }
    parts = []
    for group in result["groups"]:
        parts.append(f"**One image, {group['stack']}**")
        parts.append(results.contenders_table(group["contenders"], columns))
        multiples = [f"{name} {value:.2f}x" for name, value in group["ratios"].items()]
        if multiples:
            parts.append(f"Time of the others over that of the SavedModel: {'; '.join(multiples)}.")
    return "\n\n".join(parts)


if __name__ == "__main__":
    define_flags()
    commands.run(main)
