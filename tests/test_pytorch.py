"""Tests of models of the authors' PyTorch code: imported, compared, and written back.

`golden/make_pytorch.py` made the models with PyTorch, which is not needed here.
"""

from __future__ import annotations

import io
import os
import pathlib
import pickle
import struct
import time
import zipfile

import command_line
import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized
from refusals import refused

from export import pytorch
from pix2pix_tf import import_pytorch, networks, run_folder
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError
from pix2pix_tf.inference import translator
from pix2pix_tf.pytorch import networks as foreign
from pix2pix_tf.pytorch import torch_file

_GOLDEN = pathlib.Path(__file__).resolve().parent / "golden"
_NORMS = ("batch", "instance", "affine", "none")
_EVERY = 4  # Pixels, of which the expected outputs have one.
_NUM_DRAWS = 64


def golden(norm: str, network: str = "G") -> pathlib.Path:
    return _GOLDEN / f"pytorch_{norm}_{network}.pth"


def random_image(channels: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (64, 64, channels)).astype(np.float32)


def thinned(image) -> np.ndarray:
    return np.asarray(image)[::_EVERY, ::_EVERY]


class GoldenTest(tf.test.TestCase, parameterized.TestCase):
    """What PyTorch makes of an image, and what is made of it here."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tiny_runs.temporary_folder(cls)
        with np.load(_GOLDEN / "pytorch_expected.npz") as arrays:
            cls.expected = dict(arrays)
        cls.configs = {
            norm: import_pytorch.import_model(
                golden(norm),
                cls.folder / norm,
                discriminator=golden(norm, "D"),
                dropout=0.5 if norm == "batch" else 0.0,
            )
            for norm in _NORMS
        }

    @parameterized.parameters("instance", "affine", "none")
    def test_the_same_picture(self, norm):
        output = thinned(translator.load(self.folder / norm)(random_image(1)))
        self.assertGreater(output.std(), 0.01)
        self.assertAllClose(output, self.expected[f"{norm}_mean"], atol=1e-5)

    def test_dropout_has_the_same_distribution(self):
        translate = translator.load(self.folder / "batch")
        draws = [thinned(translate(random_image(1), sample=n)) for n in range(_NUM_DRAWS)]
        mean, deviation = (self.expected[f"batch_{name}"] for name in ("mean", "deviation"))
        noisy = deviation > 0.005  # Elsewhere nothing is left of the noise.
        self.assertGreater(noisy.mean(), 0.5)
        # Of both means, of 64 and 256 draws.
        error = deviation * np.sqrt(1 / _NUM_DRAWS + 1 / 256)
        distance = np.abs(np.mean(draws, axis=0) - mean)[noisy] / error[noisy]
        self.assertBetween(distance.mean(), 0.6, 1.0)  # sqrt(2 / pi) of a normal distribution.
        ratio = np.std(draws, axis=0)[noisy] / deviation[noisy]
        self.assertAllClose(ratio.mean(), 1.0, atol=0.05)

    @parameterized.parameters(*_NORMS)
    def test_the_same_logits(self, norm):
        config = self.configs[norm]
        model = networks.build_discriminator(config)
        networks.load_weights(model, self.folder / norm / run_folder.DISCRIMINATOR_WEIGHTS)
        seen = random_image(config.output_channels + config.conditional)
        logits = thinned(model(seen[np.newaxis], training=True)[0])
        self.assertAllClose(logits, self.expected[f"{norm}_logits"], atol=1e-5)

    @parameterized.parameters("batch", "affine")
    def test_running_statistics(self, norm):
        output = self.folder / f"{norm}_running"
        import_pytorch.import_model(golden(norm), output, running=True)
        picture = thinned(translator.load(output)(random_image(1)))
        self.assertAllClose(picture, self.expected[f"{norm}_eval"], atol=1e-5)
        self.assertNotAllClose(picture, self.expected[f"{norm}_mean"], atol=1e-2)

    def test_settings(self):
        found = {
            norm: (x.norm, x.dropout, x.receptive_field, x.conditional, x.unnormalized_bias)
            for norm, x in self.configs.items()
        }
        expected = dict(
            batch=("batch", 0.5, 70, True, False),
            instance=("instance", 0.0, 1, True, True),
            affine=("instance", 0.0, 34, True, True),
            none=("none", 0.0, 34, False, False),
        )
        self.assertEqual(found, expected)
        config = self.configs["batch"]
        self.assertEqual((config.crop_size, config.base_filters), (64, 1))
        self.assertEqual((config.input_channels, config.output_channels), (1, 6))
        self.assertEqual(config.dropout_blocks, "2")

    @parameterized.parameters(*_NORMS)
    def test_there_and_back(self, norm):
        there = [self.folder / f"{norm}_{network}.pth" for network in "GD"]
        is_conditional = self.configs[norm].conditional
        if not is_conditional:
            with refused("conditional"):
                pytorch.write(self.folder / norm, there[0], discriminator=there[1])
        pytorch.write(
            self.folder / norm, there[0], discriminator=there[1] if is_conditional else ""
        )
        back = self.folder / f"{norm}_back"
        again = import_pytorch.import_model(
            there[0],
            back,
            discriminator=there[1] if is_conditional else golden(norm, "D"),
            dropout=self.configs[norm].dropout,
            dataset=self.configs[norm].dataset,
        )
        self.assertEqual(again, self.configs[norm])
        for name in (run_folder.GENERATOR_WEIGHTS, run_folder.DISCRIMINATOR_WEIGHTS):
            build = networks.build_generator if "gen" in name else networks.build_discriminator
            models = [build(again), build(again)]
            for model, folder in zip(models, (self.folder / norm, back)):
                networks.load_weights(model, folder / name)
            self.assertAllEqual(
                *(np.concatenate([x.ravel() for x in m.get_weights()]) for m in models)
            )
        if norm in ("batch", "instance"):  # The other two are not as that code makes them.
            names = [torch_file.read_state_dict(x) for x in (there[0], golden(norm))]
            self.assertEqual(
                {name: array.shape for name, array in names[0].items()},
                {name.removeprefix("module."): x.shape for name, x in names[1].items()},
            )


class CommandTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.output = tiny_runs.temporary_folder(self) / "run"

    def test_import_and_export(self):
        flags = (f"--weights={golden('batch')}", f"--output={self.output}", "--direction=BtoA")
        result = command_line.run(import_pytorch, *flags)
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertIn("64x64", result.stdout)
        self.assertEqual(translator.load(self.output).config.direction, "BtoA")
        result = command_line.run(import_pytorch, *flags)
        result.check_refused(self.output)  # It is there already.
        target = self.output.parent / "G.pth"
        result = command_line.run(pytorch, f"--workdir={self.output}", f"--output={target}")
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertIn(
            "--netG=unet_64 --ngf=1 --input_nc=1 --output_nc=6 --norm=batch", result.stdout
        )

    def test_instance_norm_with_scales_is_written_as_batch_norm(self):
        run, target = self.output.parent / "own", self.output.parent / "G.pth"
        config = tiny_runs.write_run(run, norm="instance")
        self.assertEqual(pytorch.write(run, target), (config, "batch"))
        again = import_pytorch.import_model(target, self.output)
        self.assertEqual(again.norm, "batch")
        weights = [
            networks.read_generator_weights(x, folder / run_folder.GENERATOR_WEIGHTS)
            for x, folder in ((config, run), (again, self.output))
        ]
        for ours, theirs in zip(*weights):
            self.assertAllEqual(ours, theirs)

    def test_what_that_code_does_not_have(self):
        for settings in (dict(generator="encoder_decoder"), dict(bottleneck_norm=True)):
            (name, value), run = *settings.items(), self.output.parent / next(iter(settings))
            tiny_runs.write_run(run, **settings)
            with refused(name, value):
                pytorch.write(run, self.output)


class RefusalTest(tf.test.TestCase, parameterized.TestCase):
    """Files that are not what they should be."""

    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.path = self.folder / "latest_net_G.pth"

    def write_zip(self, pickled: bytes, **options) -> None:
        with zipfile.ZipFile(self.path, "w", **options) as archive:
            archive.writestr("archive/data.pkl", pickled)

    def import_arrays(self, arrays: dict, **options):
        self.path.write_bytes(torch_file.state_dict_file(arrays))
        return import_pytorch.import_model(self.path, self.folder / "run", **options)

    @parameterized.parameters("new", "old")
    def test_nothing_in_a_file_is_run(self, form):
        mark = self.folder / "mark"

        class Hostile:
            def __reduce__(self):
                return os.system, (f"touch {mark}",)

        if form == "new":
            self.write_zip(pickle.dumps({"weight": Hostile()}, protocol=2))
        else:
            begin = (0x1950A86A20F9469CFC6C, 1001, dict(little_endian=True))
            parts = [pickle.dumps(x, protocol=2) for x in (*begin, {"weight": Hostile()})]
            self.path.write_bytes(b"".join(parts))
        with refused(self.path, "system", "torch.save"):
            torch_file.read_state_dict(self.path)
        self.assertFalse(mark.exists())

    @parameterized.parameters(
        b"cos\nsystem\n(X\x04\x00\x00\x00truetR.",
        b"cbuiltins\neval\n(X\x01\x00\x00\x001tR.",
        b"ctorch._utils\n_rebuild_qtensor\n.",
        b"ctorch\nload\n.",
        b"ccollections\nCounter\n.",
    )
    def test_foreign_names(self, pickled):
        self.write_zip(pickled)
        module, name = pickled[1:].split(b"\n")[:2]
        with refused(f"{module.decode()}.{name.decode()}"):
            torch_file.read_state_dict(self.path)

    @parameterized.product(norm=("batch", "instance"), share=(0.0, 0.01, 0.3, 0.9, 0.999))
    def test_cut_short(self, norm, share):
        contents = golden(norm).read_bytes()
        self.path.write_bytes(contents[: int(share * len(contents))])
        with refused(self.path):
            torch_file.read_state_dict(self.path)

    @parameterized.parameters("batch", "instance")
    def test_flipped_bytes_end_in_a_line(self, norm):
        contents = golden(norm).read_bytes()
        random = np.random.default_rng(0)
        num_refused = 0
        for place in random.integers(0, 4000, 200):
            flipped = bytearray(contents)
            flipped[place] ^= 1 << random.integers(8)
            self.path.write_bytes(flipped)
            try:
                torch_file.read_state_dict(self.path)
            except InputError:
                num_refused += 1
        self.assertGreater(num_refused, 20)

    def test_sizes_that_are_lies(self):
        large = 2**31 - 1
        contents = golden("batch").read_bytes()
        with zipfile.ZipFile(io.BytesIO(contents)) as archive:
            pickled = archive.read(next(x for x in archive.namelist() if x.endswith("data.pkl")))
        number = b"J" + struct.pack("<i", large)
        for old in (b"K\x10", b"M\x00\x01"):  # Of storages, shapes and strides.
            self.assertIn(old, pickled)
            with (
                zipfile.ZipFile(self.path, "w") as archive,
                zipfile.ZipFile(io.BytesIO(contents)) as source,
            ):
                for name in source.namelist():
                    data = source.read(name)
                    archive.writestr(
                        name, data.replace(old, number) if "data.pkl" in name else data
                    )
            with refused(self.path):
                torch_file.read_state_dict(self.path)

    @parameterized.parameters(
        # The state that BUILD gives is for dicts, and is passed over.
        b"ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00aK\x01sb.",
        # Tuples in tuples, whose hash would go as deep.
        b"}" + b")" + 100_000 * b"\x85" + b"K\x01s.",
        b"(X\x07\x00\x00\x00storage" + b")" + 100_000 * b"\x85" + b"K\x00K\x00K\x01tQ.",
        # As many as 2 ** 60 of them, which nobody may print.
        b")" + 60 * b"q\x00h\x00h\x00\x86" + b".",
        b"ccollections\nOrderedDict\nccollections\nOrderedDict\n)RR.",
        b"cos\nsystem" + 100_000 * b"m" + b"\n.",
        b"(K\x01K\x02o.",
        b"X\xff\xff\xff\x7f.",
    )
    def test_forged_pickles_end_soon(self, pickled):
        self.write_zip(b"\x80\x02" + pickled)
        started = time.monotonic()
        with self.assertRaises(InputError) as caught:
            torch_file.read_state_dict(self.path)
        self.assertLess(time.monotonic() - started, 5)
        self.assertLess(len(str(caught.exception)), 1000)

    def test_many_views_of_one_storage(self):
        arrays = {f"weight_{n}": np.zeros(10_000, np.float32) for n in range(50)}
        contents = torch_file.state_dict_file(arrays)
        with zipfile.ZipFile(io.BytesIO(contents)) as archive:
            pickled = archive.read("archive/data.pkl")
            values = archive.read("archive/data/0")
        for number in range(50):  # All are storage 0.
            own = f"{number}".encode()
            text = b"X" + struct.pack("<I", len(own)) + own + b"X\x03\x00\x00\x00cpu"
            pickled = pickled.replace(text, b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpu")
        with zipfile.ZipFile(self.path, "w") as archive:
            archive.writestr("archive/data.pkl", pickled)
            archive.writestr("archive/data/0", values)
        with refused(self.path, "times"):
            torch_file.read_state_dict(self.path)

    def test_a_zip_bomb(self):
        self.write_zip(bytes(2**24), compression=zipfile.ZIP_DEFLATED)
        with refused("compressed"):
            torch_file.read_state_dict(self.path)

    def test_other_files(self):
        self.path.write_bytes(b"not a model")
        with refused(self.path, "torch.save"):
            torch_file.read_state_dict(self.path)
        self.write_zip(pickle.dumps([1, 2], protocol=2))
        with refused("list"):
            torch_file.read_state_dict(self.path)
        with self.assertRaises(FileNotFoundError):
            torch_file.read_state_dict(self.folder / "nowhere")

    def test_other_networks(self):
        arrays = torch_file.read_state_dict(golden("batch"))
        kernel = np.zeros((64, 3, 7, 7), np.float32)
        with refused("ResNet"):
            self.import_arrays({"model.1.weight": kernel})
        with refused("model.model.attention"):
            self.import_arrays({**arrays, "model.model.attention": kernel})
        first = "model.model.1.model.1.weight"
        with refused(first, "(3, 1, 4, 4)", "(2, 1, 4, 4)"):
            self.import_arrays({**arrays, first: np.zeros((3, 1, 4, 4), np.float32)})
        with refused("model.model.3.bias"):
            self.import_arrays({k: v for k, v in arrays.items() if k != "model.model.3.bias"})
        with refused("running"):
            import_pytorch.import_model(golden("instance"), self.folder / "run", running=True)
        self.assertFalse((self.folder / "run").exists())

    def test_a_discriminator_of_another_model(self):
        for network, expected in (("instance", "instance"), ("none", "norm none")):
            with refused(expected):
                import_pytorch.import_model(
                    golden("batch"), self.folder / "run", discriminator=golden(network, "D")
                )
        arrays = {**torch_file.read_state_dict(golden("batch", "D"))}
        wide = {
            name: np.repeat(x, 2, axis=0) if name == "model.0.weight" else x
            for name, x in arrays.items()
        }
        with refused("base_filters"):
            settings = dict(input_channels=1, output_channels=6, base_filters=1, norm="batch")
            foreign.read_discriminator(wide, source="D.pth", generator=settings)


class PixelTest(tf.test.TestCase):
    def test_without_normalization_the_last_layer_has_no_bias(self):
        random = np.random.default_rng(0)
        shapes = {"net.0": (2, 6, 1, 1), "net.2": (4, 2, 1, 1), "net.5": (1, 4, 1, 1)}
        arrays = {f"{name}.weight": random.random(x, np.float32) for name, x in shapes.items()}
        arrays["net.0.bias"] = random.random(2, np.float32)
        settings = dict(input_channels=3, output_channels=3, base_filters=2, norm="none")
        settings["unnormalized_bias"] = False
        found = foreign.read_discriminator(arrays, source="D.pth", generator=settings)
        config = TrainConfig(norm="none", base_filters=2, receptive_field=1)
        model = networks.build_discriminator(config)
        model.set_weights(found.weights)
        written = foreign.write_discriminator(vars(config), model.get_weights(), norm="none")
        self.assertCountEqual(written, arrays)
        for name, array in arrays.items():
            self.assertAllEqual(written[name], array)

    def test_biases_of_one_of_two_layers(self):
        arrays = torch_file.read_state_dict(golden("instance"))
        del arrays["module.model.model.0.bias"]
        with refused("model.model.0", "bias"):
            foreign.read_generator(arrays, source="G.pth", dropout=0.0, running=False)

    def test_a_norm_that_is_stated(self):
        """With biases everywhere, and without scales, the arrays fit two kinds."""
        arrays = torch_file.read_state_dict(golden("instance"))
        for norm in ("", "none"):
            found = foreign.read_generator(
                arrays, source="G.pth", dropout=0.0, running=False, norm=norm
            )
            self.assertEqual(found.settings["norm"], norm or "instance")
            config = TrainConfig(**found.settings)
            networks.build_generator(config).set_weights(found.weights)


class NestedTest(tf.test.TestCase):
    def test_a_dict_in_a_dict(self):
        """As forks save it: {"epoch": 3, "state_dict": {...}}."""
        path = tiny_runs.temporary_folder(self) / "model.pth"
        arrays = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3)}
        with zipfile.ZipFile(io.BytesIO(torch_file.state_dict_file(arrays))) as archive:
            contents = {name: archive.read(name) for name in archive.namelist()}
        inner = contents["archive/data.pkl"].removeprefix(b"\x80\x02").removesuffix(b".")
        nested = b"\x80\x02}(X\x05\x00\x00\x00epochK\x03X\x0a\x00\x00\x00state_dict" + inner + b"u."
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in contents.items():
                archive.writestr(name, nested if name.endswith("data.pkl") else data)
        found = torch_file.read_state_dict(path)
        self.assertEqual(list(found), ["weight"])
        self.assertAllEqual(found["weight"], arrays["weight"])
