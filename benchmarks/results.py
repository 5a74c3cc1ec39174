"""What the benchmarks share: their flags, tables for people, JSON for programs."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import flags

from benchmarks import machine
from pix2pix_tf.files import write_atomically

_LINE_LENGTH = 500  # A contender fits in a line of the JSON, so that two files can be compared.
_DIGITS = 4


def define_flags() -> None:
    """Defines the flags of a benchmark that compares networks with those of peers."""
    flags.DEFINE_list(
        "pythons",
        [],
        "Interpreters with TensorFlow, separated by commas, for example of both stacks. Empty: "
        "the one that runs this command.",
    )
    flags.DEFINE_string(
        "torch_python",
        "",
        "Interpreter with PyTorch. Empty: the one that runs this command, if it has PyTorch.",
    )
    flags.DEFINE_integer("crop_size", 256, "Pixels; the paper's are 256.")
    flags.DEFINE_integer("base_filters", 64, "Filters of all networks; the paper's are 64.")
    flags.DEFINE_integer("num_rounds", 4, "Turns of each contender.", lower_bound=1)
    flags.DEFINE_boolean(
        "without_onednn", False, "Also measures this project without oneDNN, TensorFlow's default."
    )


def settings_from_flags() -> dict[str, Any]:
    """Returns the arguments of `measure` that the flags above give.

    Raises:
        InputError: If an interpreter cannot be used.
    """
    options = flags.FLAGS
    names = ("crop_size", "base_filters", "num_rounds", "without_onednn")
    return dict(
        pythons=machine.find_pythons(options.pythons),
        torch_python=machine.find_torch(options.torch_python),
        **{name: options[name].value for name in names},
    )


def write(result: dict, path: str) -> None:
    """Writes a result as JSON; an empty path writes nothing.

    Raises:
        WriteError: If the file cannot be written.
    """
    if path:
        write_atomically(pathlib.Path(path), (_as_json(result) + "\n").encode())


def _as_json(value: Any, indent: str = "") -> str:
    """Returns JSON in which whatever fits in a line is one, and numbers have few digits."""
    if isinstance(value, float):
        value = float(f"{value:.{_DIGITS}g}")
    if not isinstance(value, (dict, list, tuple)):
        return json.dumps(value, allow_nan=False)
    deeper = f"{indent} "
    if isinstance(value, dict):
        opening, closing = "{}"
        parts = [f"{json.dumps(key)}: {_as_json(x, deeper)}" for key, x in value.items()]
    else:
        opening, closing = "[]"
        parts = [_as_json(x, deeper) for x in value]
    if sum(map(len, parts)) <= _LINE_LENGTH:
        return f"{opening}{', '.join(parts)}{closing}"
    inner = f",\n{deeper}".join(parts)
    return f"{opening}\n{deeper}{inner}\n{indent}{closing}"


def contenders_table(
    contenders: Sequence[dict], columns: Mapping[str, Callable[[dict], str]]
) -> str:
    """Returns a Markdown table of results of `rounds.alternate`; of a failed one, the error.

    Args:
        contenders: The results.
        columns: By its heading, the text of a column.
    """
    rows = []
    for item in contenders:
        if "error" in item:
            rows.append([f"{item['name']} failed: {item['error']}", *[""] * len(columns)])
        else:
            rows.append([item["name"], *(text(item) for text in columns.values())])
    return markdown_table(["contender", *columns], rows)


def markdown_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, numeric: bool = True
) -> str:
    """Returns a table of which the first column is text, and the others are numbers.

    Args:
        heads: Titles of the columns.
        rows: Their cells.
        numeric: Whether the others are numbers, which are set to the right.
    """
    rule = ["---", *["---:" if numeric else "---"] * (len(heads) - 1)]
    # A bar within a cell would be taken for a border.
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (heads, rule, *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def number(value: float | None, digits: int) -> str:
    """Returns a number for a table; nothing where nothing was measured."""
    return "" if value is None else f"{value:,.{digits}f}"


def spread(summary: dict, digits: int, *, factor: float = 1.0) -> str:
    """Returns a median and its quartiles, times `factor`: "0.40 (0.39 to 0.42)"."""
    median, low, high = (f"{factor * summary[key]:.{digits}f}" for key in ("median", "p25", "p75"))
    return f"{median} ({low} to {high})"
