"""What must hold for any bytes whatever: each target takes some, and raises if its promises are broken."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from scraper import bylines, dates, decode, message, printable, references, settings, urls, wording
from scraper.archiver import Imports, check, foreign_wacz, index, records, words
from scraper.archiver import foreign as foreign_warcs
from scraper.archiver.members import Damaged
from scraper.citations import SUFFIXES, Unreadable, read_document, selected
from scraper.errors import ConfigError, IntegrityError, UsageError
from scraper.extractor import extract, render
from scraper.fetcher import choice, politeness, redirects, requisites, robots
from scraper.model import Exchange
from scraper.replay import address, cdx, link_header, rewriting
from scraper.replay import dates as replay_dates
from scraper.replay.rewriting import Place, TooLarge

from . import seeds

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
TARGET = urls.target("http://e.example/a/b?c=1")
PLACE = Place("main", "20260504030201", "http://e.example/a/b?c=1")
CAP_BYTES = 1 << 20
_SUFFIXES = (".md", ".txt", ".markdown", ".html", ".json", ".jsonl", ".csv", ".list", "", ".tsv")
_CODINGS = (None, "gzip", "deflate", "gzip, deflate", "br", "x-gzip", "identity")
_TYPES = ("text/html", "text/html; charset=shift_jis", None, "application/xhtml+xml", "text/plain", "application/pdf")


def documents(data: bytes) -> None:
    """Citations are whole: a target in normal form or a refusal, a line that exists, no userinfo; twice the same."""
    name = f"x{_SUFFIXES[data[0] % len(_SUFFIXES)]}" if data else "x"
    body = data[1:]
    try:
        document = read_document(body, name)
    except Unreadable:
        return
    assert document == read_document(body, name)
    for citation in document.citations:
        assert (citation.target is None) == (citation.refusal is not None), citation
        assert citation.line >= 1
        if citation.target is not None:
            assert urls.target(citation.target.href) == citation.target
            assert "@" not in citation.target.href.split("/")[2]
    assert len(list(selected(document))) == len(document.citations)
    if not body.startswith(b"\x1f\x8b"):
        assert len(document.citations) <= len(body)
        assert sum(len(citation.url) for citation in document.citations) <= 100 * len(body)


def robots_files(data: bytes) -> None:
    """The verdict does not hang on line ends, a byte order mark, our name's case, or how a letter is encoded."""
    first, _, body = data.partition(b"\n")
    try:
        path = urls.target("/" + first.decode("utf-8", "replace").lstrip("/\\"), "http://e.example/").path
    except urls.NotATarget:
        path = "/x"
    rules = robots.parse(body, "scraper")
    assert rules.allows("/robots.txt")
    assert rules.allows("/robots.txt?x")
    verdict = rules.allows(path)
    assert robots.parse(body, "SCRAPER").allows(path) == verdict
    assert rules.crawl_delay_seconds is None or 0 <= rules.crawl_delay_seconds < float("inf")
    spelt = re.sub("[a-z](?![0-9A-Fa-f])", lambda found: f"%{ord(found[0]):02x}", re.sub("%..?", "", path), count=1)
    assert rules.allows(spelt) == rules.allows(re.sub("%..?", "", path))
    if body[:1] < b"\x80" and len(body) < robots.CAP_BYTES // 2 and b"\r" not in body:
        assert robots.parse(b"\xef\xbb\xbf" + body, "scraper") == rules
        assert robots.parse(body.replace(b"\n", b"\r\n"), "scraper") == rules
        assert robots.parse(body.replace(b"\n", b"\r"), "scraper") == rules
        assert robots.parse(body + b"\n# no more\nSitemap: x\n", "scraper") == rules
    beginning = robots.beginning(body, "gzip")
    assert len(beginning) <= robots.CAP_BYTES + 1
    assert len(robots.within_cap(beginning)) <= robots.CAP_BYTES


