"""Tests of the files for the official image."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import subprocess

import serving_server
import tensorflow as tf
import yaml
from absl.testing import parameterized
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from export.tf_serving import client

_FOLDER = pathlib.Path(client.__file__).parent


def read_text(name: str) -> str:
    """Returns a configuration file in protobuf's text form without its comments."""
    return re.sub("#.*", "", (_FOLDER / name).read_text())


def read_models():
    return text_format.Parse(
        read_text("models.config"), model_server_config_pb2.ModelServerConfig()
    )


class MessagesTest(tf.test.TestCase):
    def test_models(self):
        (model,) = read_models().model_config_list.config
        self.assertEqual(model.name, client.MODEL)
        self.assertEqual(model.base_path, "/models/pix2pix")
        self.assertEqual(model.model_platform, "tensorflow")
        self.assertEqual(model.model_version_policy.latest.num_versions, 1)

    def test_as_many_images_at_a_time_as_the_server_has_cores(self):
        # Which is what the server takes where the file says nothing.
        names = re.findall(r"^\w+", read_text("batching.config"), re.MULTILINE)
        self.assertIn("max_execution_batch_size", names)
        self.assertNotIn("num_batch_threads", names)


class ComposeTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        compose = yaml.safe_load((_FOLDER / "compose.yaml").read_text())
        (self.service,) = compose["services"].values()
        self.mounts = {mount["target"]: mount for mount in self.service["volumes"]}

    def test_official_image_with_ports_for_this_machine_alone_unless_asked_for(self):
        self.assertStartsWith(self.service["image"], "tensorflow/serving:")
        address = "${BIND_ADDRESS:-127.0.0.1}"
        self.assertEqual(self.service["ports"], [f"{address}:8500:8500", f"{address}:8501:8501"])

    def test_onednn_is_on_whatever_the_processor_unless_asked_for(self):
        variables = self.service["environment"]
        self.assertEqual(variables["TF_ENABLE_ONEDNN_OPTS"], "${TF_ENABLE_ONEDNN_OPTS:-1}")

    def test_mounts_are_read_only(self):
        for mount in self.mounts.values():
            self.assertTrue(mount["read_only"])
        model = self.mounts[read_models().model_config_list.config[0].base_path]
        # Without the variable the command ends, instead of mounting some other folder.
        self.assertStartsWith(model["source"], "${MODEL_DIR:?")

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

    @parameterized.parameters((200, "AVAILABLE", True), (200, "LOADING", False), (404, "", False))
    def test_health_check(self, status, state, healthy):
        command, *arguments = self.service["healthcheck"]["test"]
        self.assertEqual(command, "CMD")
        if not shutil.which(arguments[0]):
            self.skipTest("There is no bash here.")
        program = arguments[-1]
        self.assertEqual(re.findall(r"/dev/tcp/127\.0\.0\.1/(\d+)", program), ["8501"])
        answer = json.dumps(dict(model_version_status=[dict(version="1", state=state)])).encode()
        with serving_server.scripted_rest([(status, answer)]) as (address, requests):
            arguments[-1] = program.replace("8501", address.rsplit(":", 1)[1])
            result = subprocess.run(arguments, capture_output=True, check=False, timeout=20)
        self.assertEqual(requests, [f"/v1/models/{client.MODEL}"])
        self.assertEqual(result.returncode == 0, healthy, result.stderr)
