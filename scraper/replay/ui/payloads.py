"""An exchange as text for a page: heads as they came, payloads as far as a page can bear them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from scraper import decode, message
from scraper.model import Exchange

MOST_TEXT_BYTES = 1024 * 1024
MOST_HEX_BYTES = 16 * 1024
UNPACKED_CAP_BYTES = 64 * 1024 * 1024
_HEX_ROW_BYTES = 16
_TEXT_TYPES = ("text/", "application/json", "application/xml", "application/javascript", "application/ecmascript")
_TEXT_SUFFIXES = ("+json", "+xml", "json-seq", "x-ndjson", "x-javascript", "x-www-form-urlencoded")


@dataclass(frozen=True, slots=True)
class Raw:
    """A payload to look at: text, or rows of hexadecimal when it is none. `size` is of the whole, `shown` of this."""

    text: str
    is_text: bool
    size: int
    shown: int
    encoding: str = ""
    codings: str = ""
    trouble: str = ""


def raw(exchange: Exchange) -> Raw:
    """What a response carries, its codings removed."""
    entity = message.entity(exchange.received)
    codings = message.codings(exchange.headers)
    try:
        content = message.content(entity, codings, UNPACKED_CAP_BYTES)
    except message.TooLarge:
        trouble = f"Unpacked it is larger than {UNPACKED_CAP_BYTES >> 20} MiB; this is the packed form."
        return _hexadecimal(entity, codings, trouble)
    content_type = exchange.header("content-type") or ""
    if not _is_text(content_type, content):
        return _hexadecimal(content, codings, "")
    part = content[:MOST_TEXT_BYTES]
    decoded = decode.html(part, content_type) if "html" in content_type.lower() else _plain(part, content_type)
    return Raw(decoded.text, True, len(content), len(part), decoded.encoding, codings)


def _plain(part: bytes, content_type: str) -> decode.Text:
    return decode.html(part, content_type) if "charset" in content_type.lower() else decode.plain(part)


def _is_text(content_type: str, content: bytes) -> bool:
    mime = content_type.partition(";")[0].strip().lower()
    if mime.startswith(_TEXT_TYPES) or mime.endswith(_TEXT_SUFFIXES):
        return True
    return not mime and b"\0" not in content[:1024]


def _hexadecimal(data: bytes, codings: str, trouble: str) -> Raw:
    part = data[:MOST_HEX_BYTES]
    rows = (hex_row(at, part[at : at + _HEX_ROW_BYTES]) for at in range(0, len(part), _HEX_ROW_BYTES))
    return Raw("\n".join(rows), False, len(data), len(part), codings=codings, trouble=trouble)


def hex_row(at: int, row: bytes) -> str:
    """One row as hexdump(1) writes it."""
    letters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
    return f"{at:08x}  {row[:8].hex(' '):<23}  {row[8:].hex(' '):<23}  |{letters}|"


def head(exchange: Exchange) -> str:
    """The response's head as it came."""
    return exchange.received[: exchange.head_length].decode("latin-1").rstrip("\r\n").replace("\r\n", "\n")


def request(exchange: Exchange) -> str:
    """The request's head as it was sent; empty when the archive does not hold it."""
    return exchange.request.decode("latin-1").rstrip("\r\n").replace("\r\n", "\n")
