"""One capture's text: from the exchange to the fields of its JSON, its Markdown, and its entry in the search index."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from scraper import archiver, message
from scraper.errors import IntegrityError, LargeRecord
from scraper.model import Article, Exchange, Location, ParserLimits, SiteRules
from scraper.pipeline.searching import entry_of_fields
from scraper.settings import MIB, Settings
from scraper.state import TextJob

# Up to so much a page takes 70 MB at most. A larger one may take twenty times its size, and one tag a kilobyte. One in
# 500 is larger: the start of a process of its own costs as much as 20 usual pages.
_LARGE_BYTES = 4 * MIB
_LARGE_TAGS = 20_000
# Of another tool's record, which may have any size. A page that is small enough came in fewer bytes, in chunks, too.
_LARGEST_RECORD_BYTES = 64 * MIB


class Load(Protocol):
    """Reads a capture's exchange, if it has no more bytes than that: of `Collection`, or of `PageStream`."""

    def __call__(self, location: Location, /, *, most_bytes: int) -> Exchange: ...


class LargePage(Exception):
    """A page to be worked on when no other large one is, in a process that ends with it, and its memory with that."""


@dataclass(frozen=True, slots=True)
class TextTask:
    """All that a worker needs; `rules` are already narrowed to the page's host."""

    root: Path
    job: TextJob
    rules: tuple[SiteRules, ...]
    limits: ParserLimits
    skipped: str | None = None  # why no extraction is to be tried
    may_be_large: bool = False


@dataclass(frozen=True, slots=True)
class Maker:
    """What all texts of a run are made under."""

    root: Path
    rules: tuple[SiteRules, ...]
    limits: ParserLimits

    @classmethod
    def of(cls, root: Path, settings: Settings, rules: Sequence[SiteRules]) -> Maker:
        return cls(root, tuple(rules), settings.extract.limits)

    def task(self, job: TextJob) -> TextTask:
        """The task of one capture, with the rules for its host."""
        host = job.final_href.partition("://")[2].partition("/")[0].partition(":")[0]
        rules = tuple(r for r in self.rules if any(host == name or host.endswith("." + name) for name in r.hosts))
        return TextTask(self.root, job, rules, self.limits)


@dataclass(frozen=True, slots=True)
class TextMade:
    """What the state and the search index keep of a text; `path` is relative to the collection, without suffix."""

    job: TextJob
    path: str
    title: str | None
    status: int | None
    entry: archiver.SearchEntry


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is not written yet: the fields of its JSON, and its Markdown."""

    fields: dict[str, Any]
    markdown: str


def make_text(task: TextTask) -> TextMade:
    """Extract one capture's article and write its text files. Raises `LargePage`."""
    job = task.job
    texts = archiver.Texts(task.root, job.collection)
    try:
        text = drawn(task, archiver.Collection(task.root, job.collection).load)
    except IntegrityError:
        # `check` names it; other texts must not wait.
        text = drawn(replace(task, skipped="its record in the WARC is damaged"), None)
    path = texts.write(text.fields, text.markdown, job.final_href, job.captured_at)
    return made(task, text, path)


def made(task: TextTask, text: Text, path: str) -> TextMade:
    """What is to be noted of a text that was written."""
    fields = text.fields
    return TextMade(task.job, path, fields["article"]["title"], fields["status"], entry_of_fields(path, fields))


def drawn(task: TextTask, load: Load | None) -> Text:
    """Extract a capture's article; the same exchange, rules and version give the same bytes.

    Raises `LargePage`, and `IntegrityError` when the record cannot be read.
    """
    from scraper.extractor import VERSION, render

    job = task.job
    exchange = None
    try:
        exchange = load(job.page, most_bytes=_LARGEST_RECORD_BYTES) if load else None
    except LargeRecord:
        task = replace(task, skipped=f"its record is larger than {_LARGEST_RECORD_BYTES >> 20} MiB")
    status, content_type = (exchange.status, exchange.header("content-type")) if exchange else (None, None)
    body = _body(task, exchange)
    del exchange  # the body in another form: a large one is not held twice
    article = body if isinstance(body, Article) else _article(task, body, content_type)
    if task.may_be_large:
        gc.collect()  # the tree of the page, which is full of circles, before its text is written in several forms
    fields = {
        "url": job.href,
        "final_url": job.final_href,
        "captured_at": job.captured_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "status": status,
        "warc": {"file": job.page.warc, "offset": job.page.offset, "length": job.page.length},
        "extractor": VERSION,
        "rules": rules_digest(task.rules),
        "article": render.as_json(article),
    }
    return Text(fields, render.markdown(article))


def rules_digest(rules: Sequence[SiteRules]) -> str | None:
    """The sha256 (hex) of the site rules a text was made under; None when there are none for its host."""
    if not rules:
        return None
    text = json.dumps([asdict(rule) for rule in rules], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _body(task: TextTask, exchange: Exchange | None) -> bytes | Article:
    """The page without its codings; where none is to be extracted, an article that says why."""
    href, most_bytes = task.job.final_href, task.limits.max_bytes
    if exchange is None or task.skipped:
        return Article(href, skipped=task.skipped)
    codings = message.codings(exchange.headers)
    if reason := message.unreadable(codings):
        return Article(href, skipped=reason)
    try:
        # Not even unpacked where it is more than may be extracted. The cap is for all codings together: some pages
        # have two, and no honest one more.
        return message.content(message.entity(exchange.received), codings, most_bytes * (2 if "," in codings else 1))
    except message.TooLarge:
        return Article(href, skipped=f"larger than {most_bytes:,} bytes")


def _article(task: TextTask, body: bytes, content_type: str | None) -> Article:
    from scraper.extractor import extract  # the parsers load only where pages are extracted
    from scraper.extractor.guard import not_html

    job = task.job
    is_large = len(body) > _LARGE_BYTES or body.count(b"<") > _LARGE_TAGS
    if is_large and not task.may_be_large and not not_html(body, content_type):
        raise LargePage(job.final_href)
    return extract(
        body,
        job.final_href,
        content_type=content_type,
        captured_at=job.captured_at,
        rules=task.rules,
        limits=task.limits,
    )
