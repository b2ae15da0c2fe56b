"""Gzip members: one holds one record, so that a record can be read from its offset alone. Strict."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from isal import isal_zlib

_READ_BYTES = 256 * 1024
_WINDOW = 16 + zlib.MAX_WBITS  # a gzip header and trailer; zlib then checks CRC-32 and size itself
_MAGIC = b"\x1f\x8b\x08"
MAX_MEMBER_BYTES = 1 << 30

# RFC 1952, 2.3: deflate, no flags, no time, no hint, an unknown system.
_HEADER = _MAGIC + b"\x00\x00\x00\x00\x00\x00\xff"
_STORED_BYTES = 0xFFFF  # RFC 1951, 3.2.4: the most that one stored block holds
# Of ISA-L, the densest. Of a page of 240 KB it takes a sixth of the time of zlib's level 6 and leaves 11 % more bytes.
_LEVEL = 3

Tap = Callable[[bytes], object]  # sees every byte of a file as it is read, in order


class Damaged(Exception):
    """Bytes that are not a whole, right member or record; `offset` is where the member starts."""

    def __init__(self, offset: int, what: str) -> None:
        super().__init__(f"offset {offset}: {what}")
        self.offset = offset
        self.what = what


@dataclass(frozen=True, slots=True)
class Member:
    """A gzip member: where it lies in its file, and its content."""

    offset: int
    length: int
    data: bytes


def pack(data: bytes) -> bytes:
    """Make one member (RFC 1952)."""
    return isal_zlib.compress(data, _LEVEL, _WINDOW)


def store(data: bytes) -> bytes:
    """Make one member of what is packed already, without packing it again."""
    parts: list[bytes | memoryview] = [_HEADER]
    view = memoryview(data)
    for at in range(0, len(data) or 1, _STORED_BYTES):
        block = view[at : at + _STORED_BYTES]
        is_last = at + _STORED_BYTES >= len(data)
        parts += [struct.pack("<BHH", is_last, len(block), len(block) ^ 0xFFFF), block]
    parts.append(struct.pack("<II", isal_zlib.crc32(data), len(data) & 0xFFFFFFFF))
    return b"".join(parts)


def scan(path: Path, start: int = 0, tap: Tap | None = None) -> Iterator[Member]:
    """Every member from `start` to the end of the file; raises `Damaged` at the first that is not whole."""
    with FileIO(path) as file:
        yield from scan_open(file, start, tap)


def scan_open(file: FileIO, start: int = 0, tap: Tap | None = None) -> Iterator[Member]:
    """The same of a file that is open."""
    file.seek(start)
    descriptor = file.fileno()

    def read() -> bytes:
        data = os.read(descriptor, _READ_BYTES)
        if tap is not None:
            tap(data)
        return data

    offset, pending = start, b""
    while pending := pending or read():
        member, pending = _member(read, offset, pending)
        yield member
        offset += member.length


def next_start(path: Path, offset: int) -> int | None:
    """The first place after `offset` where a member starts like a WARC record: how to go on after damage."""
    with path.open("rb") as file:
        at, window = offset + 1, b""
        file.seek(at)
        while chunk := file.read(_READ_BYTES):
            window += chunk
            found = window.find(_MAGIC)
            while found >= 0:
                if _begins_a_record(path, at + found):
                    return at + found
                found = window.find(_MAGIC, found + 1)
            kept = window[-len(_MAGIC) + 1 :]
            at, window = at + len(window) - len(kept), kept
    return None


def _begins_a_record(path: Path, offset: int) -> bool:
    with path.open("rb") as file:
        file.seek(offset)
        try:
            return zlib.decompressobj(_WINDOW).decompress(file.read(1024), 5) == b"WARC/"
        except zlib.error:
            return False


def _member(read: Callable[[], bytes], offset: int, pending: bytes) -> tuple[Member, bytes]:
    """Read one member, whose first bytes are `pending`; gives it and the bytes read beyond it."""
    stream = zlib.decompressobj(_WINDOW)
    parts: list[bytes] = []
    size = taken = 0
    while True:
        try:
            part = stream.decompress(pending, MAX_MEMBER_BYTES - size + 1)
        except zlib.error as error:
            raise Damaged(offset, f"not a right gzip member ({error})") from error
        parts.append(part)
        size += len(part)
        if size > MAX_MEMBER_BYTES:
            raise Damaged(offset, f"the record is larger than {MAX_MEMBER_BYTES} bytes")
        taken += len(pending)
        if stream.eof:
            rest = stream.unused_data
            return Member(offset, taken - len(rest), b"".join(parts)), rest
        pending = read()
        if not pending:
            raise Damaged(offset, "the file ends in the middle of a gzip member")
