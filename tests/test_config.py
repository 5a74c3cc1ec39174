"""Tests of the configuration: the paper's values, what is refused, and what may change later."""

from __future__ import annotations

import dataclasses
import inspect
import json
import pathlib
import re
import tempfile

from absl.testing import parameterized
from refusals import refused

from pix2pix_tf import config, losses
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.models import discriminator, layers

_FIELDS = {field.name: field for field in dataclasses.fields(TrainConfig)}

# A value for each field that is allowed and not the default.
_OTHER_VALUES = dict(
    dataset="facades",
    data_dir="sets",
    direction="BtoA",
    load_size=300,
    crop_size=128,
    mirror=False,
    vertical_flip=True,
    rotate90=True,
    input_jitter=0.2,
    classes="targets",
    input_channels=1,
    output_channels=4,
    color_space="lab",
    cache_megabytes=0,
    check_data=False,
    generator="encoder_decoder",
    discriminator="mine",
    upsampling="resize",
    base_filters=32,
    receptive_field=34,
    norm="instance",
    bottleneck_norm=True,
    spectral_norm=True,
    dropout=0.25,
    dropout_blocks="2,3",
    unnormalized_bias=True,
    conditional=False,
    init_from="houses",
    gan_loss="hinge",
    lambda_gan=0.1,
    lambda_l1=1 / 3,
    lambda_l2=10.0,
    extra_terms="perceptual=10,gradient=0.5",
    batch_size=4,
    accumulate=2,
    update_order="simultaneous",
    num_steps=1000,
    learning_rate=1e-5,
    adam_beta_1=0.0,
    adam_beta_2=0.9,
    decay_steps=500,
    ema_decay=0.5,
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
    jit_compile=True,
    steps_per_call=3,
    crop_height=512,
    crop_width=512,
    input_range="0,1",
    output_range="-40,85.5",
)
# Those that go with each other, also for the flags: lab has ranges of its own.
TOGETHER = {**_OTHER_VALUES, "color_space": "rgb"}

_NO_GAN, _NO_WEIGHT = dict(gan_loss="none"), dict(lambda_gan=0.0)

_MAY_CHANGE = (
    "data_dir num_steps cache_megabytes check_data strategy log_every sample_every num_samples "
    "checkpoint_every keep_checkpoints best_metric classes num_evaluated jit_compile "
    "steps_per_call"
).split()


class DerivedTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("square", {}, (256, 256), (286, 286)),
        ("wide", dict(crop_width=512), (256, 512), (286, 572)),
        ("tall", dict(crop_size=64, crop_height=192, load_size=64), (192, 64), (192, 64)),
        ("rounded", dict(crop_size=128), (128, 128), (143, 143)),
    )
    def test_shapes(self, settings, crop_shape, load_shape):
        config = TrainConfig(**settings)
        self.assertEqual(config.crop_shape, crop_shape)
        self.assertEqual(config.load_shape, load_shape)
        self.assertIs(type(config.load_size), int)

    def test_jitter_that_goes_wrong_with_other_settings(self):
        with refused("rotate90", "512x256"):
            TrainConfig(rotate90=True, crop_width=512)
        with refused("input_jitter", "0.2", "lab"):
            TrainConfig(input_jitter=0.2, color_space="lab")
        for settings in (dict(output_channels=5), dict(color_space="lab")):
            with refused("classes", "'facades'", "colours of pictures"):
                TrainConfig(classes="facades", **settings)

    @parameterized.parameters("", "0", "1,1", "5", "1;2", "a")
    def test_dropout_blocks_that_are_not_there(self, blocks):
        with refused("dropout_blocks", repr(blocks), "1 to 4"):
            TrainConfig(crop_size=32, dropout_blocks=blocks)
        self.assertEqual(TrainConfig(dropout_blocks="3,1").dropout_block_numbers, (1, 3))

    @parameterized.named_parameters(
        ("none", "", "uint8"),
        ("8_bits", "0,255", "uint8"),
        ("12_bits", "0,4095", "uint16"),
        ("16_bits", "0,65535", "uint16"),
        ("negative", "-1,255", "float32"),
        ("more_than_16_bits", "0,65536", "float32"),
    )
    def test_type_of_outputs(self, output_range, dtype):
        self.assertEqual(TrainConfig(output_range=output_range).output_dtype, dtype)

    @parameterized.named_parameters(
        ("default", {}, True),
        ("alpha", dict(input_channels=4, output_channels=1), True),
        ("two_out", dict(output_channels=2), False),
        ("range_in", dict(input_range="0,4095"), False),
        ("float_out", dict(output_range="0,1"), False),
        ("lab", dict(color_space="lab"), True),
    )
    def test_signature_of_files(self, settings, expected):
        self.assertEqual(TrainConfig(**settings).has_encoded_signature, expected)

    @parameterized.parameters((3, 3), (1, 2), (1, 3))
    def test_lab_sets_the_channels_of_the_network(self, input_channels, output_channels):
        settings = dict(input_channels=input_channels, output_channels=output_channels)
        lab, rgb = (TrainConfig(color_space=space, **settings) for space in ("lab", "rgb"))
        self.assertEqual((lab.input_channels, lab.output_channels), (1, 2))
        self.assertEqual((lab.input_file_channels, lab.output_file_channels), (3, 3))
        self.assertTrue(lab.makes_pictures)
        self.assertEqual(rgb.input_file_channels, input_channels)
        self.assertEqual(rgb.output_file_channels, output_channels)


