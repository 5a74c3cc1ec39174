"""Tests of the client against a server: the one in `serving_server.py`, or a real one.

With PIX2PIX_SERVING_ADDRESS (host:port of gRPC) and PIX2PIX_SERVING_REST (http://host:port),
as `make serving-check` sets them, a real one. Its answers are compared with the model folder
that it serves if PIX2PIX_SERVING_MODEL names that.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import pathlib
import re
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Sequence
from concurrent import futures
from unittest import mock

import command_line
import grpc
import hostile_files
import numpy as np
import serving_server
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized
from serving_server import scripted_rest
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from export.cpp_session import CppSession
from export.tf_serving import client
from export.tf_serving.client import Client
from export.tf_serving.protocols import ServingError
from pix2pix_tf import serving
from pix2pix_tf.errors import InputError

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
SIZE = tiny_runs.CROP_SIZE
BOTH = ("grpc", "rest")


class Served:
    """What the tests ask, from `setUpModule` on."""

    addresses: dict[str, str]  # By protocol.
    version: pathlib.Path | None  # The folder that is served there, if it is known.
    session = staticmethod(tiny_runs.shared_session)  # Of that folder.


def setUpModule():  # noqa: N802
    """Starts the test server, unless there is a real one to ask."""
    address = os.environ.get("PIX2PIX_SERVING_ADDRESS")
    if address:
        Served.addresses = dict(grpc=address, rest=os.environ["PIX2PIX_SERVING_REST"])
        folder = os.environ.get("PIX2PIX_SERVING_MODEL")
        Served.version = folder and pathlib.Path(folder, str(serving.list_versions(folder)[-1]))
        Served.session = functools.cache(lambda: CppSession(Served.version))
        return
    Served.addresses, Served.version = serving_server.shared(), tiny_runs.shared_version()


def png_file(height: int, width: int, *, seed: int = 0) -> bytes:
    pixels = np.random.RandomState(seed).randint(0, 256, (height, width, 3), np.uint8)
    return tf.io.encode_png(pixels).numpy()


class AnswersTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*BOTH)
    def test_files_of_different_sizes(self, protocol):
        jpeg = tf.io.encode_jpeg(np.zeros((24, 17, 3), np.uint8)).numpy()
        with Client(Served.addresses[protocol]) as asking:
            outputs = asking.translate_files([png_file(SIZE, 50), jpeg])
        shapes = [tf.io.decode_png(output).shape for output in outputs]
        self.assertEqual(shapes, [(SIZE, 50, 3), (24, 17, 3)])

    @parameterized.parameters(*BOTH)
    def test_tensors_and_noise(self, protocol):
        if not Served.version:
            self.skipTest("The model that is served is not known: name its folder, MODEL=...")
        card = serving.read_model_card(Served.version)
        size = card["config"]["crop_size"]
        image = tiny_runs.random_image(2, size, size, 3)
        z = tiny_runs.random_noise(2, card["noise_size"])
        expected = Served.session().run("with_noise", image=image, z=z)["output"]
        with Client(Served.addresses[protocol]) as asking:
            output, first, second = (asking.translate(image, noise) for noise in (z, None, None))
        self.assertEqual(output.dtype, np.float32)
        self.assertAllClose(output, expected, rtol=0, atol=1e-4)
        self.assertGreater(np.abs(first - second).mean(), 1e-4)  # The server draws noise.

    def test_answers_larger_than_grpc_takes_by_default(self):
        image = tiny_runs.random_image(1, 640, 640, 3)
        self.assertGreater(image.nbytes, 4 * 2**20)
        with Client(Served.addresses["grpc"]) as asking:
            self.assertEqual(asking.translate(image).shape, image.shape)

    @parameterized.parameters(*BOTH)
    def test_timeout(self, protocol):
        start = time.monotonic()
        with Client(Served.addresses[protocol], timeout=0.001) as asking:
            with self.assertRaisesRegex(ServingError, "DEADLINE_EXCEEDED"):
                asking.translate_files([png_file(1000, 1000)])
        self.assertLess(time.monotonic() - start, 5)


def malformed_requests() -> dict[str, tuple[str, dict]]:
    """Returns signature and inputs by what is wrong with them."""
    image = tiny_runs.random_image(2, SIZE, SIZE, 3)
    return dict(
        type=("serving_default", dict(image=np.full(image.shape, "text"))),
        rank_3=("serving_default", dict(image=image[0])),
        rank_5=("serving_default", dict(image=image[np.newaxis])),
        four_channels=("serving_default", dict(image=image[..., [0, 1, 2, 0]])),
        empty_batch=("serving_default", dict(image=image[:0])),
        no_height=("serving_default", dict(image=image[:, :0])),
        other_name=("serving_default", dict(picture=image)),
        no_noise=("with_noise", dict(image=image)),
        short_noise=("with_noise", dict(image=image, z=np.zeros((2, 3), np.float32))),
        long_noise=("with_noise", dict(image=image, z=np.zeros((2, 99_999), np.float32))),
        no_image=("encoded", dict(image_bytes=[b"not an image"])),
        truncated=("encoded", dict(image_bytes=[png_file(SIZE, SIZE)[:200]])),
        bomb=("encoded", dict(image_bytes=[hostile_files.png_header(30_000, 30_000)])),
        one_of_two=("encoded", dict(image_bytes=[png_file(SIZE, SIZE), b"not an image"])),
    )


class MalformedRequestsTest(tf.test.TestCase, parameterized.TestCase):
    """Each is answered by an error, and other clients notice nothing."""

    @parameterized.parameters(*BOTH)
    def test_good_requests_keep_working(self, protocol):
        contents = png_file(SIZE, SIZE)
        stop = threading.Event()

        def ask() -> int:
            """Returns how many good requests were answered; one that is not ends the test."""
            answered = 0
            with Client(Served.addresses[protocol], attempts=1) as asking:
                while True:
                    is_last = stop.is_set()  # Asked when the malformed ones are through.
                    (output,) = asking.translate_files([contents])
                    self.assertEqual(tf.io.decode_png(output).shape, (SIZE, SIZE, 3))
                    answered += 1
                    if is_last:
                        return answered

        errors = {}
        with futures.ThreadPoolExecutor(2) as pool:
            others = [pool.submit(ask) for _ in range(2)]
            try:
                with Client(Served.addresses[protocol], attempts=1) as asking:
                    for name, (signature, inputs) in malformed_requests().items():
                        try:
                            asking.predict(signature, **inputs)
                        except ServingError as error:
                            errors[name] = error
            finally:
                stop.set()
            for other in others:
                self.assertGreater(other.result(), 1)
        codes = {name: error.code for name, error in errors.items()}
        self.assertEqual(codes, dict.fromkeys(malformed_requests(), "INVALID_ARGUMENT"))
        self.assertNotIn("", [error.message for error in errors.values()])

    def test_what_the_client_refuses_itself(self):
        image = tiny_runs.random_image(2, SIZE, SIZE, 3)
        with Client("localhost:1") as asking:
            for wrong in (image.astype(np.float64), image[0], image.astype(np.uint8)):
                with self.assertRaisesRegex(InputError, re.escape(f"{wrong.dtype} [")):
                    asking.translate(wrong)
        for address in ("localhost", "grpc://localhost:8500", ""):
            with self.assertRaisesRegex(InputError, f"'{address}'"):
                Client(address)


@contextlib.contextmanager
def scripted_grpc(codes: list[str], answer: Sequence[bytes] = ()):
    """Runs a gRPC server that answers by these codes in turn; yields address and requests."""
    requests = []

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):  # noqa: N802
            requests.append(request)
            code = codes[min(len(requests), len(codes)) - 1]
            if code != "OK":
                context.abort(grpc.StatusCode[code], "as in the script")
            response = predict_pb2.PredictResponse()
            response.outputs["image_bytes"].CopyFrom(tf.make_tensor_proto(list(answer), tf.string))
            return response

    server = grpc.server(futures.ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        yield f"localhost:{port}", requests
    finally:
        server.stop(None).wait()


class RetriesTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        sleep = mock.patch.object(time, "sleep")
        self.sleep = sleep.start()
        self.addCleanup(sleep.stop)

    def test_unavailable_is_tried_again_with_growing_delays(self):
        codes = ["UNAVAILABLE"] * 3 + ["OK"]
        with scripted_grpc(codes, [b"picture"]) as (address, requests):
            with Client(address) as asking:
                self.assertEqual(asking.translate_files([b"file"]), [b"picture"])
            self.assertLen(requests, 4)
            self.assertEqual(requests[0], requests[3])
            delays = [call.args[0] for call in self.sleep.call_args_list]
            self.assertLen(delays, 3)
            for delay, longest in zip(delays, (0.2, 0.4, 0.8)):
                self.assertBetween(delay, longest / 2, longest)
        with scripted_grpc(["UNAVAILABLE"]) as (address, requests):
            with Client(address, attempts=3) as asking:
                with self.assertRaisesRegex(ServingError, "UNAVAILABLE: as in the script"):
                    asking.translate_files([b"file"])
        self.assertLen(requests, 3)
        self.assertEqual(self.sleep.call_count, 3 + 2)  # Nobody waits after the last.

    def test_other_codes_are_final(self):
        for code in ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "INTERNAL", "DEADLINE_EXCEEDED"):
            with scripted_grpc([code, "OK"]) as (address, requests), Client(address) as asking:
                with self.assertRaisesRegex(ServingError, code):
                    asking.translate_files([b"file"])
            self.assertLen(requests, 1)

    def test_rest(self):
        busy = (503, b'{"error": "queue is full"}')
        good = (200, b'{"outputs": [{"b64": "cGljdHVyZQ=="}]}')
        with scripted_rest([busy, busy, good]) as (address, requests), Client(address) as asking:
            self.assertEqual(asking.translate_files([b"file"]), [b"picture"])
        self.assertLen(requests, 3)
        self.assertEqual(
            requests[0],
            b'{"signature_name": "encoded", "inputs": {"image_bytes": [{"b64": "ZmlsZQ=="}]}}',
        )

    def test_other_answers_of_rest_are_final(self):
        for status, contents, message in (
            (400, b'{"error": "no image"}', "INVALID_ARGUMENT: .*no image"),
            (429, b"", "RESOURCE_EXHAUSTED: HTTP 429"),
            (500, b"<html>", "INTERNAL: HTTP 500"),
            (200, b"<html>", "INTERNAL: "),
            (200, b'{"predictions": []}', "INTERNAL: "),
            (200, b'{"outputs": [{"text": ""}]}', "INTERNAL: "),
        ):
            with scripted_rest([(status, contents)]) as (address, requests):
                with Client(address) as asking, self.assertRaisesRegex(ServingError, message):
                    asking.translate_files([b"file"])
            self.assertLen(requests, 1)

    def test_no_server_and_one_that_comes_later(self):
        with http.server.HTTPServer(("localhost", 0), None) as server:
            port = server.server_address[1]  # Free again after this.
        for address in (f"localhost:{port}", f"http://localhost:{port}"):
            with Client(address, attempts=2) as asking:
                with self.assertRaisesRegex(ServingError, f"UNAVAILABLE: .*{port}"):
                    asking.translate_files([b"file"])
        self.assertEqual(self.sleep.call_count, 2)
        late = grpc.server(futures.ThreadPoolExecutor(1))
        late.add_insecure_port(f"localhost:{port}")
        self.addCleanup(lambda: late.stop(None).wait())
        starting = threading.Timer(1.0, late.start)
        starting.start()
        self.addCleanup(starting.join)
        self.sleep.side_effect = lambda seconds: threading.Event().wait(seconds)
        # It has no such method, which only a server can say.
        with Client(f"localhost:{port}", attempts=6) as asking:
            with self.assertRaisesRegex(ServingError, "UNIMPLEMENTED"):
                asking.translate_files([b"file"])


class CommandTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.input, self.output = self.folder / "in", self.folder / "out"
        self.input.mkdir()

    def run_client(self, address: str, *flags: str) -> command_line.Result:
        paths = (f"--input={self.input}", f"--output={self.output}")
        return command_line.run(client, f"--address={address}", *paths, *flags)

    @parameterized.parameters(*BOTH)
    def test_a_folder_with_a_file_that_is_no_image(self, protocol):
        (self.input / "a.png").write_bytes(png_file(SIZE, SIZE))
        (self.input / "a.JPG").write_bytes(tf.io.encode_jpeg(np.zeros((9, 8, 3), "u1")).numpy())
        (self.input / "b.png").write_bytes(b"not an image")
        (self.input / "c.png").write_bytes(png_file(3, 5))
        (self.input / "notes.txt").touch()
        result = self.run_client(Served.addresses[protocol])
        self.assertEqual(result.exit_code, 1)
        self.assertRegex(
            result.stderr, rf"^error: '{self.input}/b.png' was refused \(INVALID_ARGUMENT: .*\n$"
        )
        passed_over, written = result.stdout.splitlines()
        self.assertRegex(passed_over, f"^Passed over in '{self.input}', .*: notes.txt.$")
        self.assertEqual(written, f"Wrote 3 of 4 images to '{self.output}'.")
        names = sorted(path.name for path in self.output.iterdir())
        self.assertEqual(names, ["a.JPG.png", "a.png", "c.png"])
        output = tf.io.decode_png((self.output / "a.JPG.png").read_bytes())
        self.assertEqual(output.shape, (9, 8, 3))

    def test_a_server_that_has_too_much_to_do(self):
        (self.input / "a.png").touch()
        for scripted in (scripted_grpc(["RESOURCE_EXHAUSTED"]), scripted_rest([(429, b"")])):
            with scripted as (address, requests):
                result = self.run_client(address)
            self.assertLen(requests, 1)  # Not tried again.
            self.assertEqual(result.exit_code, 1)
            self.assertRegex(result.stderr, f"^error: '{self.input}/a.png' .*RESOURCE_EXHAUSTED: ")

    @parameterized.parameters("UNAVAILABLE", "DEADLINE_EXCEEDED", "NOT_FOUND", "INTERNAL")
    def test_what_no_file_is_to_blame_for_ends_the_command(self, code):
        for name in ("a.png", "b.png"):
            (self.input / name).touch()
        with mock.patch.object(time, "sleep"):
            with scripted_grpc([code]) as (address, requests):
                result = self.run_client(address)
        self.assertEqual((result.exit_code, result.stdout), (2, ""))
        self.assertRegex(result.stderr, f"^error: '{address}' .*{code}.*--timeout.*\n$")
        self.assertLen(requests, 5 if code == "UNAVAILABLE" else 1)

    def test_two_inputs_of_one_output_are_refused_before_anything_is_sent(self):
        for name in ("a.jpg", "a.jpg.png", "b.png"):
            (self.input / name).write_bytes(png_file(SIZE, SIZE))
        with scripted_grpc(["OK"], [b"picture"]) as (address, requests):
            self.assert_refused(address, f"'{self.input}/a.jpg' and '{self.input}/a.jpg.png'")
        self.assertEmpty(requests)
        self.assertEmpty(list(self.output.iterdir()))

    def test_flags_that_cannot_be_used(self):
        self.assert_refused("localhost:1", f"'{self.input}'")  # There is no image in it.
        (self.input / "a.png").touch()
        self.assert_refused("nowhere", "'nowhere'")
        with mock.patch.dict(sys.modules, {"grpc": None}):
            self.assert_refused("somewhere:8500", "pix2pix_tf[serving]", "http://somewhere:8501")
        self.output = self.input
        self.assert_refused("localhost:1", f"'{self.output}'", "overwritten")
        self.input = self.folder / "missing"
        self.assert_refused("localhost:1", f"'{self.input}'")

    def assert_refused(self, address: str, *parts: str) -> None:
        self.run_client(address).check_refused(*parts)

    def test_rest_needs_no_tensorflow(self):
        (self.input / "a.png").write_bytes(png_file(SIZE, SIZE))
        program = textwrap.dedent("""
            import sys
            for name in ("tensorflow", "tensorflow_serving", "grpc", "google", "keras", "PIL"):
                sys.modules[name] = None
            from export.tf_serving import client
            from pix2pix_tf import commands
            client.define_flags()
            commands.run(client.main)
        """)
        flags = [
            f"--address={Served.addresses['rest']}",
            f"--input={self.input}",
            f"--output={self.output}",
        ]
        subprocess.run([sys.executable, "-c", program, *flags], cwd=_REPOSITORY, check=True)
        self.assertEqual([path.name for path in self.output.iterdir()], ["a.png"])
