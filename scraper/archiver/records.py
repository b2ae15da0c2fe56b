"""WARC records as values: made, serialised, read back and judged."""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from scraper.archiver.members import Damaged, Member, Tap, next_start, scan

VERSION = "WARC/1.1"
HTTP_RESPONSE = "application/http; msgtype=response"
HTTP_REQUEST = "application/http; msgtype=request"
WARC_FIELDS = "application/warc-fields"
QUARANTINED = "quarantined"  # the field by which a metadata record stands for damaged bytes: where they are kept

# WARC 1.1, 4: a value must not hold what would end its line; nothing else of C0 is of use there either.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_KNOWN_VERSIONS = ["WARC/1.1", "WARC/1.0"]

# Heads of which no reader can think otherwise: they cost a tenth of warcio's parser, which judges all others.
_PLAIN_HEAD = re.compile(
    rb"HTTP/1\.[01] ([0-9]{3}) [ -~]{0,200}\r\n(?:[A-Za-z0-9-]{1,100}: [!-~][ -~]*+\r\n){0,200}+\r\n"
)
_CONTENT_TYPE = re.compile(rb"\n(?i:content-type): ([ -~]*+)")

_PLAIN_STARTS = (b"WARC/1.1\r\n", b"WARC/1.0\r\n")
_PLAIN_HEADER_BYTES = 64 * 1024

_FIRST_YEAR = 1000
_LAST_YEAR = 9900
_REST_OF_DATE = {4: "-01-01", 7: "-01"}

OnDamage = Callable[[Damaged], None]


@dataclass(frozen=True, slots=True)
class Record:
    """One WARC record: its header in order (Content-Length left out) and its block."""

    headers: tuple[tuple[str, str], ...]
    block: bytes

    def all(self, name: str) -> list[str]:
        """Every value of a field, by its case-insensitive name."""
        wanted = name.lower()
        return [value for key, value in self.headers if key.lower() == wanted]

    def header(self, name: str) -> str:
        """The first value of a field, empty when there is none."""
        wanted, size = name.lower(), len(name)
        for key, value in self.headers:  # asked for often: most names differ in length
            if len(key) == size and key.lower() == wanted:
                return value
        return ""

    @property
    def type(self) -> str:
        return self.header("WARC-Type")

    @property
    def id(self) -> str:
        return self.header("WARC-Record-ID")

    @property
    def date(self) -> datetime:
        return parse_date(self.header("WARC-Date"))


@dataclass(frozen=True, slots=True)
class HttpPart:
    """The HTTP head of a record as the common readers see it: what an index line is made of.

    `status` is the first word after the protocol, whatever it is; None when the first line is but one word and nothing
    follows. `body_at` is the offset of the body in the block.
    """

    status: str | None
    content_type: str | None
    body_at: int


def make(kind: str, fields: list[tuple[str, str]], block: bytes) -> Record:
    """Build a record with an id of its own and the digest of its block."""
    head = [("WARC-Type", kind), ("WARC-Record-ID", f"<urn:uuid:{uuid.uuid4()}>")]
    values = [*head, *fields, ("WARC-Block-Digest", sha1(block))]
    return Record(tuple((name, one_line(value)) for name, value in values), block)


def one_line(text: str) -> str:
    """Percent-encode what could end a line or upset a reader: no foreign text can add a field."""
    return _UNSAFE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "replace")), text)


def sha1(data: bytes) -> str:
    """A digest in the form which every WARC reader knows."""
    return "sha1:" + base64.b32encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode("ascii")


