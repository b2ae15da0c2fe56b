"""The index lines of other tools' WARCs: as cdxj-indexer writes them, from heads alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from scraper import urls
from scraper.archiver import foreign, records
from scraper.archiver.foreign import Found
from scraper.archiver.index import MIME_END, REVISIT_MIME, IndexEntry
from scraper.archiver.members import Damaged
from scraper.archiver.records import HttpPart, Record
from scraper.model import Location

_PLAIN_HEAD = re.compile(rb"HTTP/[0-9.]+ +([0-9]{3})(?: [^\r\n]*)?\r\n")
_CONTENT_TYPE = b"\r\ncontent-type:"
_USUAL_DATE_LENGTH = len("2024-05-01T12:00:00Z")
_TO_14_DIGITS = str.maketrans("", "", "-T:Z")


def entries(path: Path, name: str, damages: list[Damaged]) -> Iterator[IndexEntry]:
    """The index entries of a WARC; damage is noted and gone over."""
    for found in foreign.scan_on(path, damages):
        if entry := entry_of(found, name):
            yield entry


def entry_of(found: Found, warc: str) -> IndexEntry | None:
    """The index entry of a record; None for those that are not listed, or cannot be read from their place."""
    record = found.record
    # The record keeps the user and password that another tool wrote into it; nothing that is made of it does.
    href = urls.bare(found.href) if "@" in found.href else found.href
    if found.is_shared or not href or not _is_listed(record):
        return None
    part = head_of(record)
    digest = record.header("WARC-Payload-Digest") or found.payload_sha1 or ""
    place = Location(warc, found.offset, found.length)
    key, timestamp = urls.surt(href), _timestamp(record)
    return IndexEntry(key, timestamp, href, digest, place, _mime(record, part), part.status if part else None)


def _is_listed(record: Record) -> bool:
    """What cdxj-indexer lists: also what was stored under `urn:`, `dns:` or `metadata:`, but no notes of a crawler."""
    if record.type == "metadata":
        return not record.header("Content-Type").startswith(records.WARC_FIELDS)
    return record.type in ("response", "revisit", "resource")


def _mime(record: Record, part: HttpPart | None) -> str | None:
    if record.type == "revisit":
        return REVISIT_MIME
    said = record.header("Content-Type") if record.type != "response" else part.content_type if part else None
    return MIME_END.split(said, maxsplit=1)[0] if said else said


def head_of(record: Record) -> HttpPart | None:
    """The HTTP head of a response or revisit: by hand where it is a plain one, else as the common readers see it."""
    head = record.block
    if record.type not in ("response", "revisit") or not head:
        return None
    plain = _PLAIN_HEAD.match(head)
    if plain is None or b"\n " in head or b"\n\t" in head:
        return records.http_head(head)
    return HttpPart(plain[1].decode("ascii"), _content_type(head, plain.end() - 2), len(head))


def _content_type(head: bytes, start: int) -> str | None:
    at = head.lower().find(_CONTENT_TYPE, start)
    if at < 0:
        return None
    said = head[at + len(_CONTENT_TYPE) :].split(b"\n", 1)[0].split(b"\r", 1)[0]
    return said.decode("latin-1").strip()


def _timestamp(record: Record) -> str:
    """The 14 digits of a date that was read already; most are written in the one way that needs no more."""
    said = record.header("WARC-Date")
    digits = said.translate(_TO_14_DIGITS)
    is_usual = said.endswith("Z") and len(said) == _USUAL_DATE_LENGTH and len(digits) == 14 and digits.isdecimal()
    return digits if is_usual and digits[8:10] != "24" else records.timestamp14(record.date)
