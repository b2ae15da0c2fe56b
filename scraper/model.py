"""The nouns of the house: frozen values that travel between the rooms. Read this first.

document -> Citation -> Target -> [network] -> Capture -> [WARC] -> Article
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

# ------------------------------------------------------------------ documents


@dataclass(frozen=True, slots=True)
class Target:
    """A web address in the one form that is fetched, stored and compared.

    `href` is the WHATWG serialisation without fragment and without userinfo. `host` is the ASCII form (IPv6 in
    brackets). `path` is what the request line carries: path and query. Made by `urls.target`.
    """

    href: str
    scheme: str
    host: str
    port: int
    path: str


class Role(StrEnum):
    """Why a document names a URL."""

    ORIGINAL = "original"  # the page the document was made from
    RELATED = "related"  # a "Related article:" pointer
    CITED = "cited"  # any other mention


@dataclass(frozen=True, slots=True)
class Citation:
    """One mention of a URL in a document.

    `url` is as written once unwrapped (no `<>`, lines joined, defanging undone), no userinfo. `line` counts from 1.
    Where nothing can be fetched there is no `target`, and `refusal` says why: "scheme" (not http(s)) or "malformed".
    """

    url: str
    role: Role
    line: int
    target: Target | None
    refusal: str | None = None


class Precision(StrEnum):
    """How much of a `Moment` was really said."""

    YEAR = "year"
    MONTH = "month"
    DAY = "day"
    MINUTE = "minute"
    SECOND = "second"


@dataclass(frozen=True, slots=True)
class Moment:
    """A date as a page or a document gives it: aware when the source named a zone, naive (local time) when not.

    Parts of `at` that are finer than `precision` are at their minimum and mean nothing.
    """

    at: datetime
    precision: Precision

    def iso(self) -> str:
        """The ISO 8601 form, cut to the precision: `2019-09`, `2019-09-09`, `2019-09-09T12:03+03:00`."""
        if self.precision in (Precision.MINUTE, Precision.SECOND):
            return self.at.isoformat(timespec=f"{self.precision}s")
        return self.at.date().isoformat()[: {Precision.YEAR: 4, Precision.MONTH: 7}.get(self.precision)]


@dataclass(frozen=True, slots=True)
class Link:
    """A titled pointer; `href` is None where the document lost it (`(#)`)."""

    title: str
    href: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a document itself says of the page it was made from: the yardstick for the capture.

    All texts are plain. `byline` is without its "By"; `authors` are the persons, `agency` the agency in it, if any.
    """

    title: str | None = None
    byline: str | None = None
    authors: tuple[str, ...] = ()
    agency: str | None = None
    published: Moment | None = None
    caption: str | None = None
    credit: str | None = None
    paragraphs: tuple[str, ...] = ()
    related: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A citing document, known by the sha256 (hex) of its bytes as they lie on disk."""

    digest: str
    kind: str  # text, markdown, html, json, jsonl, csv, list
    charset: str  # the encoding it was read in
    facts: Facts
    citations: tuple[Citation, ...]


# -------------------------------------------------------------------- visits


class Truncation(StrEnum):
    """Why a body ends before its end; the values of WARC-Truncated (WARC 1.1, 5.13)."""

    LENGTH = "length"
    TIME = "time"
    DISCONNECT = "disconnect"


class Shelved(Protocol):
    """Bytes that lie on disk: a large answer, until it is in the archive."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came back, byte for byte, in memory or on disk; `received` reads all of it.

    The answer goes from the final head (1xx are left out) to the end of the message; its first `head_length` bytes are
    the head with its empty line. It may be empty or torn: `truncated` says so. `headers` are decoded as latin-1.
    """

    target: Target
    started_at: datetime
    seconds: float
    request: bytes
    answer: bytes | Shelved
    head_length: int
    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    peer_ip: str | None
    protocol: tuple[str, ...]  # the values of WARC-Protocol: "http/1.1", "tls/1.3"
    truncated: Truncation | None = None

    def header(self, name: str) -> str | None:
        """The first value of a header, by its case-insensitive name."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    @property
    def received(self) -> bytes:
        """What came back, from the final head to the end of the message."""
        return self.answer[:]

    @property
    def body(self) -> bytes:
        """What followed the head, transfer coding and content coding kept."""
        return self.answer[self.head_length :]


