"""WACZ 1.1.1: an archive, or a part of it, as one file that players open by range requests.

The same captures give the same bytes: members are stored, never deflated; nothing holds the time of the export; lists
are sorted; `created` is the time of the newest capture.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from scraper import __version__
from scraper.errors import IntegrityError, OutputUnwritable, UsageError
from scraper.exchange.zipping import Stored, ZipStore

WACZ_VERSION = "1.1.1"
LINES_IN_A_BLOCK = 1024
# From how many bytes of WARCs on a list of pages or captures may pass 4 GiB: such members get room for larger sizes.
LARGE_BYTES = 1 << 29
_MOST_STORED = 0xFFFF
_PAGES_HEADER = {"format": "json-pages-1.0", "id": "pages", "title": "All Pages", "hasText": True}


@dataclass(frozen=True, slots=True)
class Warc:
    """A WARC for the package: its name there, its bytes in order, and the sha256 (hex) that it was sealed with."""

    name: str
    size: int
    parts: Callable[[], Iterator[bytes | memoryview]]
    seal: str | None = None


@dataclass(frozen=True, slots=True)
class PageLine:
    """A page as a person picks it from the package's list; `captured_at` and `title` as the archive's list has them."""

    line: bytes
    text: str | None = None

    def with_text(self) -> bytes:
        """The line of `pages.jsonl`, the article's text in it."""
        fields = json.loads(self.line)
        if self.text is not None:
            fields["text"] = self.text
        return _json(fields) + b"\n"


