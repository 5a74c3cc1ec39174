"""Tests of `pix2pix_tf.presets`, and of `--preset`."""

from __future__ import annotations

import pathlib
import re
from unittest import mock

import command_line
import tiny_runs
import tiny_training
from absl.testing import absltest, parameterized
from refusals import refused

from pix2pix_tf import presets, train
from pix2pix_tf.config import TrainConfig, check_resumable
from pix2pix_tf.data import pairs as pair_data
from pix2pix_tf.data import registry
from pix2pix_tf.training import loop


def flags_of(**settings) -> list[str]:
    return [f"--{name}={value}" for name, value in settings.items()]


class TableTest(parameterized.TestCase):
    @parameterized.parameters(
        # Steps of the paper: epochs times pairs by batch.
        ("facades", 80_000),
        ("cityscapes", 595_000),
        ("aerial2map", 219_200),
        ("colorization", 1_800_000),
        ("edges2shoes", 187_500),
        ("edges2handbags", 513_750),
        ("day2night", 75_748),  # 75,747.75, and the last step is whole.
        ("thermal2color", 91_523),
        ("inpainting", 93_125),
    )
    def test_length_on_the_papers_own_set(self, name, expected):
        self.assertEqual(presets.settings(name, dict(dataset="x"))["num_steps"], expected)

    @parameterized.parameters(*(name for name, preset in presets.PRESETS.items() if preset.dataset))
    def test_agrees_with_the_published_set(self, name):
        preset = presets.PRESETS[name]
        published = registry.PUBLISHED[preset.dataset]
        if preset.direction != published.direction:
            self.assertIn(name, ("cityscapes_to_labels", "map2aerial"))

    def test_jitter_is_that_of_the_crop_at_hand(self):
        self.assertEqual(presets.settings("edges2shoes", {})["load_size"], 256)
        self.assertEqual(presets.settings("edges2shoes", dict(crop_size=64))["load_size"], 64)
        self.assertNotIn("load_size", presets.settings("facades", {}))

    def test_what_is_given_wins(self):
        given = dict(batch_size=2, mirror=True, load_size=300, direction="BtoA", dataset="x")
        chosen = presets.settings("edges2shoes", given)
        self.assertEqual(
            chosen, dict(color_space="rgb", upsampling="transposed", num_steps=15 * 50_000 // 2)
        )
        self.assertNotIn("num_steps", presets.settings("facades", dict(num_steps=3)))


class DocumentTest(absltest.TestCase):
    def test_table_has_the_figures(self):
        text = (pathlib.Path(__file__).parent.parent / "docs" / "tasks.md").read_text()
        lines = re.findall(r"^\| (`\w+` \| .*) \|$", text, re.MULTILINE)
        rows = [line.split(" | ") for line in lines]
        self.assertEqual([row[0].strip("`") for row in rows], list(presets.PRESETS)[1:])
        for name, task, pairs, *cells, here in rows:
            preset = presets.PRESETS[name.strip("`")]
            self.assertStartsWith(preset.task, task)
            self.assertEqual(pairs, f"{preset.num_train:,}")
            words = ["yes" if value else "no" for value in (preset.jitter, preset.mirror)]
            expected = [str(preset.epochs), str(preset.batch_size), *words]
            # A star: not verified.
            self.assertEqual([cell.removesuffix(" \\*") for cell in cells], expected, msg=name)
            self.assertEqual(here == "published", bool(preset.dataset))


class FlagTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.workdir = self.folder / "run"

    def run_command(self, *arguments: str):
        """Returns the result, and the configuration that training was started with."""
        with mock.patch.object(loop, "train") as started:
            result = command_line.run(train, f"--workdir={self.workdir}", *arguments)
        return result, started.call_args.args[0] if started.called else None

    def test_help_needs_no_run_folder(self):
        result = command_line.run(train, "--preset=help")
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        for name in presets.PRESETS:
            self.assertRegex(result.stdout, f"(?m)^{name}: ")

    def test_steps_are_those_of_the_data_set_at_hand(self):
        data = tiny_training.write_pairs(self.folder / "data", train=7)
        result, config = self.run_command("--preset=edges2shoes", f"--dataset={data}")
        self.assertEqual(
            config,
            TrainConfig(dataset=str(data), batch_size=4, mirror=False, load_size=256, num_steps=27),
        )
        self.assertIn("edges2shoes", result.stdout)
        self.assertIn("num_steps=27", result.stdout)

    def test_flags_win(self):
        _, config = self.run_command(
            *("--preset=colorization", "--dataset=demo", "--num_steps=9", "--nomirror"),
            *("--crop_size=64", "--batch_size=1"),
        )
        expected = TrainConfig(
            color_space="lab", mirror=False, crop_size=64, load_size=64, num_steps=9
        )
        self.assertEqual(config, expected)
        _, config = self.run_command("--preset=edges2shoes", "--dataset=demo", "--load_size=286")
        self.assertEqual(config.load_size, 286)
        self.assertEqual(config.num_steps, 15 * 2000 // 4)

    def test_own_pairs_get_what_gave_better_pictures(self):
        data = tiny_training.write_pairs(self.folder / "data", train=7)
        result, config = self.run_command("--preset=own", f"--dataset={data}")
        expected = TrainConfig(dataset=str(data), upsampling="resize", num_steps=200 * 7)
        self.assertEqual(config, expected)
        self.assertGreater(config.ema_decay, 0)
        _, config = self.run_command("--preset=facades", f"--dataset={data}")
        self.assertEqual(config.upsampling, "transposed")  # As the paper has it.
        result, _ = self.run_command("--preset=own")
        self.assertIn("--dataset", result.stderr)

    def test_a_run_goes_on_with_its_own_data_and_sizes(self):
        data = tiny_training.write_pairs(self.folder / "data", train=7)
        own = dict(dataset=str(data), direction="AtoB", load_size=70, crop_size=64)
        self.workdir.mkdir()
        TrainConfig(**own, num_steps=9).save(self.workdir)
        # Not those of the paper, which this one would download.
        with mock.patch.object(pair_data, "count_pairs", wraps=pair_data.count_pairs) as counted:
            result, config = self.run_command("--preset=aerial2map")
        self.assertEqual(counted.call_args.args, (str(data), "train"))
        self.assertEqual(config, TrainConfig(**own, num_steps=200 * 7))
        _, config = self.run_command("--preset=edges2shoes", "--num_steps=11")
        self.assertEqual(config, TrainConfig(**own, batch_size=4, mirror=False, num_steps=11))

    @parameterized.parameters(
        ("inpainting", "colorization", "color_space"),
        ("colorization", "inpainting", "color_space"),
        ("aerial2map", "map2aerial", "direction"),
    )
    def test_a_run_of_another_task_is_refused(self, first, second, setting):
        data = tiny_training.write_pairs(self.folder / "data", train=2)
        _, config = self.run_command(f"--preset={first}", f"--dataset={data}", "--crop_size=64")
        self.workdir.mkdir()
        config.save(self.workdir)
        _, again = self.run_command(f"--preset={first}")
        check_resumable(config, again)
        _, other = self.run_command(f"--preset={second}", "--num_steps=1")
        with refused(f"{setting} (was "):
            check_resumable(config, other)

    @parameterized.parameters(
        (("--preset=facade",), "facade.* <facades|"),
        (("--preset=colorization",), "colorization.*--dataset"),
        (("--preset=facades", "--dataset=nowhere"), "'nowhere'"),
        (("--preset=facades", "--dropout=2"), "dropout is 2.0"),
    )
    def test_wrong_input_is_one_line(self, arguments, shown):
        result, config = self.run_command(*arguments)
        self.assertEqual((result.exit_code, config), (2, None))
        (line,) = result.stderr.splitlines()
        self.assertStartsWith(line, "error: ")
        self.assertRegex(line, shown)

    @parameterized.parameters(*presets.PRESETS)
    def test_each_on_drawn_scenes(self, name):
        flags = flags_of(preset=name, dataset="demo", crop_size=32)
        result, config = self.run_command(*flags)
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        preset = presets.PRESETS[name]
        self.assertEqual(
            (config.direction, config.batch_size, config.mirror, config.color_space),
            (preset.direction, preset.batch_size, preset.mirror, preset.color_space),
        )
        self.assertEqual(config.load_size, 36 if preset.jitter else 32)
