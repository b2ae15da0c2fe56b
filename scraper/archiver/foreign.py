"""Reads other tools' WARCs, whatever their packing: streaming, in bounded memory, and only as far as is needed.

gzip with a member for each record, with several records in a member, packed as a whole, or plain; WARC/0.17 to 1.1.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Protocol

from scraper import message
from scraper.archiver.foreign_source import GZIP_MAGIC, Source
from scraper.archiver.members import MAX_MEMBER_BYTES, Damaged, next_start
from scraper.archiver.records import WARC_FIELDS, Record, digest_agrees

_READ_BYTES = 256 * 1024
_MOST_HEADER_BYTES = 1 << 20
_MOST_HEAD_BYTES = 256 * 1024  # of an HTTP head; beyond it, there is none
_MOST_FIELDS_BYTES = 64 * 1024  # of a metadata record that is looked into
_MOST_CHUNKED_BYTES = 64 << 20  # of a chunked body that is held to be judged by its entity's digest
_VERSION = re.compile(rb"WARC/(?:0\.1[78]|1\.[01])[ \t]*\r?\n")
_DIGESTED = ("response", "resource", "revisit", "metadata")
# The sha1 of nothing at all.
_EMPTY_SHA1 = "sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ"
_HTTP_TYPES = ("application/http", "message/http")


class _Hash(Protocol):
    def update(self, data: memoryview, /) -> None: ...
    def digest(self) -> bytes: ...


class TooLarge(Damaged):
    """A record that may be whole, but is larger than is to be held in memory."""


@dataclass(frozen=True, slots=True)
class ForeignRecord(Record):
    """A record whose fields are looked up often: `first` holds the first value of each, by its lower-case name."""

    first: Mapping[str, str] = field(default_factory=dict)

    def header(self, name: str) -> str:
        """The first value of a field, empty when there is none."""
        return self.first.get(name.lower(), "")


@dataclass(frozen=True, slots=True)
class Found:
    """A record of a foreign file.

    `record` holds of the block the HTTP head alone (of small `warc-fields` all), or the whole if that was asked for.
    `length` is that of the gzip member, or of header and block in a plain file; 0 where the record shares its member
    with another, so that it cannot be read from its place. `payload_sha1` is None where nobody needs it.
    """

    record: Record
    offset: int
    length: int
    end: int  # the offset after it
    payload_sha1: str | None = None
    faults: tuple[str, ...] = ()
    is_shared: bool = False
    remark: str = ""  # what is wrong with it, but known to be harmless

    @property
    def href(self) -> str:
        """The address as the record has it; wget once put it in angle brackets."""
        return target_uri(self.record)


@dataclass(frozen=True, slots=True)
class Depth:
    """How far to look into a block: digests proved, a missing sha1 of the payload made, all kept."""

    verify: bool = False
    payload_sha1: bool = False
    keep: bool = False


INDEX = Depth(payload_sha1=True)
PROOF = Depth(verify=True, payload_sha1=True)
WHOLE = Depth(keep=True)
GLANCE = Depth()


def target_uri(record: Record) -> str:
    """WARC-Target-URI without the angle brackets that WARC 1.0 seemed to ask for."""
    href = record.header("WARC-Target-URI").strip()
    return href[1:-1] if href.startswith("<") and href.endswith(">") else href


def is_packed(path: Path) -> bool:
    """Whether a file begins as gzip does."""
    with path.open("rb") as file:
        return file.read(2) == GZIP_MAGIC


def scan(path: Path, start: int = 0, depth: Depth = INDEX) -> Iterator[Found]:
    """Every record from `start` on; raises `Damaged` at the first that is not whole.

    Digests that do not agree are in `faults`, when `depth` says so.
    """
    with FileIO(path) as file:
        source = Source(file, start)
        while source.begins():
            yield _read(source, depth)


def scan_on(path: Path, damages: list[Damaged], depth: Depth = INDEX) -> Iterator[Found]:
    """The same, going on after damage, which is noted."""
    at: int | None = 0
    while at is not None:
        try:
            yield from scan(path, at, depth)
            return
        except Damaged as damage:
            damages.append(damage)
            after = damage.offset
            at = next_start(path, after) if is_packed(path) else _next_plain_start(path, after)


def read_at(file: FileIO, offset: int, most_bytes: int = MAX_MEMBER_BYTES) -> Found:
    """The whole record at an offset; raises `Damaged`, `TooLarge` when its block has more bytes than that."""
    source = Source(file, offset)
    if not source.begins():
        raise Damaged(offset, "the file ends before it")
    return _read(source, WHOLE, most_bytes)


def _next_plain_start(path: Path, offset: int) -> int | None:
    with path.open("rb") as file:
        at, window = offset + 1, b""
        file.seek(at)
        while chunk := file.read(_READ_BYTES):
            window += chunk
            if found := re.search(rb"(?<=\n)WARC/[01]\.", window):
                return at + found.start()
            kept = window[-8:]
            at, window = at + len(window) - len(kept), kept
    return None


# -------------------------------------------------------------------- records


def _read(source: Source, depth: Depth, most_bytes: int = MAX_MEMBER_BYTES) -> Found:
    offset, was_shared = source.offset, source.is_shared
    headers = _header(source)
    first = {name.lower(): value for name, value in reversed(headers)}
    record = ForeignRecord(headers, b"", first)
    _require_named(record, offset)
    length = record.header("Content-Length")
    if not re.fullmatch(r"[0-9]{1,15}", length):
        raise Damaged(offset, "the record has no readable Content-Length")
    if depth.keep and int(length) > most_bytes:
        raise TooLarge(offset, f"the record is larger than {most_bytes} bytes")
    block = _Block(record, depth)
    _feed(source, int(length), block)
    end_of_block = source.place
    source.ends()
    is_shared = was_shared or source.is_shared
    size = 0 if is_shared else (source.place if source.is_packed else end_of_block) - offset
    whole = ForeignRecord(headers, bytes(block.held), first)
    return Found(whole, offset, size, source.place, block.payload_sha1(), block.faults(), is_shared, block.remark())


def _header(source: Source) -> tuple[tuple[str, str], ...]:
    while (end := message.head_end(source.buffer, source.at)) is None:
        if len(source.buffer) - source.at > _MOST_HEADER_BYTES or not source.fill():
            raise Damaged(source.offset, _no_record(source))
    version = _VERSION.match(source.buffer, source.at)
    if version is None:
        raise Damaged(source.offset, _no_record(source))
    text = source.buffer[version.end() : max(end[0], version.end())]
    source.at = end[1]
    return _fields(text)


def _require_named(record: Record, offset: int) -> None:
    if not record.type:
        raise Damaged(offset, "the record has no WARC-Type")
    try:
        _ = record.date
    except ValueError as error:
        raise Damaged(offset, "the record has no readable WARC-Date") from error


def _no_record(source: Source) -> str:
    begun = source.buffer[source.at : source.at + 32]
    if begun.startswith(b"filedesc:"):
        return "an ARC file, the form before WARC; turn it into one with `warcio recompress`"
    if _VERSION.match(begun):
        return "the record's header does not end"
    return "no WARC record"


def _fields(data: bytes) -> tuple[tuple[str, str], ...]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    fields: list[tuple[str, str]] = []
    for line in text.split("\n"):
        name, colon, value = line.partition(":")
        if line[:1] in (" ", "\t") and fields:  # WARC 1.1, 4: a folded line
            fields[-1] = (fields[-1][0], f"{fields[-1][1]} {line.strip()}")
        elif colon:
            fields.append((name.strip(), value.strip(" \t\r")))
    return tuple(fields)


def _feed(source: Source, length: int, block: _Block) -> None:
    missing = length
    while missing:
        if source.at == len(source.buffer) and not source.fill():
            what = f"the record's block is shorter than its Content-Length of {length} bytes"
            raise Damaged(source.offset, what)
        piece = memoryview(source.buffer)[source.at : source.at + missing]
        block.take(piece)
        source.at += len(piece)
        missing -= len(piece)


class _Block:
    """What is learned of a block while it goes by. `held` is its HTTP head, or all of it where that was asked for."""

    def __init__(self, record: Record, depth: Depth) -> None:
        self.held = bytearray()
        kind = record.header("WARC-Type")
        self._is_revisit = kind == "revisit"
        self._keep = depth.keep or (kind in ("metadata", "warcinfo") and _is_small_fields(record))
        is_http = record.header("Content-Type").lower().startswith(_HTTP_TYPES)
        self._in_head = is_http and kind in ("response", "revisit", "request")
        self._block_digest = record.header("WARC-Block-Digest") if depth.verify else ""
        payload_digest = record.header("WARC-Payload-Digest") if kind in ("response", "resource") else ""
        # What the payload is, tools disagree on (WARC 1.1, 6.3.2): where there is a digest of the block, that decides.
        self._payload_digest = payload_digest if depth.verify and not self._block_digest else ""
        self._of_block = _hasher(self._block_digest)
        self._of_payload = _hasher(self._payload_digest)
        wants_sha1 = depth.payload_sha1 and not record.header("WARC-Payload-Digest")
        self._sha1 = _hasher("sha1:-") if wants_sha1 and kind in _DIGESTED else None
        self._chunked: bytearray | None = None
        self._hashes: list[_Hash] = [found for found in (self._of_payload, self._sha1) if found is not None]

    def take(self, piece: memoryview) -> None:
        if self._of_block is not None:
            self._of_block.update(piece)
        if self._in_head:
            self._take_head(piece)
            return
        if self._keep:
            self.held += piece
        self._take_body(piece)

    def _take_head(self, piece: memoryview) -> None:
        looked_at = max(0, len(self.held) - 3)
        self.held += piece
        end = message.head_end(self.held, looked_at)
        if end is None and len(self.held) < _MOST_HEAD_BYTES:
            return
        self._in_head = False
        body_at = end[1] if end else len(self.held)
        if self._of_payload is not None and b"chunked" in self.held[:body_at].lower():
            self._chunked = bytearray()
        self._take_body(memoryview(bytes(self.held[body_at:])))
        if not self._keep:
            del self.held[body_at:]

    def _take_body(self, piece: memoryview) -> None:
        for found in self._hashes:
            found.update(piece)
        if self._chunked is not None:
            self._chunked += piece
            if len(self._chunked) > _MOST_CHUNKED_BYTES:
                self._chunked, self._of_payload = None, None

    def payload_sha1(self) -> str | None:
        if self._sha1 is None:
            return None
        return "sha1:" + base64.b32encode(self._sha1.digest()).decode("ascii")

    def _is_of_wget(self) -> bool:
        """Whether it says, as wget 1.21 does of every revisit, that its block is empty."""
        return self._is_revisit and self._block_digest == _EMPTY_SHA1

    def remark(self) -> str:
        if self._is_wrong_block() and self._is_of_wget():
            return "revisits have the digest of an empty block, as wget writes it"
        return ""

    def _is_wrong_block(self) -> bool:
        return self._of_block is not None and not digest_agrees(self._block_digest, self._of_block.digest())

    def faults(self) -> tuple[str, ...]:
        if self._is_wrong_block() and not self._is_of_wget():
            return ("the block is not what its digest says",)
        if self._of_payload is None or digest_agrees(self._payload_digest, self._of_payload.digest()):
            return ()
        if self._chunked is not None:
            entity = hashlib.new(_algorithm(self._payload_digest), message.dechunk(bytes(self._chunked))[0])
            if digest_agrees(self._payload_digest, entity.digest()):
                return ()
        return ("the payload is not what its digest says",)


def _is_small_fields(record: Record) -> bool:
    is_fields = record.header("Content-Type").startswith(WARC_FIELDS)
    return is_fields and int(record.header("Content-Length")) <= _MOST_FIELDS_BYTES


def _algorithm(digest: str) -> str:
    return digest.partition(":")[0].lower().replace("-", "")


def _hasher(digest: str) -> _Hash | None:
    """A hash of the algorithm which a digest names; None where it names none that can be judged."""
    algorithm = _algorithm(digest)
    if ":" not in digest or algorithm not in hashlib.algorithms_guaranteed or algorithm.startswith("shake"):
        return None
    return hashlib.new(algorithm, usedforsecurity=False)
