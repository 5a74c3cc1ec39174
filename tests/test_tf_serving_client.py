"""Tests of the client against a server: the one in `serving_server.py`, or a real one.

With PIX2PIX_SERVING_ADDRESS (host:port of gRPC) and PIX2PIX_SERVING_REST (http://host:port),
as `make serving-check` sets them, a real one. Its answers are compared with the model folder
that it serves if PIX2PIX_SERVING_MODEL names that.
"""

from __future__ import annotations

import contextlib
import http.server
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import zlib
from concurrent import futures
from unittest import mock

import command_line
import grpc
import numpy as np
import serving_server
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from export.cpp_session import CppSession
from export.tf_serving import client, load_test
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


_CLEANUP = contextlib.ExitStack()


def setUpModule():  # noqa: N802
    """Starts the test server, unless there is a real one to ask."""
    address = os.environ.get("PIX2PIX_SERVING_ADDRESS")
    if address:
        Served.addresses = dict(grpc=address, rest=os.environ["PIX2PIX_SERVING_REST"])
        folder = os.environ.get("PIX2PIX_SERVING_MODEL")
        Served.version = folder and pathlib.Path(folder, str(serving.list_versions(folder)[-1]))
        return
    folder = pathlib.Path(_CLEANUP.enter_context(tempfile.TemporaryDirectory()))
    tiny_runs.write_run(folder / "run")
    Served.version = serving.save_version(folder / "run", folder / "exported")
    grpc_address, rest_address = _CLEANUP.enter_context(serving_server.start(Served.version))
    Served.addresses = dict(grpc=grpc_address, rest=rest_address)


def tearDownModule():  # noqa: N802
    _CLEANUP.close()


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
        with CppSession(Served.version) as session:
            expected = session.run("with_noise", image=image, z=z)["output"]
        with Client(Served.addresses[protocol]) as asking:
            output = asking.translate(image, z)
        self.assertEqual(output.dtype, np.float32)
        self.assertAllClose(output, expected, rtol=0, atol=1e-4)

    @parameterized.parameters(*BOTH)
    def test_the_server_draws_noise(self, protocol):
        image = tiny_runs.random_image(1, SIZE, SIZE, 3)
        with Client(Served.addresses[protocol]) as asking:
            first, second = (asking.translate(image) for _ in range(2))
        self.assertEqual(first.shape, image.shape)
        self.assertGreater(np.abs(first - second).mean(), 1e-4)

    def test_answers_larger_than_grpc_takes_by_default(self):
        image = tiny_runs.random_image(1, 640, 640, 3)
        self.assertGreater(image.nbytes, 4 * 2**20)
        with Client(Served.addresses["grpc"]) as asking:
            self.assertEqual(asking.translate(image).shape, image.shape)

    @parameterized.parameters(*BOTH)
    def test_names_that_are_not_served(self, protocol):
        with Client(Served.addresses[protocol], model="other") as asking:
            with self.assertRaisesRegex(ServingError, "(?s)NOT_FOUND: .*other"):
                asking.translate_files([png_file(SIZE, SIZE)])
        with Client(Served.addresses[protocol]) as asking:
            with self.assertRaisesRegex(ServingError, "(INVALID_ARG|FAILED_PRE).*decoded"):
                asking.predict("decoded", image_bytes=[b"a"])

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
        rank_1=("serving_default", dict(image=image[0, 0, 0])),
        rank_3=("serving_default", dict(image=image[0])),
        rank_5=("serving_default", dict(image=image[np.newaxis])),
        one_channel=("serving_default", dict(image=image[..., :1])),
        four_channels=("serving_default", dict(image=image[..., [0, 1, 2, 0]])),
        six_channels=("serving_default", dict(image=np.tile(image, 2))),
        empty_batch=("serving_default", dict(image=image[:0])),
        no_height=("serving_default", dict(image=image[:, :0])),
        other_name=("serving_default", dict(picture=image)),
        no_noise=("with_noise", dict(image=image)),
        short_noise=("with_noise", dict(image=image, z=np.zeros((2, 3), np.float32))),
        long_noise=("with_noise", dict(image=image, z=np.zeros((2, 99_999), np.float32))),
        noise_of_rank_1=("with_noise", dict(image=image, z=np.zeros([500], np.float32))),
        no_image=("encoded", dict(image_bytes=[b"not an image"])),
        empty_file=("encoded", dict(image_bytes=[b""])),
        truncated=("encoded", dict(image_bytes=[png_file(SIZE, SIZE)[:200]])),
        bomb=("encoded", dict(image_bytes=[bomb()])),
        one_of_two=("encoded", dict(image_bytes=[png_file(SIZE, SIZE), b"not an image"])),
    )


