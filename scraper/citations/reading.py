"""The bytes of a document -> its text and its kind, or a sentence which says why not. Pure."""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass

from scraper import decode
from scraper.citations.boundaries import EXPLICIT_START
from scraper.errors import UsageError

# A document is read as a whole. So much of one, in so many pieces, fits into 400 MB, however it is made.
MAX_BYTES = 32 * 1024 * 1024
_MOST_LINES = 1_000_000
_MOST_PIECES = 2_000_000
_PIECES = {"json": "{[,", "jsonl": "{[,", "csv": ",;\t|", "list": "\n"}  # marks that begin one; others' are mark-up
GZIP = b"\x1f\x8b"

KINDS = {
    **dict.fromkeys((".txt", ".text"), "text"),
    **dict.fromkeys((".md", ".markdown", ".mdown", ".mkd"), "markdown"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
    ".json": "json",
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    **dict.fromkeys((".csv", ".tsv"), "csv"),
    **dict.fromkeys((".url", ".urls", ".lst", ".list"), "list"),
}
SUFFIXES = frozenset(KINDS) | {f"{suffix}.gz" for suffix in KINDS}

_MAGIC = (
    (b"%PDF-", "a PDF file", "convert it to text first, for example with pdftotext"),
    (b"PK\x03\x04", "a ZIP archive or an office document", "unpack it, or save it as text or HTML"),
    (b"\xd0\xcf\x11\xe0", "an old office document", "save it as text or HTML"),
    (b"\x89PNG", "a PNG image", "name a text document"),
    (b"\xff\xd8\xff", "a JPEG image", "name a text document"),
    (b"GIF8", "a GIF image", "name a text document"),
    (b"BZh", "a bzip2 file", "unpack it with bunzip2"),
    (b"\xfd7zXZ", "an xz file", "unpack it with unxz"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", "unpack it with unzstd"),
    (b"7z\xbc\xaf", "a 7-Zip archive", "unpack it"),
    (b"\x7fELF", "a program", "name a text document"),
    (b"SQLite format 3", "an SQLite database", "export it as CSV"),
    (GZIP, "a gzip file within a gzip file", "unpack it once with gunzip"),
)
# C0 controls which no text holds; ESC and form feed occur in logs and typescripts.
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, strict=False)  # numbers mean nothing here
_LINE_END = re.compile(r"\r\n?")
_HTML = re.compile(
    r"\s*(?:<\?xml[^>]{0,200}\?>\s*|<!--[^>]{0,2000}-->\s*){0,5}<(?:!doctype\s+html|html|head|body)\b", re.I
)
_MARKDOWN = re.compile(r"(?m)^#{1,6} \S|\]\([^)\s]{1,2000}\)|^\[[^\]\n]{1,200}\]:[ \t]|\*\*\S|^<[a-z]{3,6}://[^\s>]*>$")
_LIST_LINE = re.compile(rf"[ \t]*(?:#.*|;.*|<?(?:{EXPLICIT_START})[^\s<>]+>?(?:\s+#.*)?)?", re.I)
_WEB_LINE = re.compile(r"(?im)^[ \t]*<?(?:h(?:tt|xx)ps?:|www\.)")


class Unreadable(UsageError):
    """A document that holds no text that can be read; the message says what it is and what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a document with `\\n` line ends, the encoding it was in, and what kind of document it is."""

    text: str
    charset: str
    kind: str


def suffix_of(name: str) -> str:
    """The suffix that tells the kind: lower case, the one before `.gz` in a compressed file's name."""
    tail = re.split(r"[/\\]", name)[-1].lower().removesuffix(".gz")
    dot = tail.rfind(".")
    return tail[dot:] if dot >= 0 else ""


def read(data: bytes, name: str) -> Source:
    """Unpack, decode and tell the kind of a document. Raises `Unreadable`."""
    label = name or "the document"
    if not data:
        raise Unreadable(f"{label} is empty (0 bytes); name a document that cites URLs")
    if data.startswith(GZIP):
        data = _unpacked(data, label)
    if len(data) > MAX_BYTES:
        raise Unreadable(f"{label} holds more than {MAX_BYTES >> 20} MiB; split it into smaller documents")
    _refuse_binary(data, label)
    hint = KINDS.get(suffix_of(name), "")
    decoded = decode.plain(data)
    if hint == "html" or (hint in ("", "text", "markdown") and _HTML.match(decoded.text)):
        hint, decoded = "html", decoded if "\0" in decoded.text or b"\0" in data[:4096] else decode.html(data)
    text = _LINE_END.sub("\n", decoded.text.removeprefix("\ufeff"))
    if not text.strip():
        raise Unreadable(f"{label} is empty (white space only); name a document that cites URLs")
    if len(_CONTROLS.findall(text[: 1 << 20])) > len(text[: 1 << 20]) // 1000:
        raise Unreadable(f"{label} is binary, not text; name a text, Markdown, HTML, JSON, CSV or URL list document")
    _refuse_crowded(text, hint, label)
    source = Source(text, decoded.encoding, kind_of(text, hint))
    if source.kind in ("json", "jsonl"):
        _refuse_broken_json(source, label)
    return source


def _refuse_crowded(text: str, hint: str, label: str) -> None:
    """Counted before anything is parsed: each piece becomes an object which is larger than itself."""
    if text.count("\n") > _MOST_LINES:
        raise Unreadable(f"{label} holds more than {_MOST_LINES:,} lines; split it into smaller documents")
    marks = _PIECES.get(hint) or ("{[,<" if text.lstrip()[:1] in ("{", "[") else "<[")
    if sum(map(text.count, marks)) > _MOST_PIECES:
        raise Unreadable(f"{label} holds more than {_MOST_PIECES:,} pieces; split it into smaller documents")


def _unpacked(data: bytes, label: str) -> bytes:
    out = bytearray()
    # RFC 1952, 2.2: members simply follow each other. What follows the last one, if not gzip, is padding.
    while data.startswith(GZIP):
        stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            out += stream.decompress(data, MAX_BYTES - len(out) + 1)
        except zlib.error as error:
            raise Unreadable(f"{label} is a damaged gzip file ({error}); get a whole copy of it") from error
        if len(out) > MAX_BYTES:
            raise Unreadable(f"{label} unpacks to more than {MAX_BYTES >> 20} MiB; split it into smaller documents")
        if not stream.eof:
            raise Unreadable(f"{label} is a gzip file which ends too early; get a whole copy of it")
        data = stream.unused_data
    if not out:
        raise Unreadable(f"{label} is empty (a gzip file of nothing); name a document that cites URLs")
    return bytes(out)


def _refuse_binary(data: bytes, label: str) -> None:
    for magic, what, advice in _MAGIC:
        if data.startswith(magic):
            raise Unreadable(f"{label} is {what}, not a text document; {advice}")


def kind_of(text: str, hint: str) -> str:
    """The kind of a document, from its suffix's hint and, where that leaves it open, from its look."""
    if hint in ("html", "list", "csv", "markdown"):
        return hint
    if hint in ("json", "jsonl") or (not hint and text.lstrip()[:1] in ("{", "[")):
        return _json_kind(text, hint)
    if _is_list(text):
        return "list"
    if not hint and _has_header(text):
        return "csv"
    return "markdown" if _MARKDOWN.search(text) else "text"


def _json_kind(text: str, hint: str) -> str:
    if not hint:
        if _json_fault(text) is None:
            return "json"
        return "jsonl" if _json_fault(_first_line(text)) is None and "\n" in text.strip() else kind_of(text, "text")
    # One of the two under the other's suffix is common: an array over many lines, or one object a line.
    if hint == "json" and _json_fault(text) is not None and _json_fault(_first_line(text)) is None:
        return "jsonl"
    return "json" if hint == "jsonl" and _json_fault(text) is None else hint


def _json_fault(text: str) -> ValueError | None:
    try:
        _DECODER.decode(text)
    except ValueError as error:
        return error
    except RecursionError:
        return None  # thousands of levels deep without an error so far
    return None


def _refuse_broken_json(source: Source, label: str) -> None:
    """What is not JSON is not guessed at: a torn line would give a shortened URL."""
    lines = source.text.split("\n") if source.kind == "jsonl" else [source.text]
    for number, line in enumerate(lines, 1):
        fault = _json_fault(line) if line.strip() else None
        if fault is not None:
            at = fault.lineno + number - 1 if isinstance(fault, json.JSONDecodeError) else number
            why = fault.msg if isinstance(fault, json.JSONDecodeError) else str(fault)
            raise Unreadable(f"{label}, line {at}: not valid JSON ({why}); mend it, or name it .txt to read it as text")


def _first_line(text: str) -> str:
    return text.lstrip().partition("\n")[0].strip()


def _is_list(text: str) -> bool:
    if not _WEB_LINE.search(text):
        return False
    return all(_LIST_LINE.fullmatch(line) for line in text.split("\n"))


def _has_header(text: str) -> bool:
    from scraper.citations.data import column_role  # data reads with this module's helpers' results

    first = _first_line(text)
    cells = [cell.strip(' "') for cell in re.split(r"[,;\t]", first)]
    return len(cells) > 1 and len(first) < 2000 and any(column_role(cell) for cell in cells)