def messages(data: bytes) -> None:
    """A head is found where the slow way finds it; nothing grows but by its coding, and then to the cap at most."""
    coding, data = _CODINGS[data[0] % len(_CODINGS)] if data else None, data[1:]
    slow = message.HEAD_END.search(data)
    assert message.head_end(data) == (slow.span() if slow else None)
    head = message.parse_head(data)
    entity = message.entity(data)
    assert len(entity) <= len(data)
    body, used = message.dechunk(data)
    assert used is None or 0 < used <= len(data)
    assert len(body) <= len(data)
    with suppress(message.TooLarge):
        assert len(message.content(entity, coding, CAP_BYTES)) <= CAP_BYTES
    if head is None:
        assert not entity
        return
    assert 0 < head.length <= len(data)
    assert 0 <= head.status <= 999
    exchange = exchange_of(data, head)
    for led in (redirects.location(exchange), redirects.refresh(exchange)):
        assert led is None or isinstance(led, str)
    held = politeness.hold_until(exchange, NOW)
    assert held is None or NOW < held <= NOW + politeness.LONGEST_HOLD
    for need in (*requisites.of_page(exchange), *requisites.of_sheet(exchange)):
        assert urls.target(need.target.href) == need.target


def exchange_of(data: bytes, head: message.Head) -> Exchange:
    """What a fetcher would make of a response."""
    return Exchange(TARGET, NOW, 0.1, b"", data, head.length, head.status, head.reason, head.headers, None, ())


def pages(data: bytes) -> None:
    """A page gives an article that is the same twice, can be written and read back, and holds no more than the page."""
    kind, body = _TYPES[data[0] % len(_TYPES)] if data else None, data[1:]
    article = extract(body, TARGET.href, content_type=kind, captured_at=NOW)
    assert render.as_json(article) == render.as_json(extract(body, TARGET.href, content_type=kind, captured_at=NOW))
    assert render.from_json(render.as_json(article)) == article
    render.markdown(article)
    assert len(render.plain(article)) <= 20 * len(body) + 1000
    if article.published is not None and article.published.at.tzinfo is not None:
        assert article.published.at <= NOW + timedelta(days=2)


def rewritten(data: bytes) -> None:
    """A page shown again names no other host, and no script; a sheet likewise."""
    text = decode.html(data[1:], _TYPES[data[0] % len(_TYPES)] if data else None).text
    with suppress(TooLarge):
        shown = rewriting.page(text, PLACE, "")
        assert not re.search(r"<script[\s/>]", shown, re.IGNORECASE)
        shown.encode("utf-8", "replace")
    with suppress(TooLarge):
        rewriting.stylesheet(text, PLACE)
    for reference in references.in_css(text):
        assert isinstance(reference.url, str)


@contextmanager
def _folder() -> Iterator[Path]:
    shared = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="scraper-fuzz-", dir=shared) as name:
        yield Path(name)


def warcs(data: bytes) -> None:
    """Whatever a WARC holds, reading it ends, in order and within the file; what is taken in then reads clean."""
    with _folder() as folder:
        path = folder / "x.warc.gz"
        path.write_bytes(data)
        damages: list[Damaged] = []
        at = -1
        for member, record in records.read_all(path, on_damage=damages.append):
            assert at < member.offset
            at = member.offset
            assert member.offset + member.length <= len(data)
            records.digest_faults(record)
            records.http_part(record)
            assert records.parse(records.serialise(_without_head(record)), 0).block == _without_head(record).block
        _read_as_foreign(path, len(data))
        _take_in(path, folder / "archive")


def _without_head(record: records.Record) -> records.Record:
    """The record as one whose block is written as it is (warcio rewrites those of revisits)."""
    return records.make("resource", [("WARC-Date", "2026-05-04T03:02:01Z")], record.block)


def _read_as_foreign(path: Path, size: int) -> None:
    damages: list[Damaged] = []
    at = -1
    for found in foreign_warcs.scan_on(path, damages, foreign_warcs.PROOF):
        assert at <= found.offset <= found.end
        at = found.offset
        assert len(found.record.block) <= 256 * 1024 + CAP_BYTES
    assert len(damages) <= size + 1


def _take_in(path: Path, root: Path) -> None:
    imports = Imports(root)
    try:
        taken = imports.add_file(path, "0" * 64, NOW, salvage=True)
    except (IntegrityError, UsageError):
        return
    for one in taken:
        imports.complete(one.warc)
    assert [str(problem) for problem in check(root, imports.layout.name)] == []


