"""Where a URL in running text begins and ends. Pure; every step is linear in the text.

The rules are those people write by: RFC 3986 appendix C, GFM's extended autolinks, and the punctuation of
languages that put no space after a URL. A URL is never cut where nothing speaks for an end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from scraper.errors import UsageError

_T = TypeVar("_T")
# A document is read as a whole: so many addresses, each with its target, take some 250 MB.
MOST_ADDRESSES = 200_000

# Schemes that need no `//`; in explicit positions (`<…>`, hrefs, list lines) they are listed and refused.
OPAQUE = "mailto|javascript|data|file|ftp|tel|sms|news|urn|magnet|about|blob|view-source|vbscript|cid|chrome|ws|wss"
_SEPARATOR = r"(?:://|\[:\]//|\[://\]|:\[//\]|\[:/\]/)"
_DOT = r"(?:\[\.\]|\(\.\)|\{\.\}|\[dot\]|\(dot\))"
EXPLICIT_START = rf"[a-z][a-z0-9+.-]{{1,30}}{_SEPARATOR}|(?:{OPAQUE}):|https?:|www(?:\.|{_DOT})"

_START = re.compile(rf"{_SEPARATOR}|(?<![\w.@/:-])www(?:\.|{_DOT})(?=[^\s./?#])|\[(?:\.|dot)\]", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}\Z")
_KNOWN_SCHEME = re.compile(r"(?i)(?:https?|hxxps?|ftps?|file|wss?)\Z")
_WEB_SCHEME = re.compile(r"(?i)h(?:tt|xx)ps?\Z")
# What no URL holds unescaped (RFC 3986, WHATWG), and the quotes and full stops of running text around it.
_RUN = re.compile(
    '[^\\s<>"`\x00-\x20\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufffc'
    "“”„‟«»‹›「」『』【】《》〈〉。，、；：？！｡｢｣､]+"
)
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")
_INSIDE = re.compile(
    r"[()\[\]{}（）]|&(?:quot|apos|lt|gt|nbsp|#3[49]|#x2[27]|#6[02]|#x3[ce]);"
    r"|[,;|]+(?=h(?:tt|xx)ps?://)|[?]",
    re.IGNORECASE,
)
_PAIRS = {")": "(", "]": "[", "}": "{", "）": "（"}
_TRAILING = ".,;:!?'\"…’‘‚\\^。，、；：？！」』】》〉"
_EMPHASIS = "*_~"
_HOST_LABEL = re.compile(r"[A-Za-z0-9.-]")
_SUBSTANCE = re.compile(r"[^\W_]|\[")
_LOOK_BACK = 300  # characters in which an opening bracket or emphasis mark is looked for
_WINDOW = 512
_CLOSING_QUOTE = {"'": "'", "‘": "’", "‚": "‘"}


@dataclass(frozen=True, slots=True)
class Found:
    """An address in a text: where it starts and ends there, and the address itself, unwrapped.

    `explicit` is an address in a place made for one (`<…>`, a link, an attribute): nothing was cut from it.
    """

    start: int
    end: int
    url: str
    explicit: bool = False


class TooMany(UsageError):
    """A document that cites more than can be kept in memory."""


def bounded(found: Iterable[_T]) -> Iterator[_T]:
    """The same, but raises `TooMany` when there are more than a document may cite."""
    for number, one in enumerate(found):
        refuse_too_many(number + 1)
        yield one


def refuse_too_many(number: int) -> None:
    """Raise `TooMany` when a document cites so many."""
    if number > MOST_ADDRESSES:
        raise TooMany(f"it cites more than {MOST_ADDRESSES:,} URLs; split it into smaller documents")


def scan(text: str) -> Iterator[Found]:
    """Every URL of a running text, in order: with a scheme, with `www.`, or defanged."""
    done = 0
    for match in _START.finditer(text):
        if match.start() < done:
            continue
        start = _beginning(text, match, done)
        if start is None:
            continue
        length = _length(text, start)
        found = text[start : start + length]
        if not _stands_for_something(found) or _is_elided(text, start + length):
            done = max(done, start + length)
            continue
        done = start + length
        yield Found(start, done, found if found.isascii() else _INVISIBLE.sub("", found))


def _beginning(text: str, match: re.Match[str], done: int) -> int | None:
    """Where the URL around a `://`, `www.` or `[.]` starts; None when this is none."""
    token = match.group().lower()
    if token.startswith("www"):
        return match.start()
    if token in ("[.]", "[dot]"):
        return _defanged_host(text, match.start(), done)
    window = text[max(done, match.start() - 32) : match.start()]
    scheme = _SCHEME.search(window)
    if scheme is None:
        return None
    word = scheme.group()
    known = _KNOWN_SCHEME.search(word)
    # "see.http://a": a word glued to the scheme. `git+https` is a scheme of its own.
    if known and known.start() and word[known.start() - 1] not in "+-":
        word = known.group()
    return match.start() - len(word) if len(word) > 1 else None


def _defanged_host(text: str, at: int, done: int) -> int | None:
    start = at
    while start > done and at - start < 200 and _HOST_LABEL.match(text[start - 1]):
        start -= 1
    while start < at and text[start] in ".-":
        start += 1
    before = text[start - 1] if start else ""
    close = text.find("]", at, at + 6) + 1
    after = text[close : close + 1]
    return start if start < at and before not in "@/[(" + "\\" and after.isalnum() else None


def _length(text: str, start: int) -> int:
    """How long the URL at `start` is. Looks no further than it must: a line may hold a million of them unspaced."""
    window = _WINDOW
    while True:
        match = _RUN.match(text, start, start + window)
        if match is None:
            return 0
        run = match.group()
        end = _wrapped_length(text, start, run)
        end = _bracketed_length(text, start, run[:end])
        if end < len(run) or len(run) < window:
            return len(_trimmed(text, start, run[:end]))
        window *= 8


def _wrapped_length(text: str, start: int, run: str) -> int:
    """Where a quote or an emphasis which opened right before the URL closes again."""
    before = text[max(0, start - 3) : start]
    if quote := _CLOSING_QUOTE.get(before[-1:]):
        close = re.search(rf"{quote}(?![\w/%&=?#-])", run)
        return close.start() if close else len(run)
    marks = before[len(before.rstrip(_EMPHASIS)) :]
    if marks:
        # CommonMark 6.2: `_` closes no emphasis inside a word, `*` does.
        mark = re.escape(marks[::-1]) + (r"(?!\w)" if "_" in marks else "")
        close = re.search(mark, run)
        return close.start() if close else len(run)
    return len(run)


def _bracketed_length(text: str, start: int, run: str) -> int:
    """Where a bracket closes that opened before the URL, or where other text is glued to the URL."""
    opened: list[tuple[str, int]] = []
    in_query = False
    for match in _INSIDE.finditer(run):
        at, mark = match.start(), match.group()
        if mark == "?":
            in_query = True
        elif mark in "([{":
            if run.startswith("[/", at):  # BBCode: [url]…[/url]
                return at
            opened.append((mark, at))
        elif mark == "（":
            if run[at - 1 : at].isascii():
                return at
            opened.append((mark, at))
        elif mark in _PAIRS:
            if opened and opened[-1][0] == _PAIRS[mark]:
                opened.pop()
            elif _opens_before(text, start, _PAIRS[mark], mark):
                return at
        elif mark[0] == "&" or not in_query:
            return at
    return next((at for mark, at in opened if mark == "（"), _table_cell(text, start, run))


def _table_cell(text: str, start: int, run: str) -> int:
    """In a row of a Markdown table an unescaped `|` ends the cell."""
    at = run.find("|")
    if at < 0:
        return len(run)
    line = text.rfind("\n", max(0, start - 2000), start) + 1
    return at if text[line : line + 80].lstrip().startswith("|") else len(run)


def _opens_before(text: str, start: int, opening: str, closing: str) -> bool:
    line = text.rfind("\n", max(0, start - _LOOK_BACK), start) + 1
    before = text[max(line, start - _LOOK_BACK) : start]
    return before.count(opening) > before.count(closing)


def _trimmed(text: str, start: int, url: str) -> str:
    """Cut the punctuation of the sentence off the end; brackets only when they close nothing in the URL."""
    if url[-1:].isalnum() or url[-1:] == "/":
        return url
    surplus = {close: url.count(close) - url.count(open_) for close, open_ in _PAIRS.items()}
    end = len(url)
    while end:
        last = url[end - 1]
        if last in _TRAILING or _INVISIBLE.match(last):
            end -= 1
        elif surplus.get(last, 0) > 0:
            surplus[last] -= 1
            end -= 1
        elif last in _EMPHASIS and last in text[max(0, start - _LOOK_BACK) : start].rpartition("\n")[2]:
            end -= 1
        else:
            break
    return url[:end]


def _stands_for_something(url: str) -> bool:
    """False for a scheme that is only spoken of ("the http:// prefix") and for a lone `www.`."""
    rest = re.split(_SEPARATOR, url, maxsplit=1)[-1]
    if url[:4].lower() in ("www.", "www[", "www("):
        rest = url[4:]
        return "." in rest.rstrip(".") and bool(_SUBSTANCE.search(rest))
    return bool(_SUBSTANCE.search(rest))


def _is_elided(text: str, end: int) -> bool:
    """A link's text that shows the beginning of its address only: `[http://example.com/ver…](…)`."""
    return text.startswith(("…]", "...]", "…\x1f", "...\x1f"), end)


