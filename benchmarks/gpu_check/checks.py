"""A row of the report: what was measured, what it was held against, and the verdict."""

from __future__ import annotations

import dataclasses
import math
import traceback

from pix2pix_tf.errors import first_line

PASSED, FAILED = "passed", "failed"
RECORDED = "recorded"  # Measured, and nothing is claimed that it could be held against.
NOT_MEASURED = "not measured"
NO_GPU = "no GPU"  # The reason for most that is not measured.


@dataclasses.dataclass(frozen=True)
class Check:
    """One row.

    Attributes:
        name: What was looked at.
        measured: A finite number or a text; None where nothing was measured.
        bound: What it was held against, in words; empty where nothing was.
        verdict: `PASSED`, `FAILED`, `RECORDED` or `NOT_MEASURED`.
        why: Of what is not measured, the reason; of a part that failed, the error.
    """

    name: str
    measured: float | str | None
    bound: str
    verdict: str
    why: str = ""


def at_most(name: str, value: float, bound: float) -> Check:
    """Returns the check of a value that has an upper bound; NaN fails."""
    return Check(name, _json_number(value), f"at most {bound:g}", _verdict(value <= bound))


def at_least(name: str, value: float, bound: float) -> Check:
    """Returns the check of a value that has a lower bound; NaN fails."""
    return Check(name, _json_number(value), f"at least {bound:g}", _verdict(value >= bound))


def equals(name: str, value: float | str, expected: float | str) -> Check:
    """Returns the check of a value that can be only one."""
    return Check(name, value, f"{expected}", _verdict(value == expected))


def recorded(name: str, value: float | str) -> Check:
    """Returns a value without a bound."""
    return Check(name, value, "", RECORDED)


def not_measured(name: str, why: str) -> Check:
    """Returns the row of what could not be looked at here."""
    return Check(name, None, "", NOT_MEASURED, why)


def raised(name: str, error: Exception) -> Check:
    """Returns the row of what ended by an error: its first line, then the traceback."""
    trace = "".join(traceback.format_exception(None, error, error.__traceback__))
    why = f"{type(error).__name__}: {first_line(error)}\n{trace}"
    return Check(name, None, "no error", FAILED, why)


def _verdict(is_good: bool) -> str:
    return PASSED if is_good else FAILED


def _json_number(value: float) -> float | str:
    """Returns the value as JSON can hold it, which has neither NaN nor infinity."""
    return float(value) if math.isfinite(value) else str(value)
