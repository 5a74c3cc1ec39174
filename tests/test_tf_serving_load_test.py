"""Tests of the load test: against the test server, and what it does with errors."""

from __future__ import annotations

import json
import pathlib
import threading
from unittest import mock

import command_line
import numpy as np
import serving_server
import tensorflow as tf
import tiny_runs

from export.tf_serving import client, load_test
from export.tf_serving.protocols import ServingError

PNG = b"\x89PNG\r\n\x1a\n rest"


class SummaryTest(tf.test.TestCase):
    def test_percentiles_and_kinds(self):
        outcomes = [("", number / 1000) for number in range(100, 0, -1)]
        outcomes += [("UNAVAILABLE", 9.0), ("INTERNAL", 9.0), ("UNAVAILABLE", 9.0)]
        report = load_test.summarize(outcomes, requests=105, clients=3, seconds=2.0)
        self.assertEqual((report.answered, report.lost, report.clients), (100, 2, 3))
        self.assertEqual(report.errors, dict(INTERNAL=1, UNAVAILABLE=2))
        self.assertEqual(report.throughput, 50.0)
        self.assertAllClose(report.latency_ms, dict(p50=50.0, p95=95.0, p99=99.0))
        for kind, latency in (("", dict(p50=500.0, p95=500.0, p99=500.0)), ("INTERNAL", {})):
            report = load_test.summarize([(kind, 0.5)], requests=1, clients=1, seconds=0.5)
            self.assertEqual(report.latency_ms, latency)
        self.assertIn("no picture came", load_test.format_report(report))


class ServedTest(tf.test.TestCase):
    """The command against the test server."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tiny_runs.temporary_folder(cls)
        cls.addresses = serving_server.shared()
        cls.image = cls.folder / "image.png"
        cls.image.write_bytes(tf.io.encode_png(np.zeros((32, 32, 3), np.uint8)).numpy())

    def run_load_test(self, address: str, image: pathlib.Path, *flags: str):
        return command_line.run(load_test, f"--address={address}", f"--input={image}", *flags)

    def test_no_request_is_lost(self):
        for protocol, address in self.addresses.items():
            path = self.folder / "new" / f"{protocol}.json"
            result = self.run_load_test(
                address, self.image, "--requests=16", "--clients=8", f"--json={path}"
            )
            self.assertEqual((result.exit_code, result.stderr), (0, ""))
            self.assertIn("answered: 16, lost: 0, errors: none", result.stdout)
            report = json.loads(path.read_text())
            self.assertEqual((report["requests"], report["clients"]), (16, 8))
            self.assertEqual((report["answered"], report["lost"], report["errors"]), (16, 0, {}))
            self.assertAllClose(report["throughput"], 16 / report["seconds"])
            latencies = [report["latency_ms"][name] for name in ("p50", "p95", "p99")]
            self.assertEqual(latencies, sorted(latencies))
            self.assertGreater(latencies[0], 0.1)

    def test_a_file_that_is_no_image(self):
        path = self.folder / "text.png"
        path.write_bytes(b"no image")
        result = self.run_load_test(self.addresses["grpc"], path)
        result.check_refused("--input")
        path.unlink()
        self.run_load_test(self.addresses["grpc"], path).check_refused(f"'{path}'")


class ErrorsTest(tf.test.TestCase):
    """What goes wrong is counted, by a client whose answers are made up."""

    def run_with(self, answer, *, requests: int = 40, clients: int = 4) -> load_test.Report:
        numbers = iter(range(requests + 1))
        taking = threading.Lock()
        made = []

        class FakeClient:
            def __init__(self, address, **settings):
                made.append(settings)

            def __enter__(self):
                return self

            def __exit__(self, *exception):
                pass

            def translate_files(self, contents):
                with taking:
                    number = next(numbers)
                return [PNG] if number == 0 else answer(number)  # 0 is not counted.

        with mock.patch.object(client, "Client", FakeClient):
            report = load_test.run(
                "host:1", b"", requests=requests, clients=clients, model="m", timeout=1.0
            )
        self.assertIsNone(next(numbers, None))  # Each was sent, and once.
        self.assertLen(made, clients + 1)
        for settings in made[1:]:
            self.assertEqual(settings["attempts"], 1)
        return report

    def test_errors_by_kind(self):
        def answer(number):
            if number % 10 == 1:
                raise ServingError("UNAVAILABLE", "queue is full")
            if number == 7:
                raise RuntimeError("a defect, which loses the request and ends the client")
            return {3: [b"GIF89a"], 4: []}.get(number % 10, [PNG])

        with mock.patch.object(threading, "excepthook"):
            report = self.run_with(answer)
        self.assertEqual(report.errors, dict(NOT_A_PICTURE=8, UNAVAILABLE=4))
        self.assertEqual((report.answered, report.lost), (27, 1))

    def test_errors_are_not_success(self):
        path = tiny_runs.temporary_folder(self) / "a.png"
        path.touch()
        for errors, lost, code in (({}, 0, 0), (dict(INTERNAL=1), 0, 1), ({}, 1, 1)):
            answered = 10 - sum(errors.values()) - lost
            report = load_test.Report(10, 2, answered, errors, lost, 1.0, float(answered), {})
            with mock.patch.object(load_test, "run", return_value=report):
                result = command_line.run(load_test, "--address=host:1", f"--input={path}")
            self.assertEqual(result.exit_code, code)
