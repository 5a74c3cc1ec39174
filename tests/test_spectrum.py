"""Tests of `pix2pix_tf.evaluation.spectrum`, on waves, blur and noise."""

from __future__ import annotations

import measured_pairs
import numpy as np
from absl.testing import absltest, parameterized
from PIL import Image, ImageFilter

from pix2pix_tf.evaluation import spectrum

_SIZE = 64


def wave(cycles: float, *, angle: float = 0.0, size: int = _SIZE) -> np.ndarray:
    """Returns a grey wave of so many cycles a picture, in [-1, 1]."""
    rows, columns = np.mgrid[:size, :size] / size
    phase = 2 * np.pi * cycles * (np.cos(angle) * columns + np.sin(angle) * rows)
    return np.repeat(np.cos(phase)[..., np.newaxis], 3, axis=-1)


class RadialPowerTest(parameterized.TestCase):
    @parameterized.parameters((4, 0.0), (20, 0.0), (20, np.pi / 2), (15, 0.9), (10, 0.0, 51))
    def test_a_wave_is_at_its_frequency_whatever_its_direction(self, cycles, angle, size=_SIZE):
        power = spectrum.radial_power(wave(cycles, angle=angle, size=size))
        self.assertLen(power, size // 2)
        self.assertEqual(np.argmax(power), cycles - 1)
        self.assertLen(spectrum.frequencies(size), size // 2)
        self.assertAlmostEqual(spectrum.frequencies(size)[cycles - 1], cycles / size)
        far = np.abs(np.arange(1, size // 2 + 1) - cycles) > 3
        self.assertLess(power[far].max(), 1e-3 * power.max())

    def test_borders_that_do_not_match_leave_no_trace(self):
        # A ramp has a jump from right to left, which would be power at all frequencies.
        rows = np.linspace(-1, 1, _SIZE)
        ramp = np.broadcast_to(rows[:, np.newaxis, np.newaxis], [_SIZE, _SIZE, 3])
        power = spectrum.radial_power(ramp)
        self.assertLess(power[_SIZE // 4 :].max(), 1e-6 * power.max())


class MeasureTest(absltest.TestCase):
    def ratio(self, output: np.ndarray, target: np.ndarray):
        measure = spectrum.SpectrumMeasure()
        own = measure.add(measured_pairs.make_pair(output, target))["sharpness"]
        result, (score,) = measure.result()
        self.assertEqual([score.value, own], 2 * [result["high_frequency_ratio"]])
        return own

    def test_points_the_right_way(self):
        target = measured_pairs.random_pixels(_SIZE, _SIZE, 3) // 2 + 64
        self.assertAlmostEqual(self.ratio(target, target), 1.0)
        blurred = np.asarray(Image.fromarray(target).filter(ImageFilter.BoxBlur(1)))
        self.assertLess(self.ratio(blurred, target), 0.2)
        noise = measured_pairs.random_pixels(_SIZE, _SIZE, 3, seed=1) // 4
        self.assertGreater(self.ratio(target + noise, target), 1.1)

    def test_a_target_without_detail_has_no_ratio(self):
        flat = np.full([_SIZE, _SIZE, 3], 77, np.uint8)
        self.assertIsNone(self.ratio(measured_pairs.random_pixels(_SIZE, _SIZE, 3), flat))

    def test_averages_power_over_the_pairs(self):
        measure = spectrum.SpectrumMeasure()
        target = np.round((wave(20) + 1) * 127.5).astype(np.uint8)
        for output in (target, np.full_like(target, 128)):
            measure.add(measured_pairs.make_pair(output, target))
        result, _ = measure.result()
        self.assertAlmostEqual(result["high_frequency_ratio"], 0.5, delta=0.01)
        self.assertStartsWith(spectrum.plot(result), b"\x89PNG")
