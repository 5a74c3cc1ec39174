r"""How often each algorithm's pictures fooled people, from the files that they saved.

    python -m pix2pix_tf.evaluation.perceptual_study results answers/ [more.json ...] \
        [--json=rates.json]

A trial fools a person who says that the real picture was the fake; 50 % is as good as
real, since that is what guessing gives. The practice is left out. The interval is a
bootstrap's: it draws participants, and then trials of each, with replacement.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence

import numpy as np
from absl import flags

from pix2pix_tf import commands, files
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation.perceptual_study import answers

CONFIDENCE = 0.95
NUM_RESAMPLES = 10_000
_RESAMPLES_AT_ONCE = 500  # Bounds the memory, however many people took part.
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
    low, high = bootstrap_interval(
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
        median_reaction_ms=float(np.median([trial.reaction_ms for trial in trials])),
        num_trials_off_time=sum(late),
    )


def bootstrap_interval(
    num_fooled: Sequence[int],
    num_trials: Sequence[int],
    *,
    seed: int = 0,
    num_resamples: int = NUM_RESAMPLES,
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """Returns the percentile interval of the rate of fooling.

    Each resample draws as many participants as there are, with replacement, and for
    each of these as many of their trials. Answers of one person are alike, so trials
    alone would give an interval that is too narrow.

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
        # Trials drawn from those of one participant, k of n of which fooled, fool as often as a
        # coin of k / n falls.
        fooled = random.binomial(num_trials[drawn], (num_fooled / num_trials)[drawn])
        rates.append(fooled.sum(axis=1) / num_trials[drawn].sum(axis=1))
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(np.concatenate(rates), [tail, 1.0 - tail])
    return float(low), float(high)


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
        "50 % would be as good as real. Practice is left out; the interval draws participants, "
        f"then trials ({result['num_resamples']:,} resamples, seed {result['seed']})."
    )
    for one in result["algorithms"]:
        if one["num_participants"] == 1:
            lines.append(
                f"{one['algorithm']}: one participant; the interval says nothing of other people."
            )
        if one["num_trials_off_time"]:
            lines.append(
                f"{one['algorithm']}: in {one['num_trials_off_time']} of {one['num_trials']} "
                f"trials a picture was shown more than {_EXPOSURE_TOLERANCE} ms too long or too "
                "short. They are counted."
            )
    for one in result["counted_once"]:
        lines.append(f"Counted once: '{one['file']}' is the session of '{one['same_as']}' again.")
    for one in result["left_out"]:
        lines.append(
            f"Left out: '{one['file']}', stopped after {one['num_trials']} of {one['planned']} "
            "trials."
        )
    return "\n".join(lines)


if __name__ == "__main__":
    define_flags()
    commands.run(main, takes_files=True)
