"""Tests of `pix2pix_tf.warmup`: read with the official classes, replayed in the C++ session."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized
from tensorflow_serving.apis import prediction_log_pb2

from export.cpp_session import CppSession
from pix2pix_tf import serving, warmup


class WarmupTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.named_parameters(
        ("colour", dict()),
        ("grey_without_dropout", dict(input_channels=1, dropout=0.0)),
    )
    def test_requests_are_what_the_signatures_take(self, settings):
        run = tiny_runs.temporary_folder(self) / "run"
        tiny_runs.write_run(run, **settings)
        version = serving.save_version(run, run.with_name("exported"))
        session = self.enter_context(CppSession(version))
        replayed = []
        for record in tf.data.TFRecordDataset(str(version / warmup.REQUESTS)):
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

    def test_a_length_takes_as_many_bytes_as_it_needs(self):
        for length in (0, 1, 127, 128, 16383, 16384, 2**21):
            payload = b"x" * length
            tensor = tf.make_tensor_proto([payload])
            log = prediction_log_pb2.PredictionLog.FromString(
                warmup._prediction_log("s", image_bytes=tensor)
            )
            found = log.predict_log.request.inputs["image_bytes"].string_val[0]
            self.assertEqual(found, payload)
