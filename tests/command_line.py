"""Runs a command in this process, as `python -m` would in its own."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import sys
from unittest import mock

from absl import flags, logging

from pix2pix_tf import commands


@dataclasses.dataclass(frozen=True)
class Result:
    """What a command leaves for its caller."""

    exit_code: int
    stdout: str
    stderr: str

    def check_refused(self, *parts) -> None:
        """Expects what a command says that cannot be done: one line, which has each of `parts`."""
        assert self.exit_code == 2, self
        (line,) = self.stderr.splitlines()
        assert line.startswith("error: "), line
        for part in parts:
            assert str(part) in line, (part, line)


def run(module, *arguments: str, takes_arguments: bool = False) -> Result:
    """Runs `module.main` under absl, with its flags defined for this call alone."""
    known = set(flags.FLAGS)
    verbosity = logging.get_verbosity()
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(sys, "argv", [module.__name__, *arguments]))
        stack.enter_context(mock.patch.dict(os.environ))
        stack.enter_context(contextlib.redirect_stdout(stdout))
        stack.enter_context(contextlib.redirect_stderr(stderr))
        stack.callback(logging.set_verbosity, verbosity)
        stack.callback(_forget_flags, known)
        module.define_flags()
        try:
            commands.run(module.main, takes_arguments=takes_arguments)
            code = 0
        except SystemExit as leaving:
            code = leaving.code or 0
    return Result(code, stdout.getvalue(), stderr.getvalue())


def _forget_flags(known: set[str]) -> None:
    for name in set(flags.FLAGS) - known:
        delattr(flags.FLAGS, name)
    flags.FLAGS.unparse_flags()
