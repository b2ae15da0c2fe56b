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
    bom, _ = w3.read_bom(body)
    declared = w3.http_content_type_encoding(content_type) if content_type else None
    meta = None if bom or declared else w3.html_body_declared_encoding(body[:_SAMPLE_BYTES])
    rule = "bom" if bom else "http" if declared else "meta" if meta else _undeclared_rule(body)
    encoding, text = w3.html_to_unicode(content_type, body, auto_detect_fun=_detect, default_encoding=_FALLBACK)
    return Text(text, encoding, rule)


def plain(body: bytes) -> Text:
    """Decode a text file that declares nothing: BOM > UTF-16 without BOM > valid UTF-8 > detector > windows-1252."""
    bom, _ = w3.read_bom(body)
    if bom is None and (wide := _wide_without_bom(body)):
        return Text(body.decode(wide, "replace"), wide, "detector")
    rule = "bom" if bom else _undeclared_rule(body)
    encoding, text = w3.html_to_unicode(None, body, auto_detect_fun=_detect, default_encoding=_FALLBACK)
    return Text(text, encoding, rule)


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
    if encoding is None or _DOS.match(encoding) or _reads_alike(body, encoding):
        return _FALLBACK
    return encoding


def _reads_alike(body: bytes, encoding: str) -> bool:
    """Do all letters of the text come out as in windows-1252? Then that is what it is (`café` is no ISO-8859-2)."""
    high = bytes(sorted(set(body)))[-128:].lstrip(bytes(range(0x80)))
    return high.decode(encoding, "replace") == high.decode(_FALLBACK, "replace")
