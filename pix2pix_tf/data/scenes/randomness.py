"""Random choices, each from one number of `Generator.random`.

`Generator.choice`, `integers` and `uniform` would do the same, but the numbers
behind them may change with a NumPy version; so no other method is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

_Option = TypeVar("_Option")


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Returns a number in [low, high)."""
    return low + (high - low) * rng.random()


def chance(rng: np.random.Generator, probability: float) -> bool:
    """Returns True with the given probability."""
    return rng.random() < probability


def pick(rng: np.random.Generator, options: Sequence[_Option]) -> _Option:
    """Returns one of the options. One that is listed twice is picked twice as often."""
    return options[int(rng.random() * len(options))]
