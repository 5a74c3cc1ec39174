"""A server that speaks TensorFlow Serving's official protocols and answers from its C++ session.

    python tests/serving_server.py MODEL_VERSION_FOLDER

Prints its two ports as a line of JSON, then serves until its input ends. As in the
official server, the C++ side checks types and shapes. Only the columnar form of REST is
accepted, which is what the client sends.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import functools
import http.server
import json
import pathlib
import re
import subprocess
import sys
import threading
from concurrent import futures

import numpy as np

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_REPOSITORY))

from export.cpp_session import CppError, CppSession  # noqa: E402

MODEL = "pix2pix"
# As in the official server, where two codes may share a status.
_HTTP_STATUSES = dict(
    INVALID_ARGUMENT=400,
    FAILED_PRECONDITION=400,
    NOT_FOUND=404,
    RESOURCE_EXHAUSTED=429,
    UNAVAILABLE=503,
)


@functools.cache
def shared() -> dict[str, str]:
    """Returns the addresses, by protocol, of a server of `tiny_runs.shared_version`.

    It has a process of its own, so that what ends it does not end the tests.
    """
    import tiny_runs

    command = [sys.executable, __file__, str(tiny_runs.shared_version())]
    # It ends when its input does, and so however this process ends.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(process.wait)
    atexit.register(process.stdin.close)  # Comes first.
    with process.stdout:
        ports = json.loads(process.stdout.readline())
    return dict(grpc=f"localhost:{ports['grpc']}", rest=f"http://localhost:{ports['rest']}")


@contextlib.contextmanager
def scripted_rest(answers: list[tuple[int, bytes]]):
    """Runs an HTTP server that gives these answers in turn; yields address and requests."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):  # noqa: N802
            requests.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer()

        def do_GET(self):  # noqa: N802
            requests.append(self.path)
            self.answer()

        def answer(self):
            status, contents = answers[min(len(requests), len(answers)) - 1]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(contents)

        def log_message(self, *unused):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.01))
        thread.start()
        try:
            yield f"http://localhost:{server.server_address[1]}", requests
        finally:
            server.shutdown()
            thread.join()


def check_model(name: str) -> None:
    """Raises the error of the official server for a model that it does not have."""
    if name != MODEL:
        raise CppError("NOT_FOUND", f"Servable not found for request: Latest({name})")


def start_grpc(session: CppSession):
    """Returns a running gRPC server, and its port."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):  # noqa: N802
            try:
                check_model(request.model_spec.name)
                inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
                outputs = session.run(request.model_spec.signature_name, **inputs)
            except CppError as error:
                context.abort(grpc.StatusCode[error.code], error.message)
            except ValueError as error:  # A tensor whose shape and contents do not agree.
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            response = predict_pb2.PredictResponse()
            for name, value in outputs.items():
                response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
            return response

    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(16), options=unlimited)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    return server, port


def start_rest(session: CppSession):
    """Returns a running REST server."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):  # noqa: N802
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                self.answer(200, dict(outputs=self.predict(body)))
            except CppError as error:
                self.answer(_HTTP_STATUSES.get(error.code, 500), dict(error=error.message))

        def predict(self, body: bytes):
            check_model(re.fullmatch("/v1/models/([^/:]+):predict", self.path)[1])
            request = json.loads(body)
            signature = request["signature_name"]
            known = session.signatures[signature].inputs if signature in session.signatures else {}
            inputs = {}
            for name, value in request["inputs"].items():
                try:
                    inputs[name] = from_json(value, known.get(name))
                except (ValueError, TypeError) as error:
                    raise CppError("INVALID_ARGUMENT", f"'{name}': {error}") from None
            (output,) = session.run(signature, **inputs).values()
            if output.dtype == object:
                return [{"b64": base64.b64encode(item).decode()} for item in output]
            return output.tolist()

        def answer(self, status: int, value: dict) -> None:
            contents = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(contents)))
            self.end_headers()
            self.wfile.write(contents)

        def log_message(self, *unused):
            pass

    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 128  # Of the listening socket; 5 refuses clients that come at once.

    server = Server(("localhost", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def from_json(value, info) -> np.ndarray:
    """Returns a tensor of the type that the signature has for it, if it has it."""
    import tensorflow as tf

    dtype = info and tf.as_dtype(info.dtype).as_numpy_dtype
    if dtype is not object:
        return np.array(value, dtype=dtype)
    array = np.empty(len(value), dtype=object)
    array[:] = [base64.b64decode(item["b64"]) for item in value]
    return array


def main() -> None:
    """Serves the model that the command line names."""
    with CppSession(sys.argv[1]) as session:
        grpc_server, grpc_port = start_grpc(session)
        rest_server = start_rest(session)
        ports = dict(grpc=grpc_port, rest=rest_server.server_address[1])
        print(json.dumps(ports), flush=True)
        sys.stdin.read()  # Until the tests end, in whatever way.
        grpc_server.stop(None)
        rest_server.shutdown()


if __name__ == "__main__":
    main()