class DefaultsTest(parameterized.TestCase):
    def test_are_the_papers(self):
        papers = dict(
            load_size=286,
            crop_size=256,
            mirror=True,
            input_channels=3,
            output_channels=3,
            generator="unet",
            base_filters=64,
            receptive_field=70,
            norm="batch",
            bottleneck_norm=False,  # The authors' code, not the paper's text: see the erratum.
            spectral_norm=False,
            dropout=0.5,
            conditional=True,
            gan_loss="vanilla",
            lambda_gan=1.0,
            lambda_l1=100.0,
            lambda_l2=0.0,
            batch_size=1,
            num_steps=80_000,  # 200 epochs of the 400 pairs of facades.
            learning_rate=2e-4,
            adam_beta_1=0.5,
            adam_beta_2=0.999,
            decay_steps=0,
        )
        for name, expected in papers.items():
            value = getattr(TrainConfig(), name)
            self.assertEqual((name, type(value), value), (name, type(expected), expected))
        # It runs without any data.
        self.assertEqual(TrainConfig().dataset, "demo")

    @parameterized.parameters(
        ("receptive_field", discriminator.RECEPTIVE_FIELDS),
        ("norm", layers.NORMS),
        ("gan_loss", (*losses.GAN_LOSSES, "none")),
    )
    def test_choices_are_those_of_the_networks(self, name, choices):
        """The configuration loads no TensorFlow, so it repeats them."""
        self.assertEqual(_FIELDS[name].metadata["choices"], choices)

    def test_help_and_choices_of_every_field(self):
        for name, field in _FIELDS.items():
            self.assertRegex(field.metadata["help"], r"^['A-Z0-9].*\.$", msg=name)
            if field.metadata["choices"]:
                self.assertIn(field.default, field.metadata["choices"], msg=name)

    def test_every_field_is_read_somewhere(self):
        # Some are read through a property, such as crop_shape.
        properties = [x.fget for x in vars(TrainConfig).values() if isinstance(x, property)]
        texts = [inspect.getsource(x).replace("self.", "config.") for x in properties]
        paths = pathlib.Path(config.__file__).parent.rglob("*.py")
        texts += [path.read_text(encoding="utf-8") for path in paths if path.name != "config.py"]
        read = {name for text in texts for name in re.findall(r"config\.(\w+)", text)}
        self.assertContainsSubset(_FIELDS, read)


