"""The two ways in which TensorFlow Serving is asked: gRPC, and REST over HTTP.

Both have one method, `predict`, which sends one request and raises `ServingError`
with the name of a gRPC status code, whichever way was taken. REST needs no more
than Python and NumPy. gRPC needs the extra `serving`: the official protos import
all of TensorFlow, since the tensor they carry is TensorFlow's.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import urllib.error
import urllib.parse
import urllib.request

import numpy as np

from pix2pix_tf.errors import InputError

# Of the statuses that the server answers REST with; some codes share one.
_CODES_OF_HTTP = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class ServingError(RuntimeError):
    """A request that was not answered, or answered by an error.

    Attributes:
        code: The gRPC status code's name, as in "UNAVAILABLE".
        message: What the server, or the connection, said.
    """

    def __init__(self, code: str, message: str):
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class GrpcProtocol:
    """The server's gRPC port.

    Args:
        address: host:port.
        max_message_bytes: Of a request and of an answer. gRPC's own limit for
            answers, 4 MB, is five images of 256 x 256 as tensors.

    Raises:
        InputError: If the packages of the extra `serving` are not installed.
    """

    def __init__(self, address: str, *, max_message_bytes: int):
        try:
            import grpc
            import tensorflow as tf
            from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
        except ImportError as error:
            raise InputError(
                f"gRPC needs a package that is not installed ({error}). Install the extra: pip "
                f"install 'pix2pix_tf[serving]'. Or use REST: http://{address.split(':')[0]}:8501"
            ) from None
        self._tf, self._rpc_error = tf, grpc.RpcError
        self._request_class = predict_pb2.PredictRequest
        self._channel = grpc.insecure_channel(
            address,
            options=[
                ("grpc.max_send_message_length", max_message_bytes),
                ("grpc.max_receive_message_length", max_message_bytes),
                # Else a client that found no server fails for up to two minutes without
                # trying the network again, however often it is called.
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 1000),
                # A connection for each client, as clients on several machines have.
                ("grpc.use_local_subchannel_pool", 1),
            ],
        )
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def predict(self, model: str, signature: str, inputs: dict, *, timeout: float):
        """Returns the output of a signature that has one.

        Args:
            model: The name it is served under.
            signature: Its name.
            inputs: Arrays, or lists of bytes, by name.
            timeout: Seconds until the answer.

        Returns:
            An array, or a list of bytes.

        Raises:
            ServingError: If there is no answer, or an error for one.
        """
        request = self._request_class()
        request.model_spec.name = model
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            dtype = self._tf.string if isinstance(value, list) else None
            request.inputs[name].CopyFrom(self._tf.make_tensor_proto(value, dtype))
        try:
            response = self._stub.Predict(request, timeout=timeout)
        except self._rpc_error as error:
            raise ServingError(error.code().name, error.details()) from None
        (output,) = response.outputs.values()
        array = self._tf.make_ndarray(output)
        return list(array) if array.dtype == object else array

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()


class RestProtocol:
    """The server's REST port; see `GrpcProtocol` for the methods.

    Args:
        url: http://host:port, or https, and a path if a proxy has one.
        max_message_bytes: Of a request and of an answer.
    """

    def __init__(self, url: str, *, max_message_bytes: int):
        self._url = url.rstrip("/")
        self._max_message_bytes = max_message_bytes

    def predict(self, model: str, signature: str, inputs: dict, *, timeout: float):
        """See `GrpcProtocol.predict`; `timeout` is of each wait for the network."""
        named = {name: _to_json(value) for name, value in inputs.items()}
        body = json.dumps(dict(signature_name=signature, inputs=named)).encode()
        self._check_size(len(body), "request")
        request = urllib.request.Request(
            f"{self._url}/v1/models/{urllib.parse.quote(model)}:predict",
            data=body,
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                contents = response.read(self._max_message_bytes + 1)
        except urllib.error.HTTPError as error:
            with error:
                raise _http_error(error) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)  # What a URLError is about.
            # socket.timeout is no TimeoutError before Python 3.10.
            is_late = isinstance(reason, (TimeoutError, socket.timeout))
            code = "DEADLINE_EXCEEDED" if is_late else "UNAVAILABLE"
            raise ServingError(code, f"{self._url}: {reason or type(reason).__name__}") from None
        self._check_size(len(contents), "answer")
        try:
            # The one output there is comes without its name.
            return _from_json(json.loads(contents)["outputs"])
        except (ValueError, KeyError, TypeError):
            raise ServingError(
                "INTERNAL", f"{self._url} did not answer as TensorFlow Serving does"
            ) from None

    def close(self) -> None:
        """Does nothing: each request has a connection of its own."""

    def _check_size(self, size: int, what: str) -> None:
        if size > self._max_message_bytes:
            raise ServingError(
                "RESOURCE_EXHAUSTED",
                f"the {what} is larger than the limit ({size} vs. {self._max_message_bytes} bytes)",
            )


def _http_error(error: urllib.error.HTTPError) -> ServingError:
    """Returns what an HTTP status other than 200 means."""
    try:
        message = json.loads(error.read())["error"]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        message = f"HTTP {error.code} {error.reason}"  # A proxy's page, for one.
    return ServingError(_CODES_OF_HTTP.get(error.code, "INTERNAL"), message)


def _to_json(value):
    """Returns an array or a list of bytes in the form of the REST interface."""
    if isinstance(value, list):
        return [{"b64": base64.b64encode(item).decode()} for item in value]
    return np.asarray(value).tolist()


def _from_json(value):
    """Returns an array or a list of bytes from the form of the REST interface."""
    if value and isinstance(value[0], dict):
        return [base64.b64decode(item["b64"]) for item in value]
    return np.asarray(value, dtype=np.float32)
