"""What is derived for readers: an article's text files, and the list of pages."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from scraper import urls
from scraper.archiver import records
from scraper.archiver.layout import Layout, make_folder, replace_by_parts, replace_file, write_all, writing
from scraper.errors import IntegrityError
from scraper.stored import load_json

PAGES_HEADER = {"format": "json-pages-1.0", "id": "pages", "title": "All Pages"}
_JSON_PIECES = 1000  # marks, names and values that are put together before they are written
_HOST_CHARACTERS = 200  # a file name takes 255 bytes on every common file system


class Texts:
    """The article files of a collection: `text/HOST/YYYY/<14 digits>-<12 hex of the URL's sha256>.{md,json}`."""

    def __init__(self, root: Path, name: str) -> None:
        self._layout = Layout(root, name)

    def write(
        self,
        article: bytes | Mapping[str, Any],
        markdown: str,
        url: str,
        captured_at: datetime,
        *,
        durable: bool = True,
    ) -> str:
        """Write both files; each is whole or not there. Gives their path without suffix, relative to the collection.

        Without `durable` they are not synced: after a power failure they may have to be made again from the WARC.
        """
        stem = self.stem(url, captured_at)
        data = [article] if isinstance(article, bytes) else _json_parts(article)
        replace_file(self._path(stem, "md"), markdown.encode("utf-8", "replace"), durable=durable)
        # The JSON comes last: where it is, both are.
        replace_by_parts(self._path(stem, "json"), data, durable=durable)
        return stem

    def read(self, url: str, captured_at: datetime) -> tuple[dict[str, Any], str] | None:
        """The article's JSON and Markdown; None where there are none. Raises `IntegrityError` on damaged files."""
        stem = self.stem(url, captured_at)
        path = self._path(stem, "json")
        try:
            article = load_json(path.read_bytes())
            markdown = self._path(stem, "md").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (ValueError, OSError) as error:
            raise IntegrityError(f"{path}: this text is damaged; run `scraper rebuild` to make it again") from error
        if not isinstance(article, dict):
            raise IntegrityError(f"{path}: this text is damaged; run `scraper rebuild` to make it again")
        return article, markdown

    def read_fields(self, url: str, captured_at: datetime) -> dict[str, Any] | None:
        """The article's JSON alone, as `load` gives it."""
        return self.load(self.stem(url, captured_at))

    def renew(self, stem: str, fields: Mapping[str, Any], markdown: str) -> bool:
        """Write both files of a text anew, if they are not what is there; the old ones stay beside them.

        An older text is named `….v<version>`, its version being the extractor's and, where site rules had a part in it,
        the start of their digest. One of the same version is not kept. Nothing is synced; gives whether it was written.
        """
        before = self._bytes(stem, "json"), self._bytes(stem, "md")
        after = _json(fields), markdown.encode("utf-8", "replace")
        if before == after:
            return False
        old = _version_of(before[0])
        if old and old != _version(fields) and before[1] is not None:
            replace_file(self._path(f"{stem}.v{old}", "md"), before[1], durable=False)
            replace_file(self._path(f"{stem}.v{old}", "json"), before[0] or b"", durable=False)
        replace_file(self._path(stem, "md"), after[1], durable=False)
        replace_file(self._path(stem, "json"), after[0], durable=False)
        return True

    def prune(self, url: str, captured_at: datetime) -> int:
        """Delete the texts of older versions; gives how many there were."""
        path = self._path(self.stem(url, captured_at), "json")
        old = [other for suffix in ("json", "md") for other in path.parent.glob(f"{path.stem}.v*.{suffix}")]
        for file in old:
            with writing(file):
                file.unlink(missing_ok=True)
        return len({file.stem for file in old})

    def _bytes(self, stem: str, suffix: str) -> bytes | None:
        try:
            return self._path(stem, suffix).read_bytes()
        except FileNotFoundError:
            return None

    def load(self, stem: str) -> dict[str, Any] | None:
        """The JSON of a text by its path, as `stem` gives it; None when there is none. Raises `IntegrityError`."""
        path = self._path(stem, "json")
        try:
            article = load_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (ValueError, OSError) as error:
            raise IntegrityError(f"{path}: this text is damaged; run `scraper rebuild` to make it again") from error
        if not isinstance(article, dict) or not _is_titled(article.get("article")):
            raise IntegrityError(f"{path}: this text is damaged; run `scraper rebuild` to make it again")
        return article

    def exists(self, url: str, captured_at: datetime) -> bool:
        """Whether both files are there: an empty one is what a power failure left of one that was not synced."""
        stem = self.stem(url, captured_at)
        markdown, article = self._path(stem, "md"), self._path(stem, "json")
        return markdown.is_file() and article.is_file() and article.stat().st_size > 0

    def stem(self, url: str, captured_at: datetime) -> str:
        """The path of an article's files without their suffix, relative to the collection's folder."""
        stamp = records.timestamp14(captured_at)
        host = safe_host(urls.target(url).host)
        return f"text/{host}/{stamp[:4]}/{stamp}-{hashlib.sha256(url.encode()).hexdigest()[:12]}"

    def _path(self, stem: str, suffix: str) -> Path:
        return self._layout.folder / f"{stem}.{suffix}"


