"""Tests of `pix2pix_tf.training.reports`: the files that a person looks at."""

from __future__ import annotations

import html
import json
import math
import pathlib
import re
import tempfile
from unittest import mock

import numpy as np
import tensorflow as tf
import tiny_training
from absl.testing import absltest
from matplotlib.figure import Figure
from PIL import Image

from pix2pix_tf import grids, run_folder
from pix2pix_tf.training import reports


def flat(*values: float, height: int = 3, width: int = 5) -> np.ndarray:
    """Returns an image of one colour, a value for each channel."""
    return np.broadcast_to(np.float32(values), [height, width, len(values)])


class SampleGridTest(tf.test.TestCase):
    def test_every_image_is_at_its_place(self):
        rows = [
            [flat(-1.0, 1.0, -1.0), flat(1.0), flat(1.0, -1.0, -1.0, -1.0)],
            [flat(-1.0), flat(0.0, 0.0, 0.0), flat(-1.0, -1.0, 1.0)],
        ]
        grid = grids.sample_grid(rows)
        self.assertEqual(grid.dtype, np.uint8)
        # 22 for the titles, 2 rows of 3 and 3 columns of 5, with gaps of 4.
        self.assertEqual(grid.shape, (22 + 2 * 3 + 4, 3 * 5 + 2 * 4, 3))
        expected = [
            [(0, 255, 0), (255, 255, 255), (255, 0, 0)],  # Green, grey's white, red without alpha.
            [(0, 0, 0), (128, 128, 128), (0, 0, 255)],
        ]
        white = np.ones(grid.shape[:2], bool)
        for row in range(2):
            for column in range(3):
                area = np.s_[22 + 7 * row : 25 + 7 * row, 9 * column : 9 * column + 5]
                colours = np.unique(grid[area].reshape(-1, 3), axis=0)
                self.assertLen(colours, 1)
                self.assertAllClose(colours[0], expected[row][column], atol=1)
                white[area] = False
        white[:22] = False
        self.assertAllEqual(np.unique(grid[white]), [255])


class ReportTestCase(absltest.TestCase):
    """Has a run folder of its own for each test."""

    def setUp(self):
        super().setUp()
        self.workdir = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))

    def write_metrics(self, *records, tail=""):
        text = "".join(json.dumps(record) + "\n" for record in records) + tail
        (self.workdir / "metrics.jsonl").write_text(text, encoding="utf-8")


class MetricsTest(ReportTestCase):
    def test_a_last_line_that_was_cut_is_left_out(self):
        whole = [{"step": 1, "l1_loss": 0.5}, {"step": 2, "l1_loss": 0.25}]
        for tail in ("", '{"step": 3, "l1_lo', "{", "\x00\x00"):
            self.write_metrics(*whole, tail=tail)
            self.assertEqual(run_folder.read_metrics(self.workdir), whole)

    def test_the_log_goes_on_after_the_step_that_the_run_goes_on_from(self):
        self.write_metrics(*({"step": step} for step in (1, 10, 20, 30)), tail='{"step": 4')
        reports.forget_later(self.workdir, step=20)
        reports.append_metrics(self.workdir, {"step": 25, "l1_loss": 0.125})
        steps = [record["step"] for record in run_folder.read_metrics(self.workdir)]
        self.assertEqual(steps, [1, 10, 20, 25])
        text = (self.workdir / "metrics.jsonl").read_text(encoding="utf-8")
        self.assertTrue(text.endswith('{"step": 25, "l1_loss": 0.125}\n'))

    def test_a_few_of_many_are_spread_evenly_and_the_last_is_found_by_itself(self):
        self.assertIsNone(run_folder.read_last_metrics(self.workdir))
        many = [{"step": n, **({"held_out_l1": 0.5} if n % 20 == 0 else {})} for n in range(20001)]
        self.write_metrics(*many, tail='{"step": 3')
        records = run_folder.read_metrics(self.workdir, at_most=5)
        self.assertEqual([x["step"] for x in records], [0, 5000, 10000, 15000, 20000])
        records = run_folder.read_metrics(self.workdir, at_most=3, having="held_out_")
        self.assertEqual(records, [many[0], many[10000], many[20000]])
        with mock.patch.object(json, "loads", wraps=json.loads) as parse:
            last = run_folder.read_last_metrics(self.workdir)
        self.assertEqual(last, many[-1])
        self.assertLess(parse.call_count, 5)


