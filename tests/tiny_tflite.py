"""Conversions to .tflite in this process, which saves starting TensorFlow for each."""

from __future__ import annotations

import pathlib
import warnings
from unittest import mock

from export import tflite, tflite_conversion


def convert(saved_model: pathlib.Path, output: pathlib.Path, **options) -> dict:
    """Does as `tflite.convert`, without the other process."""
    with mock.patch.object(tflite, "_run", run_here):
        return tflite.convert(saved_model, output, **options)


def run_here(job: tflite_conversion.Job) -> dict[str, float]:
    """Does as `tflite._run`, without the other process."""
    with warnings.catch_warnings():
        # TensorFlow's own, on its way to LiteRT; in the other process nobody sees them.
        warnings.simplefilter("ignore")
        return tflite_conversion.convert(job)