def waczs(data: bytes) -> None:
    """A ZIP that is not what it says is refused, or taken in whole and clean."""
    with _folder() as folder:
        path = folder / "x.wacz"
        path.write_bytes(data)
        if not foreign_wacz.is_zip(path):
            return
        with suppress(IntegrityError, UsageError), foreign_wacz.opened(path) as archive:
            foreign_wacz.read(archive, path.name, len(data))
        _take_in(path, folder / "archive")


def index_lines(data: bytes) -> None:
    """A line of an index is read as it will be written, or called damaged."""
    try:
        entry = index.read_line(data, Path("x.cdxj"))
    except IntegrityError:
        return
    assert index.read_line(entry.line(), Path("x.cdxj")) == entry


def settings_files(data: bytes) -> None:
    """A settings file is read, or refused with a message."""
    with _folder() as folder:
        path = folder / "scraper.toml"
        path.write_bytes(data)
        try:
            read = settings.load(path, environ={})
        except ConfigError as error:
            assert str(error)
            return
        assert settings.load(path, environ={}) == read


def addresses(data: bytes) -> None:
    """The normal form is its own normal form, and its keys are what indexes can hold."""
    text = data.decode("utf-8", "surrogatepass" if data.count(b"\xed") else "replace") if _decodes(data) else ""
    bare = urls.without_userinfo(text)
    assert urls.without_userinfo(bare) == bare or len(text) > 200
    try:
        target = urls.target(text, TARGET.href)
    except urls.NotATarget:
        return
    assert urls.target(target.href) == target
    assert "#" not in target.href
    assert target.path.startswith("/")
    key = urls.surt(target.href)
    assert key.isascii()
    assert " " not in key
    assert urls.surt(target.href) == key
    assert urls.registered_domain(target.host)
    assert urls.host_key(target) in urls.origin(target)


def _decodes(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return b"\xed" not in data
    return True


def texts(data: bytes) -> None:
    """Scraps of text, headers and queries are read or not, but never break what reads them."""
    text = data.decode("utf-8", "replace")
    for read in (dates.parse, dates.search):
        moment = read(text)
        assert moment is None or moment.iso()
    bylines.parse(text)
    bylines.person(text)
    wording.role_of(text)
    wording.is_phrase(text)
    asked = words.query(text)
    words.indexed(text)
    assert len("".join(piece for piece, _ in words.snippet(text, asked))) <= 500
    list(references.in_srcset(text))
    references.refresh(text)
    choice.candidate(text, text)
    choice.matches(text)
    redirects.refresh_url(text)
    link_header.read_http_date(text)
    politeness.retry_after(text, NOW)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202e]", printable.line(text))
    for ask in (cdx.read, replay_dates.span_of, lambda rest: address.parse("main", rest)):
        with suppress(UsageError):
            ask(text)


@dataclass(frozen=True, slots=True)
class Target:
    """A function that is fuzzed, with what its input is made of."""

    check: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    tokens: tuple[bytes, ...]
    examples: int  # in the short form of the suite


@cache
def all_targets() -> dict[str, Target]:
    """Every target, by its name."""
    return {
        "documents": Target(documents, seeds.DOCUMENTS, seeds.DOCUMENT_TOKENS, 150),
        "robots": Target(robots_files, seeds.ROBOTS, seeds.ROBOTS_TOKENS, 200),
        "messages": Target(messages, seeds.HEADS, seeds.HEAD_TOKENS, 200),
        "pages": Target(pages, seeds.PAGES, seeds.PAGE_TOKENS, 60),
        "rewritten": Target(rewritten, seeds.PAGES, seeds.PAGE_TOKENS, 80),
        "warcs": Target(warcs, seeds.WARCS, seeds.WARC_TOKENS, 60),
        "waczs": Target(waczs, seeds.WACZS, seeds.WACZ_TOKENS, 60),
        "index_lines": Target(index_lines, seeds.LINES, seeds.LINE_TOKENS, 200),
        "settings": Target(settings_files, seeds.SETTINGS, seeds.SETTINGS_TOKENS, 150),
        "urls": Target(addresses, seeds.URLS, seeds.URL_TOKENS, 200),
        "texts": Target(texts, seeds.TEXTS, seeds.TEXT_TOKENS, 100),
    }


assert set(_SUFFIXES) <= SUFFIXES | {""}
