"""Tests of `pix2pix_tf.training.stopping`; the runs that it stops are those of test_loop.py."""

from __future__ import annotations

import os
import signal
from unittest import mock

from absl.testing import absltest, parameterized

from pix2pix_tf.training.stopping import StopRequest


class StopRequestTest(parameterized.TestCase):
    @parameterized.parameters(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    def test_what_is_ignored_stays_so(self, number):
        # SIGINT is in what a script starts in the background, SIGHUP under nohup.
        self.addCleanup(signal.signal, number, signal.signal(number, signal.SIG_IGN))
        with StopRequest() as stop:
            os.kill(os.getpid(), number)
            self.assertFalse(stop.is_requested)
        self.assertEqual(signal.getsignal(number), signal.SIG_IGN)

    def test_handlers_that_are_not_pythons_stay(self):
        set_handlers = []
        with (
            mock.patch.object(signal, "getsignal", return_value=None),
            mock.patch.object(signal, "signal", lambda *pair: set_handlers.append(pair)),
        ):
            with StopRequest():
                pass
        self.assertEmpty(set_handlers)


if __name__ == "__main__":
    absltest.main()
