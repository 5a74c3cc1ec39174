"""Files that are made of others: those that are not finished yet, in several processes."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable, Sequence

from pix2pix_tf.data import images
from pix2pix_tf.errors import printable
from pix2pix_tf.prepare import folders, work


def make_all(
    make: Callable[[folders.Job], Sequence[bytes]],
    jobs: Sequence[folders.Job],
    *,
    output: pathlib.Path,
    what: str,
    faults: Sequence[work.Fault],
    processes: int,
    are_copies: bool = False,
) -> work.Outcome:
    """Makes the outputs that are not finished.

    Args:
        make: Returns the contents of the outputs of a job; a function that pickles.
        jobs: All jobs.
        output: Folder of the task.
        what: What is made, for the summary: "pairs".
        faults: Those found before.
        processes: How many at most.
        are_copies: Whether an output keeps the colour profile of its input, or needs none.
    """
    remaining = [job for job in jobs if not folders.is_finished(job.outputs, job.inputs)]
    function = functools.partial(_make, make=make, output=output, are_copies=are_copies)
    lost, problems = work.collect(
        function, remaining, name_of=lambda job: job.name, processes=processes
    )
    without_profile = [path for paths in lost.values() for path in paths]
    there = work.already_there(len(jobs) - len(remaining))
    summary = f"Wrote {work.count_of(len(lost), what)} to '{output}'{there}."
    if without_profile:
        example = printable(str(min(without_profile)))
        summary += (
            f" Of {work.count_of(len(without_profile), 'files')} the colour profile, other than "
            f"sRGB, was neither applied nor kept, '{example}' for one: convert them to sRGB "
            "before if colours matter."
        )
    return work.Outcome(summary, [*faults, *problems])


def _make(job: folders.Job, *, make: Callable, output: pathlib.Path, are_copies: bool) -> list:
    """Makes the outputs of a job; returns the inputs whose colour profile is lost."""
    for path, contents in zip(job.outputs, make(job)):
        folders.write_output(path, contents, output=output)
    if are_copies:
        return []
    return [path for path in job.inputs if images.inspect_image(path).has_other_colours]


def copy(job: folders.Job) -> list[bytes]:
    """Returns the inputs as they are."""
    return [path.read_bytes() for path in job.inputs]