def _is_titled(article: object) -> bool:
    """Whether this can be an article: its title is a text, or there is none."""
    return isinstance(article, dict) and isinstance(article.get("title", 0), str | None)


def _version(fields: Mapping[str, Any]) -> str:
    """What an older text is named by: `3`, or `3-1f0c2a9b` where site rules had a part in it."""
    version = re.sub(r"[^0-9A-Za-z_.-]", "_", str(fields.get("extractor", "")))[:40]
    rules = re.sub(r"[^0-9a-f]", "", str(fields.get("rules") or ""))[:8]
    return f"{version}-{rules}" if rules else version


def _version_of(data: bytes | None) -> str:
    """The version of a text by its JSON; empty when there is none, or it is damaged."""
    try:
        fields = load_json(data or b"null")
    except ValueError:
        return ""
    return _version(fields) if isinstance(fields, dict) else ""


def safe_host(host: str) -> str:
    """A host as a folder's name, free of all that means something to a file system: `[::1]` becomes `_-1`."""
    name = re.sub(r"[^a-z0-9._-]", "_", host.lower().strip("[]").replace(":", "-"))
    name = re.sub(r"^[.-]", "_", name)
    if len(name) <= _HOST_CHARACTERS:
        return name or "_"
    return f"{name[:_HOST_CHARACTERS]}-{hashlib.sha256(host.encode()).hexdigest()[:12]}"


def _json(value: Mapping[str, Any]) -> bytes:
    return b"".join(_json_parts(value))


def _json_parts(value: Mapping[str, Any]) -> Iterator[bytes]:
    """A text as it is written, in parts: as a whole a large one would be in memory four times."""
    pieces = json.JSONEncoder(ensure_ascii=False, indent=1, default=str).iterencode(value)
    while part := "".join(itertools.islice(pieces, _JSON_PIECES)):
        yield part.encode("utf-8", "replace")
    yield b"\n"


# ---------------------------------------------------------------------- pages


@dataclass(frozen=True, slots=True)
class Page:
    """One line of `pages.jsonl`."""

    url: str
    captured_at: datetime
    title: str | None = None
    status: int | None = None

    def line(self) -> bytes:
        """The line in the json-pages-1.0 form; its id follows from URL and time, so that a rebuilt one is the same."""
        stamp = records.iso(self.captured_at)
        identity = hashlib.sha256(f"{stamp} {self.url}".encode()).hexdigest()[:22]
        fields = {"id": identity, "url": self.url, "ts": stamp, "title": self.title, "status": self.status}
        present = {name: value for name, value in fields.items() if value is not None}
        return json.dumps(present).encode() + b"\n"


class Pages:
    """`pages/pages.jsonl`: what a person would call the collection's pages."""

    def __init__(self, root: Path, name: str) -> None:
        self._path = Layout(root, name).pages

    def append(self, pages: Iterable[Page]) -> None:
        """Add lines; a line that a crash tore off is cut away first."""
        data = b"".join(page.line() for page in pages)
        if not data:
            return
        make_folder(self._path.parent)
        with writing(self._path):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                end = _whole_lines_end(descriptor)
                os.ftruncate(descriptor, end)
                os.lseek(descriptor, end, os.SEEK_SET)
                try:
                    write_all(descriptor, data if end else _header() + data)
                except OSError:
                    os.ftruncate(descriptor, end)
                    raise
            finally:
                os.close(descriptor)

    def rewrite(self, pages: Iterable[Page]) -> None:
        """Write the list anew, whole or not at all."""
        replace_by_parts(self._path, itertools.chain((_header(),), (page.line() for page in pages)))


def _header() -> bytes:
    return json.dumps(PAGES_HEADER).encode() + b"\n"


def _whole_lines_end(descriptor: int) -> int:
    """The offset after the last line end: whatever follows is torn."""
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - 4096)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
