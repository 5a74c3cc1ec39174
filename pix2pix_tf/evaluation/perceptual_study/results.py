r"""How often each algorithm's pictures fooled people, from the files that they saved.

    python -m pix2pix_tf.evaluation.perceptual_study results answers/ [more.json ...] \
        [--json=rates.json]

A trial fools a person who says that the real picture was the fake; 50 % is as good as
real, since that is what guessing gives. The practice is left out. The interval is a
bootstrap's, which draws participants with replacement; where participants do not differ
(one alone, or none fooled), it is the exact one of Clopper and Pearson.
"""

from __future__ import annotations

import json
import math
import pathlib
from collections.abc import Sequence

import numpy as np
from absl import flags

from pix2pix_tf import commands, files
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation.perceptual_study import answers

CONFIDENCE = 0.95
NUM_RESAMPLES = 10_000
BOOTSTRAP, EXACT = "bootstrap of participants", "Clopper-Pearson"
_RESAMPLES_AT_ONCE = 500  # Bounds the memory, however many people took part.
# With fewer participants than these, a bootstrap's interval is clearly too narrow: in
# simulations one of 95 % holds the true rate in 91 to 94 % of studies with 20, in 87 to 92 %
# with 10, in 82 to 85 % with 5.
_ENOUGH_PARTICIPANTS = 20
_HALVINGS = 50  # Of [0, 1]: to 1e-15, and never as far as 1 itself.
# Milliseconds; six frames of a usual screen.
_EXPOSURE_TOLERANCE = 100


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string("json", "", "File for the numbers; empty: none.")
    flags.DEFINE_integer("seed", 0, "Seed of the bootstrap.", lower_bound=0)


def main(arguments: list[str]) -> None:
    """Prints, and writes, the rates of the files that were named."""
    options = flags.FLAGS
    paths = answers.find_files(arguments[1:])
    result = summarize(answers.read_all(paths), seed=options.seed)
    if options.json:
        path = pathlib.Path(options.json)
        files.make_output_folder(path.parent)
        if path.is_dir():
            raise InputError(f"--json is '{path}', which is a folder. Name a file.")
        files.write_atomically(path, (json.dumps(result, indent=1) + "\n").encode())
    print(_report(result))


def summarize(sessions: dict[pathlib.Path, answers.Session], *, seed: int = 0) -> dict:
    """Returns the rate of fooling of every algorithm of every study.

    Args:
        sessions: By the file that each comes from.
        seed: Of the bootstrap.

    Returns:
        What `--json` holds; rates are shares of 1, times milliseconds.

    Raises:
        InputError: If files disagree about one session, or there is no complete one.
    """
    unique, duplicates, incomplete = {}, [], []
    for path, session in sessions.items():
        first = unique.get(session.identity)
        if first is None:
            unique[session.identity] = path
        elif sessions[first].written == session.written:
            duplicates.append(dict(file=str(path), same_as=str(first)))
        else:
            raise InputError(
                f"'{first}' and '{path}' are of the same session, and say different things. Find "
                "out which is right, and leave the other out."
            )
    groups = {}
    for path in unique.values():
        session = sessions[path]
        if session.is_complete:
            groups.setdefault((session.algorithm, session.study), []).append(session)
        else:
            done, planned = len(session.main_trials), session.num_trials
            incomplete.append(dict(file=str(path), num_trials=done, planned=planned))
    if not groups:
        raise InputError(
            f"None of the {len(sessions)} files holds a session that was done to the end, so "
            "there is nothing to count. Add some."
        )
    return dict(
        confidence=CONFIDENCE,
        num_resamples=NUM_RESAMPLES,
        seed=seed,
        num_files=len(sessions),
        algorithms=[
            _summarize_group(algorithm, study, groups[algorithm, study], seed=seed)
            for algorithm, study in sorted(groups)
        ],
        counted_once=duplicates,
        left_out=incomplete,
    )


def _summarize_group(
    algorithm: str, study: str, sessions: Sequence[answers.Session], *, seed: int
) -> dict:
    trials = [trial for session in sessions for trial in session.main_trials]
    num_fooled = [sum(trial.is_fooled for trial in one.main_trials) for one in sessions]
    (low, high), method = find_interval(
        num_fooled, [len(one.main_trials) for one in sessions], seed=seed
    )
    late = [
        any(abs(time - session.exposure_ms) > _EXPOSURE_TOLERANCE for time in trial.shown_ms)
        for session in sessions
        for trial in session.main_trials
    ]
    return dict(
        algorithm=algorithm,
        study=study,
        num_participants=len(sessions),
        num_trials=len(trials),
        num_fooled=sum(num_fooled),
        rate=sum(num_fooled) / len(trials),
        interval=[low, high],
        interval_method=method,
        median_reaction_ms=float(np.median([trial.reaction_ms for trial in trials])),
        num_trials_off_time=sum(late),
        num_trials_shown_again=sum(trial.interruptions > 0 for trial in trials),
    )


def find_interval(
    num_fooled: Sequence[int], num_trials: Sequence[int], *, seed: int = 0
) -> tuple[tuple[float, float], str]:
    """Returns the interval of the rate of fooling, and which one it is.

    Args:
        num_fooled: Trials that fooled each participant.
        num_trials: Trials of each participant, at least 1.
        seed: Of the bootstrap.

    Returns:
        (low, high), in [0, 1], and BOOTSTRAP; or EXACT where all participants were fooled
        equally often (one alone, none ever, all always), so that a bootstrap's interval would
        have no width.
    """
    if len({fooled / count for fooled, count in zip(num_fooled, num_trials)}) == 1:
        return exact_interval(sum(num_fooled), sum(num_trials)), EXACT
    return bootstrap_interval(num_fooled, num_trials, seed=seed), BOOTSTRAP


