"""Tests of `pix2pix_tf.precision`, on machines that are not here."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tempfile
from unittest import mock

import keras
import tensorflow as tf
from absl.testing import parameterized

from pix2pix_tf import config, precision


def resolve_auto(*, capabilities=(), cpu_flags=(), has_tpu=False, onednn=None) -> str:
    """Returns what `auto` is on a machine.

    Args:
        capabilities: Compute capability of each GPU; None where it is not told.
        onednn: Value of the environment's variable; None where it is not set.
        cpu_flags: Features of the CPU.
        has_tpu: Whether there is a TPU.
    """
    gpus = [f"gpu:{number}" for number in range(len(capabilities))]
    details = {
        gpu: {} if capability is None else {"compute_capability": capability}
        for gpu, capability in zip(gpus, capabilities)
    }
    with (
        mock.patch.object(
            tf.config, "list_physical_devices", lambda kind: gpus if kind == "GPU" else []
        ),
        mock.patch.object(
            tf.config, "list_logical_devices", lambda kind: ["tpu"] * (has_tpu and kind == "TPU")
        ),
        mock.patch.object(tf.config.experimental, "get_device_details", details.get),
        mock.patch.object(precision, "_cpu_flags", lambda: set(cpu_flags)),
        mock.patch.dict(os.environ),
    ):
        os.environ.pop("TF_ENABLE_ONEDNN_OPTS", None)
        if onednn is not None:
            os.environ["TF_ENABLE_ONEDNN_OPTS"] = onednn
        return precision.resolve_precision("auto")


class ResolvePrecisionTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.named_parameters(
        ("volta", "float16", dict(capabilities=[(7, 0)])),
        ("two_digits", "float16", dict(capabilities=[(10, 0)])),
        ("old_one_beside_a_new_one", "float32", dict(capabilities=[(8, 0), (6, 1)])),
        ("gpu_that_does_not_say", "float32", dict(capabilities=[None])),
        ("old_gpu", "float32", dict(capabilities=[(5, 0)], cpu_flags=["amx_bf16"])),
        ("avx512", "bfloat16", dict(cpu_flags=["sse", "avx512_bf16"])),
        ("amx", "bfloat16", dict(cpu_flags=["amx_bf16", "avx2"])),
        ("plain_cpu", "float32", dict(cpu_flags=["sse", "avx2", "avx512f"])),
        ("onednn_on", "bfloat16", dict(cpu_flags=["amx_bf16"], onednn="1")),
        ("onednn_off", "float32", dict(cpu_flags=["amx_bf16"], onednn="0")),
        ("onednn_off_in_words", "float32", dict(cpu_flags=["avx512_bf16"], onednn="False")),
        ("tpu", "bfloat16", dict(has_tpu=True, onednn="0")),
    )
    def test_auto(self, expected, machine):
        self.assertEqual(resolve_auto(**machine), expected)

    def test_every_choice_has_a_policy_with_float32_weights(self):
        choices = config.TrainConfig.__dataclass_fields__["precision"].metadata["choices"]
        self.assertCountEqual(choices, ["auto", *precision.POLICIES])
        policy_class = getattr(keras, "DTypePolicy", None) or keras.mixed_precision.Policy
        for name, policy_name in precision.POLICIES.items():
            policy = policy_class(policy_name)
            self.assertEqual((policy.compute_dtype, policy.variable_dtype), (name, "float32"))


class CpuFlagsTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("x86", "processor\t: 0\nflags\t\t: fpu avx512_bf16 amx_tile\nbugs\t: x\n", "avx512_bf16"),
        ("arm", "processor\t: 0\nFeatures\t: fp asimd bf16\n", None),
        ("empty", "", None),
        ("no_such_file", None, None),
    )
    def test_reads_what_the_system_lists(self, text, expected):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "cpuinfo")
            if text is not None:
                path.write_text(text, encoding="utf-8")
            with mock.patch.object(precision.pathlib, "Path", lambda name: path):
                flags = precision._cpu_flags()
        if expected is None:
            self.assertEmpty(flags)
        else:
            self.assertEqual(flags, {"fpu", "avx512_bf16", "amx_tile"})


class OneDnnTest(parameterized.TestCase):
    @parameterized.parameters((None, "1"), ("0", "0"))
    def test_is_on_unless_the_user_says_otherwise(self, given, expected):
        name = "TF_ENABLE_ONEDNN_OPTS"
        environment = {key: value for key, value in os.environ.items() if key != name}
        if given is not None:
            environment[name] = given
        shown = subprocess.run(
            [sys.executable, "-c", f"import os, pix2pix_tf; print(os.environ['{name}'])"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertEqual(shown.stdout.strip(), expected)
