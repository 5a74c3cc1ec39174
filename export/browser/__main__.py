"""Installs LiteRT.js and TF.js from npm, for the drawing page and `export verify`.

    pix2pix export browser

They go where this package looks for them, 0.34 GB. It needs Node.js 18 or newer, with npm.
"""

from __future__ import annotations

import shutil
import subprocess

from pix2pix_tf import commands
from pix2pix_tf.errors import InputError, MissingInputError

from . import programs


def main(_) -> None:
    """Runs npm."""
    if shutil.which("npm") is None:
        raise MissingInputError("There is no 'npm' on the path. Install Node.js 18 or newer.")
    command = programs.install_command()
    status = subprocess.run([*command, "--no-audit", "--no-fund", "--loglevel=error"]).returncode
    if status:
        raise InputError(
            f"npm ended with status {status}. If it could not reach its registry, try again; if it "
            f"may not write to '{programs.RUNNER}', install the package in an environment of yours."
        )
    print(f"LiteRT.js and TF.js are in '{programs.RUNNER}'.")


if __name__ == "__main__":
    commands.run(main)
