"""What the stand-in web holds: pages made from templates and from the texts of the sample documents."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from scraper.citations import read_document
from scraper.demo.server import Reply, Request
from scraper.model import Document, Facts, Role

ROBOTS = b"User-agent: *\nAllow: /\n"
MEMBERS_ROBOTS = b"User-agent: *\nDisallow: /minutes/\n"
PLAIN = "text/plain; charset=utf-8"
RELATED_MARK = "**Related article:**"


def pages_folder() -> Path:
    """The templates, style sheet and picture of the stand-in web."""
    return Path(__file__).parent / "pages"


@dataclass(frozen=True, slots=True)
class Source:
    """A sample document which a page is rebuilt from: its bytes, and what they say."""

    data: bytes
    document: Document

    @property
    def original(self) -> str:
        """The address of the page it was made from."""
        targets = (citation.target for citation in self.document.citations if citation.role is Role.ORIGINAL)
        return next(target.href for target in targets if target)


def source(data: bytes, name: str) -> Source:
    """Read a sample document in the seed's form."""
    return Source(data, read_document(data, name))


class StandInPages:
    """Answers requests: the pages, on every host a robots.txt, a picture and a style sheet, and 404 for the rest.

    A page named in `busy_first` answers its first request with 503 and a Retry-After of one second.
    """

    def __init__(self, pages: Mapping[str, Reply], busy_first: frozenset[str] = frozenset()) -> None:
        self._pages = {url: _with_etag(reply) for url, reply in pages.items()}
        self._busy_first = busy_first
        self._asked: Counter[str] = Counter()

    @property
    def hosts(self) -> list[str]:
        return sorted({urlsplit(url).hostname or "" for url in self._pages})

    def __call__(self, request: Request) -> Reply:
        self._asked[request.url] += 1
        if request.url in self._busy_first and self._asked[request.url] == 1:
            return Reply(503, b"Back in a moment.\n", PLAIN, headers=(("Retry-After", "1"),))
        if (page := self._pages.get(request.url)) is not None:
            return page
        return _furniture(request.path)


def stand_in_pages(seed: Source, comet: Source) -> StandInPages:
    """The whole stand-in web. `seed` and `comet` are the documents whose text is served back as pages."""
    cranes = "https://courier.example.org/2023/05/harbour-cranes"
    moor = replace(_page("moor.html", charset="windows-1252"), content_type="text/html", chunked=True)
    pages = {
        seed.original: Reply(body=moscow_page(seed)),
        comet.original: Reply(body=comet_page(comet), chunked=True),
        "http://old.courier.example.org/story.php?id=4417": Reply(301, headers=(("Location", cranes),)),
        cranes: _page("cranes.html"),
        "https://gazette.example.com/2020/11/winter-ferry": replace(
            _page("ferry.html"), last_modified="Thu, 05 Nov 2020 17:40:00 GMT"
        ),
        "https://rundschau.example.net/wissen/moor": moor,
        "https://rundschau.example.net/wissen/moor?from=newsletter": moor,
        "https://bulletin.example.net/2018/reading-room-closes": replace(_page("gone.html"), status=404),
        "https://members.example.org/robots.txt": Reply(body=MEMBERS_ROBOTS, content_type=PLAIN),
        "https://data.example.com/reports/tide-tables-2021.pdf": Reply(
            body=(pages_folder() / "tide-tables.pdf").read_bytes(), content_type="application/pdf"
        ),
    }
    return StandInPages(pages, busy_first=frozenset({comet.original}))


def moscow_page(seed: Source) -> bytes:
    """The Moscow Times page of the seed document, text and related boxes in the document's order."""
    return _filled("moscow.html", _fields(seed, "".join(_moscow_blocks(seed)))).encode()


def comet_page(comet: Source) -> bytes:
    """The observatory's page: the same text in plain semantic HTML."""
    facts = comet.document.facts
    body = "\n".join(f"<p>{escape(text, quote=False)}</p>" for text in facts.paragraphs)
    aside = "".join(f'<li><a href="/notes/measuring">{escape(link.title)}</a></li>' for link in facts.related)
    body += f"\n<aside><h2>Related notes</h2><ul>{aside}</ul></aside>"
    return _filled("comet.html", _fields(comet, body)).encode()


def _moscow_blocks(seed: Source) -> Iterator[str]:
    facts = seed.document.facts
    related = enumerate(facts.related, 1)
    for is_related, text in _in_order(seed.data.decode(), facts):
        if is_related:
            number, link = next(related)
            yield _filled("moscow_related.html", {"text": escape(link.title), "number": str(number)})
        else:
            yield _filled("moscow_block.html", {"text": escape(text, quote=False)})


def _in_order(markdown: str, facts: Facts) -> Iterator[tuple[bool, str]]:
    """The paragraphs and related lines of a document as they follow each other."""
    paragraphs = iter(facts.paragraphs)
    awaited = next(paragraphs, None)
    for block in (block.strip() for block in markdown.split("\n\n")):
        if block.startswith(RELATED_MARK):
            yield True, ""
        elif awaited is not None and " ".join(block.split()) == awaited:
            yield False, awaited
            awaited = next(paragraphs, None)


def _fields(page: Source, body: str) -> dict[str, str]:
    facts, url = page.document.facts, page.original
    published = facts.published
    texts = {
        "title": facts.title or "",
        "byline": facts.byline or "",
        "caption": facts.caption or "",
        "credit": facts.credit or "",
        "lead": facts.paragraphs[0] if facts.paragraphs else "",
        "published_iso": published.iso() if published else "",
        "published_text": f"{published.at:%B %d, %Y}" if published else "",
        "url": url,
        "origin": "{0.scheme}://{0.netloc}".format(urlsplit(url)),
    }
    as_json = {"title": texts["title"], "byline": texts["byline"], "published": texts["published_iso"], "url": url}
    return (
        {name: escape(text) for name, text in texts.items()}
        | {f"{name}_json": json.dumps(text).replace("</", "<\\/") for name, text in as_json.items()}
        | {"body": body}
    )


def _filled(template: str, fields: Mapping[str, str]) -> str:
    return Template((pages_folder() / template).read_text(encoding="utf-8")).substitute(fields)


def _page(name: str, charset: str = "utf-8") -> Reply:
    text = (pages_folder() / name).read_text(encoding="utf-8")
    return Reply(body=text.encode(charset))


def _with_etag(reply: Reply) -> Reply:
    if reply.status != 200 or reply.last_modified or reply.content_type == PLAIN:
        return reply
    return replace(reply, etag=f'"{hashlib.sha256(reply.body).hexdigest()[:16]}"')


def _furniture(path: str) -> Reply:
    if path == "/robots.txt":
        return Reply(body=ROBOTS, content_type=PLAIN)
    if path == "/picture.png":
        return Reply(body=(pages_folder() / "picture.png").read_bytes(), content_type="image/png")
    if path == "/style.css":
        return Reply(body=(pages_folder() / "style.css").read_bytes(), content_type="text/css; charset=utf-8")
    return _page_not_found()


def _page_not_found() -> Reply:
    return replace(_page("gone.html"), status=404)
