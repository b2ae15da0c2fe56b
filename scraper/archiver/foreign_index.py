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
_CONTENT_TYPE = re.compile(rb"(?i)\r\ncontent-type:[ \t]*([^\r\n]*)")
_FOLDED = re.compile(rb"\n[ \t]")


def entries(path: Path, name: str, damages: list[Damaged]) -> Iterator[IndexEntry]:
    """The index entries of a WARC; damage is noted and gone over."""
    for found in foreign.scan_on(path, damages):
        if entry := entry_of(found, name):
            yield entry


def entry_of(found: Found, warc: str) -> IndexEntry | None:
    """The index entry of a record; None for those that are not listed, or cannot be read from their place."""
    record = found.record
    href = found.href
    if found.is_shared or not href or not _is_listed(record):
        return None
    part = head_of(record)
    digest = record.header("WARC-Payload-Digest") or found.payload_sha1 or ""
    place = Location(warc, found.offset, found.length)
    key, timestamp = urls.surt(href), records.timestamp14(record.date)
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
    if plain is None or _FOLDED.search(head):
        return records.http_head(head)
    said = _CONTENT_TYPE.search(head, plain.end() - 2)
    return HttpPart(plain[1].decode("ascii"), said[1].decode("latin-1").strip() if said else None, len(head))
