"""Files that are made of others: those that are not finished yet, in several processes."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pix2pix_tf.data import images
from pix2pix_tf.prepare import folders, work


class Job(NamedTuple):
    """Files that are made together of others; its name is the first input, below its folder."""

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
        faults: Faults that were found before.
        processes: How many at most.
        are_copies: Whether outputs keep the colour profiles of their inputs, or need none.
    """
    remaining = [job for job in jobs if not folders.is_finished(job.outputs, job.inputs)]
    function = functools.partial(_make, make=make, output=output)
    done, problems = work.collect(function, remaining, processes=processes)
    if not are_copies:
        images.warn_of_colours({k: v for infos in done.values() for k, v in infos.items()})
    there = work.already_there(len(jobs) - len(remaining))
    summary = f"Wrote {work.count_of(len(done), what)} to '{output}'{there}."
    return work.Outcome(summary, [*faults, *problems])


def _make(job: Job, *, make: Callable, output: pathlib.Path) -> dict:
    """Makes the outputs of a job; returns what the headers of its inputs say."""
    for path, contents in zip(job.outputs, make(job)):
        folders.write_output(path, contents, output=output)
    return {path: images.inspect_image(path) for path in job.inputs}


def copy(job: Job) -> list[bytes]:
    """Returns the inputs as they are."""
    return [path.read_bytes() for path in job.inputs]