def bomb() -> bytes:
    """Returns a PNG of 104 bytes whose header promises 2.7 GB of pixels."""

    def chunk(name: bytes, contents: bytes) -> bytes:
        check = zlib.crc32(name + contents)
        return struct.pack(">I", len(contents)) + name + contents + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(30_000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
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
        for name, error in errors.items():
            self.assertNotEmpty(error.message, name)

    @parameterized.parameters(*BOTH)
    def test_100_megabytes(self, protocol):
        large = [b"x" * 100_000_000]
        with Client(Served.addresses[protocol]) as asking:
            with self.assertRaisesRegex(ServingError, r"larger than .*\(1\d{8} vs\. 67108864"):
                asking.translate_files(large)
            self.assertLen(asking.translate_files([png_file(SIZE, SIZE)]), 1)
        with Client(Served.addresses[protocol], max_message_bytes=2**28) as asking:
            with self.assertRaisesRegex(ServingError, "INVALID_ARGUMENT: .*image"):
                asking.translate_files(large)
            self.assertLen(asking.translate_files([png_file(SIZE, SIZE)]), 1)

    def test_what_the_client_refuses_itself(self):
        image = tiny_runs.random_image(2, SIZE, SIZE, 3)
        with Client("localhost:1") as asking:
            for wrong in (image.astype(np.float64), image[0], image[:0], image.astype(np.uint8)):
                with self.assertRaisesRegex(InputError, rf"image is {wrong.dtype} \[.*Pass float"):
                    asking.translate(wrong)
            with self.assertRaisesRegex(InputError, "0 files"):
                asking.translate_files([])
        for address in ("localhost", "grpc://localhost:8500", ""):
            with self.assertRaisesRegex(InputError, f"'{address}' is no address"):
                Client(address)


@contextlib.contextmanager
def scripted_grpc(codes: list[str], answer: list[bytes]):
    """Runs a gRPC server that answers by these codes in turn; yields address and requests."""
    requests = []

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):  # noqa: N802
            requests.append(request)
            code = codes[min(len(requests), len(codes)) - 1]
            if code != "OK":
                context.abort(grpc.StatusCode[code], "as in the script")
            response = predict_pb2.PredictResponse()
            response.outputs["image_bytes"].CopyFrom(tf.make_tensor_proto(answer, tf.string))
            return response

    server = grpc.server(futures.ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        yield f"localhost:{port}", requests
    finally:
        server.stop(None).wait()


@contextlib.contextmanager
def scripted_rest(answers: list[tuple[int, bytes]]):
    """Runs an HTTP server that gives these answers in turn; yields address and requests."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):  # noqa: N802
            requests.append(self.rfile.read(int(self.headers["Content-Length"])))
            status, contents = answers[min(len(requests), len(answers)) - 1]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(contents)

        def log_message(self, *unused):
            pass

    with http.server.HTTPServer(("localhost", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.01))
        thread.start()
        try:
            yield f"http://localhost:{server.server_address[1]}", requests
        finally:
            server.shutdown()
            thread.join()


class RetriesTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        sleep = mock.patch.object(time, "sleep")
        self.sleep = sleep.start()
        self.addCleanup(sleep.stop)

    def test_unavailable_is_tried_again_with_growing_delays(self):
        codes = ["UNAVAILABLE"] * 3 + ["OK"]
        with scripted_grpc(codes, [b"picture"]) as (address, requests), Client(address) as asking:
            self.assertEqual(asking.translate_files([b"file"]), [b"picture"])
        self.assertLen(requests, 4)
        self.assertEqual(requests[0], requests[3])
        delays = [call.args[0] for call in self.sleep.call_args_list]
        self.assertLen(delays, 3)
        for delay, longest in zip(delays, (0.2, 0.4, 0.8)):
            self.assertBetween(delay, longest / 2, longest)

    def test_unavailable_for_ever(self):
        with scripted_grpc(["UNAVAILABLE"], []) as (address, requests):
            with Client(address, attempts=3) as asking:
                with self.assertRaisesRegex(ServingError, "UNAVAILABLE: as in the script"):
                    asking.translate_files([b"file"])
        self.assertLen(requests, 3)
        self.assertEqual(self.sleep.call_count, 2)  # Nobody waits after the last.

    @parameterized.parameters(
        "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "INTERNAL", "ABORTED", "DEADLINE_EXCEEDED"
    )
    def test_other_codes_are_final(self, code):
        with scripted_grpc([code, "OK"], [b""]) as (address, requests), Client(address) as asking:
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

    @parameterized.parameters(
        (400, b'{"error": "no image"}', "INVALID_ARGUMENT: no image"),
        (429, b"", "RESOURCE_EXHAUSTED: HTTP 429"),
        (500, b"<html>", "INTERNAL: HTTP 500"),
        (502, b"", "INTERNAL: HTTP 502"),
        (200, b"<html>", "INTERNAL: .* did not answer as"),
        (200, b'{"predictions": []}', "INTERNAL: .* did not answer as"),
        (200, b'{"outputs": [{"text": ""}]}', "INTERNAL: .* did not answer as"),
    )
    def test_other_answers_of_rest_are_final(self, status, contents, message):
        with scripted_rest([(status, contents)]) as (address, requests):
            with Client(address) as asking, self.assertRaisesRegex(ServingError, message):
                asking.translate_files([b"file"])
        self.assertLen(requests, 1)

    def test_answers_of_rest_have_a_limit_too(self):
        long_answer = b'{"outputs": [{"b64": "' + b"A" * 4000 + b'"}]}'
        with scripted_rest([(200, long_answer)]) as (address, _):
            with Client(address, max_message_bytes=1000) as asking:
                with self.assertRaisesRegex(ServingError, "RESOURCE_EXHAUSTED: the answer is"):
                    asking.translate_files([b"file"])

    @parameterized.parameters("localhost:{}", "http://localhost:{}")
    def test_no_server(self, address):
        with http.server.HTTPServer(("localhost", 0), None) as server:
            port = server.server_address[1]  # Free again after this.
        with Client(address.format(port), attempts=2) as asking:
            with self.assertRaisesRegex(ServingError, f"UNAVAILABLE: .*{port}"):
                asking.translate_files([b"file"])
        self.assertEqual(self.sleep.call_count, 1)

    def test_a_server_that_comes_later(self):
        self.sleep.side_effect = lambda seconds: threading.Event().wait(seconds)
        with http.server.HTTPServer(("localhost", 0), None) as server:
            port = server.server_address[1]
        late = grpc.server(futures.ThreadPoolExecutor(1))
        self.addCleanup(lambda: late.stop(None).wait())

        def start():
            late.add_insecure_port(f"localhost:{port}")
            late.start()

        starting = threading.Timer(1.0, start)
        starting.start()
        self.addCleanup(starting.join)
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
        return command_line.run(
            client,
            f"--address={address}",
            f"--input={self.input}",
            f"--output={self.output}",
            *flags,
        )

    @parameterized.parameters(*BOTH)
    def test_a_folder_with_a_file_that_is_no_image(self, protocol):
        (self.input / "a.png").write_bytes(png_file(SIZE, SIZE))
        (self.input / "a.JPG").write_bytes(tf.io.encode_jpeg(np.zeros((9, 8, 3), "u1")).numpy())
        (self.input / "b.png").write_bytes(b"not an image")
        (self.input / "c.png").write_bytes(png_file(3, 5))
        (self.input / "notes.txt").touch()
        (self.input / ".hidden.png").touch()
        (self.input / "folder.png").mkdir()
        result = self.run_client(Served.addresses[protocol])
        self.assertEqual(result.exit_code, 1)
        self.assertRegex(
            result.stderr, rf"^error: '{self.input}/b.png' was refused \(INVALID_ARGUMENT: .*\).\n$"
        )
        self.assertEqual(result.stdout, f"Wrote 3 of 4 images to '{self.output}'.\n")
        names = sorted(path.name for path in self.output.iterdir())
        self.assertEqual(names, ["a.JPG.png", "a.png", "c.png"])
        output = tf.io.decode_png((self.output / "a.JPG.png").read_bytes())
        self.assertEqual(output.shape, (9, 8, 3))

    @parameterized.parameters("localhost:", "http://localhost:")
    def test_a_server_that_has_too_much_to_do(self, kind):
        (self.input / "a.png").touch()
        is_rest = kind.startswith("http")
        scripted = (
            scripted_rest([(429, b"")]) if is_rest else scripted_grpc(["RESOURCE_EXHAUSTED"], [])
        )
        with scripted as (address, requests):
            result = self.run_client(address)
        self.assertLen(requests, 1)  # Not tried again.
        self.assertEqual(result.exit_code, 1)
        said = "HTTP 429 Too Many Requests" if is_rest else "as in the script"
        self.assertEqual(
            result.stderr,
            f"error: '{self.input}/a.png' was refused (RESOURCE_EXHAUSTED: {said}). Pass a smaller "
            "image, or try again when the server has less to do.\n",
        )

    def test_a_folder_with_the_name_of_an_image(self):
        self.input = self.input / "x.png"
        self.input.mkdir()
        (self.input / "inner.png").mkdir()
        self.assertIn("holds no images (0 files", self.run_client("localhost:1").stderr)
        (self.input / "a.png").touch()
        self.assertEqual(client.find_inputs(self.input), [self.input / "a.png"])

    def test_one_image(self):
        self.input = self.input / "a.png"
        self.input.write_bytes(png_file(SIZE, SIZE))
        result = self.run_client(Served.addresses["grpc"])
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertEqual([path.name for path in self.output.iterdir()], ["a.png"])

    def test_nothing_is_half_written(self):
        (self.input / "a.png").write_bytes(png_file(SIZE, SIZE))
        with mock.patch.object(os, "replace", side_effect=KeyboardInterrupt):
            result = self.run_client(Served.addresses["rest"])
        self.assertEqual((result.exit_code, result.stderr), (130, "Stopped.\n"))
        self.assertEmpty(list(self.output.iterdir()))

    @parameterized.parameters(
        ("UNAVAILABLE", "Start the server, or correct --address."),
        ("DEADLINE_EXCEEDED", "Pass a larger --timeout."),
        ("NOT_FOUND", "Correct --model"),
        ("INTERNAL", "The server's log may say more."),
    )
    def test_what_no_file_is_to_blame_for_ends_the_command(self, code, advice):
        for name in ("a.png", "b.png"):
            (self.input / name).touch()
        with mock.patch.object(time, "sleep"):
            with scripted_grpc([code], []) as (address, requests):
                result = self.run_client(address)
        self.assertEqual((result.exit_code, result.stdout), (2, ""))
        self.assertStartsWith(
            result.stderr, f"error: '{address}' does not translate ({code}: as in the script)."
        )
        self.assertIn(advice, result.stderr)
        self.assertLen(result.stderr.splitlines(), 1)
        self.assertLen(requests, 5 if code == "UNAVAILABLE" else 1)

    def test_a_model_that_takes_no_files_is_said_once(self):
        for name in ("a.png", "b.png"):
            (self.input / name).write_bytes(png_file(SIZE, SIZE))
        tiny_runs.write_run(self.folder / "run", input_channels=5)
        version = serving.save_version(self.folder / "run", self.folder / "exported")
        with serving_server.start(version) as addresses:
            for address in addresses:
                expected = f"error: '{address}' serves a model that takes arrays, and no files: "
                for result in (
                    self.run_client(address),
                    command_line.run(
                        load_test, f"--address={address}", f"--input={self.input / 'a.png'}"
                    ),
                ):
                    self.assertEqual((result.exit_code, result.stdout), (2, ""))
                    (line,) = result.stderr.splitlines()
                    self.assertStartsWith(line, expected)
                with Client(address) as asking:
                    image = tiny_runs.random_image(1, SIZE, SIZE, 5)
                    self.assertEqual(asking.translate(image).shape, (1, SIZE, SIZE, 3))

    def test_flags_that_cannot_be_used(self):
        result = self.run_client("localhost:1")
        self.assertIn(f"error: '{self.input}' holds no images", result.stderr)
        (self.input / "a.png").touch()
        result = self.run_client("nowhere")
        self.assertIn("error: 'nowhere' is no address", result.stderr)
        self.output = self.input
        result = self.run_client("localhost:1")
        self.assertIn("where the inputs are", result.stderr)
        self.input = self.folder / "missing"
        result = self.run_client("localhost:1")
        self.assertEqual(result.exit_code, 2)
        self.assertIn(f"error: There is no '{self.input}'", result.stderr)

    def test_grpc_without_its_packages(self):
        (self.input / "a.png").touch()
        with mock.patch.dict(sys.modules, {"grpc": None}):
            result = self.run_client("somewhere:8500")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("pip install 'pix2pix_tf[serving]'", result.stderr)
        self.assertIn("http://somewhere:8501", result.stderr)

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


if __name__ == "__main__":
    tf.test.main()
