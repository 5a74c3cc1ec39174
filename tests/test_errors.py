"""Tests of `pix2pix_tf.errors`: messages keep to their lines, whatever files are called."""

from __future__ import annotations

import pickle

import command_line
import tiny_runs
from absl.testing import absltest, parameterized

from pix2pix_tf import train
from pix2pix_tf.errors import (
    InputError,
    MissingInputError,
    WriteError,
    first_line,
    join_lines,
    list_faults,
)

# Each of these ends a line for some program, or is obeyed by a terminal.
# The last is what Python makes of a byte of a name that is not text.
_CONTROLS = [*map(chr, range(32)), *map(chr, range(127, 160)), "\u2028", "\u2029", "\udce9"]


class MessageTest(parameterized.TestCase):
    @parameterized.parameters(InputError, MissingInputError, WriteError)
    def test_is_one_line_that_no_terminal_obeys(self, kind):
        self.assertEqual(str(kind("'a\x1b[2J\n.png' is empty")), r"'a\x1b[2J\n.png' is empty")
        text = str(kind("".join(_CONTROLS)))
        self.assertLen(text.splitlines(), 1)
        self.assertEqual([x for x in _CONTROLS if x in text], [])

    def test_several_have_a_line_each(self):
        faults = [f"'{name}' is empty" for name in ("c\nd", "a\rb", "c\nd")]
        error = InputError(list_faults(faults, num_items=7, what="pairs"))
        expected = [r"3 of 7 pairs cannot be used:", r"'a\rb' is empty", r"'c\nd' is empty"]
        self.assertEqual(str(error).splitlines(), expected)
        both = InputError(join_lines([error.message, InputError("'e\nf'").message]))
        self.assertEqual(str(both).splitlines(), [*expected, r"'e\nf'"])

    def test_comes_out_of_another_process_as_it_was(self):
        for error in (InputError("a\nb"), WriteError("a\nb"), InputError(join_lines(["a", "b\n"]))):
            again = pickle.loads(pickle.dumps(error))
            self.assertEqual((type(again), str(again)), (type(error), str(error)))

    @parameterized.parameters(
        (ValueError("\n a\nb"), "a"), (ValueError("\n"), "ValueError"), (OSError(), "OSError")
    )
    def test_first_line(self, error, expected):
        self.assertEqual(first_line(error), expected)


class CommandTest(absltest.TestCase):
    def test_an_argument_with_a_line_end_is_one_line(self):
        run = tiny_runs.temporary_folder(self) / "run"
        result = command_line.run(train, f"--workdir={run}", "--dataset=new\nline\x1b[31m")
        result.check_refused(r"new\nline\x1b[31m")