class ValuesTest(parameterized.TestCase):
    def test_allowed_values_are_kept(self):
        self.assertEqual(set(_OTHER_VALUES), set(_FIELDS))
        for name, value in _OTHER_VALUES.items():
            self.assertNotEqual(value, getattr(TrainConfig(), name), msg=name)
            settings = {"num_steps": 1000, name: value}
            self.assertEqual(getattr(TrainConfig(**settings), name), value, msg=name)
        # A whole number is a float too, and ends may meet.
        self.assertEqual(TrainConfig(lambda_l1=10).lambda_l1, 10.0)
        self.assertEqual(TrainConfig(num_steps=10, decay_steps=10).decay_steps, 10)
        for receptive_field in (1, 16, 34, 70):
            TrainConfig(receptive_field=receptive_field, crop_size=32)

    @parameterized.parameters(
        # Of another type.
        ("batch_size", "4", "int"),
        ("batch_size", True, "int"),
        ("lambda_l1", True, "float"),
        ("mirror", 1, "bool"),
        ("dataset", 3, "str"),
        ("receptive_field", [70], "int"),
        # No choice.
        ("direction", "BA", "AtoB, BtoA"),
        ("receptive_field", 71, "1, 16, 34, 70, 142, 286"),
        # Out of range.
        ("lambda_gan", -1.0, "from 0.0"),
        ("dropout", 1.0, "from 0.0 to 0.95"),
        ("adam_beta_1", 1.0, "from 0.0 to 0.9999"),
        ("num_steps", 0, "from 1"),
        ("seed", 2**31, "from 0 to 2147483647"),
        ("crop_size", 16, "from 32 to 1024"),
        ("crop_size", 2048, "from 32 to 1024"),
        ("crop_size", 96, "power of two from 32 to 1024"),
        ("load_size", 8193, "from 0 to 8192"),
        ("input_channels", 0, "from 1 to 16"),
    )
    def test_a_value_that_cannot_be(self, name, value, allowed):
        with refused(f"{name} is {value!r}", allowed):
            TrainConfig(**{name: value})

    def test_no_number_that_is_not_finite(self):
        for name in [name for name, field in _FIELDS.items() if type(field.default) is float]:
            for value in (float("nan"), float("inf"), float("-inf")):
                with refused(f"{name} is {value}"):
                    TrainConfig(**{name: value})

    @parameterized.parameters("1", "0,1,2", "low,high", "1,1", "1,0", "0,inf", "nan,1", ",")
    def test_a_text_that_is_no_range(self, text):
        for name in ("input_range", "output_range"):
            with refused(f"{name} is '{text}'"):
                TrainConfig(**{name: text})

    @parameterized.parameters("a", "a=", "a=b", "=1", "a=0", "a=-1", "a=nan", "a=inf", "a=1 b=2")
    def test_a_text_that_holds_no_weights(self, text):
        with refused(f"extra_terms is {text!r}", "perceptual=10"):
            TrainConfig(extra_terms=text)

    def test_weights_of_extra_terms(self):
        self.assertEqual(TrainConfig().extra_weights, {})
        found = TrainConfig(extra_terms="a=10, b_2=0.5,").extra_weights
        self.assertEqual(found, {"a": 10.0, "b_2": 0.5})

    @parameterized.parameters(
        (dict(load_size=255), ("load_size is 255", "crop_size 256")),
        (dict(num_steps=10, decay_steps=11), ("decay_steps is 11", "num_steps 10")),
        (dict(crop_width=384), ("crop_width is 384", "crop_size 256")),
        (dict(crop_size=64, crop_height=32), ("crop_height is 32", "crop_size 64")),
        (dict(crop_height=8192), ("crop_height is 8192", "4096")),
        (dict(color_space="lab", input_channels=4), ("color_space", "input_channels is 4")),
        (dict(color_space="lab", output_channels=1), ("color_space", "output_channels is 1")),
        (dict(color_space="lab", input_range="0,1"), ("input_range is '0,1'", "lab")),
        (dict(color_space="lab", output_range="0,1"), ("output_range is '0,1'", "lab")),
    )
    def test_values_that_do_not_go_together(self, settings, shown):
        with refused(*shown):
            TrainConfig(**settings)

    @parameterized.parameters((142, 32, 64), (286, 64, 128), (286, 32, 128))
    def test_crop_without_a_logit_is_refused(self, receptive_field, crop_size, smallest):
        settings = dict(receptive_field=receptive_field, crop_size=crop_size)
        with refused(f"crop_size is {crop_size}", f"receptive_field {receptive_field}", smallest):
            TrainConfig(**settings)
        TrainConfig(receptive_field=receptive_field, crop_size=smallest)
        # Without a discriminator its field does not matter.
        TrainConfig(**settings, gan_loss="none")

    @parameterized.parameters(_NO_GAN, _NO_WEIGHT)
    def test_no_objective_is_refused(self, **without_gan):
        with refused("objective", "gan_loss", "lambda_gan", "lambda_l1", "lambda_l2"):
            TrainConfig(lambda_l1=0.0, lambda_l2=0.0, **without_gan)
        # Each of the others is one.
        TrainConfig(lambda_l1=1.0, lambda_l2=0.0, **without_gan)
        TrainConfig(lambda_l1=0.0, lambda_l2=1.0, **without_gan)
        TrainConfig(lambda_l1=0.0, extra_terms="a=1", **without_gan)
        TrainConfig(lambda_l1=0.0, lambda_l2=0.0)


class FileTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        self.path = self.folder / "config.json"

    @parameterized.named_parameters(
        ("defaults", {}),
        ("others", TOGETHER),
        ("not_ascii", {"dataset": "Straßen/道路", "data_dir": 'a "b" \\c'}),
    )
    def test_load_gives_what_was_saved(self, values):
        saved = TrainConfig(**values)
        saved.save(self.folder)
        self.assertEqual(TrainConfig.load(self.folder), saved)
        self.assertEqual(TrainConfig.load(str(self.folder)), saved)

    def test_file_has_every_field_with_its_resolved_value(self):
        TrainConfig(crop_size=128).save(self.folder)
        values = json.loads(self.path.read_text(encoding="utf-8"))
        self.assertEqual(set(values), set(_FIELDS))
        self.assertEqual((values["crop_size"], values["load_size"]), (128, 143))

    def test_absent_fields_take_their_default(self):
        self.path.write_text('{"seed": 3}')
        # But for what earlier versions did otherwise, which did not write it.
        self.assertEqual(TrainConfig.load(self.folder), TrainConfig(seed=3, ema_decay=0.0))

    @parameterized.parameters(
        (b'{"seed": 3', "config.json", "JSON"),
        (b"", "config.json", "JSON"),
        (b"\xff\xfe{", "config.json", "JSON"),
        (b"[]", "config.json", "JSON object"),
        (b'{"seed": "3"}', "seed is '3'"),
        (b'{"lambda_l1": NaN}', "lambda_l1 is nan"),
        (b'{"norm": "layer"}', "norm is 'layer'"),
        (b'{"xyz": 1}', "'xyz'"),
    )
    def test_a_file_that_holds_no_settings(self, contents, *shown):
        self.path.write_bytes(contents)
        with refused(*shown):
            TrainConfig.load(self.folder)


class CheckResumableTest(parameterized.TestCase):
    def test_what_may_change_and_what_may_not(self):
        # These two change other fields as well.
        for name in set(_FIELDS) - {"crop_size", "color_space"}:
            saved = TrainConfig(num_steps=2000)
            asked = TrainConfig(**{"num_steps": 2000, name: _OTHER_VALUES[name]})
            if name in _MAY_CHANGE:
                config.check_resumable(saved, asked)
                continue
            was, now = getattr(saved, name), _OTHER_VALUES[name]
            with refused(f"{name} (was {was!r}, now {now!r})", "config.json") as caught:
                config.check_resumable(saved, asked)
            self.assertEqual(str(caught.value).count("(was "), 1)  # This one and no other.

    def test_all_differences_are_named(self):
        saved = TrainConfig(load_size=300, seed=1, norm="batch")
        asked = TrainConfig(load_size=300, crop_size=128, seed=2, norm="instance", log_every=1)
        shown = ("crop_size (was 256, now 128)", "norm (was 'batch', now 'instance')", "seed (was")
        with refused(*shown) as caught:
            config.check_resumable(saved, asked)
        self.assertEqual(str(caught.value).count("(was "), 3)
        with refused("color_space (was 'rgb', now 'lab')"):
            config.check_resumable(TrainConfig(), TrainConfig(color_space="lab"))

    def test_length_may_not_change_under_a_decay(self):
        # The rate has its end there: with another the run would be another.
        saved = TrainConfig(num_steps=100, decay_steps=50)
        with refused("num_steps (was 100, now 200"):
            config.check_resumable(saved, TrainConfig(num_steps=200, decay_steps=50))
        config.check_resumable(saved, TrainConfig(num_steps=100, decay_steps=50, log_every=1))
