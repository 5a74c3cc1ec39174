"""Tests of `pix2pix_tf.evaluation.page`, in Chromium where it is about the script."""

from __future__ import annotations

import os
import re

import browser_tools
import tensorflow as tf
import tiny_runs

from pix2pix_tf.evaluation import page
from pix2pix_tf.evaluation.measure import Score

# Pairs in the order of their names; none is best or worst by both scores.
_PER_IMAGE = {
    "a": {"l1": 0.2, "sharpness": 1.0},
    "b": {"l1": 0.4, "sharpness": 0.5},
    "c": {"l1": 0.1, "sharpness": None},
    "<d> & 'e'": {"l1": 0.3, "sharpness": 4.0},
}


def make_result(**changes) -> dict:
    """Returns as much of an `evaluation.json` as the page reads."""
    scores = [Score("l1", 0.25, standard_error=0.05), Score("sharpness", 1.5, ground_truth=1.0)]
    result = dict(
        dataset="<facades>",
        direction="BtoA",
        split="test",
        num_images=4,
        size=32,
        step=5000,
        seed=0,
        outputs=dict(kind="model", name="<run>", step=5000),
        versions=dict(tensorflow="2"),
        notes=["<note>"],
        scores={x.name: x.to_dict() for x in scores},
        per_image=_PER_IMAGE,
    )
    return {**result, **changes}


class PageTest(tf.test.TestCase):
    def write(self, **changes) -> str:
        self.folder = tiny_runs.temporary_folder(self)
        page.write(self.folder, make_result(**changes))
        return (self.folder / "index.html").read_text(encoding="utf-8")

    def test_names_are_text_never_markup(self):
        text = self.write()
        for name in ("facades", "run", "note", "d"):
            self.assertNotIn(f"<{name}>", text)
            self.assertIn(f"&lt;{name}&gt;", text)
        self.assertIn('src="outputs/%3Cd%3E%20%26%20%27e%27.png"', text)
        self.assertNotRegex(text, "https?://|src=.//|@import")  # It asks no other host.

    def test_a_name_that_is_not_unicode(self):
        name = os.fsdecode(b"caf\xe9")
        text = self.write(per_image={name: _PER_IMAGE["a"]}, dataset=name)
        self.assertIn('src="outputs/caf%E9.png"', text)
        self.assertIn("<figcaption>caf\\udce9 ", text)
        self.assertIn("Evaluation: caf\\udce9, test", text)

    def test_shows_scores_with_their_uncertainty(self):
        rows = re.findall("<tr><th>.*?</tr>", self.write())
        _, l1, sharpness = (re.sub("<.*?>", " ", row) for row in rows)
        self.assertRegex(l1, r"l1 .*0\.2500 .*standard error 0\.0500 .*less is better")
        self.assertRegex(sharpness, r"sharpness .*1\.5000 .*ground truth 1\.0000")

    def test_shows_every_draw(self):
        for draws in ({}, dict(draws=dict(num_samples=3))):
            columns = re.findall(r'src="(\S+)/a\.png"', self.write(**draws))
            further = ["samples/2", "samples/3"] if draws else []
            self.assertEqual(columns, ["inputs", "outputs", *further, "targets"])

    def shown(self, script: str = "") -> list[str]:
        """Returns the first letters of the names as Chromium shows them, after a script."""
        path = self.folder / "index.html"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("</html>", f"<script>{script}</script></html>"), "utf-8")
        document = browser_tools.run_session("dump_session.js", url=path.as_uri())
        path.write_text(text, "utf-8")
        self.chosen = set(re.findall(r'data-score="(\w+)" class="chosen"', document))
        names = re.findall(r'<figure data-name="([^"]*)"', document)
        return [name.replace("&lt;", "")[0] for name in names]

    def test_worst_first_by_each_score(self):
        self.write()
        self.assertEqual(self.shown(), ["b", "d", "a", "c"])  # Of L1, most is worst.
        self.assertEqual(self.chosen, {"l1"})
        choose = "score.value = 'sharpness'; score.dispatchEvent(new Event('change'));"
        # 4 times is further from 1 than half; what has no value comes last.
        self.assertEqual(self.shown(choose), ["d", "b", "a", "c"])
        self.assertEqual(self.chosen, {"sharpness"})
