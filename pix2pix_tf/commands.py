"""What all command lines share: flags from a dataclass, and errors without a traceback."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import glob
import io
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import sys
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from absl import app, flags, logging

from pix2pix_tf import files, quiet_import
from pix2pix_tf.errors import InputError

try:
    import fcntl
except ImportError:  # Windows has none.
    fcntl = None

# Exit statuses of the commands, beside 0.
EXIT_FAULTS = 1  # All is done but for some files, which were named.
EXIT_INPUT_ERROR = 2
EXIT_NON_FINITE = 3  # A loss or a weight became NaN or infinite.
EXIT_WORKER_LOST = 4  # Of several machines.

_temporary_folder: str | None = None  # Of this process; see `_own_temporary_folder`.
CHECKPOINT_HELP = (
    "Of a run folder: newest, best (by the run's best_metric), or a step that is kept."
)


def run(main: Callable[[list[str]], int | None], *, takes_arguments: bool = False) -> None:
    """Runs `main` under absl; an InputError becomes one line and exit status 2.

    So does a file that this user may not read or write.

    Ctrl-C, SIGTERM and SIGHUP become one line too, and the status of `exit_status`, once
    `main` has cleaned up after the KeyboardInterrupt that all three are to it.

    Args:
        main: Takes the arguments that are no flags, the program's name first.
        takes_arguments: Whether there may be others than that name.
    """
    # TensorFlow's C++ start-up notes bury what the user should read; its errors
    # still arrive as exceptions.
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "3":
        quiet_import.install()
    logging.set_verbosity(logging.WARNING)
    # A file's name need not be Unicode, which must not end what prints it.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")

    def guarded(arguments: list[str]) -> int | None:
        try:
            if len(arguments) > 1 and not takes_arguments:
                raise InputError(
                    f"'{arguments[1]}' is no flag. Write settings as --name=value; --help lists "
                    "them."
                )
            return main(arguments)
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            return EXIT_INPUT_ERROR
        except PermissionError as error:
            if not error.filename:
                raise
            refusal = InputError(
                f"'{error.filename}' cannot be used ({error.strerror}). Change its permissions, or "
                "name another."
            )
            print(f"error: {refusal}", file=sys.stderr)
            return EXIT_INPUT_ERROR
        except KeyboardInterrupt as stop:
            with contextlib.suppress(OSError):  # The terminal may be gone.
                print("Stopped.", file=sys.stderr)
            return exit_status(stop)

    with _own_temporary_folder(), _signals_as_interrupts():
        app.run(guarded, flags_parser=_parse_flags)


def exit_status(stop: KeyboardInterrupt) -> int:
    """Returns what shells give for a process that was ended by the signal of an interrupt."""
    return 128 + (stop.args[0] if stop.args else signal.SIGINT)


@contextlib.contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    """Turns SIGTERM and SIGHUP into KeyboardInterrupt, with the number of the signal.

    So temporary files are removed and workers ended. A second SIGTERM acts as usual.
    """
    before = {}
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none.

    def interrupt(number, unused_frame):
        if hangup in before:  # Shells and systems send it after another one, and more than once.
            signal.signal(hangup, signal.SIG_IGN)
        if number != hangup:
            signal.signal(number, before[number])
        raise KeyboardInterrupt(int(number))

    # Python allows handlers in the main thread only.
    if threading.current_thread() is threading.main_thread():
        for number in filter(None, (signal.SIGTERM, hangup)):
            handler = signal.getsignal(number)
            if handler not in (None, signal.SIG_IGN):  # Not Python's; as nohup has it.
                before[number] = handler
                signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _own_temporary_folder() -> Iterator[None]:
    """Gives temporary files of libraries a folder that goes away with the process.

    TensorFlow's AutoGraph removes the sources that it generates, but not what Python
    makes of them, which would pile up. What a process that was killed has left goes too.
    """
    global _temporary_folder
    before = tempfile.tempdir
    # Of this machine, since others may share the place, by the number of the process.
    prefix = f"pix2pix_tf.{socket.gethostname()}."
    try:
        _remove_left_behind(prefix)
        _temporary_folder = tempfile.tempdir = tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}.")
    except OSError:  # There is none to write in; whoever needs one will say so.
        yield
        return
    lock = _lock(_temporary_folder)
    # Before TensorFlow is imported, so that it comes after what that does at the end.
    atexit.register(shutil.rmtree, _temporary_folder, ignore_errors=True)
    try:
        yield
    finally:
        tempfile.tempdir, _temporary_folder = before, None
        if lock is not None:
            os.close(lock)


def _lock(folder: str | pathlib.Path) -> int | None:
    """Tells other processes that this one uses a folder, until it ends or closes the descriptor.

    Returns:
        The descriptor; None where another process uses the folder, or there are no locks.
    """
    if fcntl is None:
        return None
    descriptor = None
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        if descriptor is not None:
            os.close(descriptor)
        return None
    return descriptor


def _remove_left_behind(prefix: str) -> None:
    """Removes the temporary folders of this user's processes that are no more."""
    if fcntl is None:
        return
    for path in pathlib.Path(tempfile.gettempdir()).glob(f"{glob.escape(prefix)}*"):
        number = re.fullmatch(r"(\d+)\.\w+", path.name[len(prefix) :])
        if number is None:
            continue
        # In containers another process, an earlier one or one at work, often has the same number.
        if int(number[1]) != os.getpid() and files.is_alive(int(number[1])):
            continue
        with contextlib.suppress(OSError):  # Another process was faster.
            status = path.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
                continue
            lock = _lock(path)
            if lock is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)