class PlotTest(ReportTestCase):
    def plot(self, *records, gan_loss="vanilla"):
        """Returns the curves by panel, label to (steps, values), and the lines across them."""
        self.write_metrics(*records)
        panels = []

        def note(figure, file, **unused):
            file.write(b"drawn")
            for axes in figure.axes:
                curves = {
                    line.get_label(): tuple(map(list, line.get_data())) for line in axes.get_lines()
                }
                panels.append((axes.get_title(loc="left"), curves))

        with mock.patch.object(Figure, "savefig", note):
            reports.plot_losses(self.workdir, gan_loss=gan_loss)
        self.assertEqual((self.workdir / "losses.png").read_bytes(), b"drawn")
        return panels

    def test_all_terms(self):
        (adversarial, curves), (reconstruction, others) = self.plot(
            dict(step=1, discriminator_loss=0.7, adversarial_loss=0.8, l1_loss=0.3, l2_loss=0.2),
            dict(step=5, discriminator_loss=0.6, adversarial_loss=0.9, l1_loss=0.2, l2_loss=0.1),
        )
        self.assertEqual((adversarial, reconstruction), ("adversarial", "reconstruction"))
        (undecided,) = [name for name in curves if "log 2" in name]
        self.assertEqual(curves.pop(undecided)[1], [math.log(2)] * 2)
        self.assertEqual(
            {**curves, **others},
            {
                "discriminator": ([1, 5], [0.7, 0.6]),
                "generator": ([1, 5], [0.8, 0.9]),
                "L1": ([1, 5], [0.3, 0.2]),
                "L2": ([1, 5], [0.2, 0.1]),
            },
        )

    def test_only_what_was_logged_is_drawn(self):
        ((title, curves),) = self.plot(
            dict(step=1, discriminator_loss=0.5, adversarial_loss=0.5), gan_loss="lsgan"
        )
        # An undecided discriminator scores log 2 with vanilla only.
        self.assertEqual((title, set(curves)), ("adversarial", {"discriminator", "generator"}))
        records = [dict(step=1, l1_loss=0.3), dict(step=2, l1_loss=0.2, held_out_psnr=9.5)]
        (_, curves), (title, measures) = self.plot(*records, dict(step=3, l1_loss=0.1))
        self.assertEqual(curves, {"L1": ([1, 2, 3], [0.3, 0.2, 0.1])})
        self.assertEqual(measures, {"psnr": ([2], [9.5])})

    def test_of_a_long_run_points_are_drawn_that_the_picture_has_room_for(self):
        records = [dict(step=n, l1_loss=0.1) for n in range(1, 5001)]
        for record in records[9::10]:
            record["held_out_l1"] = 0.2
        (_, curves), (_, measures) = self.plot(*records)
        for steps, _ in (curves["L1"], measures["l1"]):
            self.assertBetween(len(steps), 500, 1000)
            self.assertEqual(steps[-1], 5000)
            self.assertLessEqual(max(np.diff(steps)), 10)

    def test_the_picture(self):
        reports.plot_losses(self.workdir, gan_loss="vanilla")
        self.assertFalse((self.workdir / "losses.png").exists())  # There are no metrics.
        self.write_metrics(dict(step=1, l1_loss=0.3), dict(step=2, l1_loss=0.2))
        reports.plot_losses(self.workdir, gan_loss="vanilla")
        with Image.open(self.workdir / "losses.png") as picture:
            pixels = np.asarray(picture.convert("RGB"))
        self.assertGreater(len(np.unique(pixels.reshape(-1, 3), axis=0)), 5)
        self.assertGreater(pixels.shape[1], 2 * pixels.shape[0])  # One panel.


