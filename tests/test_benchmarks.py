"""Tests of `python -m benchmarks` and of what it measures."""

from __future__ import annotations

import json
import sys
from unittest import mock

import benchmark_fakes
import command_line
import numpy as np
import pytest
import tensorflow as tf
import tiny_runs
from PIL import Image

from benchmarks import __main__ as command
from benchmarks import (
    convolutions,
    grid_pattern,
    inference,
    machine,
    makers,
    rounds,
    tiles,
    train_step,
    tutorial_recipe,
)
from pix2pix_tf import precision
from pix2pix_tf.errors import InputError

_SIZES = ("--crop_size=32", "--base_filters=2", "--num_rounds=1")


class TrainStepTest(tf.test.TestCase):
    def test_wrong_interpreters_are_refused(self):
        with self.assertRaisesRegex(InputError, "--pythons: '/no/python'"):
            machine.find_pythons(["/no/python"])
        with self.assertRaisesRegex(InputError, "--torch_python: '/no/python'"):
            machine.find_torch("/no/python")

    def test_what_a_processor_emulates_is_left_out(self):
        for is_native, limit, expected in (
            (True, "", ("float32", "bfloat16")),
            (True, "AVX2", ("float32",)),
            (True, "AVX512_CORE_BF16", ("float32", "bfloat16")),
            (False, "", ("float32",)),
        ):
            with (
                self.subTest(is_native=is_native, limit=limit),
                mock.patch.object(precision, "has_native_bfloat16", return_value=is_native),
                mock.patch.dict("os.environ", ONEDNN_MAX_CPU_ISA=limit),
            ):
                self.assertEqual(machine.precisions(), expected)

    def test_a_step_that_computes_nonsense_is_refused(self):
        with self.assertRaisesRegex(ArithmeticError, "L1 is nan"):
            makers.check(float("nan"))

    def test_ratios(self):
        rates = {
            "project, float32": 2.0,
            "project, bfloat16": 6.0,
            "project, bfloat16, simultaneous": 9.0,
            "project, float32, no oneDNN": 1.0,
            "project, bfloat16, no oneDNN": 1.5,
            "tutorial, float32 (is_compiled=False)": 1.0,
            "tutorial, bfloat16 (is_compiled=True)": 1.5,
            "pytorch, float32 (channels_last=True, is_compiled=True)": 3.0,
        }
        items = [dict(name=name, images_per_second=rate) for name, rate in rates.items()]
        self.assertEqual(
            train_step.ratios([*items, dict(name="pytorch, bfloat16", error="lost")]),
            {
                "best / tutorial": 4.0,
                "float32 / tutorial": 2.0,
                "bfloat16 / tutorial": 4.0,
                "best / pytorch": 2.0,
                "float32 / pytorch": 2.0 / 3.0,
                "simultaneous / tutorial": 6.0,
                "simultaneous / pytorch": 3.0,
                "no oneDNN / tutorial": 1.0,
                "no oneDNN / pytorch": 0.5,
            },
        )

    def test_the_tutorials_networks(self):
        networks = (
            tutorial_recipe.build_generator(base_filters=8),
            tutorial_recipe.build_discriminator(base_filters=8),
        )
        sizes = [sum(int(np.prod(x.shape)) for x in net.trainable_weights) for net in networks]
        # With 64 filters: 54,414,979 and 2,768,641.
        self.assertEqual(sizes, [852_435, 45_025])
        self.assertEqual([net.output_shape[1] for net in networks], [256, 30])


class CommandTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)

    def test_all(self):
        """From flags to page and JSON, on contenders that do nothing, in this process."""
        self.enter_context(mock.patch.object(rounds, "Contender", benchmark_fakes.InProcess))

        def idle(settings):
            return lambda count: [0.25] * count, dict(versions=dict(library="1.0"))

        for kind in ("project", "tutorial", "pytorch"):
            for work in ("step", "translation"):
                self.enter_context(mock.patch.object(makers, f"{kind}_{work}", idle))
        self.enter_context(mock.patch.object(machine, "find_torch", lambda path: sys.executable))
        self.enter_context(mock.patch.object(precision, "has_native_bfloat16", lambda: True))
        page = self.folder / "page.md"
        done = command_line.run(command, f"--output={page}", *_SIZES, "--without_onednn")
        self.assertEqual(done.exit_code, 0, done.stderr)
        found = json.loads((self.folder / "page.json").read_text(encoding="utf-8"))
        one, four = found["Training step"]["groups"]
        self.assertEqual((one["batch_size"], four["batch_size"]), (1, 4))
        self.assertEqual({item["images_per_second"] for item in four["contenders"]}, {16})
        names = [item["name"].partition(" (")[0] for item in four["contenders"]]
        self.assertLen(names, 9)
        self.assertIn("project, float32, no oneDNN", names)
        (group,) = found["Translation"]["groups"]
        self.assertEqual(set(group["ratios"].values()), {1.0})
        self.assertLen(group["contenders"], 6)
        self.assertIn("| tutorial, bfloat16 (is_compiled=False) | 0.250", page.read_text())

    def test_convolutions(self):
        self.enter_context(mock.patch.object(convolutions, "_LAYERS", [(2, 1, 2, 2), (1, 2, 2, 4)]))
        self.enter_context(mock.patch.object(precision, "has_native_bfloat16", lambda: False))
        done = command_line.run(convolutions, "--repeats=1", f"--json={self.folder / 'times.json'}")
        self.assertEqual(done.exit_code, 0, done)
        self.assertRegex(
            done.stdout, r"\| float32, 4 pixels, 2 to 4 channels, stride 1 \| \d+\.\d\d / \d"
        )
        found = json.loads((self.folder / "times.json").read_text(encoding="utf-8"))
        self.assertEqual([row["pixels"] for row in found["rows"]], [1, 4])

    def test_tiles(self):
        run = tiny_runs.shared_run()
        arguments = [f"--model={run}", "--width=150", "--height=70", "--tile=64"]
        done = command_line.run(tiles, *arguments)
        self.assertEqual(done.exit_code, 0, done)
        self.assertRegex(done.stdout, r"\| 150x70, 2 filters, tiles of 64 \| \d")

    def test_grid_pattern(self):
        walls = np.zeros([256, 256], np.uint8)
        walls[:, 20:200] = grid_pattern.WALL_CLASS
        texture = np.random.RandomState(0).randint(100, 150, [256, 256])
        stripes = texture + 10 * (np.arange(256) % 4 == 0)
        stripes[:, :20] = 255  # Not walls, so not counted.
        for name, pixels in (("index", walls), ("plain", texture), ("striped", stripes)):
            (self.folder / name).mkdir()
            Image.fromarray(pixels.astype(np.uint8)).save(self.folder / name / "a.png")
        arguments = [f"--class_index={self.folder / 'index'}", f"--json={self.folder / 'a.json'}"]
        pictures = [f"--pictures={self.folder / name}" for name in ("plain", "striped")]
        done = command_line.run(grid_pattern, *arguments, *pictures)
        self.assertEqual(done.exit_code, 0, done)
        found = json.loads((self.folder / "a.json").read_text())
        plain, striped = (result["mean"] for result in found.values())
        self.assertLess(plain, 1)
        # A quarter of the phases is 10 grey levels above the others.
        self.assertNear(striped, 10 * np.sqrt(3 / 16), 0.3)
        done = command_line.run(grid_pattern, *arguments, f"--pictures={self.folder}")
        done.check_refused("does not have 'a.png'")

    @pytest.mark.slow
    def test_tiny_contenders(self):
        """With the processes that it starts: none of them fails."""
        for module, *arguments in (
            (train_step, "--batch_size=2", "--num_steps=1", "--accumulate=2"),
            (inference, "--num_images=2", "--without_onednn"),
        ):
            done = command_line.run(module, *_SIZES, *arguments)
            self.assertEqual(done.exit_code, 0, done.stderr)
            self.assertNotIn("failed", done.stdout)
