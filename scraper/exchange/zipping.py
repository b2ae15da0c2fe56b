"""ZIP files whose bytes follow from their members alone: all members stored, no time, no rights, no chance.

Python's `zipfile` writes what its version thinks best, and deflate differs from one zlib to the next. Numbers in
comments are sections of APPNOTE.TXT 6.3.10.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

_LOCAL, _CENTRAL, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_END_64, _LOCATOR_64 = b"PK\x06\x06", b"PK\x06\x07"
_VERSION, _VERSION_64 = 20, 45  # 4.4.3.2: needed to extract; 4.5 for ZIP64
_UTF8_NAME = 1 << 11  # 4.4.4
_DATE_1980 = 1 << 5 | 1  # 4.4.6: MS-DOS format, 1980-01-01; the time is 0
_REGULAR_FILE = 0o100644 << 16  # 4.4.15
_MADE_ON_UNIX = 3 << 8  # 4.4.2
_MOST_32, _MOST_16 = 0xFFFFFFFF, 0xFFFF
_ZIP64_ID = 1


@dataclass(frozen=True, slots=True)
class Stored:
    """A member that was written: its name, size in bytes, and digests."""

    name: str
    size: int
    crc32: int
    sha256: str
    offset: int
    is_large: bool = False


class ZipStore:
    """Writes a ZIP file to an unbuffered descriptor that can be written at any place; members may be of any size."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._at = 0
        self.members: list[Stored] = []

    def add(self, name: str, parts: Iterable[bytes | memoryview], *, large: bool = False) -> Stored:
        """Write one member from its parts; each byte is looked at once.

        One that is not said to be `large` must end below 4 GiB: raises `OverflowError`.
        """
        offset, size, crc, digest = self._at, 0, 0, sha256()
        self._write(_local_head(name, 0, 0, large))
        for part in parts:
            size += len(part)
            crc = zlib.crc32(part, crc)
            digest.update(part)
            self._write(part)
        if size >= _MOST_32 and not large:
            raise OverflowError(f"{name}: {size} bytes, but not said to be large")
        _write_all_at(self._descriptor, _local_head(name, crc, size, large), offset)
        member = Stored(name, size, crc, digest.hexdigest(), offset, large)
        self.members.append(member)
        return member

    def finish(self) -> int:
        """Write the directory of members; gives the file's size."""
        start = self._at
        for member in self.members:
            self._write(_central_head(member))
        self._write(_end(len(self.members), start, self._at - start))
        return self._at

    def _write(self, data: bytes | memoryview) -> None:
        _write_all_at(self._descriptor, data, self._at)
        self._at += len(data)


def _write_all_at(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _local_head(name: str, crc: int, size: int, is_large: bool) -> bytes:
    """4.3.7; of a large member in the form of ZIP64 (4.5.3)."""
    raw, flags = _name(name)
    extra = struct.pack("<HHQQ", _ZIP64_ID, 16, size, size) if is_large else b""
    shown = _MOST_32 if is_large else size
    version = _VERSION_64 if is_large else _VERSION
    fields = (version, flags, 0, 0, _DATE_1980, crc, shown, shown, len(raw), len(extra))
    return _LOCAL + struct.pack("<HHHHHIIIHH", *fields) + raw + extra


def _central_head(member: Stored) -> bytes:
    """4.3.12; what does not fit into four bytes stands in a ZIP64 extra field.

    wabac.js takes a member without extra field here for one without extra field in its local head too.
    """
    raw, flags = _name(member.name)
    size, offset, large = member.size, member.offset, b""
    if member.is_large:
        large += struct.pack("<QQ", size, size)
    if offset >= _MOST_32:
        large += struct.pack("<Q", offset)
    extra = struct.pack("<HH", _ZIP64_ID, len(large)) + large if large else b""
    shown = _MOST_32 if member.is_large else size
    version = _VERSION_64 if large else _VERSION
    fields = (_MADE_ON_UNIX | version, version, flags, 0, 0, _DATE_1980, member.crc32, shown, shown)
    rest = (len(raw), len(extra), 0, 0, 0, _REGULAR_FILE, min(offset, _MOST_32))
    return _CENTRAL + struct.pack("<HHHHHHIIIHHHHHII", *fields, *rest) + raw + extra


def _end(count: int, start: int, size: int) -> bytes:
    """4.3.14 to 4.3.16."""
    end_64 = b""
    if count >= _MOST_16 or size >= _MOST_32 or start >= _MOST_32:
        both = (_MADE_ON_UNIX | _VERSION_64, _VERSION_64, 0, 0, count, count, size, start)
        end_64 = _END_64 + struct.pack("<QHHIIQQQQ", 44, *both)
        end_64 += _LOCATOR_64 + struct.pack("<IQI", 0, start + size, 1)
    shown = min(count, _MOST_16)
    fields = (0, 0, shown, shown, min(size, _MOST_32), min(start, _MOST_32), 0)
    return end_64 + _END + struct.pack("<HHHHIIH", *fields)


def _name(name: str) -> tuple[bytes, int]:
    return name.encode("utf-8"), 0 if name.isascii() else _UTF8_NAME