def bootstrap_interval(
    num_fooled: Sequence[int],
    num_trials: Sequence[int],
    *,
    seed: int = 0,
    num_resamples: int = NUM_RESAMPLES,
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """Returns the percentile interval of the rate of fooling.

    Each resample draws as many participants as there are, with replacement. Answers of
    one person are alike, so drawing trials would give an interval that is too narrow; and
    drawing trials of the participants drawn, one that is too wide, since what they answered
    has the chance of their trials in it already.

    Args:
        num_fooled: Trials that fooled each participant.
        num_trials: Trials of each participant, at least 1.
        seed: Of the draws.
        num_resamples: More make the ends of the interval steadier.
        confidence: Share of the resamples that lie within.

    Returns:
        (low, high), in [0, 1].
    """
    random = np.random.default_rng(seed)
    num_fooled, num_trials = np.asarray(num_fooled), np.asarray(num_trials)
    rates = []
    for start in range(0, num_resamples, _RESAMPLES_AT_ONCE):
        count = min(_RESAMPLES_AT_ONCE, num_resamples - start)
        drawn = random.integers(len(num_trials), size=[count, len(num_trials)])
        rates.append(num_fooled[drawn].sum(axis=1) / num_trials[drawn].sum(axis=1))
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(np.concatenate(rates), [tail, 1.0 - tail])
    return float(low), float(high)


def exact_interval(
    num_fooled: int, num_trials: int, *, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Returns the interval of Clopper and Pearson for the rate of a binomial.

    Args:
        num_fooled: Trials that fooled.
        num_trials: All trials, at least 1, taken as independent.
        confidence: In (0, 1); the interval holds the true rate at least as often.

    Returns:
        (low, high), in [0, 1].
    """
    tail = (1.0 - confidence) / 2.0
    low = _exact_low_end(num_fooled, num_trials, tail)
    # Of the trials that did not fool, the same from the other side.
    return low, 1.0 - _exact_low_end(num_trials - num_fooled, num_trials, tail)


def _exact_low_end(num_fooled: int, num_trials: int, tail: float) -> float:
    """Returns the rate at which `num_fooled` or more of the trials fool with chance `tail`."""
    if num_fooled == 0:
        return 0.0
    counts = np.arange(num_fooled, num_trials + 1)
    log_ways = np.array(
        [
            math.lgamma(num_trials + 1) - math.lgamma(k + 1) - math.lgamma(num_trials - k + 1)
            for k in counts.tolist()
        ]
    )
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        rate = (low + high) / 2.0
        logs = log_ways + counts * math.log(rate) + (num_trials - counts) * math.log1p(-rate)
        if np.exp(logs).sum() < tail:
            low = rate
        else:
            high = rate
    return low


def _report(result: dict) -> str:
    """Returns the table, and what has to be said about it."""
    rows = [("algorithm", "study", "participants", "trials", "fooled", "95 % interval")]
    for one in result["algorithms"]:
        low, high = (f"{100 * end:.1f}" for end in one["interval"])
        rows.append(
            (
                one["algorithm"],
                one["study"],
                str(one["num_participants"]),
                str(one["num_trials"]),
                f"{100 * one['rate']:.1f} %",
                f"{low} to {high} %",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        left = [cell.ljust(width) for cell, width in zip(row[:2], widths)]
        right = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:])]
        lines.append("  ".join(left + right))
    lines.append(
        "50 % would be as good as real. Practice is left out; the interval draws participants "
        f"({result['num_resamples']:,} resamples, seed {result['seed']})"
        + (", but for what is said below." if any(map(_is_exact, result["algorithms"])) else ".")
    )
    for one in result["algorithms"]:
        lines += _remarks(one)
    for one in result["counted_once"]:
        lines.append(f"Counted once: '{one['file']}' is the session of '{one['same_as']}' again.")
    for one in result["left_out"]:
        lines.append(
            f"Left out: '{one['file']}', stopped after {one['num_trials']} of {one['planned']} "
            "trials."
        )
    return "\n".join(lines)


def _is_exact(one: dict) -> bool:
    return one["interval_method"] == EXACT


def _remarks(one: dict) -> list[str]:
    """Returns what has to be said about the numbers of an algorithm, a line each."""
    remarks = []
    num_participants, num_trials = one["num_participants"], one["num_trials"]
    exact = f"the interval is Clopper and Pearson's exact one, of {num_trials} trials"
    if num_participants == 1:
        remarks.append(f"one participant; {exact}, and says nothing of other people.")
    elif _is_exact(one):
        remarks.append(
            f"all {num_participants} participants were fooled equally often; {exact} taken as "
            "independent."
        )
    elif num_participants < _ENOUGH_PARTICIPANTS:
        remarks.append(
            f"{num_participants} participants; with fewer than {_ENOUGH_PARTICIPANTS} the "
            "interval is too narrow."
        )
    if one["num_trials_off_time"]:
        remarks.append(
            f"in {one['num_trials_off_time']} of {num_trials} trials a picture was shown more than "
            f"{_EXPOSURE_TOLERANCE} ms too long or too short. They are counted."
        )
    if one["num_trials_shown_again"]:
        remarks.append(
            f"in {one['num_trials_shown_again']} of {num_trials} trials the pair was shown again, "
            "after an interruption. They are counted."
        )
    return [f"{one['algorithm']}: {remark}" for remark in remarks]


if __name__ == "__main__":
    define_flags()
    commands.run(main, takes_arguments=True)