class PageTest(ReportTestCase):
    def write(self, *, held_out=None, **settings) -> str:
        config = tiny_training.make_config(num_steps=12345, **settings)
        reports.write_page(self.workdir, config, held_out=held_out)
        return (self.workdir / "index.html").read_text(encoding="utf-8")

    def test_names_are_escaped_and_the_folder_is_quoted(self):
        dataset = "a<script>alert('x')</script>&b"
        self.workdir = self.workdir / "a run"
        self.workdir.mkdir()
        page = self.write(dataset=dataset)
        self.assertNotIn("<script", page)
        self.assertNotIn("alert('x')", page)
        title = re.search("<title>(.*?)</title>", page).group(1)
        self.assertEqual(html.unescape(title), f"pix2pix: {dataset}, AtoB")
        settings = html.unescape(re.search("</summary><pre>(.*?)</pre>", page, re.DOTALL).group(1))
        self.assertEqual(json.loads(settings)["dataset"], dataset)
        self.assertIn(f"--model='{self.workdir}' --input=", html.unescape(page))

    def test_the_best_checkpoint_and_whose_pairs_told_it(self):
        page = self.write()  # There is nothing yet, and nothing to measure.
        self.assertEqual(re.findall("(?:src|href)=", page), [])
        self.assertIn("Step 0 of 12,345.", page)
        self.assertIn("<p>Training pairs", page)
        self.assertNotIn("checkpoint=best", page)
        self.assertNotIn("pix2pix evaluate", page)
        best = dict(metric="l1", split="val", value=0.36401, step=2000)
        (self.workdir / "checkpoints").mkdir()
        (self.workdir / "checkpoints" / "best.json").write_text(json.dumps(best))
        page = self.write(held_out="val")
        self.assertIn("by l1 on val</th><td>0.3640 at step 2,000<", page)
        self.assertIn("<p>Pairs of val, never trained on", page)
        self.assertIn("checkpoint=best", page)
        self.assertIn(f"pix2pix evaluate --model={self.workdir} ", page)

    def write_samples(self, *steps) -> str:
        """Writes grids, and returns the name of a copy that somebody has made of one."""
        for step in steps:
            reports.write_sample_grid(self.workdir, step, np.full([4, 4, 3], step % 256, np.uint8))
        copy = self.workdir / "samples" / "step_00000005 copy.png"
        copy.write_bytes(b"")
        return copy.name

    def test_later_samples_are_removed_and_nothing_else(self):
        copy = self.write_samples(5, 50, 10**8)
        reports.forget_later(self.workdir, step=5)
        names = sorted(path.name for path in (self.workdir / "samples").iterdir())
        self.assertEqual(names, sorted(["step_00000005.png", copy]))
        with Image.open(self.workdir / "samples" / names[1]) as picture:
            self.assertEqual((picture.size, picture.getpixel((0, 0))), ((4, 4), (5, 5, 5)))

    def test_of_many_samples_some_are_shown_with_the_newest_and_the_first(self):
        with mock.patch.object(reports, "_MOST_GRIDS", 3):
            self.write_samples(5, 6, 7)
            self.assertNotIn("of 3", self.write())
            self.write_samples(8, 9)
            page = self.write()
        self.assertEqual(re.findall("<figcaption>step (.*?):", page), ["9", "7", "5"])
        self.assertIn("3 of 5; all are in <code>samples</code>", page)

    def test_newest_samples_come_first_and_newest_numbers_are_shown(self):
        self.write_metrics({"step": 5, "l1_loss": 0.5}, {"step": 1200, "l1_loss": 0.123456})
        (self.workdir / "losses.png").touch()
        self.write_samples(5, 10**8, 1200, 50)  # By number: the name of one has a digit more.
        (self.workdir / "samples" / ".step_00000077.png.half").write_bytes(b"")
        page = self.write()
        self.assertEqual(
            re.findall('src="([^"]*)"', page),
            ["losses.png", *(f"samples/step_{step:08d}.png" for step in (10**8, 1200, 50, 5))],
        )
        self.assertEqual(
            re.findall("<figcaption>(.*?): input, output, target<", page),
            ["step 100,000,000", "step 1,200", "step 50", "step 5"],
        )
        self.assertIn("<th>l1 loss</th><td>0.1235</td>", page)
        self.assertIn("Step 1,200 of 12,345.", page)
        self.assertNotIn("http", page)  # It works from a file, without a network.
