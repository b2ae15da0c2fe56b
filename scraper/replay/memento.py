"""Captures over HTTP: TimeGate, mementos and TimeMaps (RFC 7089), rewritten for a person or raw for a program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from scraper import message, urls
from scraper.archiver import IndexEntry
from scraper.errors import ScraperError, UsageError
from scraper.model import Exchange
from scraper.replay import address, answers, cdx, link_header, missing, payload, policy, ranges, rendering
from scraper.replay.address import PAGE, RAW, Address
from scraper.replay.answers import Answer
from scraper.replay.holdings import Holdings, nearest
from scraper.replay.policy import Headers
from scraper.replay.rendering import Draft

_LARGE_RECORD_BYTES = 32 * 1024  # as it lies in the WARC; it can be a thousand times as large unpacked
_LAST_STATUS = 599  # beyond it is no HTTP (RFC 9110, 15), though servers do so: 999 is a known refusal
# Fetch, 2.2.5: the destinations of requests whose answers are parts of a page, or go to a program.
_PARTS = frozenset({"audio", "empty", "font", "image", "json", "manifest", "script", "style", "track", "video", "xslt"})
_BY_DESTINATION = (b"vary", b"sec-fetch-dest, accept")
_WITH_LOCATION = frozenset({300, 301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request. `origin` is this server as the request names it; `path` and `query` are as sent; names lower-case."""

    origin: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """A capture to be shown, and what it was asked as."""

    asked: Asked
    address: Address
    entry: IndexEntry
    timestamps: tuple[str, ...]

    @property
    def is_large(self) -> bool:
        """Whether answering takes so long that others should not wait for it."""
        return self.entry.location.length > _LARGE_RECORD_BYTES or self.entry.is_revisit

    @property
    def becomes_document(self) -> bool:
        """Whether a browser will make a document of the answer, in a tab or a frame.

        Browsers say so, also to this machine (Fetch Metadata, 2.1). What says nothing is a program, but for an old
        browser, whose navigations are known by their `Accept`; where a person looks, it is taken for one.
        """
        headers = self.asked.headers
        if destination := headers.get("sec-fetch-dest"):
            return destination not in _PARTS
        by_person = "text/html" in headers.get("accept", "") and headers.get("user-agent", "").startswith("Mozilla/")
        return by_person or self.address.modifier in (PAGE, "mp_", "if_")

    @property
    def shown(self) -> Address:
        """The exact address of what is shown."""
        return self.address.of(self.entry.timestamp, self.entry.url)


