"""Tests of `pix2pix_tf.warmup`: read with the official classes, replayed in the C++ session."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tiny_runs
from tensorflow_serving.apis import prediction_log_pb2

from pix2pix_tf import warmup
from pix2pix_tf.config import TrainConfig


class WarmupTest(tf.test.TestCase):
    def test_requests_are_what_the_signatures_take(self):
        session = tiny_runs.shared_session()
        replayed = []
        for record in tf.data.TFRecordDataset(str(tiny_runs.shared_version() / warmup.REQUESTS)):
            log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
            self.assertEqual(log.WhichOneof("log_type"), "predict_log")
            request = log.predict_log.request
            inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
            (output,) = session.run(request.model_spec.signature_name, **inputs).values()
            self.assertEqual(output.shape[0], 1)
            if output.dtype == np.float32:
                self.assertTrue(np.isfinite(output).all())
            replayed.append(request.model_spec.signature_name)
        self.assertCountEqual(replayed, session.signatures)

    def test_requests_follow_the_channels_and_the_signatures(self):
        path = tiny_runs.temporary_folder(self) / "requests"
        for settings, signatures in (
            (dict(input_channels=1), ["serving_default", "with_noise", "encoded"]),
            (dict(input_channels=5), ["serving_default", "with_noise"]),
        ):
            config = TrainConfig(crop_size=32, **settings)
            warmup.write_requests(path, config, noise_size=0)
            logs = [
                prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
                for record in tf.data.TFRecordDataset(str(path))
            ]
            self.assertEqual([log.model_spec.signature_name for log in logs], signatures)
            shapes = [tf.make_ndarray(logs[1].inputs[name]).shape for name in ("image", "z")]
            self.assertEqual(shapes, [(1, 32, 32, config.input_channels), (1, 0)])

    def test_a_length_takes_as_many_bytes_as_it_needs(self):
        for length in (0, 1, 127, 128, 16383, 16384, 2**21):
            payload = b"x" * length
            tensor = tf.make_tensor_proto([payload])
            log = prediction_log_pb2.PredictionLog.FromString(
                warmup._prediction_log("s", image_bytes=tensor)
            )
            found = log.predict_log.request.inputs["image_bytes"].string_val[0]
            self.assertEqual(found, payload)
