"""Bytes to text, and which rule decided. Pure.

BeautifulSoup is never given bytes: its guess depends on which detector happens to be installed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import cchardet
from w3lib import encoding as w3

# The Encoding Standard knows no DOS code page but 866: no page is written in another, whatever a detector says.
_DOS = re.compile(r"(?i)(?:cp|ibm)-?(?!866)[478]\d\d$")
# The Encoding Standard, 4.2, by the names of Python's codecs, as w3lib resolves its labels to them.
_ENCODINGS = re.compile(
    r"utf-8|utf-16-[bl]e|cp866|koi8-[ru]|mac-roman|gb18030|big5hkscs|euc_jp|iso2022_jp|cp(?:932|949|874|125[0-8])"
    r"|iso8859-(?:[2-8]|1[03456])"
)
_SAMPLE_BYTES = 256 * 1024
_FALLBACK = "cp1252"  # windows-1252: what browsers take when nothing is known


@dataclass(frozen=True, slots=True)
class Text:
    """Decoded text. `rule` is one of bom, http, meta, utf-8, detector, fallback."""

    text: str
    encoding: str
    rule: str


def html(body: bytes, content_type: str | None = None) -> Text:
    """Decode a page: BOM > HTTP charset > meta > valid UTF-8 > detector > windows-1252 (HTML standard, 13.2.3)."""
    if marked := _marked(body):
        return marked
    if encoding := _honoured(w3.http_content_type_encoding(content_type) if content_type else None):
        return Text(w3.to_unicode(body, encoding), encoding, "http")
    if encoding := _honoured(w3.html_body_declared_encoding(body[:_SAMPLE_BYTES])):
        # HTML standard, 13.2.3.2: what a meta could say in UTF-16 it says in UTF-8.
        encoding = "utf-8" if encoding.startswith("utf-16") else encoding
        return Text(w3.to_unicode(body, encoding), encoding, "meta")
    return _undeclared(body)


def plain(body: bytes) -> Text:
    """Decode a text file that declares nothing: BOM > UTF-16 without BOM > valid UTF-8 > detector > windows-1252."""
    if marked := _marked(body):
        return marked
    if wide := _wide_without_bom(body):
        return Text(body.decode(wide, "replace"), wide, "detector")
    return _undeclared(body)


def _marked(body: bytes) -> Text | None:
    encoding, mark = w3.read_bom(body)
    return Text(w3.to_unicode(body[len(mark) :], encoding), encoding, "bom") if encoding and mark else None


def _undeclared(body: bytes) -> Text:
    encoding = _detect(body)
    return Text(w3.to_unicode(body, encoding), encoding, _undeclared_rule(body))


def _honoured(encoding: str | None) -> str | None:
    """A declared encoding, if browsers know it: Python has codecs that are no encodings of text (`idna`, `zlib`)."""
    if encoding == "utf-16":
        return "utf-16-le"
    return encoding if encoding and _ENCODINGS.fullmatch(encoding) else None


def _wide_without_bom(body: bytes) -> str | None:
    sample = body[:4096]
    if len(sample) < 4 or b"\0" not in sample:
        return None
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    half = len(sample) // 2
    if odd > half * 0.4 and even < half * 0.1:
        return "utf-16-le"
    return "utf-16-be" if even > half * 0.4 and odd < half * 0.1 else None


def _undeclared_rule(body: bytes) -> str:
    if _is_utf8(body):
        return "utf-8"
    return "fallback" if _detect(body) == _FALLBACK else "detector"


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _detect(body: bytes) -> str:
    if _is_utf8(body):
        return "utf-8"
    found = cchardet.detect(body[:_SAMPLE_BYTES])["encoding"]
    encoding = w3.resolve_encoding(found) if found else None
    if encoding is None or not _ENCODINGS.fullmatch(encoding) or _DOS.match(encoding) or _reads_alike(body, encoding):
        return _FALLBACK
    return encoding


def _reads_alike(body: bytes, encoding: str) -> bool:
    """Do all letters of the text come out as in windows-1252? Then that is what it is (`café` is no ISO-8859-2)."""
    high = bytes(sorted(set(body)))[-128:].lstrip(bytes(range(0x80)))
    return high.decode(encoding, "replace") == high.decode(_FALLBACK, "replace")