class State(StrEnum):
    """The states of the ledger; a citation is in exactly one."""

    CAPTURED = "captured"
    UNCHANGED = "unchanged"
    DEAD = "dead"
    FAILED = "failed"
    EXCLUDED = "excluded"
    DEFERRED = "deferred"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a visit ended. `reason` is a short word (`404`, `timeout`, `robots`); `until` belongs to DEFERRED."""

    state: State
    reason: str = ""
    until: datetime | None = None

    def __str__(self) -> str:
        shown = self.until.strftime("%Y-%m-%dT%H:%M:%SZ") if self.until else self.reason
        return f"{self.state}({shown})" if shown else str(self.state)


class Purpose(StrEnum):
    """What a visit was for."""

    PAGE = "page"
    ROBOTS = "robots"
    REQUISITE = "requisite"  # what a page needs to be seen: images, style sheets, fonts, icons


@dataclass(frozen=True, slots=True)
class Capture:
    """One visit of one target, whatever came of it.

    `exchanges` hold, in order of time, every whole response (redirect hops and retried ones too) and of the broken
    ones the last. `detail` is a sentence for people when the outcome is not a good one. `tries` counts requests for
    the last address of the visit. `final` is where the redirects led (the last address asked, answered or not).
    """

    target: Target
    final: Target
    started_at: datetime
    ended_at: datetime
    outcome: Outcome
    tries: int
    exchanges: tuple[Exchange, ...] = ()
    detail: str = ""
    purpose: Purpose = Purpose.PAGE

    @property
    def page(self) -> Exchange | None:
        """The exchange that decided the outcome, if there was an answer at all."""
        return self.exchanges[-1] if self.exchanges else None


@dataclass(frozen=True, slots=True)
class Held:
    """A payload that the collection holds: what a revisit record refers to.

    `payload_digest` is as indexed (`sha1:` and base32); `entity_sha256` is hex, of the entity with the transfer
    coding removed and the content coding kept. `etag` and `last_modified` are the newest validators that came with it.
    They are those of one address, which is another than `href` where two URLs gave the same payload.
    """

    href: str
    captured_at: datetime
    payload_digest: str
    entity_sha256: str
    etag: str | None = None
    last_modified: str | None = None
    validators_href: str | None = None  # None: those of `href` itself

    @property
    def asked_href(self) -> str:
        """The one address to which the validators may be sent, and whose 304 means this payload."""
        return self.validators_href or self.href


@dataclass(frozen=True, slots=True)
class Visit:
    """What is asked of the fetcher: a target, the good capture to revalidate, the documents (digests) that cite it."""

    target: Target
    held: Held | None = None
    via: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HostMemory:
    """What is remembered of a host from one run to the next (politeness and robots.txt). Times are UTC."""

    host: str  # "host:port" where the port is not the scheme's own
    not_before: datetime | None = None  # earliest next request: delay, Retry-After, a host that is down
    response_seconds: float = 0.0  # of the last response
    failures: int = 0  # visits of pages in a row which came to nothing at this host
    robots_at: datetime | None = None
    robots_status: int | None = None  # None: unreachable
    robots_body: bytes = b""
    robots_schemes: str = ""  # "http https": the schemes whose robots.txt this is; empty: any
    slowdown: float = 1.0  # how many times its delay is kept: 429 and 503 raise it, good answers lower it slowly
    noted_at: datetime | None = None  # when `not_before` was promised: shows a clock that was set back


@dataclass(frozen=True, slots=True)
class Location:
    """Where a record lies: the name of a WARC (without `.open`), its offset and length in bytes."""

    warc: str
    offset: int
    length: int


# ------------------------------------------------------------------- articles


class BlockKind(StrEnum):
    """The kinds of body blocks."""

    PARAGRAPH = "paragraph"
    HEADING = "heading"
    QUOTE = "quote"
    LIST = "list"
    TABLE = "table"
    CODE = "code"
    EMBED = "embed"


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of an article's body.

    `text` is plain (items and rows one a line, cells parted by tabs). `level` (2-6) is of headings, `href` of embeds.
    """

    kind: BlockKind
    text: str
    level: int = 0
    items: tuple[str, ...] = ()
    ordered: bool = False
    rows: tuple[tuple[str, ...], ...] = ()
    href: str | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """The lead image."""

    url: str | None
    caption: str | None = None
    credit: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """A field's source (`json-ld`, `og`, `meta`, `microdata`, `site rule`, `byline`, `scored body` …) and raw value."""

    source: str
    raw: str


@dataclass(frozen=True, slots=True)
class Article:
    """A page reduced to its article; a field is None or empty where the page does not say.

    `skipped` tells why there is no body at all ("not HTML: application/pdf", "nested too deep"), else None.
    `noarchive` says that the page asked not to be kept in public caches (recorded, the user decides).
    """

    url: str
    title: str | None = None
    subtitle: str | None = None
    byline: str | None = None
    authors: tuple[str, ...] = ()
    agency: str | None = None
    publisher: str | None = None
    section: str | None = None
    published: Moment | None = None
    modified: Moment | None = None
    language: str | None = None
    canonical: str | None = None
    image: Image | None = None
    blocks: tuple[Block, ...] = ()
    related: tuple[Link, ...] = ()
    tags: tuple[str, ...] = ()
    is_article: bool = False
    free_to_read: bool | None = None
    noarchive: bool = False
    skipped: str | None = None
    evidence: Mapping[str, Evidence] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The body's blocks in order, parted by empty lines: no title, subtitle, captions, credits, embedded posts."""
        shown = (block.text for block in self.blocks if block.kind is not BlockKind.EMBED)
        return "\n\n".join(text for text in shown if text)


@dataclass(frozen=True, slots=True)
class SiteRules:
    """CSS selectors for one site, tried before the general extractor; empty means "no rule".

    `hosts` are host names which the rules serve, subdomains included. `remove` cuts nodes before anything is read.
    """

    hosts: tuple[str, ...]
    title: str = ""
    subtitle: str = ""
    byline: str = ""
    published: str = ""
    section: str = ""
    body: str = ""
    caption: str = ""
    credit: str = ""
    related: str = ""
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ParserLimits:
    """Pages beyond these are archived but not extracted."""

    max_bytes: int = 10 * 1024 * 1024
    max_tags: int = 300_000
    max_depth: int = 512
