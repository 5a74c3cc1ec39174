r"""How often each algorithm's pictures fooled people, from the files that they saved.

    pix2pix perceptual_study results answers/ [more.json ...] \
        [--json=rates.json]

A trial fools a person who says that the real picture was the fake; 50 % is as good as
real, since that is what guessing gives. The practice is left out. The interval is a
bootstrap's, which draws participants with replacement; where participants do not differ
(one alone, or none fooled), it is the exact one of Clopper and Pearson. Two algorithms of one
study are compared by the difference of their rates, whose interval follows from both.
"""

from __future__ import annotations

import itertools
import json
import math
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from absl import flags

from pix2pix_tf import commands, files
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation.perceptual_study import protocol

CONFIDENCE = 0.95
NUM_RESAMPLES = 10_000
BOOTSTRAP, EXACT = "bootstrap of participants", "Clopper-Pearson"
# With fewer participants than these, a bootstrap's interval is clearly too narrow: in
# simulations one of 95 % holds the true rate in 91 to 94 % of studies with 20, in 87 to 92 %
# with 10, in 82 to 85 % with 5.
_ENOUGH_PARTICIPANTS = 20
_HALVINGS = 50  # Of [0, 1]: to 1e-15, and never as far as 1 itself.
_EXPOSURE_TOLERANCE = 100  # Milliseconds; six frames of a usual screen.


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string("json", "", "File for the numbers; empty: none.")
    flags.DEFINE_integer("seed", 0, "Seed of the bootstrap.", lower_bound=0)


def main(arguments: list[str]) -> None:
    """Prints, and writes, the rates of the files that were named."""
    options = flags.FLAGS
    paths = protocol.find_answers(arguments[1:])
    result = summarize(protocol.read_answers(paths), seed=options.seed)
    if options.json:
        path = pathlib.Path(options.json)
        files.make_output_folder(path.parent)
        files.write_atomically(path, (json.dumps(result, indent=1) + "\n").encode())
    print(_report(result))


def summarize(sessions: Mapping[pathlib.Path, dict], *, seed: int = 0) -> dict:
    """Returns the rate of fooling of every algorithm of every study.

    Args:
        sessions: What `protocol.read_answers` returns; one that is there twice is counted once.
        seed: Seed of the bootstrap.

    Returns:
        What `--json` holds; rates are shares of 1, times milliseconds.

    Raises:
        InputError: If files disagree about one session, or there is no complete one.
    """
    first_of, groups, incomplete = {}, {}, []
    for path, session in sessions.items():
        first = first_of.setdefault(session["id"], path)
        if sessions[first] != session:
            raise InputError(
                f"'{first}' and '{path}' are of the same session, and say different things. Find "
                "out which is right, and leave the other out."
            )
        if first == path and session["complete"]:
            groups.setdefault((session["algorithm"], session["study"]), []).append(session)
        elif first == path:
            incomplete.append(str(path))
    if not groups:
        raise InputError(
            f"None of the {len(sessions)} files is of a session that was done to the end, so "
            "there is nothing to count. Add some."
        )
    algorithms = [
        dict(algorithm=algorithm, study=study, **_summarize_group(group, seed=seed))
        for (algorithm, study), group in sorted(groups.items())
    ]
    return dict(
        confidence=CONFIDENCE,
        num_resamples=NUM_RESAMPLES,
        seed=seed,
        num_files=len(sessions),
        algorithms=algorithms,
        differences=[
            _compare(one, other)
            for one, other in itertools.combinations(algorithms, 2)
            if one["study"] == other["study"]
        ],
        left_out=incomplete,
    )


def _summarize_group(sessions: Sequence[dict], *, seed: int) -> dict:
    counted = [[x for x in session["trials"] if not x["practice"]] for session in sessions]
    num_fooled = [sum(x["answer"] != x["fake"] for x in trials) for trials in counted]
    (low, high), method = find_interval(num_fooled, list(map(len, counted)), seed=seed)
    trials = [trial for own in counted for trial in own]
    exposure = sessions[0]["exposure_ms"]  # Of all sessions of a study.
    off_time = [
        any(abs(time - exposure) > _EXPOSURE_TOLERANCE for time in trial["shown_ms"])
        for trial in trials
    ]
    return dict(
        num_participants=len(sessions),
        num_trials=len(trials),
        num_fooled=sum(num_fooled),
        rate=sum(num_fooled) / len(trials),
        interval=[low, high],
        interval_method=method,
        median_reaction_ms=float(np.median([trial["reaction_ms"] for trial in trials])),
        num_trials_off_time=sum(off_time),
        num_trials_shown_again=sum(trial["interruptions"] > 0 for trial in trials),
    )


