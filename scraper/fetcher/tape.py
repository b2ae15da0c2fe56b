"""What goes over the wire for one exchange, kept byte for byte; large answers wait on disk, not in memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from scraper.errors import ArchiveUnwritable

# Many answers are under way at once, and each waits until it is in the WARC.
LARGEST_IN_MEMORY_BYTES = 1 << 20


class Spool:
    """An unlinked temporary file: it is gone with its last user, even when the process is killed."""

    __slots__ = ("_descriptor",)

    def __init__(self) -> None:
        self._descriptor = -1
        with _spooling(), tempfile.TemporaryFile(buffering=0) as file:
            self._descriptor = os.dup(file.fileno())

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def write(self, data: bytes | bytearray) -> None:
        """Append bytes, all of them."""
        view = memoryview(data)
        with _spooling():
            while view:
                view = view[os.write(self._descriptor, view) :]

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` to before `stop`."""
        parts: list[bytes] = []
        with _spooling():
            while start < stop and (part := os.pread(self._descriptor, stop - start, start)):
                parts.append(part)
                start += len(part)
        return b"".join(parts)


@contextmanager
def _spooling() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArchiveUnwritable(
            f"{tempfile.gettempdir()}: a large answer cannot wait there for the archive: {error.strerror or error}; "
            "free the disk, or name another folder in the environment variable TMPDIR"
        ) from error


@dataclass(frozen=True, slots=True)
class Shelved:
    """A part of a spool: an answer that waits on disk."""

    spool: Spool
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, part: slice) -> bytes:
        start, stop, step = part.indices(len(self))
        assert step == 1
        return self.spool.read(self.start + start, self.start + stop)


class Tape:
    """The bytes sent and received in one exchange."""

    __slots__ = ("_memory", "_spool", "received_bytes", "sent")

    def __init__(self) -> None:
        self.sent = b""
        self.received_bytes = 0
        self._memory: bytes | bytearray = b""
        self._spool: Spool | None = None

    def record(self, data: bytes) -> None:
        """Append what was received; raises `ArchiveUnwritable` when it is much and the disk does not take it."""
        self.received_bytes += len(data)
        if self._spool is not None:
            self._spool.write(data)
        elif self.received_bytes > LARGEST_IN_MEMORY_BYTES:
            self._spool = Spool()
            self._spool.write(self._memory)
            self._spool.write(data)
            self._memory = b""
        elif not self._memory:
            self._memory = data
        else:
            if isinstance(self._memory, bytes):
                self._memory = bytearray(self._memory)
            self._memory += data

    def received(self, start: int, stop: int) -> bytes | Shelved:
        """What was received from `start` to before `stop`."""
        if self._spool is None:
            return bytes(memoryview(self._memory)[start:stop]) if stop < self.received_bytes or start else self._whole()
        if stop - start <= LARGEST_IN_MEMORY_BYTES:
            return self._spool.read(start, stop)
        return Shelved(self._spool, start, stop)

    def _whole(self) -> bytes:
        return bytes(self._memory)
