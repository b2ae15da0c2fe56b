"""One writer at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from scraper.archiver.layout import make_folder, write_all, writing
from scraper.errors import ArchiveLocked

_HELD = {errno.EACCES, errno.EAGAIN}
_TRIES, _PAUSE_SECONDS = 4, 0.02  # who only looks whether it is held, holds it for a moment


class Lock:
    """The archive's lock, as a context: flock(2) on `.lock`, which the kernel frees on a crash.

    Entering raises `ArchiveLocked` at once when another run holds it, `ArchiveUnwritable` when the folder
    cannot be made or written. The file stays: only the lock on it means anything.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / ".lock"
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        make_folder(self._path.parent)
        with writing(self._path):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise FileExistsError(errno.EEXIST, "it is no file", str(self._path))
            try:
                _take(descriptor)
                os.ftruncate(descriptor, 0)
                write_all(descriptor, f"{os.getpid()}\n".encode())
            except OSError as error:
                holder = os.pread(descriptor, 32, 0).strip()
                os.close(descriptor)
                if error.errno in _HELD:
                    raise ArchiveLocked(self._held_by(holder)) from error
                raise
        self._descriptor = descriptor
        return self

    def _held_by(self, holder: bytes) -> str:
        who = f" (process {int(holder)})" if holder.isdigit() else ""
        return f"{self._path.parent}: another run{who} is writing this archive; wait for it to end"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Watch:
    """Whether somebody wrote while we read, without holding anybody up: looked at before and after.

    Reading needs no lock, and no right to write. Each writer puts its number into the lock's file when it begins.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / ".lock"
        self._disturbed = _is_held(self._path)
        self._begun = _written_at(self._path)

    def disturbed(self) -> bool:
        """Whether a writer was at work at any moment since this was made."""
        self._disturbed = self._disturbed or _written_at(self._path) != self._begun or _is_held(self._path)
        return self._disturbed


class Alone(Watch):
    """The same for who holds the lock: nobody else writes."""

    def __init__(self) -> None:
        pass

    def disturbed(self) -> bool:
        """Never."""
        return False


def _take(descriptor: int) -> None:
    for left in reversed(range(_TRIES)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in _HELD or not left:
                raise
        time.sleep(_PAUSE_SECONDS)


def _written_at(path: Path) -> tuple[int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would wait
    except OSError:
        return False  # nobody ever wrote here
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _HELD
    finally:
        os.close(descriptor)
    return False