# ------------------------------------------------------------------ defanging

_DEFANGED_SCHEME = re.compile(rf"(?i)^(h(?:xx|tt)ps?|ftp)({_SEPARATOR})")
_PLAIN = re.compile(r"https?://[a-zA-Z0-9.-]+(?:[/?#:]|$)")  # nearly all of them
_DOTS = re.compile(_DOT, re.IGNORECASE)
_AUTHORITY_END = re.compile(r"[/?#\\]")


def refanged(url: str) -> str:
    """Undo `hxxp`, `[.]`, `(.)`, `[dot]`, `[:]` and `[://]`; an address that is not defanged stays as it is."""
    if _PLAIN.match(url):
        return url
    match = _DEFANGED_SCHEME.match(url)
    scheme, rest = (match[1], url[match.end() :]) if match else ("", url)
    if not match and re.match(rf"(?i)[a-z][a-z0-9+.-]{{1,30}}{_SEPARATOR}", url):
        return url
    end = _AUTHORITY_END.search(rest)
    authority, tail = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    whole = _DOTS.sub(".", authority).replace("[:]", ":")
    was_defanged = whole != authority or (match and (match[2] != "://" or "x" in scheme.lower()))
    if not was_defanged:
        return url
    tail = tail.replace("[.]", ".").replace("[/]", "/")
    plain = scheme.lower().replace("hxx", "htt")
    return f"{plain}://{whole}{tail}" if scheme else whole + tail
