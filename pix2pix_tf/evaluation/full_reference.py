"""Output against ground truth, image by image: L1, PSNR, SSIM and whatever was registered."""

from __future__ import annotations

import math

import numpy as np

from pix2pix_tf import metrics
from pix2pix_tf.evaluation.measure import Measure, MeasuredPair, Score


class FullReferenceMeasure(Measure):
    """The metrics of pairs, their means and standard errors."""

    section = "full_reference"

    def __init__(self):
        self._metrics = metrics.of_pairs()
        self._values: dict[str, list[float]] = {name: [] for name in self._metrics}
        self._num_scales = 0

    def add(self, pair: MeasuredPair) -> dict[str, float | None]:
        """Measures a pair; PSNR is None where output and target are equal."""
        self._num_scales = metrics.num_scales(*pair.target.shape[:2])
        output, target = pair.output[np.newaxis], pair.target[np.newaxis]
        found = {}
        for name, metric in self._metrics.items():
            value = float(metric.function(output, target)[0])
            self._values[name].append(value)
            found[name] = value if math.isfinite(value) else None  # JSON has no infinity.
        return found

    def result(self) -> tuple[dict, list[Score]]:
        """Returns means and standard errors.

        None where a value is infinite; one image has no standard error.
        """
        mean, standard_error = {}, {}
        for name, values in self._values.items():
            is_finite = bool(np.isfinite(values).all())
            has_error = is_finite and len(values) > 1
            mean[name] = float(np.mean(values)) if is_finite else None
            standard_error[name] = (
                float(np.std(values, ddof=1) / np.sqrt(len(values))) if has_error else None
            )
        if self._num_scales < 5:
            self.notes = [
                f"Images of this size have {self._num_scales} of the 5 scales of ms_ssim."
            ]
        result = dict(mean=mean, standard_error=standard_error, ms_ssim_scales=self._num_scales)
        return result, [Score(name, mean[name], standard_error[name]) for name in mean]
