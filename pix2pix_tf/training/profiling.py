"""A TensorBoard profile of some steps of a run."""

from __future__ import annotations

import contextlib
import pathlib

import tensorflow as tf

from pix2pix_tf.files import writing


class Profiler:
    """Profiles the steps that the configuration names, into the run's `tensorboard` folder.

    Args:
        workdir: The run folder.
        steps: First and last step, both profiled; None for none.
        writes: False on all workers but the first, which the profile is of.
    """

    def __init__(self, workdir: pathlib.Path, steps: tuple[int, int] | None, *, writes: bool):
        self._folder = workdir / "tensorboard"
        self._steps = steps if writes else None
        self._is_running = False

    def __enter__(self) -> Profiler:
        return self

    def __exit__(self, *unused):
        self._stop()  # Of a run that ended before the last step to profile.

    def step(self, number: int) -> contextlib.AbstractContextManager:
        """Returns a context to take step `number` in.

        Profiling starts before the first of the steps that is left, so a run that
        is continued among them profiles the rest.

        Raises:
            WriteError: If the profile cannot be written, here or at the end of the context.
        """
        if self._steps is None:
            return contextlib.nullcontext()
        first, last = self._steps
        if number > last:
            self._stop()  # Now, since what comes after the last step was not asked for.
            return contextlib.nullcontext()
        if number < first:
            return contextlib.nullcontext()
        if not self._is_running:
            with writing(self._folder):
                tf.profiler.experimental.start(str(self._folder))
            self._is_running = True
        # Named and numbered, for TensorBoard to tell steps apart.
        return tf.profiler.experimental.Trace("train", step_num=number, _r=1)

    def _stop(self) -> None:
        if self._is_running:
            self._is_running = False
            with writing(self._folder):
                tf.profiler.experimental.stop()
