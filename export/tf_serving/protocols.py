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

from ..errors import StatusError

MAX_MESSAGE_BYTES = 64 * 2**20  # A float32 image of 2048 x 2048 takes 48 MiB.
# Of the statuses that the server answers REST with; some codes share one.
_CODES_OF_HTTP = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class ServingError(StatusError):
    """A request that was not answered, or answered by an error."""


class GrpcProtocol:
    """The server's gRPC port.

    Args:
        address: host:port.

    Raises:
        InputError: If the packages of the extra `serving` are not installed.
    """

    def __init__(self, address: str):
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
        options = {
            "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
            # gRPC's own limit, 4 MB, is five images of 256 x 256 as tensors.
            "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
            # Else a client that found no server fails for up to two minutes without
            # trying the network again, however often it is called.
            "grpc.initial_reconnect_backoff_ms": 100,
            "grpc.max_reconnect_backoff_ms": 1000,
        }
        self._channel = grpc.insecure_channel(address, options=list(options.items()))
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def predict(self, model: str, signature: str, inputs: dict, *, timeout: float):
        """Returns what `client.Client.predict` does; `timeout` is in seconds until the answer."""
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
    """

    def __init__(self, url: str):
        self._url = url.rstrip("/")

    def predict(self, model: str, signature: str, inputs: dict, *, timeout: float):
        """See `GrpcProtocol.predict`; `timeout` is of each wait for the network."""
        named = {name: _to_json(value) for name, value in inputs.items()}
        request = urllib.request.Request(
            f"{self._url}/v1/models/{urllib.parse.quote(model)}:predict",
            data=json.dumps(dict(signature_name=signature, inputs=named)).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                # The one output there is comes without its name.
                return _from_json(json.loads(response.read())["outputs"])
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode(errors="replace") or error.reason
            code = _CODES_OF_HTTP.get(error.code, "INTERNAL")
            raise ServingError(code, f"HTTP {error.code}: {text}") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)  # What a URLError is about.
            # socket.timeout is not a TimeoutError before Python 3.10.
            is_late = isinstance(reason, (TimeoutError, socket.timeout))
            code = "DEADLINE_EXCEEDED" if is_late else "UNAVAILABLE"
            raise ServingError(code, f"{self._url}: {reason or type(reason).__name__}") from None
        except (ValueError, KeyError, TypeError):
            raise ServingError(
                "INTERNAL", f"{self._url} did not answer as TensorFlow Serving does"
            ) from None

    def close(self) -> None:
        """Does nothing: each request has a connection of its own."""


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
