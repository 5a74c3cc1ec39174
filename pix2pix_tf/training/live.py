"""An action for notebooks: samples and curves, while a run trains."""

from __future__ import annotations

from pix2pix_tf import grids, run_folder
from pix2pix_tf.training import reports
from pix2pix_tf.training.actions import Event

_WIDTH_PX = 1000  # On the page, whatever the picture has.


class LivePicture:
    """Shows the newest grid with the curves beside it, in the place of the one before.

        train(config, workdir, actions=[LivePicture()])

    It does so whenever a grid is due, see `config.sample_every`. Needs IPython, which every
    notebook has.
    """

    def __init__(self) -> None:
        self._shown = None

    def __call__(self, event: Event) -> None:
        """Shows the picture of a step, if a grid was due."""
        if not event.at_samples:
            return
        from IPython import display

        reports.plot_losses(event.workdir, gan_loss=event.config.gan_loss)
        grid = run_folder.sample_grid(event.workdir, event.step)
        png = grids.side_by_side([grid, event.workdir / run_folder.LOSSES_PICTURE])
        picture = display.Image(png, width=_WIDTH_PX)
        if self._shown is None:
            self._shown = display.display(picture, display_id=True)
        else:
            self._shown.update(picture)