def _compare(one: dict, other: dict) -> dict:
    """Returns how much more often the first of two algorithms fooled, and the interval of that.

    Nobody has seen both, so that their errors are independent, and the distances from each rate
    to the ends of its interval add up as squares ("MOVER", Zou and Donner, Statistics in Medicine
    2008). In simulations it holds the true difference as often as a bootstrap of both would, and
    it has a width where a rate is 0 too.
    """
    (rate, low, high), (from_rate, from_low, from_high) = (
        (x["rate"], *x["interval"]) for x in (one, other)
    )
    difference = rate - from_rate
    return dict(
        study=one["study"],
        algorithm=one["algorithm"],
        less=other["algorithm"],
        difference=difference,
        interval=[
            difference - math.hypot(rate - low, from_high - from_rate),
            difference + math.hypot(high - rate, from_rate - from_low),
        ],
    )


def find_interval(
    num_fooled: Sequence[int], num_trials: Sequence[int], *, seed: int = 0
) -> tuple[tuple[float, float], str]:
    """Returns the interval of the rate of fooling, in [0, 1], and which one it is.

    Args:
        num_fooled: Trials that fooled each participant.
        num_trials: Trials of each participant, at least 1.
        seed: Seed of the bootstrap.

    Returns:
        (low, high) and BOOTSTRAP, percentiles; or EXACT where all participants were fooled equally
        often (one alone, none ever, all always), so that a bootstrap's would have no width.
    """
    num_fooled, num_trials = np.asarray(num_fooled), np.asarray(num_trials)
    if np.ptp(num_fooled / num_trials) == 0:
        return exact_interval(num_fooled.sum(), num_trials.sum()), EXACT
    # Each resample draws as many participants as there are, with replacement. Answers of one
    # person are alike, so drawing trials would give an interval that is too narrow; and drawing
    # trials of the participants drawn, one that is too wide, since what they answered has the
    # chance of their trials in it already.
    shape = [NUM_RESAMPLES, len(num_trials)]
    drawn = np.random.default_rng(seed).integers(len(num_trials), size=shape)
    rates = num_fooled[drawn].sum(axis=1) / num_trials[drawn].sum(axis=1)
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(rates, [tail, 1.0 - tail])
    return (float(low), float(high)), BOOTSTRAP


def exact_interval(num_fooled: int, num_trials: int) -> tuple[float, float]:
    """Returns Clopper and Pearson's interval of the rate, in [0, 1], of independent trials."""
    low = _exact_low_end(num_fooled, num_trials)
    # Of the trials that did not fool, the same from the other side.
    return low, 1.0 - _exact_low_end(num_trials - num_fooled, num_trials)


def _exact_low_end(num_fooled: int, num_trials: int) -> float:
    """Returns the rate at which `num_fooled` or more of the trials fool by a chance of 2.5 %."""
    if num_fooled == 0:
        return 0.0
    counts = np.arange(num_fooled, num_trials + 1)
    log_factorial = np.array([math.lgamma(k + 1) for k in range(num_trials + 1)])
    log_ways = log_factorial[-1] - log_factorial[counts] - log_factorial[num_trials - counts]
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        rate = (low + high) / 2.0
        logs = log_ways + counts * math.log(rate) + (num_trials - counts) * math.log1p(-rate)
        is_too_low = np.exp(logs).sum() < (1.0 - CONFIDENCE) / 2.0
        low, high = (rate, high) if is_too_low else (low, rate)
    return low


def _report(result: dict) -> str:
    """Returns a line for each algorithm, and what has to be said about it."""
    lines = []
    for one in result["algorithms"]:
        low, high = (100 * end for end in one["interval"])
        lines.append(
            f"{one['algorithm']} (study {one['study']}): {100 * one['rate']:.1f} % fooled, 95 % "
            f"interval {low:.1f} to {high:.1f} % ({one['interval_method']}); "
            f"{one['num_participants']} participants, {one['num_trials']} trials."
        )
        if one["interval_method"] == EXACT:
            lines.append("  The interval takes trials as independent, and is not of other people.")
        elif one["num_participants"] < _ENOUGH_PARTICIPANTS:
            lines.append(
                f"  With fewer than {_ENOUGH_PARTICIPANTS} participants the interval is too narrow."
            )
        if one["num_trials_off_time"] or one["num_trials_shown_again"]:
            lines.append(
                f"  {one['num_trials_off_time']} trials with a picture shown "
                f"{_EXPOSURE_TOLERANCE} ms too long or short, {one['num_trials_shown_again']} with "
                "a pair shown again, are counted."
            )
    for one in result["differences"]:
        points, low, high = (100 * x for x in (one["difference"], *one["interval"]))
        lines.append(
            f"{one['algorithm']} less {one['less']} (study {one['study']}): {points:+.1f} points, "
            f"95 % interval {low:+.1f} to {high:+.1f}"
            + (": it may be chance." if low <= 0.0 <= high else ".")
        )
    lines.append("50 % would be as good as real. Practice is left out.")
    lines += [f"Left out: '{path}', which was stopped early." for path in result["left_out"]]
    return "\n".join(lines)


if __name__ == "__main__":
    define_flags()
    commands.run(main, takes_arguments=True)
