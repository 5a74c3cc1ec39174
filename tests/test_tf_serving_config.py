"""Tests of the files for the official image, by the messages that the server reads them as."""

from __future__ import annotations

import contextlib
import http.server
import json
import pathlib
import re
import shutil
import subprocess
import threading

import tensorflow as tf
import yaml
from absl.testing import parameterized
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)
from tensorflow_serving.config import model_server_config_pb2

from export.tf_serving import client

_FOLDER = pathlib.Path(client.__file__).parent
# What the package of protos does not have, as in TensorFlow Serving's
# config/monitoring_config.proto and servables/tensorflow/session_bundle_config.proto. The
# numbers do not matter to the text form, the names and types do.
_WRAPPERS = dict(int="google.protobuf.Int64Value", bool="google.protobuf.BoolValue")
_MESSAGES = dict(
    BatchingParameters=dict(
        max_batch_size="int",
        batch_timeout_micros="int",
        max_enqueued_batches="int",
        num_batch_threads="int",
        enable_large_batch_splitting="bool",
        max_execution_batch_size="int",
    ),
    PrometheusConfig=dict(enable=descriptor_pb2.FieldDescriptorProto.TYPE_BOOL, path="string"),
    MonitoringConfig=dict(prometheus_config="PrometheusConfig"),
)


def message_class(name: str) -> type:
    """Returns one of `_MESSAGES`."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="serving.proto",
        package="serving",
        syntax="proto3",
        dependency=["google/protobuf/wrappers.proto"],
    )
    for message_name, fields in _MESSAGES.items():
        message = file.message_type.add(name=message_name)
        for number, (field_name, kind) in enumerate(fields.items(), start=1):
            field = message.field.add(
                name=field_name, number=number, label=kinds.LABEL_OPTIONAL, type=kinds.TYPE_MESSAGE
            )
            if kind == "string":
                field.type = kinds.TYPE_STRING
            elif isinstance(kind, int):
                field.type = kind
            else:
                field.type_name = "." + _WRAPPERS.get(kind, f"serving.{kind}")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"serving.{name}"))


def read(name: str, kind: type):
    """Returns a configuration file as the message; the parser refuses what it does not know."""
    return text_format.Parse((_FOLDER / name).read_text(), kind())


@contextlib.contextmanager
def model_status(state: str | None):
    """Runs a server that says this of the model, or that there is none; yields its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            known = state and self.path == f"/v1/models/{client.MODEL}"
            self.send_response(200 if known else 404)
            self.end_headers()
            status = dict(model_version_status=[dict(version="1", state=state)])
            missing = dict(error=f"Could not find any versions of model {client.MODEL}")
            self.wfile.write(json.dumps(status if known else missing).encode())

        def log_message(self, *unused):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.01))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


class MessagesTest(tf.test.TestCase):
    def test_models(self):
        config = read("models.config", model_server_config_pb2.ModelServerConfig)
        (model,) = config.model_config_list.config
        self.assertEqual(model.name, client.MODEL)
        self.assertEqual(model.base_path, "/models/pix2pix")
        self.assertEqual(model.model_platform, "tensorflow")
        self.assertEqual(model.model_version_policy.latest.num_versions, 1)

    def test_batching(self):
        config = read("batching.config", message_class("BatchingParameters"))
        # Requests of several clients do not share a batch, nor its errors ...
        self.assertTrue(config.enable_large_batch_splitting.value)
        self.assertEqual(config.max_execution_batch_size.value, 1)
        # ... and nothing is waited for, as there is nothing to put together.
        self.assertEqual(config.batch_timeout_micros.value, 0)
        self.assertTrue(config.HasField("batch_timeout_micros"))
        self.assertGreater(config.num_batch_threads.value, 0)
        self.assertGreaterEqual(config.max_enqueued_batches.value, config.max_batch_size.value)

    def test_monitoring(self):
        config = read("monitoring.config", message_class("MonitoringConfig"))
        self.assertTrue(config.prometheus_config.enable)
        self.assertEqual(config.prometheus_config.path, "/monitoring/prometheus/metrics")

    def test_what_the_server_does_not_know_is_refused(self):
        with self.assertRaises(text_format.ParseError):
            text_format.Parse("max_batch: 1", message_class("BatchingParameters")())
        with self.assertRaises(text_format.ParseError):
            text_format.Parse("max_batch_size: 1", message_class("BatchingParameters")())


class ComposeTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        compose = yaml.safe_load((_FOLDER / "compose.yaml").read_text())
        (self.service,) = compose["services"].values()
        self.mounts = {mount["target"]: mount for mount in self.service["volumes"]}

    def test_official_image(self):
        self.assertRegex(self.service["image"], r"^tensorflow/serving:\$\{\w+:-[\d.]+\}$")

    def test_ports_are_open_to_this_machine_alone_unless_asked_for(self):
        address = "${BIND_ADDRESS:-127.0.0.1}"
        self.assertEqual(self.service["ports"], [f"{address}:8500:8500", f"{address}:8501:8501"])

    def test_mounts_are_read_only(self):
        self.assertLen(self.mounts, 2)
        for mount in self.mounts.values():
            self.assertTrue(mount["read_only"])
        config = read("models.config", model_server_config_pb2.ModelServerConfig)
        model = self.mounts[config.model_config_list.config[0].base_path]
        # Without the variable the command ends, instead of mounting some other folder.
        self.assertRegex(model["source"], r"^\$\{MODEL_DIR:\?.+\}$")

    def test_flags_name_files_that_are_mounted(self):
        flags = dict(flag[2:].split("=") for flag in self.service["command"])
        paths = {name: value for name, value in flags.items() if name.endswith("_file")}
        self.assertEqual(
            sorted(paths),
            ["batching_parameters_file", "model_config_file", "monitoring_config_file"],
        )
        (target,) = set(self.mounts) - {"/models/pix2pix"}
        self.assertEqual(self.mounts[target]["source"], ".")
        for path in paths.values():
            self.assertEqual(str(pathlib.PurePosixPath(path).parent), target)
            self.assertTrue((_FOLDER / pathlib.PurePosixPath(path).name).is_file())
        self.assertEqual(flags["enable_batching"], "true")

    @parameterized.parameters(("AVAILABLE", True), ("LOADING", False), (None, False))
    def test_health_check(self, state, healthy):
        command, *arguments = self.service["healthcheck"]["test"]
        self.assertEqual(command, "CMD")
        if not shutil.which(arguments[0]):
            self.skipTest("There is no bash here.")
        program = arguments[-1]
        self.assertEqual(re.findall(r"/dev/tcp/127\.0\.0\.1/(\d+)", program), ["8501"])
        with model_status(state) as port:
            arguments[-1] = program.replace("8501", str(port))
            result = subprocess.run(arguments, capture_output=True, check=False, timeout=20)
        self.assertEqual(result.returncode == 0, healthy, result.stderr)


if __name__ == "__main__":
    tf.test.main()
