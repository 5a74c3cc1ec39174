"""A progress bar in a terminal, a line now and then anywhere else."""

from __future__ import annotations

import datetime
import math
import sys
import time

import tqdm.auto

_SECONDS_BETWEEN_LINES = 20.0


class Progress:
    """Shows how far a run is, its losses, its speed and the time left.

    Args:
        first_step: Steps done before.
        num_steps: Steps of the whole run.
        batch_size: Images a step.
    """

    def __init__(self, first_step: int, num_steps: int, batch_size: int):
        self._num_steps = num_steps
        self._batch_size = batch_size
        # Speed is measured from the end of the first step, which compiles.
        self._measured_from: tuple[int, float] | None = None
        self._last_line = -math.inf
        self._losses: dict[str, float] = {}
        # tqdm.auto draws a widget in notebooks, where stderr is not a terminal either.
        self._is_interactive = sys.stderr.isatty() or _is_notebook()
        self._bar = tqdm.auto.tqdm(
            total=num_steps,
            initial=first_step,
            unit="step",
            dynamic_ncols=True,
            disable=not self._is_interactive,
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *unused):
        self._bar.close()

    def update(self, step: int, losses: dict[str, float] | None = None) -> None:
        """Notes that `step` is done; `losses` where there are new ones to show."""
        if losses:
            self._losses = losses
        now = time.perf_counter()
        if self._measured_from is None:
            self._measured_from = (step, now)
        if self._is_interactive:
            if losses:
                self._bar.set_postfix_str(self._status(step), refresh=False)
            self._bar.update(step - self._bar.n)
        elif self._losses and (
            step == self._num_steps or now - self._last_line >= _SECONDS_BETWEEN_LINES
        ):
            self._last_line = now
            status = self._status(step, has_time_left=True)
            print(f"step {step}/{self._num_steps}: {status}", flush=True)

    def say(self, text: str) -> None:
        """Prints a line without breaking the bar."""
        if self._is_interactive:
            self._bar.write(text)
        else:
            print(text, flush=True)

    def _status(self, step: int, *, has_time_left: bool = False) -> str:
        """Returns the losses and, once they can be told, the speed and the time left."""
        texts = [f"{_short(name)} {value:.3f}" for name, value in self._losses.items()]
        first_step, started = self._measured_from
        if step > first_step:
            seconds = (time.perf_counter() - started) / (step - first_step)
            texts.append(f"{self._batch_size / seconds:.2f} images/s")
            if has_time_left:
                left = datetime.timedelta(seconds=round(seconds * (self._num_steps - step)))
                texts.append(f"{left} left")
        return ", ".join(texts)


def _is_notebook() -> bool:
    # Looked up, not imported: IPython is there already or this is not a notebook.
    ipython = sys.modules.get("IPython")
    return ipython is not None and ipython.get_ipython() is not None


def _short(name: str) -> str:
    return name.replace("_loss", "").replace("discriminator", "D").replace("generator", "G")
