"""What stands in a WARC where damaged bytes stood: one record of exactly their length, so that no offset moves."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime

from scraper.archiver import records
from scraper.archiver.records import Record

_FEXTRA, _FNAME = 4, 8  # RFC 1952, 2.3.1
_SUBFIELD = b"SC"  # ours of the extra field; its data says nothing
# RFC 1951, 3.2.4: a stored block that is not the last, and holds nothing.
_EMPTY_BLOCK = b"\x00\x00\x00\xff\xff"
_MOST_EXTRA = 65535
_BLOCKS_A_PIECE = 200_000


def filler(length: int, fields: Mapping[str, str], now: datetime) -> Iterator[bytes] | None:
    """One gzip member of exactly `length` bytes, in pieces, holding a metadata record with these fields.

    The first says where the bytes are kept (`records.QUARANTINED`). Where all do not fit, the record holds that one
    alone; None where even that is too long.
    """
    first = dict(list(fields.items())[:1])
    for said in (fields, first):
        data = records.serialise(_record(said, now))
        body = _deflated(data)
        room = length - 18 - len(body)  # RFC 1952: 10 bytes of header, 8 of trailer
        if room >= 0:
            return _member(data, body, room)
    return None


def _record(fields: Mapping[str, str], now: datetime) -> Record:
    block = "".join(f"{name}: {records.one_line(value)}\r\n" for name, value in fields.items()).encode()
    return records.make("metadata", [("WARC-Date", records.iso(now)), ("Content-Type", records.WARC_FIELDS)], block)


def _deflated(data: bytes) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


def _member(data: bytes, body: bytes, room: int) -> Iterator[bytes]:
    blocks = max(0, room - _MOST_EXTRA) // len(_EMPTY_BLOCK) + 1 if room > _MOST_EXTRA else 0
    yield _header(room - blocks * len(_EMPTY_BLOCK))
    while blocks:
        yield _EMPTY_BLOCK * min(blocks, _BLOCKS_A_PIECE)
        blocks -= min(blocks, _BLOCKS_A_PIECE)
    yield body + struct.pack("<II", zlib.crc32(data), len(data))


def _header(room: int) -> bytes:
    """A gzip header that is this much longer than the shortest."""
    flags, more = 0, b""
    if room >= 6:  # the length of the field, and a subfield of no less than its own head of four bytes
        flags, more = _FEXTRA, struct.pack("<H2sH", room - 2, _SUBFIELD, room - 6) + bytes(room - 6)
    elif room:
        flags, more = _FNAME, b"-" * (room - 1) + b"\0"
    return b"\x1f\x8b\x08" + bytes([flags]) + bytes(4) + b"\x02\xff" + more
