"""Tests of `export.compact`: a run folder to give away."""

from __future__ import annotations

import dataclasses
import json

import command_line
import numpy as np
import tensorflow as tf
import tiny_runs
from refusals import refused

from export import compact
from pix2pix_tf import keras_compat, networks, run_folder, train
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import MissingInputError
from pix2pix_tf.inference import translator

_GREY_LEVEL = 2 / 255  # Of values in [-1, 1].


class CompactTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.run, self.output = self.folder / "secret" / "run", self.folder / "given"

    def write_run(self, **settings) -> None:
        """Writes a run at step 7, with an average and last weights."""
        dataset = self.folder / "secret" / "pairs"
        tiny_runs.write_run(
            self.run,
            dataset=str(dataset),
            data_dir=str(dataset),
            init_from=str(self.run),
            **settings,
        )
        checkpoint = self.run / run_folder.CHECKPOINTS_FOLDER / run_folder.checkpoint_name(7)
        checkpoint.mkdir(parents=True)
        average = self.run / run_folder.GENERATOR_WEIGHTS
        average.rename(checkpoint / run_folder.GENERATOR_WEIGHTS)
        network = tiny_runs.write_run(self.folder / "last", seed=1, **settings)
        self.assertEqual(network.crop_size, TrainConfig.load(self.run).crop_size)
        last = self.folder / "last" / run_folder.GENERATOR_WEIGHTS
        last.rename(checkpoint / run_folder.LAST_WEIGHTS)
        critic = networks.build_discriminator(TrainConfig.load(self.run))
        (self.run / run_folder.DISCRIMINATOR_WEIGHTS).write_bytes(keras_compat.weights_file(critic))
        tiny_runs.write_data(self.run, size=(64, 32))
        records = [dict(step=step, loss_g=1.0 / step) for step in (5, 7, 9)]
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (self.run / run_folder.METRICS_FILE).write_text(lines)

    def test_it_is_a_run_folder_with_the_same_pictures(self):
        self.write_run()
        flags = (f"--workdir={self.run}", f"--output={self.output}")
        result = command_line.run(compact, *flags)
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        image = np.random.default_rng(0).uniform(-1, 1, (32, 32, 3)).astype(np.float32)
        ours, theirs = translator.load(self.output), translator.load(self.run)
        difference = np.abs(ours(image) - theirs(image))
        self.assertLess(difference.max(), _GREY_LEVEL)
        self.assertEqual(ours.step, 7)
        self.assertEqual(translator.pair_file_size(self.output), (64, 32))
        self.assertEqual(run_folder.read_last_metrics(self.output)["step"], 7)
        card = json.loads((self.output / compact.CARD).read_text())
        self.assertEqual((card["step"], card["weights"]), (7, "average"))
        sizes = [
            run_folder.find_weights(folder)[0].stat().st_size for folder in (self.output, self.run)
        ]
        num_bytes = 2 * networks.build_generator(TrainConfig.load(self.run)).count_params()
        self.assertAllClose(sizes[1] - sizes[0], num_bytes, rtol=0.2)

    def test_training_starts_from_both_networks(self):
        self.write_run()
        compact.compact(self.run, self.output)
        config = TrainConfig.load(self.output)
        models = [networks.build_discriminator(config) for _ in range(2)]
        for model, folder in zip(models, (self.run, self.output)):
            networks.load_weights(model, folder / run_folder.DISCRIMINATOR_WEIGHTS)
        for ours, theirs in zip(*(model.get_weights() for model in models)):
            self.assertAllClose(ours, theirs, atol=1e-3)
            self.assertGreater(len(ours), 0)

    def test_it_does_not_tell_where_things_were(self):
        self.write_run()
        compact.compact(self.run, self.output)
        for path in self.output.rglob("*"):
            if path.is_file():
                self.assertNotIn(b"secret", path.read_bytes(), path)
        self.assertEqual(TrainConfig.load(self.output).dataset, "pairs")

    def test_last_weights(self):
        self.write_run()
        compact.compact(self.run, self.output, weights=run_folder.LAST)
        config = TrainConfig.load(self.output)
        kept = networks.read_generator_weights(config, run_folder.find_weights(self.output)[0])
        expected = run_folder.find_weights(self.run, weights=run_folder.LAST)[0]
        self.assertAllClose(kept, networks.read_generator_weights(config, expected), atol=1e-3)
        self.assertEqual(json.loads((self.output / compact.CARD).read_text())["weights"], "last")
        # They are the only ones, and may be asked for.
        again = run_folder.find_weights(self.output, weights=run_folder.LAST)
        self.assertEqual(again, run_folder.find_weights(self.output))

    def test_the_average_alone_has_no_last_weights(self):
        self.write_run()
        compact.compact(self.run, self.output)
        with refused("averages alone", kind=MissingInputError):
            run_folder.find_weights(self.output, weights=run_folder.LAST)

    def test_weights_that_float16_cannot_hold(self):
        self.write_run()
        config = TrainConfig.load(self.run)
        generator = networks.build_generator(config)
        weights = generator.get_weights()
        weights[0][0, 0, 0, 0] = 70_000
        generator.set_weights(weights)
        path = run_folder.find_weights(self.run)[0]
        generator.save_weights(str(path))
        with refused("70000", "float16"):
            compact.compact(self.run, self.output)
        self.assertFalse(self.output.exists())

    def test_what_is_there_stays(self):
        self.write_run()
        self.output.mkdir()
        (self.output / "mine").touch()
        with refused("is there already"):
            compact.compact(self.run, self.output)

    def test_training_does_not_go_on_from_it(self):
        tiny = dict(crop_size=32, base_filters=2)
        config = TrainConfig(dataset="demo", **tiny)
        self.write_run()
        dataclasses.replace(config).save(self.run)
        compact.compact(self.run, self.output)
        result = command_line.run(train, f"--workdir={self.output}")
        result.check_refused(run_folder.INFO)
