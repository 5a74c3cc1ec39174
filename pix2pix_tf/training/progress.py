"""A progress bar in a terminal, a line now and then anywhere else."""

from __future__ import annotations

import datetime
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
        self._first_step = first_step
        self._num_steps = num_steps
        self._batch_size = batch_size
        self._started = self._last_line = time.monotonic()
        self._losses: dict[str, float] = {}
        # tqdm.auto draws a widget in notebooks, where stderr is no terminal either.
        self._is_interactive = sys.stderr.isatty() or "ipykernel" in sys.modules
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
        if self._is_interactive:
            if losses:
                rate = self._images_per_second(step)
                texts = [f"{_short(name)} {value:.3f}" for name, value in losses.items()]
                self._bar.set_postfix_str(", ".join([*texts, f"{rate:.2f} images/s"]), False)
            self._bar.update(step - self._bar.n)
            return
        now = time.monotonic()
        is_first_or_last = step in (self._first_step + 1, self._num_steps)
        if is_first_or_last or now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            print(self._line(step), flush=True)

    def say(self, text: str) -> None:
        """Prints a line without breaking the bar."""
        if self._is_interactive:
            self._bar.write(text)
        else:
            print(text, flush=True)

    def _line(self, step: int) -> str:
        done = step - self._first_step
        seconds_left = (time.monotonic() - self._started) / done * (self._num_steps - step)
        left = datetime.timedelta(seconds=round(seconds_left))
        losses = ", ".join(f"{_short(name)} {value:.3f}" for name, value in self._losses.items())
        rate = self._images_per_second(step)
        return f"step {step}/{self._num_steps}: {losses}, {rate:.2f} images/s, {left} left"

    def _images_per_second(self, step: int) -> float:
        seconds = max(time.monotonic() - self._started, 1e-9)
        return (step - self._first_step) * self._batch_size / seconds


def _short(name: str) -> str:
    return name.replace("_loss", "").replace("discriminator", "D").replace("generator", "G")
