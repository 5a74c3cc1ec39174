r"""Prints what each product of the networks' 4x4 convolutions takes, by either formulation.

    python -m benchmarks.convolutions --json=convolutions.json
    ONEDNN_MAX_CPU_ISA=AVX2 python -m benchmarks.convolutions

`models.convolutions` computes each as TensorFlow's operation or as a product of matrices; up to
how many pixels matrices are taken is decided by this table. The layers are those of the paper's
networks at 256x256, by the pixels of the smaller map; "none" is where there are no matrices.
How patches are laid out follows the real processor, whatever ONEDNN_MAX_CPU_ISA says.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from absl import flags

from benchmarks import machine, results
from pix2pix_tf import commands

# Stride, side of the smaller map, channels of the larger and of the smaller one.
_LAYERS = (
    *((2, 1, 512, 512), (2, 2, 512, 512), (2, 4, 512, 512), (2, 8, 512, 512)),
    *((2, 16, 256, 512), (2, 32, 128, 256), (2, 32, 128, 512), (2, 64, 64, 128), (2, 64, 64, 256)),
    *((1, 31, 256, 512), (1, 30, 512, 1)),  # The last two of the discriminator.
)
_PRODUCTS = ("to_small", "to_large", "to_kernel")


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string("json", "", "File for the results; empty for none.")
    flags.DEFINE_integer("batch_size", 1, "Images.", lower_bound=1)
    flags.DEFINE_integer("repeats", 30, "Times that each is computed.", lower_bound=1)


def main(unused_arguments: list[str]) -> None:
    """Measures, prints the table and writes the JSON."""
    options = flags.FLAGS
    result = measure(batch_size=options.batch_size, repeats=options.repeats)
    print(table(result))
    results.write(result, options.json)


def measure(*, batch_size: int, repeats: int) -> dict:
    """Returns the milliseconds of each product, by the operation and by matrices.

    Args:
        batch_size: Images.
        repeats: Times that each is computed; the median counts.
    """
    import tensorflow as tf

    rows = []
    for precision in machine.precisions():
        for stride, side, large_channels, small_channels in _LAYERS:
            large_side = 2 * side if stride == 2 else side + 3
            shapes = dict(
                large=[batch_size, large_side, large_side, large_channels],
                small=[batch_size, side, side, small_channels],
                kernel=[4, 4, large_channels, small_channels],
            )
            values = {
                name: tf.cast(tf.random.stateless_normal(shape, [0, 1]), precision)
                for name, shape in shapes.items()
            }
            milliseconds = {
                product: [
                    _time(_make(product, values, stride, as_matrices), repeats)
                    for as_matrices in (False, True)
                    if stride == 2 or not (as_matrices and product == "to_large")
                ]
                for product in _PRODUCTS
            }
            rows.append(
                dict(
                    precision=precision,
                    stride=stride,
                    pixels=batch_size * side**2,
                    channels=[large_channels, small_channels],
                    milliseconds=milliseconds,
                )
            )
    return dict(benchmark="convolutions", machine=machine.describe(), rows=rows)


def _make(product: str, values: dict, stride: int, as_matrices: bool) -> Callable[[], object]:
    import tensorflow as tf

    from pix2pix_tf.models import convolutions

    given = dict(to_small=("large", "kernel"), to_large=("small", "kernel"))
    names = given.get(product, ("large", "small"))
    function = getattr(convolutions, product)
    compiled = tf.function(lambda *x: function(*x, stride=stride, as_matrices=as_matrices))
    arguments = [values[name] for name in names]
    return lambda: compiled(*arguments)


def _time(compute: Callable[[], object], repeats: int) -> float:
    """Returns the median milliseconds of `compute`."""
    seconds = []
    for _ in range(repeats + 3):
        start = time.perf_counter()
        compute().numpy()
        seconds.append(time.perf_counter() - start)
    return 1e3 * sorted(seconds[3:])[repeats // 2]


def table(result: dict) -> str:
    """Returns the times as Markdown: TensorFlow's operation / a product of matrices."""
    rows = [
        [
            f"{row['precision']}, {row['pixels']} pixels, {row['channels'][0]} to "
            f"{row['channels'][1]} channels, stride {row['stride']}",
            *(_both(row["milliseconds"][name]) for name in _PRODUCTS),
        ]
        for row in result["rows"]
    ]
    return results.markdown_table(["ms, operation / matrices", *_PRODUCTS], rows)


def _both(milliseconds: list[float]) -> str:
    return " / ".join([f"{x:.2f}" for x in milliseconds] + ["none"] * (len(milliseconds) == 1))


if __name__ == "__main__":
    define_flags()
    commands.run(main)
