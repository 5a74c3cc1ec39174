"""What all benchmarks share: their flags, tables for people, JSON for programs."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import flags

from pix2pix_tf.files import write_atomically

_LINE_LENGTH = 400  # A contender fits in a line of the JSON, so that two files can be compared.
_DIGITS = 4


def define_flags(*, num_rounds: int | None) -> None:
    """Defines the flags of a benchmark that compares networks with those of peers.

    Args:
        num_rounds: The default of that flag.
    """
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
    flags.DEFINE_boolean(
        "without_onednn", False, "Also measures this project without oneDNN, TensorFlow's default."
    )
    flags.DEFINE_integer("num_rounds", num_rounds, "Turns of each contender.", lower_bound=1)


def define_json_flag() -> None:
    """Defines the flag that names the file of `write`."""
    flags.DEFINE_string("json", "", "File for the results; empty for none.")


def write(result: dict, path: str) -> None:
    """Writes a result as JSON; an empty path writes nothing.

    Raises:
        WriteError: If the file cannot be written.
    """
    if path:
        write_atomically(pathlib.Path(path), (_as_json(_rounded(result)) + "\n").encode())


def _rounded(value: Any) -> Any:
    """Returns a value in which all numbers have few significant digits."""
    if isinstance(value, dict):
        return {key: _rounded(x) for key, x in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(x) for x in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _as_json(value: Any, indent: str = "") -> str:
    """Returns JSON in which whatever fits in a line is one."""
    line = json.dumps(value, allow_nan=False)
    if len(line) <= _LINE_LENGTH or not isinstance(value, (dict, list)):
        return line
    deeper = f"{indent} "
    if isinstance(value, dict):
        parts = [f"{json.dumps(key)}: {_as_json(x, deeper)}" for key, x in value.items()]
    else:
        parts = [_as_json(x, deeper) for x in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
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
        heads: Of the columns.
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