class Mementos:
    """The addresses below `/COLLECTION/`."""

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings

    def find(self, asked: Asked) -> Answer | Found:
        """Look a request up in the index: the capture that is meant, or the answer when that is none."""
        collection, _, rest = asked.path.removeprefix("/").partition("/")
        collection = unquote(collection)
        try:
            self._holdings.collection(collection)
        except UsageError as error:
            return answers.trouble(404, "Not in this archive", str(error))
        if rest == "cdx":
            return cdx.answer(self._holdings, collection, asked.query)
        if rest.startswith("timemap/"):
            return self._timemap(asked, collection, rest.removeprefix("timemap/"))
        if not rest:
            return answers.redirect("/", policy.own())
        named = address.parse(collection, f"{rest}?{asked.query}" if asked.query else rest)
        return self._capture(asked, named) if named.timestamp else self._timegate(asked, named)

    def _entries(self, named: Address) -> list[IndexEntry]:
        return self._holdings.captures(named.collection, named.href)

    def _timegate(self, asked: Asked, named: Address) -> Answer:
        """RFC 7089, 4.1: the answer to a wish for a time is a redirect to the memento nearest to it."""
        wanted = asked.headers.get("accept-datetime")
        moment = link_header.read_http_date(wanted) if wanted else None
        if wanted and moment is None:
            raise UsageError(
                f"Accept-Datetime: {wanted[:100]}: no HTTP date; write it as Mon, 09 Sep 2019 12:03:00 GMT"
            )
        entries = self._entries(named)
        entry = nearest(entries, address.at(moment) if moment else None)
        if entry is None:
            return missing.answer(self._holdings, asked.origin, named)
        exact = named.of(entry.timestamp, entry.url)
        known = link_header.resource(asked.origin, named.collection, entry.url)
        known += link_header.neighbours(asked.origin, exact, _timestamps(entries))
        headers = [*policy.own(), (b"vary", b"accept-datetime"), *link_header.header(known)]
        return answers.redirect(asked.origin + exact.path(), headers)

    def _capture(self, asked: Asked, named: Address) -> Answer | Found:
        entries = self._entries(named)
        entry = nearest(entries, address.span(named.timestamp))
        if entry is None:
            return missing.answer(self._holdings, asked.origin, named)
        found = Found(asked, named, entry, tuple(_timestamps(entries)))
        if named.modifier == PAGE and found.shown != named:
            # A person's address bar should show what is shown; what pages embed is answered at once.
            return answers.redirect(asked.origin + found.shown.path(), policy.own())
        return found

    def _timemap(self, asked: Asked, collection: str, rest: str) -> Answer:
        form, _, url = rest.partition("/")
        href = address.archived_url(f"{url}?{asked.query}" if asked.query else url)
        if form not in ("link", "json"):
            raise UsageError(f"timemap/{form}: there is no such form; there are timemap/link and timemap/json")
        entries = self._holdings.captures(collection, href)
        if not entries:
            return missing.answer(self._holdings, asked.origin, Address(collection, "", PAGE, href))
        headers = [*policy.own(), *link_header.header(link_header.resource(asked.origin, collection, href))]
        if form == "json":
            lines = "".join(cdx.json_line(entry) for entry in entries)
            return Answer(200, [*headers, (b"content-type", cdx.JSON_TYPE)], lines.encode())
        text = ",\n".join(link_header.timemap(asked.origin, collection, href, entries)) + "\n"
        return Answer(200, [*headers, (b"content-type", link_header.LINK_FORMAT.encode())], text.encode())

    # ------------------------------------------------------------ one capture

    def show(self, found: Found) -> Answer | Draft:
        """The answer to a request for a capture. Raises `IntegrityError` when it cannot be read."""
        shown, asked = found.shown, found.asked
        exchange = self._holdings.response(shown.collection, found.entry)
        if exchange.status < 200:
            return answers.trouble(
                502,
                "No HTTP response",
                f"What {shown.href} sent on {found.entry.captured_at:%Y-%m-%d %H:%M:%S} UTC is not an HTTP response.",
                f"`scraper replay {shown.href} --at {shown.timestamp} --as raw` prints what came.",
            )
        headers = [*policy.archived(asked.origin, shown.collection, framed=shown.modifier != PAGE)]
        headers += self._memento_headers(found)
        headers += payload.original_headers(exchange)
        if exchange.status > _LAST_STATUS:
            headers.append((b"x-archive-orig-status", str(exchange.status).encode()))
            exchange = replace(exchange, status=502)
        if exchange.status in _WITH_LOCATION and (location := exchange.header("location")):
            return self._onward(found, exchange, location, headers)
        if shown.modifier == RAW:
            return _transferred(payload.raw(exchange), exchange, headers, found)
        return self._rewritten(found, exchange, headers)

    def _memento_headers(self, found: Found) -> Headers:
        shown, origin = found.shown, found.asked.origin
        known = link_header.resource(origin, shown.collection, shown.href)
        known += link_header.neighbours(origin, shown, found.timestamps)
        headers = [(b"memento-datetime", link_header.http_date(shown.timestamp).encode()), *link_header.header(known)]
        if shown != found.address:
            headers.append((b"content-location", answers.latin(origin + shown.path())))
        return headers

    def _onward(self, found: Found, exchange: Exchange, location: str, headers: Headers) -> Answer:
        """A captured redirect leads on inside the archive, at its own time."""
        shown = found.shown
        try:
            target = urls.target(location, shown.href).href
        except urls.NotATarget:
            return _led_astray(exchange.status, shown, location, headers)
        if target == found.address.href != shown.href:
            # Found under the same key only, and it leads back to what was asked for: that page itself is not held.
            return missing.answer(self._holdings, found.asked.origin, found.address)
        onward = found.asked.origin + shown.of(shown.timestamp, target).path()
        return answers.redirect(onward, headers, exchange.status)

    def _rewritten(self, found: Found, exchange: Exchange, headers: Headers) -> Answer | Draft:
        try:
            part = payload.plain(payload.raw(exchange), rendering.LARGEST_PAGE_BYTES)
        except message.TooLarge:
            part = payload.raw(exchange)
        if part.is_html:
            return rendering.page(self._holdings, found, part, exchange.status, headers)
        if part.is_css(found.shown.modifier == "cs_") and not part.codings:
            return rendering.stylesheet(found, part, exchange.status, headers)
        if part.is_picture and found.becomes_document:
            return rendering.picture(self._holdings, found, exchange.status, [*headers, _BY_DESTINATION])
        return _transferred(part, exchange, headers, found)


def _transferred(part: payload.Payload, exchange: Exchange, headers: Headers, found: Found) -> Answer:
    """A payload as it is, or the part of it that is asked for.

    What was not rewritten must not become a document: no policy keeps it from opening connections for the frames it
    holds, nor from leading to the live web by its links. So a browser that wants a document gets text.
    """
    kind = part.image_type() if found.shown.modifier in ("im_", "oe_") else part.content_type
    if part.may_be_markup:
        headers = [*headers, _BY_DESTINATION]
        kind = payload.as_text(kind) if found.becomes_document else kind
    headers = [*headers, *_typed(kind, part.codings)]
    if part.is_font:
        headers.append((b"access-control-allow-origin", b"null"))
    if exchange.status == 206 and (extent := exchange.header("content-range")):
        headers.append((b"content-range", answers.latin(extent)))
    return ranges.applied(Answer(exchange.status, headers, part.body), found.asked.headers.get("range"))


def _typed(content_type: str, codings: str) -> Iterator[tuple[bytes, bytes]]:
    if content_type:
        yield b"content-type", answers.latin(content_type)
    if codings:
        yield b"content-encoding", answers.latin(codings)


def _led_astray(status: int, shown: Address, location: str, headers: Headers) -> Answer:
    body = (
        f"<p>{answers.text(shown.href)} answered {status} and sent its readers to an address which cannot be "
        f"archived:</p><p><code>{answers.text(urls.bare(location[:2000]))}</code></p>"
    )
    return answers.page(200, "A redirect out of the web", body, headers)


def _timestamps(entries: list[IndexEntry]) -> list[str]:
    """The seconds in which there is a capture, in order."""
    return list(dict.fromkeys(entry.timestamp for entry in entries))


def unanswerable(error: ScraperError) -> Answer:
    """The page for a request that cannot be answered: whose fault it is, and what to do."""
    if isinstance(error, UsageError):
        return answers.trouble(400, "This address cannot be used", str(error))
    return answers.trouble(500, "This capture cannot be read", str(error))
