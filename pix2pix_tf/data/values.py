"""What the values of a data set are, side by side, and words on what is probably a mistake.

Pictures that are read without an error may still be the wrong ones: class indices that look black,
12 bits in 16, holes of -9999. `look_at_pair` keeps a few numbers of each picture while it is in
memory anyway, and `Summary` gathers those of all pairs.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

# More classes than that have no set that is trained on; fewer levels than that has no photo.
_MOST_CLASSES = 64
_IGNORED = 255  # Index of what has no class, in most sets of masks.
_LITTLE = 0.25  # Share of an integer type's range, of which less has hardly any contrast.
# Share of a file's values beyond the stated range; less is a tail that was cut on purpose.
_MANY_BEYOND = 0.05
_LITTLE_STATED = 0.02  # Share of a stated range, of which less is most likely of another unit.
_LONE_SHARE = 0.002  # Of one value, far beyond the range: what stands for "no data".
_FEW_LEVELS_APART = 0.25  # Mean difference of 8-bit levels, below which two pictures look equal.
_MOST_NAMED = 3


@dataclasses.dataclass(frozen=True)
class Look:
    """What was seen of one picture, or of one half of it.

    Attributes:
        height: Pixels.
        width: Pixels.
        channels: Their number.
        dtype: Name of the type of the values.
        low: The least value.
        high: The greatest.
        levels: The values that occur, where they are small integers, and perhaps 255; else None.
        is_grey: Whether three or more channels are all the same.
        constant: Value of each channel that has but one, by its number.
        saturated: Share of the values at the upper end of the integer type; 0 for other types.
        beyond: Share of the values that lie beyond the stated range; 0 without one.
        hole: The value that stands for "no data", where one is likely; else None.
        digest: Of the values.
        used: Share of the stated range from the least to the greatest of them; 1 without one.
    """

    height: int
    width: int
    channels: int
    dtype: str
    low: float
    high: float
    levels: tuple[int, ...] | None
    is_grey: bool
    constant: dict[int, float]
    saturated: float
    beyond: float
    hole: float | None
    digest: bytes
    used: float = 1.0


def look(values: np.ndarray, value_range: tuple[float, float] | None = None) -> Look:
    """Returns what is to be known of a picture.

    Args:
        values: `[height, width, channels]`, numbers as in the file.
        value_range: What its user states that they lie in, or None.
    """
    values = _as_in_8_bits(values)
    # Over the rows first: all at once it takes 30 times as long.
    lows = values.min(axis=0).min(axis=0).astype(float).tolist()
    highs = values.max(axis=0).max(axis=0).astype(float).tolist()
    low, high = min(lows), max(highs)
    beyond, hole = 0.0, None
    if value_range is not None and not value_range[0] <= low <= high <= value_range[1]:
        outside = values[(values < value_range[0]) | (values > value_range[1])]
        beyond = outside.size / values.size
        hole = _find_hole(outside, values.size, value_range)
    return Look(
        *values.shape,
        dtype=values.dtype.name,
        low=low,
        high=high,
        levels=_small_levels(values),
        is_grey=len(lows) >= 3 and all(map(_is_grey, _few_and_all(values))),
        constant={n: x for n, (x, y) in enumerate(zip(lows, highs)) if x == y},
        saturated=_share_saturated(values[::4, ::4]),  # About: counting all takes 10 times as long.
        beyond=beyond,
        hole=hole,
        # The fastest of them. Every fourth row tells what is the same picture.
        digest=hashlib.sha1(np.ascontiguousarray(values[::4]), usedforsecurity=False).digest(),
        used=(high - low) / (value_range[1] - value_range[0]) if value_range else 1.0,
    )


def _few_and_all(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns some of the pixels, then all, which are looked at only where the few leave a doubt.

    Looking at all of every picture would take as long as decoding.
    """
    return values[::16, ::16], values


def _is_grey(values: np.ndarray) -> bool:
    return bool((values[..., 1:3] == values[..., :1]).all())


