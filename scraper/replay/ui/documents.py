"""A citing document's own text, read from where it lies, and only while it is still the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scraper import decode, urls

MOST_BYTES = 2 * 1024 * 1024
MOST_LINES = 20_000


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the document with the numbers of the citations in it."""

    number: int
    text: str
    cites: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """The document's lines and where they were read, or why they cannot be shown."""

    path: str
    lines: tuple[Line, ...]
    is_cut: bool = False
    reason: str = ""


def read(document: Mapping[str, Any], citations: Iterable[Mapping[str, Any]]) -> Source:
    """The document from the first of its places where the very same bytes still lie."""
    reasons = []
    for path in document["places"]:
        data, reason = _bytes_at(Path(path), document["digest"])
        if data is not None:
            return _source(path, data, citations)
        reasons.append(f"{path}: {reason}")
    return Source("", (), reason="; ".join(reasons) or "no run has found this document in the folders it knows")


def _bytes_at(path: Path, digest: str) -> tuple[bytes | None, str]:
    """A file's bytes if they have this sha256, else why not. What is no plain file is never opened for long."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        return None, getattr(error, "strerror", None) or str(error)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None, "not a file any more"
        try:
            data = file.read(MOST_BYTES + 1)
        except OSError as error:
            return None, error.strerror or str(error)
    if len(data) > MOST_BYTES:
        return None, f"larger than {MOST_BYTES >> 20} MiB, too much for a page"
    if hashlib.sha256(data).hexdigest() == digest:
        return data, ""
    unpacked = _unpacked(data)
    if unpacked is not None and hashlib.sha256(unpacked).hexdigest() == digest:
        return unpacked, ""
    return None, "changed since it was read"


def _unpacked(data: bytes) -> bytes | None:
    """What a gzipped document holds: it is known by the digest of that."""
    if not data.startswith(b"\x1f\x8b"):
        return None
    stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        unpacked = stream.decompress(data, MOST_BYTES)
    except (zlib.error, gzip.BadGzipFile):
        return None
    return unpacked if stream.eof else None


def _source(path: str, data: bytes, citations: Iterable[Mapping[str, Any]]) -> Source:
    at: dict[int, list[int]] = {}
    for citation in citations:
        at.setdefault(citation["line"], []).append(citation["number"])
    # User names and passwords in URLs are never shown.
    texts = urls.without_userinfo(decode.plain(data).text).splitlines()
    shown = texts[:MOST_LINES]
    lines = tuple(Line(number, text, tuple(at.get(number, ()))) for number, text in enumerate(shown, start=1))
    return Source(path, lines, is_cut=len(texts) > len(shown))