def remove_temporary_files() -> None:
    """Removes what is else removed at the end of the process, before another takes its place."""
    if _temporary_folder is not None:
        shutil.rmtree(_temporary_folder, ignore_errors=True)


def _parse_flags(arguments: list[str]) -> list[str]:
    """Returns the arguments that are no flags; one that is wrong ends the program."""
    try:
        return flags.FLAGS(arguments)
    except flags.Error as error:
        print(f"error: {' '.join(str(error).split())} See --help.", file=sys.stderr)
        sys.exit(EXIT_INPUT_ERROR)


def define_flags(config_class: type, *, leave_out: Collection[str] = ()) -> None:
    """Defines an absl flag for each field of a config dataclass, with its help and default.

    Args:
        config_class: The dataclass.
        leave_out: Fields that the command itself decides.
    """
    for field in dataclasses.fields(config_class):
        name, default = field.name, field.default
        if name in leave_out:
            continue
        help_text, choices = field.metadata["help"], field.metadata["choices"]
        if isinstance(default, bool):
            flags.DEFINE_boolean(name, default, help_text)
        elif choices and isinstance(default, str):
            flags.DEFINE_enum(name, default, choices, help_text)
        elif isinstance(default, int):
            allowed = f" One of {', '.join(map(str, choices))}." if choices else ""
            flags.DEFINE_integer(name, default, help_text + allowed)
        elif isinstance(default, float):
            flags.DEFINE_float(name, default, help_text)
        else:
            flags.DEFINE_string(name, default, help_text)


def given_flags(config_class: type) -> dict[str, Any]:
    """Returns the values of the fields of a config dataclass that were given as flags."""
    names = [field.name for field in dataclasses.fields(config_class)]
    return {
        name: flags.FLAGS[name].value
        for name in names
        if name in flags.FLAGS and flags.FLAGS[name].present
    }


def config_from_flags(config_class: type, *, saved=None, preset: Mapping[str, Any] | None = None):
    """Returns the config that the flags describe; fields without a flag take their default.

    Args:
        config_class: The dataclass.
        saved: One of them, which gives the values of flags that were not given;
            None means the defaults.
        preset: Values of some fields, in place of those.

    Raises:
        InputError: If a value is not allowed.
    """
    values = dict(vars(saved)) if saved else {}
    return config_class(**{**values, **(preset or {}), **given_flags(config_class)})