def _as_in_8_bits(values: np.ndarray) -> np.ndarray:
    """Returns uint16 that was 8 bits, widened beside pictures of 16, as uint8; others as given."""
    if values.dtype != np.uint16 or any((part % 257).any() for part in _few_and_all(values)):
        return values
    return (values // 257).astype(np.uint8)


def _share_saturated(values: np.ndarray) -> float:
    if values.dtype.kind != "u":
        return 0.0
    return np.count_nonzero(values == np.iinfo(values.dtype).max) / values.size


def _small_levels(values: np.ndarray) -> tuple[int, ...] | None:
    if values.dtype.kind != "u":
        return None
    for part in _few_and_all(values):
        if ((part >= _MOST_CLASSES) & (part != _IGNORED)).any():
            return None
    return tuple(np.unique(values).tolist())


def _find_hole(
    outside: np.ndarray, num_values: int, value_range: tuple[float, float]
) -> float | None:
    """Returns the most frequent of the values beyond a range, if it is far away and frequent."""
    found, counts = np.unique(outside, return_counts=True)
    value, count = float(found[counts.argmax()]), counts.max()
    low, high = value_range
    is_far = not 2 * low - high <= value <= 2 * high - low  # By more than the range itself.
    return value if is_far and count > _LONE_SHARE * num_values else None


def look_equal(a: np.ndarray, b: np.ndarray) -> bool:
    """Returns whether both sides of a pair are one picture, up to what JPEG does to it."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    unit = 2 / 255 if a.dtype.kind == "f" else np.iinfo(a.dtype).max / 255
    return all(
        np.abs(np.subtract(*parts, dtype=np.float32)).mean() < _FEW_LEVELS_APART * unit
        for parts in zip(_few_and_all(a), _few_and_all(b))
    )


class Side:
    """All pictures of one side.

    Args:
        name: What messages call it: "A (the input)".
        flag: How the names of its flags begin: "input_".
        has_range: Whether the user states the range of its values.
        is_made: Whether the network makes such pictures.

    Attributes:
        name: As given.
        is_made: As given.
    """

    def __init__(self, name: str, *, flag: str, has_range: bool, is_made: bool):
        self.name = name
        self._flag, self._has_range, self.is_made = flag, has_range, is_made
        self._files: list[str] = []
        self._looks: list[Look] = []

    def add(self, file: str, seen: Look) -> None:
        """Takes in what was seen of a file."""
        self._files.append(file)
        self._looks.append(seen)

    def describe(self) -> str:
        """Returns one line: how many, how large, which values."""
        facts = self.facts()
        sizes = list(dict.fromkeys(["x".join(map(str, facts[x])) for x in ("smallest", "largest")]))
        return (
            f"{self.name}: {facts['pictures']:,} of {' to '.join(sizes)} pixels, "
            f"{facts['channels']} channel(s), {'/'.join(facts['types'])}, values {facts['low']:g} "
            f"to {facts['high']:g}"
        )

    def facts(self) -> dict:
        """Returns what is known, ready for JSON: numbers over all pictures."""
        seen = self._looks
        sizes = sorted(((x.width, x.height) for x in seen), key=lambda x: (x[0] * x[1], x))
        levels = self._levels()
        return dict(
            pictures=len(seen),
            smallest=list(sizes[0]),
            largest=list(sizes[-1]),
            channels=seen[0].channels,
            types=sorted({x.dtype for x in seen}),
            low=min(x.low for x in seen),
            high=max(x.high for x in seen),
            few_values=sorted(levels) if levels else [],
            grey=sum(x.is_grey for x in seen),
            of_one_value=sum(len(x.constant) == x.channels for x in seen),
            constant_channels=sorted(self._constant()),
            saturated=float(np.mean([x.saturated for x in seen])),
            beyond_the_range=sum(x.beyond > 0 for x in seen),
            same_as_another=len(seen) - len({x.digest for x in seen}),
        )

    @property
    def holds_indexes(self) -> bool:
        """Whether the values are few whole numbers, as of labels and masks."""
        return self._levels() is not None

    def _levels(self) -> set[int] | None:
        levels = set()
        for seen in self._looks:
            if seen.levels is None or len(levels) > _MOST_CLASSES:
                return None
            levels.update(seen.levels)
        return levels

    def _constant(self) -> dict[int, float]:
        """Returns the channels with one value in all pictures."""
        first, *others = [seen.constant for seen in self._looks]
        return {n: x for n, x in first.items() if all(other.get(n) == x for other in others)}

    def words(self) -> list[str]:
        """Returns what is very likely wrong, a line each with what to do; empty if nothing is."""
        found = [self._classes() or self._narrow() or self._stated_too_wide()]
        found += [self._beyond(), self._one_picture()]
        found += [self._grey(), self._channels()]
        return [f"{self.name}: {text}" for text in found if text]

    def _classes(self) -> str:
        levels = self._levels()
        indices = (levels or set()) - {_IGNORED}
        if self._has_range or not indices or not 0 < max(indices) < _MOST_CLASSES:
            return ""
        most = max(np.iinfo(x.dtype).max for x in self._looks)
        ignored = f", beside {_IGNORED}, which often means 'ignore'" if _IGNORED in levels else ""
        return (
            f"no value exceeds {max(indices)} of {most}{ignored}: most likely the indices of "
            "classes, which look black, and a model of them learns black. Make colours or one-hot "
            "arrays of them: pix2pix prepare labels"
        )

    def _narrow(self) -> str:
        seen = self._looks
        if self._has_range or not all(x.dtype in ("uint8", "uint16") for x in seen):
            return ""
        # 8 bits beside 16 are widened.
        share = max(x.high / np.iinfo(x.dtype).max for x in seen)
        share -= min(x.low / np.iinfo(x.dtype).max for x in seen)
        if not 0 < share < _LITTLE:
            return ""
        low, high = int(min(x.low for x in seen)), int(max(x.high for x in seen))
        if 4 * low < high:  # Of a sensor with so many bits, most likely.
            low, high = 0, 2 ** high.bit_length() - 1
        return (
            f"the values use {share:.1%} of 0 to {np.iinfo(seen[0].dtype).max}, so all is dark, or "
            "one grey. If they are meant so, state their range: "
            f"--{self._flag}range={low},{high}"
        )

    def _stated_too_wide(self) -> str:
        low, high = min(x.low for x in self._looks), max(x.high for x in self._looks)
        # From the widest picture, whose share of the range is known, to that of all.
        widest = max(self._looks, key=lambda x: x.high - x.low)
        if not self._has_range or not widest.high > widest.low or widest.used <= 0:
            return ""
        share = widest.used * (high - low) / (widest.high - widest.low)
        if share >= _LITTLE_STATED:
            return ""
        return (
            f"the values, {low:g} to {high:g}, use {share:.1%} of the stated range, so there is "
            "hardly any contrast: most likely they are in another unit. Correct "
            f"--{self._flag}range"
        )

    def _files_where(self, condition: Callable[[Look], bool]) -> list[str]:
        return [file for file, seen in zip(self._files, self._looks) if condition(seen)]

    def _beyond(self) -> str:
        most = max(x.beyond for x in self._looks)
        holes = Counter(x.hole for x in self._looks if x.hole is not None)
        if holes:
            value, count = holes.most_common(1)[0]
            files = self._files_where(lambda x: x.hole == value)
            return (
                f"the value {value:g}, in {_some(files)}, lies far outside the stated range: most "
                f"likely 'no data' ({count:,} file(s), of whose values up to {most:.0%} lie "
                "outside). It is clipped to the end of the range, and the model learns its edges. "
                "Fill the holes, or leave such files out."
            )
        files = self._files_where(lambda x: x.beyond > _MANY_BEYOND)
        if not files:
            return ""
        return (
            f"up to {most:.0%} of the values of {_some(files)} lie outside the stated range and "
            f"are clipped. Correct --{self._flag}range if they matter."
        )

    def _one_picture(self) -> str:
        num_pictures = len(self._looks)
        empty = self._files_where(lambda x: len(x.constant) == x.channels)
        if 2 * len(empty) > num_pictures:
            return (
                f"{len(empty):,} of {num_pictures:,} pictures hold one value alone, such as "
                f"{_some(empty)}. See whether they are the right files."
            )
        digest, count = Counter(x.digest for x in self._looks).most_common(1)[0]
        if num_pictures > 2 and 2 * count > num_pictures:
            files = self._files_where(lambda x: x.digest == digest)
            return f"{count:,} of {num_pictures:,} are the same picture, such as {_some(files)}."
        return ""

    def _grey(self) -> str:
        # Inputs of grey in three channels do no harm: edges are stored so.
        if not self.is_made or not all(x.is_grey for x in self._looks):
            return ""
        if self._levels() is not None:  # Masks, of which the first word is enough.
            return ""
        return (
            "all pictures are grey, but the model makes three channels, whose differences tint "
            f"what should be grey. Use --{self._flag}channels=1"
        )

    def _channels(self) -> str:
        constant, first = self._constant(), self._looks[0]
        if first.channels in (1, 3) or len(constant) == first.channels or not constant:
            return ""
        names = ", ".join(f"{number + 1} (always {x:g})" for number, x in constant.items())
        return (
            f"of {first.channels} channels these never change: {names}. Leave them out, and state "
            f"the others with --{self._flag}channels."
        )


class PairLook(NamedTuple):
    """What was seen of a pair.

    Attributes:
        names: What messages call the files of A and B, or the one file.
        sides: Of A and B; or of the one photo.
        are_equal: Whether A and B look like one picture.
    """

    names: tuple[str, ...]
    sides: tuple[Look, ...]
    are_equal: bool


def look_at_pair(
    names: Sequence[str],
    sides: Sequence[np.ndarray],
    ranges: Sequence[tuple[float, float] | None],
) -> PairLook:
    """Returns what is to be known of a pair.

    Args:
        names: What messages call the files of A and B, or the one file.
        sides: A and B, or the one photo; see `look`.
        ranges: What its user states that the values of each lie in.
    """
    looks = tuple(look(*side) for side in zip(sides, ranges))
    return PairLook(tuple(names), looks, len(sides) == 2 and look_equal(*sides))


class Summary:
    """All pairs of a data set.

    Args:
        sides: A and B, still empty; or the one of the photos.
        pairs: What was seen of each pair; one at least.
    """

    def __init__(self, sides: Sequence[Side], pairs: Sequence[PairLook]):
        self._sides = sides
        self._num_pairs = len(pairs)
        self._equal = [pair.names[0] for pair in pairs if pair.are_equal]
        for pair in pairs:
            # One file has both sides.
            for side, name, seen in zip(sides, (pair.names[0], pair.names[-1]), pair.sides):
                side.add(name, seen)

    def describe(self) -> list[str]:
        """Returns a line for each side."""
        return [side.describe() for side in self._sides]

    def facts(self) -> dict[str, dict]:
        """Returns what is known of each side by its name, ready for JSON."""
        return {side.name: side.facts() for side in self._sides}

    def words(self) -> list[str]:
        """Returns what is very likely wrong, a line each with what to do; empty if nothing is."""
        found = [word for side in self._sides for word in side.words()]
        if 2 * len(self._equal) > self._num_pairs:
            found.append(
                f"A and B are the same picture in {len(self._equal):,} of {self._num_pairs:,} "
                f"pairs, such as {_some(self._equal)}. See whether both hold the right files."
            )
        return found


def _some(files: Sequence[str]) -> str:
    shown = ", ".join(f"'{file}'" for file in list(files)[:_MOST_NAMED])
    return shown + (f" and {len(files) - _MOST_NAMED} more" if len(files) > _MOST_NAMED else "")
