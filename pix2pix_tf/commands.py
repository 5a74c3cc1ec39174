"""What all command lines share: flags from a dataclass, and errors without a traceback."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging as python_logging
import os
import signal
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

from absl import app, flags, logging

from pix2pix_tf import pretrained, run_folder, signals
from pix2pix_tf.errors import InputError

# Keras 3 imports matplotlib, which an inherited MPLBACKEND may end, and which talks where there is
# no home. Before that, and for all of the process, as commands draw into files alone; a notebook,
# which imports commands too, keeps what it has.
if "ipykernel" not in sys.modules:
    os.environ.pop("MPLBACKEND", None)
    os.environ["KERAS_BACKEND"] = "tensorflow"  # Another one, inherited, may not be installed.
    python_logging.getLogger("matplotlib").setLevel(python_logging.ERROR)
    # TensorFlow's C++ start-up notes bury what the user should read; its errors still arrive as
    # exceptions. Read when it is imported, which most commands do at their beginning.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_NAMES = f"the name of a trained model of the package ({', '.join(pretrained.NAMES)})"
RUN_FOLDER_HELP = f"Run folder of the training, or {_NAMES}."
EXPORTED_HELP = (
    f"Folder of exported versions, or one version. A run folder, or {_NAMES}, is exported on the "
    "way."
)
MODEL_HELP = f"A run folder, an exported SavedModel, or {_NAMES}."

# Exit statuses of the commands, beside 0.
EXIT_FAULTS = 1  # All is done but for some files, which were named.
EXIT_INPUT_ERROR = 2
EXIT_NON_FINITE = 3  # A loss or a weight became NaN or infinite.
EXIT_WORKER_LOST = 4  # Another machine of the run is gone.


def run(main: Callable[[list[str]], int | None], *, takes_arguments: bool = False) -> None:
    """Runs `main` under absl; an InputError becomes one line and exit status 2.

    So does a file that this user may not read or write.

    Ctrl-C, SIGTERM and SIGHUP become one line too, and the status of `exit_status`, once
    `main` has cleaned up after the KeyboardInterrupt that all three are to it.

    Args:
        main: Takes the arguments that are not flags, the program's name first.
        takes_arguments: Whether there may be others than that name.
    """
    # Else AutoGraph leaves what Python makes of the sources that it generates, each time.
    sys.dont_write_bytecode = True
    logging.set_verbosity(logging.WARNING)
    # Closed, as by `>&-`: else the next file that is opened gets the stream's number, and with it
    # what C++ writes to the stream.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))
    # A file's name need not be Unicode, which must not end what prints it.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")

    def guarded(arguments: list[str]) -> int | None:
        try:
            if len(arguments) > 1 and not takes_arguments:
                raise InputError(
                    f"'{arguments[1]}' is not a flag. Write settings as --name=value; --help lists "
                    "them."
                )
            with signals.as_interrupts():
                return main(arguments)
        except (InputError, PermissionError) as error:
            if isinstance(error, PermissionError):
                if not error.filename:
                    raise
                error = InputError(
                    f"'{error.filename}' cannot be used ({error.strerror}). Change its "
                    "permissions, or name another."
                )
            print(f"error: {error}", file=sys.stderr)
            return EXIT_INPUT_ERROR
        except KeyboardInterrupt as stop:
            with contextlib.suppress(OSError):  # The terminal may be gone.
                print("Stopped.", file=sys.stderr)
            return exit_status(stop)

    app.run(guarded, flags_parser=_parse_flags)


def exit_status(stop: KeyboardInterrupt) -> int:
    """Returns what shells give for a process that was ended by the signal of an interrupt."""
    return 128 + (stop.args[0] if stop.args else signal.SIGINT)


def _parse_flags(arguments: list[str]) -> list[str]:
    """Returns the arguments that are not flags; one that is wrong ends the program."""
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


def define_checkpoint_flags() -> None:
    """Defines which weights of a run folder a command takes."""
    flags.DEFINE_string(
        "checkpoint",
        run_folder.NEWEST,
        "Checkpoint of a run folder: newest, best (by the run's best_metric), or a step that is "
        "kept.",
    )
    flags.DEFINE_enum(
        "weights",
        run_folder.AVERAGE,
        run_folder.WEIGHTS,
        "Weights of a run folder: averaged over the steps, where the run has averages, or as the "
        "last step left them.",
    )


def checkpoint_from_flags() -> dict[str, str]:
    """Returns the arguments `checkpoint` and `weights` that the flags above give."""
    return {name: flags.FLAGS[name].value for name in ("checkpoint", "weights")}


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
