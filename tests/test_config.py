"""Tests of the configuration: the paper's values, what is refused, and what may change later."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

from absl.testing import parameterized

from pix2pix_tf import config, errors, losses
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.models import discriminator, generator, layers

_FIELDS = {field.name: field for field in dataclasses.fields(TrainConfig)}

# A value for each field that is allowed and not the default.
_OTHER_VALUES = dict(
    dataset="facades",
    data_dir="sets",
    direction="BtoA",
    load_size=300,
    crop_size=128,
    mirror=False,
    input_channels=1,
    output_channels=4,
    color_space="lab",
    cache_megabytes=0,
    generator="encoder_decoder",
    base_filters=32,
    receptive_field=34,
    norm="instance",
    bottleneck_norm=True,
    spectral_norm=True,
    dropout=0.25,
    conditional=False,
    gan_loss="hinge",
    lambda_gan=0.1,
    lambda_l1=1 / 3,
    lambda_l2=10.0,
    batch_size=4,
    accumulate=2,
    update_order="simultaneous",
    num_steps=1000,
    learning_rate=1e-5,
    adam_beta_1=0.0,
    adam_beta_2=0.9,
    decay_steps=500,
    precision="bfloat16",
    strategy="mirrored",
    seed=7,
    deterministic=True,
    log_every=1,
    sample_every=2,
    num_samples=3,
    checkpoint_every=4,
    keep_checkpoints=5,
    best_metric="ssim",
    num_evaluated=6,
    crop_height=256,
    crop_width=512,
    input_range="0,1",
    output_range="-40,85.5",
    profile_steps="7-8",
)
# Those that go with each other: lab has ranges of its own.
_TOGETHER = {**_OTHER_VALUES, "color_space": "rgb"}

_MAY_CHANGE = (
    "data_dir",
    "num_steps",
    "cache_megabytes",
    "strategy",
    "log_every",
    "sample_every",
    "num_samples",
    "checkpoint_every",
    "keep_checkpoints",
    "best_metric",
    "num_evaluated",
    "profile_steps",
)


class CropAndRangeTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("square", {}, (256, 256), (286, 286)),
        ("wide", dict(crop_width=512), (256, 512), (286, 572)),
        ("tall", dict(crop_size=64, crop_height=192, load_size=64), (192, 64), (192, 64)),
    )
    def test_shapes(self, settings, crop_shape, load_shape):
        config = TrainConfig(**settings)
        self.assertEqual(config.crop_shape, crop_shape)
        self.assertEqual(config.load_shape, load_shape)

    @parameterized.named_parameters(
        ("none", "", "uint8"),
        ("8_bits", "0,255", "uint8"),
        ("part_of_8_bits", "16,255", "uint8"),
        ("12_bits", "0,4095", "uint16"),
        ("16_bits", "0,65535", "uint16"),
        ("unit", "0,1", "float32"),
        ("percent", "0,100", "float32"),
        ("negative", "-1,255", "float32"),
        ("fraction", "0,4095.5", "float32"),
        ("more_than_16_bits", "0,65536", "float32"),
    )
    def test_type_of_outputs(self, output_range, dtype):
        self.assertEqual(TrainConfig(output_range=output_range).output_dtype, dtype)

    @parameterized.named_parameters(
        ("default", {}, True),
        ("16_bits_out", dict(output_range="0,65535"), True),
        ("alpha", dict(input_channels=4, output_channels=1), True),
        ("five_in", dict(input_channels=5), False),
        ("two_out", dict(output_channels=2), False),
        ("range_in", dict(input_range="0,4095"), False),
        ("float_out", dict(output_range="0,1"), False),
    )
    def test_signature_of_files(self, settings, expected):
        self.assertEqual(TrainConfig(**settings).has_encoded_signature, expected)


class DefaultsTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("load_size", "load_size", 286),
        ("crop_size", "crop_size", 256),
        ("mirror", "mirror", True),
        ("input_channels", "input_channels", 3),
        ("output_channels", "output_channels", 3),
        ("generator", "generator", "unet"),
        ("base_filters", "base_filters", 64),
        ("receptive_field", "receptive_field", 70),
        ("norm", "norm", "batch"),
        # The authors' code, not the paper's text: see the erratum.
        ("bottleneck_norm", "bottleneck_norm", False),
        ("spectral_norm", "spectral_norm", False),
        ("dropout", "dropout", 0.5),
        ("conditional", "conditional", True),
        ("gan_loss", "gan_loss", "vanilla"),
        ("lambda_gan", "lambda_gan", 1.0),
        ("lambda_l1", "lambda_l1", 100.0),
        ("lambda_l2", "lambda_l2", 0.0),
        ("batch_size", "batch_size", 1),
        # 200 epochs of the 400 pairs of facades.
        ("num_steps", "num_steps", 80_000),
        ("learning_rate", "learning_rate", 2e-4),
        ("adam_beta_1", "adam_beta_1", 0.5),
        ("adam_beta_2", "adam_beta_2", 0.999),
        ("decay_steps", "decay_steps", 0),
    )
    def test_is_the_papers(self, name, expected):
        value = getattr(TrainConfig(), name)
        self.assertEqual(value, expected)
        self.assertIs(type(value), type(expected))

    def test_runs_without_any_data(self):
        self.assertEqual(TrainConfig().dataset, "demo")

    def test_every_field_has_a_help_text_that_is_a_sentence(self):
        for name, field in _FIELDS.items():
            self.assertRegex(field.metadata["help"], r"^['A-Z0-9].*\.$", msg=name)

    @parameterized.parameters(
        ("generator", generator.GENERATORS),
        ("receptive_field", discriminator.RECEPTIVE_FIELDS),
        ("norm", layers.NORMS),
        ("gan_loss", (*losses.GAN_LOSSES, "none")),
    )
    def test_choices_are_those_of_the_networks(self, name, choices):
        """The configuration loads no TensorFlow, so it repeats them."""
        self.assertEqual(_FIELDS[name].metadata["choices"], choices)

    def test_every_default_is_among_its_choices(self):
        with_choices = {n: f for n, f in _FIELDS.items() if f.metadata["choices"]}
        self.assertContainsSubset(
            {"direction", "generator", "receptive_field", "norm", "gan_loss", "precision"},
            with_choices,
        )
        for name, field in with_choices.items():
            self.assertIn(field.default, field.metadata["choices"], msg=name)

    def test_is_frozen(self):
        with self.assertRaises(dataclasses.FrozenInstanceError):
            TrainConfig().seed = 1

    def test_imports_no_tensorflow(self):
        # A command can then refuse a flag, or print its help, at once.
        program = (
            "import sys, pix2pix_tf.config; "
            "print(sorted({'tensorflow', 'keras', 'tensorflow_addons'} & set(sys.modules)))"
        )
        root = pathlib.Path(__file__).resolve().parents[1]
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
        )
        self.assertEqual(done.stdout.strip(), "[]")


class LoadSizeTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("32", 32, 36),
        ("64", 64, 72),
        ("128", 128, 143),
        ("256", 256, 286),
        ("512", 512, 572),
        ("1024", 1024, 1144),
    )
    def test_follows_from_the_crop_as_in_the_paper(self, crop_size, expected):
        load_size = TrainConfig(crop_size=crop_size).load_size
        self.assertEqual(load_size, expected)
        self.assertIs(type(load_size), int)

    @parameterized.named_parameters(("larger", 400), ("equal", 256))
    def test_is_kept_when_given(self, load_size):
        self.assertEqual(TrainConfig(load_size=load_size).load_size, load_size)

    def test_less_than_the_crop_is_refused(self):
        with self.assertRaisesRegex(
            errors.InputError,
            r"^load_size is 255, less than crop_size 256: .*\. Make load_size at least crop_size",
        ):
            TrainConfig(load_size=255)


class ColorSpaceTest(parameterized.TestCase):
    @parameterized.parameters((3, 3), (1, 2), (1, 3))
    def test_lab_sets_the_channels_of_the_network(self, input_channels, output_channels):
        settings = TrainConfig(
            color_space="lab", input_channels=input_channels, output_channels=output_channels
        )
        self.assertEqual((settings.input_channels, settings.output_channels), (1, 2))
        self.assertEqual((settings.input_file_channels, settings.output_file_channels), (3, 3))
        self.assertTrue(settings.makes_pictures)
        self.assertTrue(settings.has_encoded_signature)

    def test_rgb_leaves_the_channels_as_those_of_the_files(self):
        settings = TrainConfig(input_channels=1, output_channels=2)
        self.assertEqual((settings.input_file_channels, settings.output_file_channels), (1, 2))
        self.assertFalse(settings.has_encoded_signature)

    @parameterized.parameters(
        (dict(input_channels=4), "^color_space is lab, .* but input_channels is 4. Leave it out"),
        (dict(output_channels=1), "but output_channels is 1"),
        (dict(input_range="0,1"), "^input_range is '0,1', but color_space lab has a range"),
        (dict(output_range="0,1"), "^output_range is '0,1', but color_space lab has a range"),
    )
    def test_what_does_not_go_with_lab_is_refused(self, values, message):
        with self.assertRaisesRegex(errors.InputError, message):
            TrainConfig(color_space="lab", **values)


class ValuesTest(parameterized.TestCase):
    def test_other_values_are_for_every_field(self):
        self.assertEqual(set(_OTHER_VALUES), set(_FIELDS))
        for name, value in _OTHER_VALUES.items():
            self.assertNotEqual(value, getattr(TrainConfig(), name), msg=name)

    @parameterized.named_parameters(*((name, name, value) for name, value in _OTHER_VALUES.items()))
    def test_allowed_value_is_kept(self, name, value):
        if name == "decay_steps":
            self.assertEqual(TrainConfig(decay_steps=value, num_steps=value).decay_steps, value)
        else:
            self.assertEqual(getattr(TrainConfig(**{name: value}), name), value)

    @parameterized.named_parameters(
        ("string_for_int", "batch_size", "4", "'4'", "int"),
        ("float_for_int", "batch_size", 4.0, "4.0", "int"),
        ("bool_for_int", "batch_size", True, "True", "int"),
        ("bool_for_float", "lambda_l1", True, "True", "float"),
        ("string_for_float", "lambda_l1", "100", "'100'", "float"),
        ("int_for_bool", "mirror", 1, "1", "bool"),
        ("string_for_bool", "mirror", "true", "'true'", "bool"),
        ("int_for_string", "dataset", 3, "3", "str"),
        ("none_for_int", "seed", None, "None", "int"),
        ("list_for_choice", "receptive_field", [70], r"\[70\]", "int"),
        ("bool_for_choice", "input_channels", True, "True", "int"),
    )
    def test_wrong_type_is_refused(self, name, value, shown, kind):
        with self.assertRaisesRegex(
            errors.InputError, rf"^{name} is {shown}\. Give a value of type {kind}\.$"
        ):
            TrainConfig(**{name: value})

    def test_whole_number_is_a_float_too(self):
        self.assertEqual(TrainConfig(lambda_l1=10).lambda_l1, 10.0)

    @parameterized.named_parameters(
        ("direction", "direction", "BA", "'BA'", "AtoB, BtoA"),
        ("receptive_field", "receptive_field", 71, "71", "1, 16, 34, 70, 142, 286"),
        ("norm", "norm", "layer", "'layer'", "batch, instance, none"),
        ("gan_loss", "gan_loss", "wgan", "'wgan'", "vanilla, lsgan, hinge, none"),
        ("case", "generator", "UNet", "'UNet'", "unet, encoder_decoder"),
    )
    def test_value_that_is_no_choice_is_refused(self, name, value, shown, choices):
        with self.assertRaisesRegex(
            errors.InputError, rf"^{name} is {shown}\. Use one of {choices}\.$"
        ):
            TrainConfig(**{name: value})

    @parameterized.named_parameters(
        ("nan", "learning_rate", float("nan"), "from 0.0"),
        ("inf", "learning_rate", float("inf"), "from 0.0"),
        ("minus_inf", "lambda_l1", float("-inf"), "from 0.0"),
        ("negative", "lambda_gan", -1.0, "from 0.0"),
        ("nan_between_two", "dropout", float("nan"), "from 0.0 to 0.95"),
        ("one", "dropout", 1.0, "from 0.0 to 0.95"),
        ("beta", "adam_beta_1", 1.0, "from 0.0 to 0.9999"),
        ("no_steps", "num_steps", 0, "from 1"),
        ("no_batch", "batch_size", 0, "from 1"),
        ("negative_seed", "seed", -1, "from 0 to 2147483647"),
        ("large_seed", "seed", 2**31, "from 0 to 2147483647"),
        ("crop_under", "crop_size", 16, "from 32 to 1024"),
        ("crop_over", "crop_size", 2048, "from 32 to 1024"),
        ("load_over", "load_size", 8193, "from 0 to 8192"),
        ("load_negative", "load_size", -1, "from 0 to 8192"),
        ("no_channels", "input_channels", 0, "from 1 to 16"),
        ("many_channels", "output_channels", 17, "from 1 to 16"),
    )
    def test_value_out_of_range_is_refused(self, name, value, allowed):
        with self.assertRaisesRegex(
            errors.InputError, rf"^{name} is {value}\. Use a number {allowed}\.$"
        ):
            TrainConfig(**{name: value})

    @parameterized.named_parameters(
        *((name, name) for name, field in _FIELDS.items() if type(field.default) is float)
    )
    def test_no_number_that_is_not_finite_is_accepted(self, name):
        for value in (float("nan"), float("inf"), float("-inf")):
            with self.assertRaisesRegex(errors.InputError, f"^{name} is {value}"):
                TrainConfig(**{name: value})

    @parameterized.named_parameters(
        ("no_multiple", dict(crop_size=256, crop_width=384), "crop_width is 384 and crop_size 256"),
        ("smaller", dict(crop_size=64, crop_height=32), "crop_height is 32 and crop_size 64"),
        ("large", dict(crop_size=256, crop_height=8192), "crop_height is 8192 and crop_size 256"),
    )
    def test_a_side_of_the_crop_that_does_not_fit_is_refused(self, settings, shown):
        with self.assertRaisesRegex(
            errors.InputError, rf"^{shown}\. Use a multiple of crop_size up to 4096, or 0: "
        ):
            TrainConfig(**settings)

    @parameterized.named_parameters(
        ("one_number", "1"),
        ("three", "0,1,2"),
        ("words", "low,high"),
        ("empty", "1,1"),
        ("reversed", "1,0"),
        ("infinite", "0,inf"),
        ("nan", "nan,1"),
        ("comma", ","),
    )
    def test_a_text_that_is_no_range_is_refused(self, text):
        for name in ("input_range", "output_range"):
            with self.assertRaisesRegex(
                errors.InputError, rf"^{name} is '{text}'\. Give the lowest and the highest value "
            ):
                TrainConfig(**{name: text})

    @parameterized.named_parameters(("96", 96), ("255", 255), ("1000", 1000))
    def test_crop_size_that_is_no_power_of_two_is_refused(self, crop_size):
        with self.assertRaisesRegex(
            errors.InputError,
            rf"^crop_size is {crop_size}\. Use a power of two from 32 to 1024: ",
        ):
            TrainConfig(crop_size=crop_size)

    @parameterized.named_parameters(
        ("142", 142, 32, 64), ("286", 286, 64, 128), ("286_at_32", 286, 32, 128)
    )
    def test_crop_without_a_logit_is_refused(self, receptive_field, crop_size, smallest):
        with self.assertRaisesRegex(
            errors.InputError,
            rf"^crop_size is {crop_size}, too small for receptive_field {receptive_field}: .* "
            rf"Use a crop_size of {smallest} or more",
        ):
            TrainConfig(receptive_field=receptive_field, crop_size=crop_size)
        TrainConfig(receptive_field=receptive_field, crop_size=smallest)
        # Without a discriminator its field does not matter.
        TrainConfig(receptive_field=receptive_field, crop_size=crop_size, gan_loss="none")

    @parameterized.named_parameters(("1", 1), ("16", 16), ("34", 34), ("70", 70))
    def test_smaller_fields_fit_every_crop(self, receptive_field):
        self.assertEqual(TrainConfig(receptive_field=receptive_field, crop_size=32).crop_size, 32)

    @parameterized.named_parameters(
        ("gan_loss_none", {"gan_loss": "none"}), ("lambda_gan_0", {"lambda_gan": 0.0})
    )
    def test_no_objective_is_refused(self, without_gan):
        with self.assertRaisesRegex(
            errors.InputError, r"^The generator has no objective: .* Give one of them a weight\.$"
        ):
            TrainConfig(lambda_l1=0.0, lambda_l2=0.0, **without_gan)
        # Each of the others is one.
        TrainConfig(lambda_l1=1.0, lambda_l2=0.0, **without_gan)
        TrainConfig(lambda_l1=0.0, lambda_l2=1.0, **without_gan)
        TrainConfig(lambda_l1=0.0, lambda_l2=0.0)

    @parameterized.named_parameters(
        ("default", {}, True),
        ("small", {"lambda_gan": 0.01}, True),
        ("gan_loss_none", {"gan_loss": "none"}, False),
        ("lambda_gan_0", {"lambda_gan": 0.0}, False),
    )
    def test_uses_gan(self, values, expected):
        self.assertEqual(TrainConfig(**values).uses_gan, expected)

    def test_decay_longer_than_the_run_is_refused(self):
        with self.assertRaisesRegex(
            errors.InputError, r"^decay_steps is 11, more than num_steps 10\. .* at most num_steps"
        ):
            TrainConfig(num_steps=10, decay_steps=11)
        self.assertEqual(TrainConfig(num_steps=10, decay_steps=10).decay_steps, 10)

    def test_steps_to_profile(self):
        self.assertIsNone(config.first_and_last_step(TrainConfig().profile_steps))
        self.assertEqual(config.first_and_last_step("10-12"), (10, 12))
        self.assertEqual(config.first_and_last_step("3-3"), (3, 3))
        for value in ("3", "4-3", "0-2", "-1-2", "1-2-3", "a-b", "1 - 2", "1-2\n", "-"):
            with self.assertRaisesRegex(
                errors.InputError, "^profile_steps is '.*Give the first and the last .* as 10-12"
            ):
                TrainConfig(profile_steps=value)


class FileTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def _write(self, text: str) -> None:
        (self.folder / "config.json").write_text(text, encoding="utf-8")

    @parameterized.named_parameters(
        ("defaults", {}),
        ("others", _TOGETHER),
        ("not_ascii", {"dataset": "Straßen/道路", "data_dir": 'a "b" \\c'}),
    )
    def test_load_gives_what_was_saved(self, values):
        saved = TrainConfig(**values)
        saved.save(self.folder)
        self.assertEqual(TrainConfig.load(self.folder), saved)
        self.assertEqual(TrainConfig.load(str(self.folder)), saved)

    def test_file_has_every_field_with_its_resolved_value(self):
        TrainConfig(crop_size=128).save(self.folder)
        values = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        self.assertEqual(set(values), set(_FIELDS))
        self.assertEqual((values["crop_size"], values["load_size"]), (128, 143))

    def test_absent_fields_take_their_default(self):
        self._write('{"seed": 3}')
        self.assertEqual(TrainConfig.load(self.folder), TrainConfig(seed=3))

    def test_missing_file_is_named(self):
        with self.assertRaisesRegex(
            errors.MissingInputError, rf"^No config.json in '{self.folder}', .*Pass the --workdir"
        ):
            TrainConfig.load(self.folder)
        with self.assertRaises(FileNotFoundError):
            TrainConfig.load(self.folder / "nowhere")

    @parameterized.named_parameters(("cut", '{"seed": 3'), ("empty", ""), ("text", "seed: 3"))
    def test_file_that_is_no_json_is_named(self, text):
        self._write(text)
        with self.assertRaisesRegex(
            errors.InputError,
            r"^'.*config\.json' is not JSON \(.*\)\. Restore it, or train anew\.$",
        ):
            TrainConfig.load(self.folder)

    def test_file_that_is_no_text_is_named(self):
        (self.folder / "config.json").write_bytes(b"\xff\xfe{")
        with self.assertRaisesRegex(errors.InputError, r"config\.json' is not JSON"):
            TrainConfig.load(self.folder)

    @parameterized.named_parameters(("list", "[]"), ("number", "3"), ("null", "null"))
    def test_json_without_settings_is_refused(self, text):
        self._write(text)
        with self.assertRaisesRegex(
            errors.InputError, r"config\.json' is not a JSON object of settings\. Restore it"
        ):
            TrainConfig.load(self.folder)

    @parameterized.named_parameters(
        ("lambda", "lamda_l1", "'lambda_l1'"),
        ("plural", "num_step", "'num_steps'"),
        ("old", "crop", "'crop_size'"),
    )
    def test_unknown_field_gets_a_suggestion(self, name, suggestion):
        with self.assertRaisesRegex(
            errors.InputError,
            rf"^There is no setting '{name}'\. Did you mean {suggestion}\? See train --help",
        ):
            TrainConfig.from_dict({"seed": 1, name: 1})

    def test_unknown_field_unlike_any_gets_none(self):
        with self.assertRaisesRegex(
            errors.InputError, r"^There is no setting 'xyz'\. See train --help for all\.$"
        ):
            TrainConfig.from_dict({"xyz": 1})

    @parameterized.named_parameters(
        ("type", '{"seed": "3"}', "^seed is '3'"),
        ("nan", '{"lambda_l1": NaN}', "^lambda_l1 is nan"),
        ("choice", '{"norm": "layer"}', "^norm is 'layer'"),
    )
    def test_values_of_a_file_are_checked(self, text, message):
        self._write(text)
        with self.assertRaisesRegex(errors.InputError, message):
            TrainConfig.load(self.folder)


class CheckResumableTest(parameterized.TestCase):
    def test_same_settings_are_accepted(self):
        config.check_resumable(TrainConfig(), TrainConfig())
        config.check_resumable(TrainConfig(**_TOGETHER), TrainConfig(**_TOGETHER))

    def test_size_of_the_jitter_given_or_resolved_is_the_same(self):
        config.check_resumable(TrainConfig(), TrainConfig(load_size=286))

    @parameterized.named_parameters(*((name, name) for name in _MAY_CHANGE))
    def test_may_change(self, name):
        config.check_resumable(TrainConfig(), TrainConfig(**{name: _OTHER_VALUES[name]}))

    @parameterized.named_parameters(
        *(
            (name, name)
            for name in _FIELDS
            # These two change other fields as well.
            if name not in (*_MAY_CHANGE, "crop_size", "color_space")
        )
    )
    def test_may_not_change(self, name):
        saved = TrainConfig(num_steps=1000)
        asked = TrainConfig(**{"num_steps": 1000, name: _OTHER_VALUES[name]})
        was, now = getattr(saved, name), _OTHER_VALUES[name]
        with self.assertRaises(errors.InputError) as raised:
            config.check_resumable(saved, asked)
        # This field and no other.
        self.assertStartsWith(
            str(raised.exception),
            "This run cannot be continued with other settings: "
            f"{name} (was {was!r}, now {now!r}). Use the settings of its config.json",
        )

    def test_all_differences_are_named(self):
        saved = TrainConfig(load_size=300, seed=1, norm="batch")
        asked = TrainConfig(load_size=300, crop_size=128, seed=2, norm="instance", log_every=1)
        with self.assertRaises(errors.InputError) as raised:
            config.check_resumable(saved, asked)
        message = str(raised.exception)
        self.assertIn("crop_size (was 256, now 128)", message)
        self.assertIn("norm (was 'batch', now 'instance')", message)
        self.assertIn("seed (was 1, now 2)", message)
        self.assertNotIn("log_every", message)
        self.assertNotIn("load_size", message)

    def test_colour_space_may_not_change(self):
        with self.assertRaisesRegex(errors.InputError, r"color_space \(was 'rgb', now 'lab'\)"):
            config.check_resumable(TrainConfig(), TrainConfig(color_space="lab"))

    def test_length_may_not_change_under_a_decay(self):
        # The rate has its end there: with another the run would be another.
        saved = TrainConfig(num_steps=100, decay_steps=50)
        with self.assertRaisesRegex(
            errors.InputError, r"num_steps \(was 100, now 200: the linear decay ends there\)"
        ):
            config.check_resumable(saved, TrainConfig(num_steps=200, decay_steps=50))
        config.check_resumable(saved, TrainConfig(num_steps=100, decay_steps=50, log_every=1))


if __name__ == "__main__":
    unittest.main()
