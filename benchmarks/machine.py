"""What a measurement was made on: the machine, the versions, the commit."""

from __future__ import annotations

import datetime
import os
import pathlib
import platform
import subprocess

from benchmarks.contenders import REPOSITORY, available_cpus

# Instructions that decide how fast products of matrices can be.
_TELLING_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")


def describe() -> dict:
    """Returns the processor, cores, memory, system, commit and date."""
    return dict(
        processor=_field("/proc/cpuinfo", "model name") or platform.processor(),
        instructions=[
            flag
            for flag in _TELLING_FLAGS
            if flag in (_field("/proc/cpuinfo", "flags") or "").split()
        ],
        cores=len(available_cpus()),
        memory_gigabytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9,
        system=f"{platform.system()} {platform.release().split('-')[0]}",
        # More than the measurement itself makes: someone else was computing.
        load_before=os.getloadavg()[0],
        commit=commit(),
        date=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    )


def commit() -> str:
    """Returns the commit of the working tree, with "+" if files were changed since."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"  # No git, or not a clone.


def _field(path: str, name: str) -> str | None:
    """Returns the first value of `name` in a file of "name : value" lines."""
    file = pathlib.Path(path)
    if not file.is_file():
        return None
    for line in file.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None
