"""Requests that TensorFlow Serving replays before a model version takes any.

The first call of a signature is slow, since TensorFlow plans and allocates then;
a server that has warmed up answers its first user as fast as the next. The file
holds PredictionLog messages. They are written field by field, because their
Python classes come with a package (tensorflow-serving-api) that nothing else in
an export needs; the tests read them back with it.
"""

from __future__ import annotations

import pathlib

import numpy as np
import tensorflow as tf

from pix2pix_tf.config import TrainConfig

REQUESTS = "assets.extra/tf_serving_warmup_requests"
# Field numbers of TensorFlow Serving's apis/{prediction_log,predict,model}.proto.
_LOG_PREDICT, _PREDICT_REQUEST, _REQUEST_MODEL, _REQUEST_INPUTS = 6, 1, 1, 2
_MODEL_SIGNATURE = 3
_MAP_KEY, _MAP_VALUE = 1, 2  # In every map of a protocol buffer.


def write_requests(path: pathlib.Path, config: TrainConfig, *, noise_size: int) -> None:
    """Writes one request for each signature that a model has: a grey image of one crop.

    Args:
        path: The file; its folder is there.
        config: Settings of the run.
        noise_size: Length of z for one crop.
    """
    size, channels = config.crop_size, config.input_channels
    image = tf.make_tensor_proto(0.0, tf.float32, [1, size, size, channels])
    z = tf.make_tensor_proto(np.full([1, noise_size], 0.5, np.float32))
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(_prediction_log("serving_default", image=image))
        writer.write(_prediction_log("with_noise", image=image, z=z))
        if config.has_encoded_signature:
            pixels = tf.fill([size, size, channels], tf.constant(128, tf.uint8))
            image_bytes = tf.make_tensor_proto([tf.io.encode_png(pixels).numpy()])
            writer.write(_prediction_log("encoded", image_bytes=image_bytes))


def _prediction_log(signature: str, **inputs) -> bytes:
    """Returns a PredictionLog of TensorProtos by input name."""
    request = _field(_REQUEST_MODEL, _field(_MODEL_SIGNATURE, signature.encode()))
    for name, tensor in inputs.items():
        entry = _field(_MAP_KEY, name.encode()) + _field(_MAP_VALUE, tensor.SerializeToString())
        request += _field(_REQUEST_INPUTS, entry)
    return _field(_LOG_PREDICT, _field(_PREDICT_REQUEST, request))


def _field(number: int, payload: bytes) -> bytes:
    """Returns a length-delimited field in the wire format of protocol buffers."""
    length, rest = b"", len(payload)
    while rest > 127:
        length += bytes([rest & 127 | 128])
        rest >>= 7
    return bytes([number << 3 | 2]) + length + bytes([rest]) + payload
