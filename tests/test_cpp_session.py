"""Tests of the C++ session against the same SavedModel in Python."""

from __future__ import annotations

import shutil
from concurrent import futures

import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized

from export.cpp_session import CppError, CppSession
from pix2pix_tf import serving

SIZE = tiny_runs.CROP_SIZE


class CppSessionTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tiny_runs.temporary_folder(cls)
        cls.version = tiny_runs.shared_version()
        cls.noise_size = serving.read_model_card(cls.version)["noise_size"]
        cls.session = tiny_runs.shared_session()
        cls.image = tiny_runs.random_image(2, SIZE, SIZE, 3)
        cls.z = tiny_runs.random_noise(2, cls.noise_size)

    def test_floats_are_those_of_python(self):
        expected = tiny_runs.shared_model().translate_with_noise(self.image, self.z)
        # A view whose numbers do not follow each other in memory.
        mirrored = np.ascontiguousarray(self.image[:, :, ::-1])[:, :, ::-1]
        for image in (self.image, mirrored):
            output = self.session.run("with_noise", image=image, z=self.z)["output"]
            self.assertEqual((output.dtype, output.shape), (np.float32, (2, SIZE, SIZE, 3)))
            self.assertAllClose(output, expected, rtol=0, atol=1e-6)
        output[:] = 0  # It is the caller's.

    def test_files(self):
        sizes = (SIZE, SIZE), (13, 40)
        contents = []
        for height, width in sizes:
            pixels = np.zeros((height, width, 3), np.uint8)
            # A PNG file may end in anything; in NumPy's own strings these zeros would be lost.
            contents.append(tf.io.encode_png(pixels).numpy() + b"\0\0\0")
        for batch in (contents, np.array(contents, dtype=object)):
            outputs = self.session.run("encoded", image_bytes=batch)["image_bytes"]
            self.assertEqual((outputs.dtype, outputs.shape), (object, (2,)))
            for output, size in zip(outputs, sizes):
                self.assertEqual(tf.io.decode_png(output).shape, (*size, 3))

    @parameterized.named_parameters(
        ("type", dict(image=np.zeros((1, SIZE, SIZE, 3))), "actual double vs. expect float"),
        ("channels", dict(image=np.zeros((1, SIZE, SIZE, 4), np.float32)), ""),
        ("string", dict(image=[b"a"]), "actual string vs. expect float"),
        ("name", dict(picture=np.zeros((1, SIZE, SIZE, 3), np.float32)), "image.*picture"),
        ("missing", {}, "image"),
        ("contents", dict(image_bytes=[b"no image"]), "image", "encoded"),
        ("signature", dict(image=[b"a"]), "'decoded'", "decoded", "FAILED_PRECONDITION"),
        ("numbers", dict(image=np.zeros(1, "c8")), "complex64"),
    )
    def test_refused(self, inputs, said, signature="serving_default", code="INVALID_ARGUMENT"):
        with self.assertRaisesRegex(CppError, f"{code}: .*{said}") as caught:
            self.session.run(signature, **inputs)
        self.assertEqual(caught.exception.code, code)
        output = self.session.run("serving_default", image=self.image)["output"]  # It lives on.
        self.assertEqual(output.shape, self.image.shape)

    def test_what_cannot_be_loaded(self):
        empty = tiny_runs.temporary_folder(self)
        with self.assertRaisesRegex(CppError, f"NOT_FOUND: .*{empty}"):
            CppSession(empty)
        damaged = empty / "größe (1)"
        shutil.copytree(self.version, damaged)
        (path,) = (damaged / "variables").glob("*.data-*")
        path.write_bytes(path.read_bytes()[:1000])
        with self.assertRaises(CppError) as caught:
            CppSession(damaged)
        self.assertIn(caught.exception.code, ("OUT_OF_RANGE", "DATA_LOSS"))

    def test_threads_share_a_session(self):
        expected = self.session.run("with_noise", image=self.image, z=self.z)["output"]

        def ask(number: int) -> np.ndarray:
            row = slice(number % 2, number % 2 + 1)
            return self.session.run("with_noise", image=self.image[row], z=self.z[row])["output"]

        with futures.ThreadPoolExecutor(4) as pool:
            for number, output in enumerate(pool.map(ask, range(12))):
                self.assertAllClose(output[0], expected[number % 2], rtol=0, atol=1e-6)

    def test_loaded_anew_it_draws_other_noise(self):
        outputs = []
        for _ in range(2):
            with CppSession(self.version) as session:
                outputs.append(session.run("serving_default", image=self.image)["output"])
        self.assertGreater(np.abs(outputs[0] - outputs[1]).mean(), 1e-3)

    def test_closing(self):
        with CppSession(self.version) as session:
            self.assertIn("encoded", session.signatures)
        session.close()
        with self.assertRaisesRegex(CppError, "CANCELLED: .*closed"):
            session.run("serving_default", image=self.image)
