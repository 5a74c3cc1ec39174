"""Files that are made of others: those that are not finished yet, in several processes."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence

from pix2pix_tf.data import images
from pix2pix_tf.errors import printable
from pix2pix_tf.prepare import folders, work


@dataclasses.dataclass(frozen=True)
class Job:
    """What is made together.

    Attributes:
        name: What messages call it: the first input, below its folder.
        inputs: Files that are read.
        outputs: Files that are written.
    """

    name: str
    inputs: tuple[pathlib.Path, ...]
    outputs: tuple[pathlib.Path, ...]


def make_all(
    make: Callable[[Job], Sequence[bytes]],
    jobs: Sequence[Job],
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
    faults, without_profile = list(faults), []
    function = functools.partial(_make, make=make, output=output, are_copies=are_copies)
    made = 0
    for job, lost, problem in work.run_on_all(function, remaining, processes=processes):
        if problem is None:
            made += 1
            without_profile += lost
        else:
            faults.append(work.Fault(job.name, work.without_path(problem, job.name)))
    there = work.already_there(len(jobs) - len(remaining))
    summary = f"Wrote {work.count_of(made, what)} to '{output}'{there}."
    if without_profile:
        example = printable(str(min(without_profile)))
        summary += (
            f" Of {work.count_of(len(without_profile), 'files')} the colour profile, other than "
            f"sRGB, was neither applied nor kept, '{example}' for one: convert them to sRGB "
            "before if colours matter."
        )
    return work.Outcome(summary, faults)


def _make(job: Job, *, make: Callable, output: pathlib.Path, are_copies: bool) -> list:
    """Makes the outputs of a job; returns the inputs whose colour profile is lost."""
    for path, contents in zip(job.outputs, make(job)):
        folders.write_output(path, contents, output=output)
    if are_copies:
        return []
    return [path for path in job.inputs if images.inspect_image(path).has_other_colours]


def copy(job: Job) -> list[bytes]:
    """Returns the inputs as they are."""
    return [path.read_bytes() for path in job.inputs]
