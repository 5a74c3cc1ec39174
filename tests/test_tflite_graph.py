"""Tests of simplifying .tflite graphs, on functions of one line."""

from __future__ import annotations

import warnings

import numpy as np
import tensorflow as tf
import tiny_tflite
from absl.testing import parameterized

from export.tflite import graph, litert

SHAPE = (1, 4, 6, 2)


def to_tflite(function, *, shape=SHAPE) -> bytes:
    spec = tf.TensorSpec(shape, tf.float32, name="x")
    module = tf.Module()
    module.f = tf.function(function, input_signature=[spec])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow's own, about its converter.
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [module.f.get_concrete_function()], module
        )
        return converter.convert()


def run(contents: bytes, x: np.ndarray) -> np.ndarray:
    (output,) = litert.Interpreter(model_content=contents).get_signature_runner()(x=x).values()
    return output


def count(contents: bytes, name: str) -> int:
    (counts,) = tiny_tflite.count_operators(contents).values()
    return counts[name]


class SimplifyTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.named_parameters(
        ("all_rows_in_their_order", "GATHER", lambda x: tf.gather(x, [0, 1, 2, 3], axis=1)),
        ("all_columns", "GATHER", lambda x: tf.gather(x, list(range(6)), axis=2)),
        ("of_everything", "STRIDED_SLICE", lambda x: x[:, :4, :6]),
    )
    def test_copies_are_removed(self, name, copy):
        for function in (lambda x: copy(tf.tanh(x)) * 2.0, lambda x: copy(tf.tanh(x) * 2.0)):
            contents = to_tflite(function)
            self.assertEqual(count(contents, name), 1)  # Or there would be nothing to test.
            simple = graph.simplify(contents)
            self.assertEqual(count(simple, name), 0)
            x = np.random.RandomState(0).uniform(-1, 1, SHAPE).astype(np.float32)
            self.assertAllClose(run(simple, x), 2 * np.tanh(x), rtol=0, atol=1e-6)

    @parameterized.named_parameters(
        ("rows_in_another_order", "GATHER", lambda x: tf.gather(x, [0, 2, 1, 3], axis=1)),
        ("some_rows_twice", "GATHER", lambda x: tf.gather(x, [0, 1, 2, 2], axis=1)),
        ("some_rows", "GATHER", lambda x: tf.gather(x, [0, 1, 2], axis=1)),
        ("a_part", "STRIDED_SLICE", lambda x: x[:, :3, :6]),
        ("one_axis_less", "STRIDED_SLICE", lambda x: x[0]),
        ("one_axis_more", "STRIDED_SLICE", lambda x: x[0, 1:2, tf.newaxis, :, :2]),
    )
    def test_what_changes_something_stays(self, name, function):
        contents = to_tflite(lambda x: function(tf.tanh(x)))
        self.assertEqual(count(contents, name), 1)
        simple = graph.simplify(contents)
        self.assertEqual(count(simple, name), 1)
        x = np.random.RandomState(0).uniform(-1, 1, SHAPE).astype(np.float32)
        self.assertAllClose(run(simple, x), function(np.tanh(x)), rtol=0, atol=1e-6)

    def test_a_slice_that_turns_around_stays(self):
        contents = to_tflite(lambda x: tf.strided_slice(x * 2.0, [3], [-5], [-1]), shape=[4])
        x = np.arange(4, dtype=np.float32)
        self.assertAllEqual(run(graph.simplify(contents), x), 2 * x[::-1])

    def test_sizes_that_are_not_known_stay(self):
        contents = to_tflite(lambda x: tf.gather(tf.tanh(x), [0], axis=1), shape=(1, None, 6, 2))
        simple = graph.simplify(contents)
        self.assertEqual(count(simple, "GATHER"), 1)
        x = np.random.RandomState(0).uniform(-1, 1, (1, 3, 6, 2)).astype(np.float32)
        self.assertAllClose(run(simple, x), np.tanh(x[:, :1]), rtol=0, atol=1e-6)
