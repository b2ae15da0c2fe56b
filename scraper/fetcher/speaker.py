"""HTTP/1.1 as bytes: a request is written, a response to GET is read. Nothing is sent or waited for here.

Where RFC 9112 leaves a choice, the one that browsers make is made: odd heads are pages. What decides where a message
ends is read strictly, for a byte beyond it would become the answer to another request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from scraper import message
from scraper.model import Target

# Twice what Chromium takes (256 KiB), and more than curl (300 KiB): no page needs more. Interim heads count, too.
HEAD_BYTES = 512 * 1024
CHUNK_LINE_BYTES = 16 * 1024  # a chunk's size and its extensions
TRAILER_BYTES = 64 * 1024
# Chunks cost time whatever is in them. So many are let through, and one more for each 100 bytes.
FREE_CHUNKS = 200_000
FAIR_CHUNK_BYTES = 100

_PROTOCOL = b"http/"
_SIZE = re.compile(rb"[ \t]*0{0,64}([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?\r?")
# RFC 9112, 3.2: no blank and no control character; browsers send other bytes as they are.
_REQUEST_TARGET = re.compile(rb"[!-~\x80-\xff]+")
# RFC 9110, 5.1 and 5.5.
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_EXCERPT_BYTES = 40


class Unwritable(ValueError):
    """A request that cannot be put into HTTP/1.1."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why a response cannot be read on: a word, and the end of a sentence about the server."""

    reason: Literal["protocol", "too large"]
    said: str


def written_request(method: str, target: Target, headers: list[tuple[bytes, bytes]]) -> bytes:
    """A request without content; raises `Unwritable`."""
    place = target.path.encode("latin-1", "replace")
    if not _REQUEST_TARGET.fullmatch(place):
        raise Unwritable("its path holds a blank or a control character")
    lines = [b"%b %b HTTP/1.1" % (method.encode("ascii"), place)]
    for name, value in headers:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise Unwritable(f"the header {name.decode('latin-1')!a} holds what no header may")
        lines.append(b"%b: %b" % (name, value))
    return b"\r\n".join([*lines, b"", b""])


class Chunks:
    """Where a chunked body ends (RFC 9112, 7.1), fed piece by piece; nothing of it is kept."""

    __slots__ = (
        "_in_trailers", "_left", "_line", "_offset", "_owes_line_end", "_trailer_bytes", "count", "data_bytes", "flaw"
    )  # fmt: skip

    def __init__(self) -> None:
        self.count = 0
        self.data_bytes = 0  # without the coding
        self.flaw: Flaw | None = None
        self._left = 0
        self._line = b""
        self._offset = 0
        self._owes_line_end = False
        self._in_trailers = False
        self._trailer_bytes = 0

    def feed(self, data: bytes, at: int) -> int | None:
        """Take bytes from `at` on; gives the index after the end once it is in them, None before and after a flaw."""
        size, offset = len(data), self._offset - at
        while at < size:
            if self._left:
                step = min(self._left, size - at)
                self._left -= step
                self.data_bytes += step
                at += step
                continue
            line_end = data.find(b"\n", at, at + CHUNK_LINE_BYTES)
            line = self._line + data[at : line_end if line_end >= 0 else min(size, at + CHUNK_LINE_BYTES)]
            if len(line) >= CHUNK_LINE_BYTES:
                self.flaw = Flaw("protocol", "sends a line without end in its chunked coding")
                return None
            if line_end < 0:
                self._line = line
                break
            self._line = b""
            at = line_end + 1
            if self._take(line, offset + at):
                return at
            if self.flaw is not None:
                return None
        self._offset = offset + size
        return None

    def _take(self, line: bytes, offset: int) -> bool:
        """One line of the coding; whether it is the last."""
        if self._in_trailers:
            self._trailer_bytes += len(line)
            if self._trailer_bytes > TRAILER_BYTES:
                self.flaw = Flaw("protocol", "sends trailers without end")
            return line in (b"", b"\r")
        if self._owes_line_end:
            self._owes_line_end = False
            if line not in (b"", b"\r"):
                self.flaw = Flaw("protocol", "sends chunks of other sizes than it says")
            return False
        size = _SIZE.fullmatch(line)
        if size is None:
            self.flaw = Flaw("protocol", f"sends a chunk without a size: {_excerpt(line)}")
            return False
        self._left = int(size[1], 16)
        self._in_trailers = self._left == 0
        self._owes_line_end = not self._in_trailers
        self.count += 1
        if self.count > FREE_CHUNKS + offset // FAIR_CHUNK_BYTES:
            self.flaw = Flaw("too large", "comes in too many chunks")
        return False


