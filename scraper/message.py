"""HTTP/1.x messages as bytes: head, entity (transfer coding removed), content (content coding removed). Pure."""

from __future__ import annotations

import functools
import importlib
import re
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

HEAD_END = re.compile(rb"\r?\n\r?\n")
_STATUS_LINE = re.compile(r"HTTP/([0-9])(?:\.([0-9]))? +([0-9]{3})(?![0-9])([^\r\n]*)", re.IGNORECASE)
_BLANKS = " \t\r"  # `str.strip` would also take away bytes that are text or tricks, such as NBSP and VT
_FOLD = re.compile(r"\r?\n[ \t]+")
_HEADLESS_FOLD = re.compile(r"\A([^\n]*)(?:\n[ \t][^\n]*)+")
_BARE_CR = re.compile(r"\r(?!\n)")
_GZIP_MAGIC = b"\x1f\x8b"
# Nobody packs a page into more; each costs time even when nothing is in it. What follows counts as junk.
_MOST_MEMBERS = 10_000
_FIRST_PIECE_BYTES = 1024
_LARGEST_PIECE_BYTES = 64 * 1024
_OUTPUT_BYTES = 256 * 1024
# As curl has it. Each costs the unpacking of all that is inside, and nobody needs two.
_MOST_CODINGS = 5
_TOO_MANY = f"there are more than {_MOST_CODINGS}"
_UNREADABLE, _ADVICE = "its content coding cannot be read: ", " (install scraper[codecs])"
_CHUNK_SIZE = re.compile(rb"[ \t]*0{0,64}([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?\r?\n")


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a response: `length` counts its bytes with the empty line that ends it."""

    length: int
    version: str
    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]

    def all(self, name: str) -> list[str]:
        """Every value of a header, by its case-insensitive name."""
        return [value for key, value in self.headers if key.lower() == name]

    def header(self, name: str) -> str | None:
        """The first value of a header, by its lower-case name."""
        return next(iter(self.all(name)), None)


def parse_head(data: bytes, start: int = 0) -> Head | None:
    """Read a response head at `start`; None when it is not whole or no HTTP head.

    Lenient as browsers are: a line without a colon is left out, a name may hold or lack anything. Browsers' captures of
    HTTP/2 are written with a status line of their own making, `HTTP/2 200`.
    """
    end = head_end(data, start)
    if end is None:
        return None
    lines = _plain(data[start : end[0]].decode("latin-1")).split("\n")
    status = _STATUS_LINE.match(lines[0])
    if status is None:
        return None
    parted = (line.partition(":") for line in lines[1:])
    headers = tuple((name.strip(_BLANKS), value.strip(_BLANKS)) for name, colon, value in parted if colon)
    version = f"{status[1]}.{status[2] or 0}"
    return Head(end[1] - start, version, int(status[3]), status[4].strip(_BLANKS), headers)


def _plain(head: str) -> str:
    """A head without folds and without what must not be in it."""
    if "\n " in head or "\n\t" in head:
        # RFC 9112, 2.2: lines that begin with white space before the first header are not processed.
        head = _FOLD.sub(" ", _HEADLESS_FOLD.sub(r"\1", head))
    # RFC 9110, 5.5; RFC 9112, 2.2: NUL and a bare CR count as a blank.
    if "\0" in head:
        head = head.replace("\0", " ")
    return _BARE_CR.sub(" ", head) if head.count("\r") != head.count("\r\n") else head


def head_end(data: bytes | bytearray, start: int = 0) -> tuple[int, int] | None:
    """Where the empty line that ends a head begins and ends; lines may end in LF alone (RFC 9112, 2.2)."""
    windows = data.find(b"\n\r\n", start)
    unix = data.find(b"\n\n", start, windows + 1 if windows >= 0 else len(data))
    at, end = (unix, unix + 2) if unix >= 0 else (windows, windows + 3)
    if at < 0:
        return None
    return at - (at > start and data[at - 1] == 0x0D), end


def listed(head: Head, name: str) -> list[str]:
    """The elements of a header that is a list, lower case, in order; empty ones do not count (RFC 9110, 5.6.1)."""
    parts = (part.strip(_BLANKS).lower() for value in head.all(name) for part in value.split(","))
    return [part for part in parts if part]


def transfer_codings(head: Head) -> list[str]:
    """The transfer codings, the outermost last; `identity` of RFC 2616 is none."""
    return [coding for coding in listed(head, "transfer-encoding") if coding != "identity"]


def content_lengths(head: Head) -> list[str]:
    """What Content-Length says, once where it says the same several times (RFC 9110, 8.6)."""
    return list(dict.fromkeys(text.lstrip("0") or "0" for text in listed(head, "content-length")))


def is_chunked(head: Head) -> bool:
    """Whether a transfer coding frames the body (RFC 9112, 6.1: chunked is always the last)."""
    return transfer_codings(head)[-1:] == ["chunked"]


def dechunk(body: bytes) -> tuple[bytes, int | None]:
    """Remove the chunked coding (RFC 9112, 7.1), trailers dropped.

    Gives the data and the number of bytes the coded body took, None when it ends before its end.
    """
    parts: list[bytes] = []
    at = 0
    while (size := _CHUNK_SIZE.match(body, at)) is not None:
        length, at = int(size[1], 16), size.end()
        if length == 0:
            return b"".join(parts), _after_trailers(body, at)
        parts.append(body[at : at + length])
        at += length
        if len(body) < at + 1:
            return b"".join(parts), None
        at += 2 if body[at : at + 2] == b"\r\n" else 1 if body[at : at + 1] == b"\n" else 0
    return b"".join(parts), None


def _after_trailers(body: bytes, at: int) -> int | None:
    while (end := body.find(b"\n", at)) >= 0:
        line, at = body[at:end], end + 1
        if line in (b"", b"\r"):
            return at
    return None


def entity(received: bytes) -> bytes:
    """The payload of a whole or torn response: transfer coding removed, content coding kept."""
    head = parse_head(received)
    if head is None:
        return b""
    body = received[head.length :]
    # Some tools take the coding off and leave the header that tells of it.
    return dechunk(body)[0] if is_chunked(head) and _CHUNK_SIZE.match(body) else body


class TooLarge(ValueError):
    """The decoded content would be larger than the cap."""


def content(payload: bytes, codings: str | None, cap_bytes: int) -> bytes:
    """Remove the content codings (gzip, deflate, br, zstd; the last applied first) from an entity.

    Lenient as browsers are: a wrong label, a cut stream or junk after it give what could be read. What is not
    `readable` is left as it is. Raises `TooLarge` past `cap_bytes`, for all that is unpacked on the way together.
    """
    left_bytes = cap_bytes
    for coding in reversed(_parted(codings)):
        unpacked = _unpacked(payload, coding, left_bytes)
        if unpacked is not payload:
            left_bytes -= len(unpacked)
        payload = unpacked
    if len(payload) > cap_bytes:
        raise TooLarge(f"more than {cap_bytes} bytes")
    return payload


def _unpacked(payload: bytes, coding: str, cap_bytes: int) -> bytes:
    if coding in ("gzip", "x-gzip"):
        return _gunzip(payload, cap_bytes)
    if coding == "deflate":
        return _inflate(payload, cap_bytes) or payload
    if coding == "br" and coding in readable():
        return _unbrotli(payload, cap_bytes) or payload
    if coding == "zstd" and coding in readable():
        return _unzstd(payload, cap_bytes) or payload
    return payload


def left_on(codings: str | None) -> list[str]:
    """The codings that `content` leaves on an entity, as they are spelt."""
    spelt = _spelt(codings)
    return spelt if len(spelt) > _MOST_CODINGS else [part for part in spelt if part.lower() not in readable()]


def codings(headers: Iterable[tuple[str, str]]) -> str:
    """The content codings that headers tell of: several lines are one list (RFC 9110, 5.3)."""
    return ", ".join(value for name, value in headers if name.lower() == "content-encoding")


def is_larger(payload: bytes, codings: str | None, cap_bytes: int) -> bool:
    """Whether `content` would raise `TooLarge`, found out without holding what the outermost unpacking gives."""
    first, *later = _parted(codings) or [""]
    try:
        payload = content(payload, ",".join(later), cap_bytes)
        if first in ("gzip", "x-gzip"):
            _gunzip(payload, cap_bytes, _Counter())
        elif first == "deflate":
            _inflate(payload, cap_bytes, _Counter())
        else:
            content(payload, first, cap_bytes)
    except TooLarge:
        return True
    return False


class _Counter:
    """Takes bytes as a `bytearray` does, and keeps nothing but their number."""

    def __init__(self) -> None:
        self._length = 0

    def extend(self, piece: bytes) -> None:
        self._length += len(piece)

    def __len__(self) -> int:
        return self._length

    def __bytes__(self) -> bytes:
        return b""


def _parted(codings: str | None) -> list[str]:
    parts = [part.lower() for part in _spelt(codings)]
    return parts if len(parts) <= _MOST_CODINGS else [_TOO_MANY]


def _spelt(codings: str | None) -> list[str]:
    parts = (part.strip() for part in (codings or "").split(","))
    return [part for part in parts if part.lower() not in ("", "identity")]


@functools.cache
def readable() -> frozenset[str]:
    """The content codings that can be removed: `br` and `zstd` where the extra `codecs` is installed."""
    found = {"gzip", "x-gzip", "deflate"}
    with suppress(ImportError):
        # Only since 1.2 can its output be bounded.
        if hasattr(importlib.import_module("brotlicffi").Decompressor, "can_accept_more_data"):
            found.add("br")
    with suppress(ImportError):
        importlib.import_module("zstandard")
        found.add("zstd")
    return frozenset(found)


def unreadable(codings: str | None) -> str:
    """Why an entity of these codings cannot be read, with what to do; empty when it can."""
    unknown = sorted(set(_parted(codings)) - readable())
    if not unknown:
        return ""
    return f"{_UNREADABLE}{', '.join(unknown)}{_ADVICE if set(unknown) & {'br', 'zstd'} else ''}"


def is_readable_now(reason: str) -> bool:
    """Whether `unreadable` once gave this reason, and would not give it today."""
    if not reason.startswith(_UNREADABLE):
        return False
    return not unreadable(reason.removeprefix(_UNREADABLE).removesuffix(_ADVICE))


def _unbrotli(data: bytes, cap_bytes: int) -> bytes:
    brotlicffi = importlib.import_module("brotlicffi")
    stream, out, view = brotlicffi.Decompressor(), bytearray(), memoryview(data)
    try:
        for at in range(0, len(view), _LARGEST_PIECE_BYTES):
            if stream.is_finished():
                break  # what follows is junk
            piece = bytes(view[at : at + _LARGEST_PIECE_BYTES])
            _extend(out, stream.decompress(piece, output_buffer_limit=_OUTPUT_BYTES), cap_bytes)
            while not stream.can_accept_more_data() and not stream.is_finished():
                _extend(out, stream.decompress(b"", output_buffer_limit=_OUTPUT_BYTES), cap_bytes)
    except brotlicffi.error:
        pass  # what could be read before the fault is what a browser shows
    return bytes(out)


def _unzstd(data: bytes, cap_bytes: int) -> bytes:
    import zstandard

    out = bytearray()
    # RFC 8878, 3.1.1.1.2: decoders of web content need no more than 8 MB of window (RFC 9659).
    opener = zstandard.ZstdDecompressor(max_window_size=1 << 23)
    try:
        with opener.stream_reader(data, read_across_frames=True) as stream:
            while piece := stream.read(_OUTPUT_BYTES):
                _extend(out, piece, cap_bytes)
    except zstandard.ZstdError:
        pass
    return bytes(out)


def _extend(out: bytearray, piece: bytes, cap_bytes: int) -> None:
    out += piece
    if len(out) > cap_bytes:
        raise TooLarge(f"more than {cap_bytes} bytes")


def _gunzip(data: bytes, cap_bytes: int, out: bytearray | _Counter | None = None) -> bytes:
    out = bytearray() if out is None else out
    at = members = 0
    # RFC 1952, 2.2: members simply follow each other.
    while members < _MOST_MEMBERS and data.startswith(_GZIP_MAGIC, at):
        at = _decompress(data, at, 16 + zlib.MAX_WBITS, out, cap_bytes)
        members += 1
    return bytes(out) if members else data


def _inflate(data: bytes, cap_bytes: int, out: bytearray | _Counter | None = None) -> bytes:
    # RFC 9110, 8.4.1.2: "deflate" is the zlib format; some servers send the raw stream without it.
    looks_zlib = len(data) >= 2 and data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
    out = bytearray() if out is None else out
    _decompress(data, 0, zlib.MAX_WBITS if looks_zlib else -zlib.MAX_WBITS, out, cap_bytes)
    return bytes(out)


def _decompress(data: bytes, at: int, window: int, out: bytearray | _Counter, cap_bytes: int) -> int:
    """Unpack one stream into `out`; gives where it ends.

    zlib copies what it was given and did not use. So it gets small pieces, at first not larger than a tiny stream.
    """
    stream = zlib.decompressobj(window)
    view, piece_bytes = memoryview(data), _FIRST_PIECE_BYTES
    try:
        while at < len(data) and not stream.eof:
            piece: memoryview | bytes = view[at : at + piece_bytes]
            at += len(piece)
            while piece and not stream.eof:
                out.extend(stream.decompress(piece, min(_OUTPUT_BYTES, cap_bytes - len(out) + 1)))
                piece = stream.unconsumed_tail
                if len(out) > cap_bytes:
                    raise TooLarge(f"more than {cap_bytes} bytes")
            piece_bytes = min(2 * piece_bytes, _LARGEST_PIECE_BYTES)
    except zlib.error:
        return len(data)  # what could be read before the fault is what a browser shows
    return at - len(stream.unused_data)
