"""One writer at a time."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from scraper.archiver.layout import make_folder, write_all, writing
from scraper.errors import ArchiveLocked

_HELD = {errno.EACCES, errno.EAGAIN}


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
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
