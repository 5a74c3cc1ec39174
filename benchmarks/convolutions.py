r"""Times the products of each 4x4 stride-2 convolution: the operation, and matrices.

    python -m benchmarks.convolutions --json=convolutions.json \
        --pythons=.venv/bin/python,.venv-current/bin/python

For each layer of the generator at 256 pixels, the map in (`to_small`), the map out
(`to_large`) and the gradient of the kernel (`to_kernel`); see
`pix2pix_tf.models.convolutions`, whose limits follow from this table.
"""

from __future__ import annotations

import itertools
import time
from typing import Any

from absl import flags

from benchmarks import interpreters, limits, results, rounds
from benchmarks.contenders import Contender, ContenderError, Work
from pix2pix_tf import commands

# Height of the smaller map, channels of the larger, channels of the smaller. A layer of
# the encoder and one of the decoder that mirrors it without a skip are one case.
LAYERS = (
    (1, 512, 512),
    (2, 512, 1024),
    (4, 512, 1024),
    (8, 512, 1024),
    (16, 256, 512),
    (16, 256, 1024),
    (32, 128, 256),
    (32, 128, 512),
    (64, 64, 128),
    (64, 64, 256),
    (128, 3, 64),
)
PRODUCTS = ("to_small", "to_large", "to_kernel")


def define_flags() -> None:
    """Defines the flags of this command."""
    interpreters.define_pythons_flag()
    results.define_json_flag()
    flags.DEFINE_multi_integer("batch_size", [1, 4], "Images.", lower_bound=1)
    flags.DEFINE_integer("num_rounds", 20, "How often each product is timed.", lower_bound=1)
    for module in (interpreters, results):
        flags.adopt_module_key_flags(module)


def main(unused_arguments: list[str]) -> None:
    """Measures, prints the tables and writes the JSON."""
    options = flags.FLAGS
    result = measure(
        interpreters.find_pythons(options.pythons),
        batch_sizes=options.batch_size,
        num_rounds=options.num_rounds,
    )
    print(table(result))
    results.write(result, options.json)


def measure(
    pythons: dict[str, str], *, batch_sizes=(1, 4), num_rounds: int = 20, layers=LAYERS
) -> dict[str, Any]:
    """Returns the seconds of each product of each layer.

    Args:
        pythons: Interpreters with TensorFlow, by the name of their stack.
        batch_sizes: Images.
        num_rounds: How often each product is timed, one after the other, so that none
            finds its kernel in a cache, as none does in training.
        layers: See `LAYERS`.
    """
    groups = []
    combinations = itertools.product(pythons.items(), limits.PRECISIONS, batch_sizes)
    for (stack, python), precision, batch_size in combinations:
        rounds.say(f"Convolutions, {stack}, {precision}, batch {batch_size} ...")
        settings = dict(batch_size=batch_size, precision=precision, layers=layers)
        group = dict(stack=stack, precision=precision, batch_size=batch_size)
        groups.append(group)
        try:
            with Contender(
                "convolutions", python, "benchmarks.convolutions:sweep", settings
            ) as contender:
                contender.wait_until_ready().ask(num_rounds)
                group["products"] = _by_product(contender.facts["cases"], contender.answer())
        except ContenderError as error:
            group["error"] = str(error)
    return dict(benchmark="convolutions", num_rounds=num_rounds, groups=groups)


def _by_product(cases: list[dict], seconds: list[float]) -> list[dict]:
    """Returns each case with its times, of which there are as many rounds one after another."""
    return [
        dict(case, seconds=rounds.summarize(seconds[index :: len(cases)]))
        for index, case in enumerate(cases)
    ]


def sweep(settings: dict) -> tuple[Work, dict]:
    """Makes every product of every layer, each in both formulations.

    The work takes a round of all, and returns the seconds of each in turn.
    """
    import tensorflow as tf

    from pix2pix_tf.models import convolutions

    def normal(*shape):
        return tf.cast(tf.random.stateless_normal(shape, seed=[0, 1]), settings["precision"])

    cases, functions = [], []
    for height, large_channels, small_channels in settings["layers"]:
        batch = settings["batch_size"]
        large = normal(batch, 2 * height, 2 * height, large_channels)
        small = normal(batch, height, height, small_channels)
        kernel = normal(
            convolutions.KERNEL_SIZE, convolutions.KERNEL_SIZE, large_channels, small_channels
        )
        inputs = dict(to_small=(large, kernel), to_large=(small, kernel), to_kernel=(large, small))
        for product in PRODUCTS:
            for as_matrices in (False, True):
                function = tf.function(
                    lambda a, b, product=product, as_matrices=as_matrices: getattr(
                        convolutions, product
                    )(a, b, stride=2, as_matrices=as_matrices)
                )
                functions.append((function, inputs[product]))
                cases.append(
                    dict(
                        layer=[height, large_channels, small_channels],
                        product=product,
                        as_matrices=as_matrices,
                    )
                )

    def work(count):
        seconds = []
        for _ in range(count):
            for function, arguments in functions:
                start = time.perf_counter()
                function(*arguments)
                seconds.append(time.perf_counter() - start)
        return seconds

    return work, dict(cases=cases, versions=dict(tensorflow=tf.__version__))


def table(result: dict) -> str:
    """Returns the results as Markdown."""
    parts = []
    for group in result["groups"]:
        parts.append(f"**{group['precision']}, batch {group['batch_size']}, {group['stack']}**")
        if "error" in group:
            parts.append(f"Failed: {group['error']}")
            continue
        rows = {}
        for case in group["products"]:
            milliseconds = results.number(1e3 * case["seconds"]["median"], 1)
            rows.setdefault(tuple(case["layer"]), []).append(milliseconds)
        lines = [
            [
                f"{height} px, {large} and {small} channels",
                *map(" / ".join, zip(*[iter(times)] * 2)),
            ]
            for (height, large, small), times in rows.items()
        ]
        parts.append(results.markdown_table(["layer", *PRODUCTS], lines))
    parts.append("Milliseconds, the operation / matrices.")
    return "\n\n".join(parts)


if __name__ == "__main__":
    define_flags()
    commands.run(main)
