"""What goes out of an exchange: its payload, with or without content codings, and its headers for show."""

from __future__ import annotations

import re
from dataclasses import dataclass

from scraper import message, urls
from scraper.model import Exchange
from scraper.replay.answers import latin
from scraper.replay.policy import Headers

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
CSS_TYPE = "text/css"
_UNTYPED = frozenset({"", "text/plain", "application/octet-stream", "unknown/unknown"})
_FONT_TYPE = re.compile(r"font/|application/(?:x-)?font|application/vnd\.ms-fontobject")
_FONT_MAGIC = (b"wOFF", b"wOF2", b"OTTO", b"ttcf", b"\x00\x01\x00\x00\x00", b"true\x00")
_IMAGE_MAGIC = (
    (b"\x89PNG\r\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"\x00\x00\x01\x00", "image/x-icon"),
)
_LOOKS_HTML = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,512}<(?:!doctype\s+html|html|head|body|!--)", re.IGNORECASE)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}\Z")
# Python's http.client and others refuse an answer of more than 100 headers, or of lines beyond 64 KB.
_MOST_HEADERS = 60
_LONGEST_VALUE = 8 * 1024
_MOST_HEADER_BYTES = 32 * 1024
# What becomes no document in which a browser follows addresses: a type with one clear reading, and none of those of
# which browsers make HTML, XML or web archives. A comma would begin another type: of several the last one counts.
_TYPE = re.compile(r"([a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127})[ \t]*(?:;[^,]*)?\Z", re.IGNORECASE)
_MARKUP = re.compile(
    r"html|xml|svg|xsl|rdf|rss|atom|wml|^multipart/|^message/|webarchive|mimearchive|^[^/]*/(?:unknown|x-unknown)|^unknown/",
    re.I,
)
_CHARSET = re.compile(r";[ \t]*charset=\"?([a-z0-9_.:-]{1,40})\"?[ \t]*(?:;|\Z)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload and what its headers say of it. `codings` is empty when there is no content coding on it."""

    body: bytes
    content_type: str
    codings: str

    @property
    def mime(self) -> str:
        return self.content_type.partition(";")[0].strip().lower()

    @property
    def is_html(self) -> bool:
        """Whether it is a page; one without a type is judged by how it begins."""
        return self.mime in HTML_TYPES or (not self.mime and bool(_LOOKS_HTML.match(self.body[:1024])))

    def is_css(self, asked_as_css: bool) -> bool:
        """Whether it is a style sheet: by its type, or by how it is asked for where its type says nothing."""
        return self.mime == CSS_TYPE or (asked_as_css and self.mime in _UNTYPED)

    @property
    def is_font(self) -> bool:
        return bool(_FONT_TYPE.match(self.mime)) or self.body.startswith(_FONT_MAGIC)

    @property
    def is_picture(self) -> bool:
        """Whether it is an SVG: a picture that, opened by itself, is a document."""
        return self.mime == "image/svg+xml" and not self.codings

    @property
    def may_be_markup(self) -> bool:
        """Whether a browser could make a document of it whose frames, links and hints it follows."""
        return as_text(self.content_type) != self.content_type

    def image_type(self) -> str:
        """The type under which it goes out as an image: a wrong one would not be shown, for `nosniff` is set."""
        if self.mime.startswith("image/"):
            return self.content_type
        if self.body[:4] == b"RIFF" and self.body[8:12] == b"WEBP":
            return "image/webp"
        return next((kind for magic, kind in _IMAGE_MAGIC if self.body.startswith(magic)), self.content_type)


def raw(exchange: Exchange) -> Payload:
    """Byte for byte what was transferred: transfer coding removed, content coding kept."""
    codings = message.codings(exchange.headers)
    return Payload(message.entity(exchange.received), exchange.header("content-type") or "", codings)


def plain(payload: Payload, cap_bytes: int) -> Payload:
    """Without its content codings, as far as they can be read. Raises `message.TooLarge`."""
    body = message.content(payload.body, payload.codings, cap_bytes)
    left = message.left_on(payload.codings)
    return Payload(body, payload.content_type, ", ".join(left))


def as_text(content_type: str) -> str:
    """The type under which a payload is harmless as a document: its own, or plain text in its own charset."""
    found = _TYPE.match(content_type)
    if found and not _MARKUP.search(found[1]):
        return content_type
    charset = _CHARSET.search(content_type)
    return f"text/plain; charset={charset[1] if charset else 'utf-8'}"


def original_headers(exchange: Exchange) -> Headers:
    """The headers as captured, as `X-Archive-Orig-*`: no name or value of theirs can become more than that.

    Only so many, and of such a size, as any program takes: the tab "headers" has them all.
    """
    kept: Headers = []
    left = _MOST_HEADER_BYTES
    for name, value in exchange.headers:
        if not _TOKEN.match(name):
            continue
        header = (
            b"x-archive-orig-" + name.lower().encode("ascii"),
            latin(urls.without_userinfo(value[:_LONGEST_VALUE])),
        )
        left -= len(header[0]) + len(header[1]) + 4
        if left < 0 or len(kept) == _MOST_HEADERS:
            break
        kept.append(header)
    return kept
