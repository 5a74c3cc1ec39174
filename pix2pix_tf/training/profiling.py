"""A TensorBoard profile of some steps of a run, as an action."""

from __future__ import annotations

import pathlib

import tensorflow as tf

from pix2pix_tf import run_folder
from pix2pix_tf.files import writing


class Profiler:
    """Profiles the steps that the configuration names, into the run's `tensorboard` folder.

    Args:
        workdir: The run folder.
        steps: First and last step, both profiled.
        next_step: Step that comes next. If it lies between the two, the rest is profiled.
    """

    def __init__(self, workdir: pathlib.Path, steps: tuple[int, int], *, next_step: int):
        self._folder = workdir / run_folder.EVENTS_FOLDER
        self._first, self._last = steps
        self._is_running = False
        self._start_before(next_step)

    def __call__(self, event) -> None:
        """Starts or stops after a step, as an `actions.Action`.

        Raises:
            WriteError: If the profile cannot be written.
        """
        if self._is_running and (event.step >= self._last or event.is_last):
            float(event.losses["generator_loss"])  # Waits for the step, which belongs to it.
            self._is_running = False
            with writing(self._folder):
                tf.profiler.experimental.stop()
        self._start_before(event.step + 1)

    def _start_before(self, step: int) -> None:
        if self._is_running or not self._first <= step <= self._last:
            return
        with writing(self._folder):
            tf.profiler.experimental.start(str(self._folder))
        self._is_running = True