@dataclass(frozen=True, slots=True)
class Contents:
    """What goes into a package. `index` are CDXJ lines in order; `pages` in order of time.

    `main_page` is the address and time (ISO) of the page to be shown first, if there is one.
    """

    title: str
    description: str
    warcs: Iterable[Warc]
    index: Iterable[bytes]
    pages: Iterable[PageLine]
    main_page: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: counts, and the size in bytes."""

    pages: int
    captures: int
    size: int


def write(contents: Contents, output: Path | None) -> Written:
    """Write a package to a file, which is whole or not there, or to standard output.

    Raises `OutputUnwritable` when it cannot be written, `IntegrityError` when a WARC is not what it was sealed as.
    """
    with _opened(output) as descriptor:
        return _Package(descriptor).write(contents)


class _Package:
    """One package while it is written."""

    def __init__(self, descriptor: int) -> None:
        self._zip = ZipStore(descriptor)
        self._captures = self._pages = 0
        self._newest = ""

    def write(self, contents: Contents) -> Written:
        warcs = list(contents.warcs)
        for warc in warcs:
            self._add_warc(warc)
        large = sum(warc.size for warc in warcs) >= LARGE_BYTES
        blocks: list[dict[str, Any]] = []
        self._zip.add("indexes/index.cdx.gz", self._compressed_index(contents.index, blocks), large=large)
        self._zip.add("indexes/index.idx", _index_of_blocks(blocks))
        self._zip.add("pages/pages.jsonl", self._page_lines(contents.pages), large=large)
        package = self._datapackage(contents)
        self._zip.add("datapackage.json", [package])
        digest = {"path": "datapackage.json", "hash": f"sha256:{hashlib.sha256(package).hexdigest()}"}
        self._zip.add("datapackage-digest.json", [_json(digest)])
        return Written(self._pages, self._captures, self._zip.finish())

    def _add_warc(self, warc: Warc) -> None:
        member = self._zip.add(f"archive/{warc.name}", warc.parts(), large=warc.size >= LARGE_BYTES)
        if warc.seal is not None and member.sha256 != warc.seal:
            raise IntegrityError(f"{warc.name}: the file is not what it was when it was closed; run `scraper check`")

    def _compressed_index(self, lines: Iterable[bytes], blocks: list[dict[str, Any]]) -> Iterator[bytes]:
        """The index in gzip members of 1024 lines each, of which a reader asks for the one it needs ("ZipNum")."""
        rest, offset = iter(lines), 0
        while group := list(islice(rest, LINES_IN_A_BLOCK)):
            self._captures += len(group)
            stamps = (line.split(b" ", 2)[1].decode("ascii") for line in group)
            self._newest = max(self._newest, *stamps)
            block = stored_gzip(b"".join(group))
            key = group[0].rsplit(b" {", 1)[0]
            digest = f"sha256:{hashlib.sha256(block).hexdigest()}"
            blocks.append({"key": key, "offset": offset, "length": len(block), "digest": digest})
            offset += len(block)
            yield block

    def _page_lines(self, pages: Iterable[PageLine]) -> Iterator[bytes]:
        yield _json(_PAGES_HEADER) + b"\n"
        for page in pages:
            self._pages += 1
            yield page.with_text()

    def _datapackage(self, contents: Contents) -> bytes:
        created = self._created()
        fields: dict[str, Any] = {
            "profile": "data-package",
            "wacz_version": WACZ_VERSION,
            "title": contents.title,
            "description": contents.description,
            "software": f"scraper {__version__}",
            "created": created,
            "modified": created,
            "resources": [_resource(member) for member in self._zip.members],
        }
        if contents.main_page is not None:
            fields |= {"mainPageUrl": contents.main_page[0], "mainPageDate": contents.main_page[1]}
        return _json(fields, indent=2)

    def _created(self) -> str:
        newest = datetime.strptime(self._newest or "19700101000000", "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        return f"{newest:%Y-%m-%dT%H:%M:%SZ}"


def _resource(member: Stored) -> dict[str, Any]:
    # Frictionless Data, Data Resource: a name is of lower-case letters, digits, ".", "_", "-", "/".
    name = member.name.rpartition("/")[2].lower()
    return {"name": name, "path": member.name, "hash": f"sha256:{member.sha256}", "bytes": member.size}


def _index_of_blocks(blocks: list[dict[str, Any]]) -> Iterator[bytes]:
    yield b"!meta 0 " + _json({"format": "cdxj-gzip-1.0", "filename": "index.cdx.gz"}) + b"\n"
    for block in blocks:
        fields = {name: block[name] for name in ("offset", "length", "digest")}
        yield block["key"] + b" " + _json(fields) + b"\n"


def stored_gzip(data: bytes) -> bytes:
    """A gzip member (RFC 1952) of stored blocks (RFC 1951, 3.2.4): each zlib would deflate in its own way."""
    parts = [b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"]
    for start in range(0, len(data) or 1, _MOST_STORED):
        block = data[start : start + _MOST_STORED]
        is_last = start + _MOST_STORED >= len(data)
        parts += [struct.pack("<BHH", is_last, len(block), len(block) ^ 0xFFFF), block]
    parts.append(struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF))
    return b"".join(parts)


def stored_gzip_size(length: int) -> int:
    """How long such a member is for so many bytes."""
    blocks = max(1, -(-length // _MOST_STORED))
    return 10 + 5 * blocks + length + 8


def _json(value: Any, indent: int | None = None) -> bytes:
    return json.dumps(value, ensure_ascii=True, indent=indent).encode("ascii")


# --------------------------------------------------------------------- output


@contextmanager
def _opened(output: Path | None) -> Iterator[int]:
    """A descriptor to write at any place of; what is written is taken into use only when all went well."""
    where = "standard output" if output is None else str(output)
    try:
        with _to_standard_output() if output is None else _replacing(output) as descriptor:
            yield descriptor
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputUnwritable(f"{where}: cannot be written: {reason}; name another --output") from error


@contextmanager
def _to_standard_output() -> Iterator[int]:
    if sys.stdout is None:
        raise OutputUnwritable("standard output is closed; name a file with --output")
    if sys.stdout.isatty():
        raise UsageError("a WACZ is no text for a terminal; name a file with --output")
    with tempfile.TemporaryFile() as file:
        yield file.fileno()
        file.seek(0)
        shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
        sys.stdout.buffer.flush()


@contextmanager
def _replacing(output: Path) -> Iterator[int]:
    final = output.resolve()  # a link stays one
    if final.exists() and not final.is_file():
        raise OutputUnwritable(f"{output}: is there and is no file; name another --output")
    temporary = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        try:
            yield descriptor
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)