class Reader:
    """Reads the response to one GET, fed with bytes as they come.

    Offsets count all bytes fed: the final head begins at `head_at`, after interim answers (1xx); the message ends
    before `end`, None as long as that is not known. With a `flaw` it cannot be read on.
    """

    __slots__ = ("_chunks", "_keeps_alive", "_left", "_pending", "_searched", "end", "fed", "flaw", "head", "head_at")

    def __init__(self) -> None:
        self.head: message.Head | None = None
        self.head_at = 0
        self.end: int | None = None
        self.flaw: Flaw | None = None
        self.fed = 0
        self._pending: bytes | bytearray = b""
        self._searched = 0
        self._chunks: Chunks | None = None
        self._left: int | None = None  # of a body with a length; None where only the close of the connection ends it
        self._keeps_alive = False

    @property
    def chunks(self) -> int:
        """The chunks read so far."""
        return self._chunks.count if self._chunks else 0

    @property
    def is_done(self) -> bool:
        """Whether no more bytes are wanted."""
        return self.end is not None or self.flaw is not None

    @property
    def message_bytes(self) -> int:
        """The bytes of the message so far, from the final head on."""
        return (self.fed if self.end is None else self.end) - self.head_at

    @property
    def data_bytes(self) -> int:
        """The bytes of the body so far, its transfer coding removed."""
        if self._chunks is not None:
            return self._chunks.data_bytes
        return self.message_bytes - self.head.length if self.head else 0

    @property
    def may_follow(self) -> bool:
        """Whether another request may use the connection: the message ended for certain, and nothing came after it."""
        return self._keeps_alive and self.flaw is None and self.end == self.fed

    def feed(self, data: bytes) -> int:
        """Take the next bytes, once they are wanted; gives the index where the body begins or goes on in them."""
        start, self.fed = self.fed, self.fed + len(data)
        at = 0
        if self.head is None:
            self._read_head(data)
            if self.head is None:
                return len(data)
            at = self.head_at + self.head.length - start
        if self.is_done:
            return at
        if self._chunks is not None:
            end = self._chunks.feed(data, at)
            self.flaw = self._chunks.flaw
            self.end = None if end is None else start + end
        elif self._left is not None:
            used = min(self._left, len(data) - at)
            self._left -= used
            self.end = start + at + used if self._left == 0 else None
        return at

    def close(self) -> bool:
        """The server closed the connection: whether the message is whole."""
        if not self.is_done and self.head is not None and self._chunks is None and self._left is None:
            self.end = self.fed
        return self.end is not None

    def _read_head(self, data: bytes) -> None:
        if not self._pending:
            self._pending = data
        else:
            if isinstance(self._pending, bytes):
                self._pending = bytearray(self._pending)
            self._pending += data
        while (found := message.head_end(self._pending, max(self.head_at, self._searched - 3))) is not None:
            if found[1] > HEAD_BYTES:
                break
            head = message.parse_head(bytes(self._pending[self.head_at : found[1]]))
            if head is None:
                self.flaw = self._not_http()
                return
            if not 100 <= head.status < 200 or head.status == 101:
                self.head = head
                self._pending = b""
                self._frame(head)
                return
            self.head_at = self._searched = found[1]
        self._searched = len(self._pending)
        if not _PROTOCOL.startswith(bytes(self._pending[self.head_at : self.head_at + len(_PROTOCOL)]).lower()):
            self.flaw = self._not_http()
        elif len(self._pending) > HEAD_BYTES:
            self.flaw = Flaw("too large", f"has a head of more than {HEAD_BYTES >> 10} KiB")

    def _not_http(self) -> Flaw:
        begun = bytes(self._pending[self.head_at : self.head_at + _EXCERPT_BYTES])
        if begun[:1] in (b"\x15", b"\x16") and begun[1:2] == b"\x03":
            return Flaw("protocol", "does not speak HTTP here, but TLS")
        return Flaw("protocol", f"does not answer in HTTP/1.1, but begins with {_excerpt(begun)}")

    def _frame(self, head: message.Head) -> None:
        """Find out how the body ends (RFC 9112, 6.3)."""
        codings, lengths = message.transfer_codings(head), message.content_lengths(head)
        self._keeps_alive = head.version >= "1.1" and "close" not in message.listed(head, "connection")
        if head.status in (101, 204, 304):
            self.end = self.head_at + head.length
            self._keeps_alive &= head.status != 101
        elif codings:
            # RFC 9112, 6.3 (3) and 11.2: a length beside it may be an attempt at smuggling; afterwards, close.
            self._keeps_alive &= not lengths
            # (4): of a response whose last coding is not chunked, only the close is the end.
            self._chunks = Chunks() if codings[-1] == "chunked" else None
        elif len(lengths) > 1:
            # (5): unrecoverable.
            said = _excerpt(", ".join(lengths[:4]).encode("latin-1"))
            self.flaw = Flaw("protocol", f"names different lengths of its answer: {said}")
        elif lengths and lengths[0].isdecimal():
            self._left = int(lengths[0][:_LENGTH_DIGITS])
        elif head.status == 205:
            # RFC 9110, 15.3.6: it has no content; where nothing frames it, browsers wait for none.
            self.end, self._keeps_alive = self.head_at + head.length, False
        if self._left == 0:
            self.end = self.head_at + head.length
        # As browsers do: where the length is no number, the answer goes on to the close of the connection.
        self._keeps_alive &= self.end is not None or self._chunks is not None or self._left is not None


_LENGTH_DIGITS = 18  # more than any disk holds


def _excerpt(data: bytes) -> str:
    return ascii(data[:_EXCERPT_BYTES].decode("latin-1"))
