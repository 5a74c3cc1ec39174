"""Tests that the documents quote the table of limits as it is."""

from __future__ import annotations

import dataclasses
import pathlib

from absl.testing import absltest

from export.parity import limits

_DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"


class QuotedTest(absltest.TestCase):
    def test_in_the_page_on_parity(self):
        text = (_DOCS / "parity.md").read_text(encoding="utf-8")
        tables = (("TFLite", limits.TFLITE), ("ONNX", limits.ONNX), ("TF.js", limits.TFJS))
        for name, table in tables:
            for quantize, limit in table.items():
                numbers = " | ".join(f"{number:g}" for number in dataclasses.astuple(limit))
                self.assertIn(f"| {name} `{quantize}` | {numbers} |", text)

    def test_in_the_page_on_tflite(self):
        text = (_DOCS / "tflite.md").read_text(encoding="utf-8")
        for before, number in (("exceeds", "mean"), ("sampling, by", "mean_shift")):
            quoted = [
                f"{getattr(limit, number):g} (`{quantize}`)"
                for quantize, limit in limits.TFLITE.items()
            ]
            expected = f"{before} {', '.join(quoted[:-1])} or {quoted[-1]}"
            self.assertIn(expected, " ".join(text.split()))