def iso(moment: datetime) -> str:
    """A WARC-Date with microseconds (WARC 1.1, 5.4 allows fractions of a second)."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def parse_date(text: str) -> datetime:
    """Read a WARC-Date, which may be as short as a year (WARC 1.1, 5.4); raises ValueError.

    So it does for years before 1000: no tool wrote any, and 14 digits would not hold them everywhere. And for the last
    of the calendar: what is reckoned from a date must have a date, too.
    """
    moment = datetime.fromisoformat(text + _REST_OF_DATE.get(len(text), ""))
    try:
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError(f"{text}: beyond the calendar") from error
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"{text}: not of the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return moment


def timestamp14(moment: datetime) -> str:
    """The 14 digits by which indexes and Memento name an instant."""
    return f"{moment.astimezone(UTC):%Y%m%d%H%M%S}"


# ------------------------------------------------------------------- writing


def serialise(record: Record) -> bytes:
    """The record's bytes, uncompressed (WARC 1.1, 4). The block is written byte for byte.

    Not through warcio's writer, which takes ten times as long; a test holds both to the same bytes.
    """
    lines = [VERSION, *(f"{name}: {value}" for name, value in record.headers), f"Content-Length: {len(record.block)}"]
    return b"".join(("\r\n".join(lines).encode(), b"\r\n\r\n", record.block, b"\r\n\r\n"))


# ------------------------------------------------------------------- reading


def parse(data: bytes, offset: int) -> Record:
    """Read exactly one record from a member's content; raises `Damaged` (with the member's offset) otherwise."""
    headers, start = _plain_header(data) or _any_header(data, offset)
    length = next((value for name, value in headers if name.lower() == "content-length"), "")
    if not re.fullmatch(r"[0-9]{1,15}", length):
        raise Damaged(offset, "the record has no readable Content-Length")
    end = start + int(length)
    # WARC 1.1, 4: record = header CRLF block CRLF CRLF
    if len(data) < end:
        raise Damaged(offset, f"the record's block is shorter than its Content-Length of {length} bytes")
    if data[end:] != b"\r\n\r\n":
        raise Damaged(offset, "the gzip member does not end where its one record ends")
    record = Record(tuple(item for item in headers if item[0].lower() != "content-length"), data[start:end])
    _require_named(record, offset)
    return record


def _plain_header(data: bytes) -> tuple[tuple[tuple[str, str], ...], int] | None:
    """The fields of a header as we write it, and where its block begins; None for any other form.

    warcio's parser, which takes every form, costs more than the inflating of a usual page.
    """
    end = data.find(b"\r\n\r\n", 0, _PLAIN_HEADER_BYTES)
    if end < 0 or not data.startswith(_PLAIN_STARTS):
        return None
    try:
        lines = data[len(_PLAIN_STARTS[0]) : end].decode("utf-8").split("\r\n")
    except UnicodeDecodeError:
        return None
    fields = []
    for line in lines:
        name, _, value = line.partition(": ")
        is_plain = name.isascii() and name.replace("-", "").isalnum() and value == value.strip() != ""
        if not is_plain or not value.isprintable():
            return None
        fields.append((name, value))
    return tuple(fields), end + 4


def _any_header(data: bytes, offset: int) -> tuple[tuple[tuple[str, str], ...], int]:
    # Here and below, for it is rarely needed: our own records are read without it.
    from warcio.statusandheaders import StatusAndHeadersParser, StatusAndHeadersParserException

    stream = BytesIO(data)
    try:
        parsed = StatusAndHeadersParser(_KNOWN_VERSIONS).parse(stream)
    except (StatusAndHeadersParserException, EOFError) as error:
        raise Damaged(offset, "no WARC record") from error
    return tuple((str(name), str(value)) for name, value in parsed.headers), stream.tell()


def read_all(
    path: Path, start: int = 0, on_damage: OnDamage | None = None, tap: Tap | None = None
) -> Iterator[tuple[Member, Record]]:
    """Every record of a file from an offset on, with its member; strict, one record a member.

    Raises `Damaged` at the first that is not whole, or tells `on_damage` and goes on with the next that is. `tap` sees
    every byte up to the first damage.
    """
    info_id = ""
    at: int | None = start
    while at is not None:
        resumed = at if at != start else None
        try:
            for member in scan(path, at, tap if resumed is None else None):
                record = parse(member.data, member.offset)
                if resumed is not None and not _belongs(record, info_id):
                    at = next_start(path, member.offset)
                    break
                if record.type == "warcinfo" and member.offset == 0:
                    info_id = record.id
                yield member, record
            else:
                return
        except Damaged as damage:
            if on_damage is None:
                raise
            on_damage(damage)
            at = next_start(path, damage.offset)


def _belongs(record: Record, info_id: str) -> bool:
    """Whether a record found after damage is the file's own: a damaged page may have been a WARC itself.

    Each of our records names the warcinfo record of its file; of a file that has none, every record is believed.
    """
    return not info_id or record.header("WARC-Warcinfo-ID") == info_id or is_filler(record)


def is_filler(record: Record) -> bool:
    """Whether a record stands where damaged bytes were."""
    if record.type != "metadata" or record.header("Content-Type") != WARC_FIELDS:
        return False
    return record.block.startswith(f"{QUARANTINED}: ".encode())


def _require_named(record: Record, offset: int) -> None:
    if not record.type or not record.id:
        raise Damaged(offset, "the record lacks WARC-Type or WARC-Record-ID")
    try:
        _ = record.date
    except ValueError as error:
        raise Damaged(offset, "the record has no readable WARC-Date") from error


def http_part(record: Record) -> HttpPart | None:
    """The HTTP head of a response or revisit; None where there is none (an empty revisit)."""
    return http_head(record.block) if record.type in ("response", "revisit") else None


def http_head(block: bytes) -> HttpPart | None:
    """Part a response as the common readers do, who take anything for a head; None when it is empty."""
    if plain := _PLAIN_HEAD.match(block):
        found = _CONTENT_TYPE.search(block, plain.end(1), plain.end())
        kind = found[1].decode("ascii").strip() if found else None
        return HttpPart(plain[1].decode("ascii"), kind, plain.end())
    from warcio.statusandheaders import StatusAndHeadersParser

    stream = BytesIO(block)
    try:
        head = StatusAndHeadersParser([], verify=False).parse(stream)
    except EOFError:
        return None
    if not head:
        return HttpPart(None, None, stream.tell())
    return HttpPart(str(head.get_statuscode()), head.get_header("content-type"), stream.tell())


def digest_faults(record: Record) -> list[str]:
    """What the record's own digests say against it; an algorithm that Python does not know is not judged."""
    faults = []
    if not _agrees(record.header("WARC-Block-Digest"), record.block):
        faults.append("the block is not what its digest says")
    payload_digest = record.header("WARC-Payload-Digest")
    if payload_digest and record.type == "response":  # a revisit's is that of the payload it refers to
        part = http_part(record)
        if not _agrees(payload_digest, record.block[part.body_at if part else 0 :]):
            faults.append("the payload is not what its digest says")
    return faults


def _agrees(digest: str, data: bytes) -> bool:
    algorithm, _, value = digest.partition(":")
    algorithm = algorithm.lower().replace("-", "")
    if not value or algorithm not in hashlib.algorithms_guaranteed or algorithm.startswith("shake"):
        return True
    return digest_agrees(digest, hashlib.new(algorithm, data, usedforsecurity=False).digest())


def digest_agrees(digest: str, found: bytes) -> bool:
    """Whether a digest as a record writes it, in base32 or hex, is this one."""
    value = digest.partition(":")[2].strip()
    return value.upper() == base64.b32encode(found).decode("ascii") or value.lower() == found.hex()
