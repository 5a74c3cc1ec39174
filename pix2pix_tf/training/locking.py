"""One run at a time in a run folder."""

from __future__ import annotations

import os
import pathlib
import socket

from pix2pix_tf import files
from pix2pix_tf.errors import InputError, WriteError

try:
    import fcntl
except ImportError:  # Windows.
    fcntl = None

LOCK_FILE = "train.lock"


class RunLock:
    """Keeps other processes from training in a run folder while this one does.

    Taken at once where the folder is there already, else by `acquire`. The system
    releases it when the process ends, however it ends; the file stays, and means nothing
    then. Deleting it would let two processes lock two files of one name: `check` takes the
    lock again. Where the file system knows no locks, nobody is kept out.

    Args:
        workdir: The run folder.
    """

    def __init__(self, workdir: pathlib.Path):
        self._workdir = pathlib.Path(workdir)
        self._path = self._workdir / LOCK_FILE
        self._descriptor: int | None = None
        # Of the folder, so that its number is not given to another while this one runs.
        self._folder_descriptor: int | None = None
        self._holder = f"process {os.getpid()} on {socket.gethostname()}"

    def __enter__(self) -> RunLock:
        if self._workdir.is_dir():
            self.acquire()
        else:
            files.check_output_folder(self._workdir)
        return self

    def __exit__(self, *unused):
        self._release()

    def _release(self) -> None:
        for descriptor in (self._descriptor, self._folder_descriptor):
            if descriptor is not None:
                os.close(descriptor)
        self._descriptor = self._folder_descriptor = None

    def acquire(self) -> None:
        """Makes the folder if it is not there, and takes the lock if this object has it not yet.

        Raises:
            InputError: If another process has it, naming that one, or the folder cannot be made.
            WriteError: If the folder cannot be written in.
        """
        if self._descriptor is not None:
            return
        files.make_output_folder(self._workdir)
        with files.writing(self._path):
            # Not inherited by other programs, which would then hold the lock as well.
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                self._lock(descriptor)
                os.ftruncate(descriptor, 0)
                os.write(descriptor, self._holder.encode())
                if fcntl is not None:  # Windows opens no folders.
                    self._folder_descriptor = os.open(self._workdir, os.O_RDONLY)
            except BaseException:
                os.close(descriptor)
                raise
            self._descriptor = descriptor

    def _lock(self, descriptor: int) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 1000).decode(errors="replace")
            raise InputError(
                f"'{self._workdir}' is being trained in by {holder or 'another process'}. Wait "
                "until it ends, stop it, or name another --workdir."
            ) from None
        except OSError:
            pass  # Some network file systems have no locks.

    def check(self) -> None:
        """Looks whether the folder is still the one that was locked; call before writing.

        Where it is, but the lock was deleted or replaced, the lock is taken again.

        Raises:
            WriteError: If the folder was deleted, or another was put in its place.
            InputError: If another process has taken the lock meanwhile, naming that one.
        """
        if _is_at(self._path, self._descriptor):
            return
        if not _is_at(self._workdir, self._folder_descriptor) and not self._is_held():
            raise WriteError(
                f"'{self._workdir}' is no longer the folder that this run started in, with its "
                f"{LOCK_FILE}: it was deleted, moved or unmounted. Bring it back, then give the "
                "same command again."
            )
        self._release()
        self.acquire()

    def _is_held(self) -> bool:
        """Returns whether the lock names this process: some mounts number files anew."""
        try:
            return self._path.read_text(encoding="utf-8") == self._holder
        except (OSError, ValueError):
            return False


def _is_at(path: pathlib.Path, descriptor: int | None) -> bool:
    """Returns whether what was opened is what a path leads to."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except (OSError, TypeError):  # The path leads nowhere; or nothing was opened.
        return False
