"""Errors that are the user's to mend.

Commands print these as one line and exit with status 2; every other exception
is a defect of the project and keeps its traceback. A message has three parts:
what went wrong, which value came, what to do.
"""


class InputError(ValueError):
    """Something a user gave (a flag, a file, a folder) cannot be used."""


class MissingInputError(InputError, FileNotFoundError):
    """A file or folder that a user named is not there."""


class WriteError(InputError, OSError):
    """A result cannot be written: the disk is full, the folder read-only or gone."""
