"""The addresses of a plain or Markdown text: autolinks, links, definitions, attributes, bare URLs. Pure and linear."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import chain

from scraper.citations.boundaries import EXPLICIT_START, Found, bounded, refuse_too_many, scan

_QUOTE_MARK = re.compile(r"(?m)^(?:[ ]{0,3}>[ ]?)++(?=[^\s>])")
_CONSTRUCT = re.compile(
    r"\]\(|\]\[([^\[\]\n]{0,200})\]|(?m:^) {0,3}\[([^\[\]\n^][^\[\]\n]{0,200})\]:"
    r"|<(?=[A-Za-z/])|\[(?=[^\[\]\n]{1,200}\](?![(\[:]))"
)
_DEFINITION = re.compile(r"(?m)^ {0,3}\[([^\[\]\n^][^\[\]\n]{0,200})\]:[ \t]*\n?[ \t]*")
_SHORTCUT = re.compile(r"\[([^\[\]\n]{1,200})\]")
_ANGLE_END = re.compile(r"[<>]|\n[ \t]*\n")
_ADDRESS = re.compile(
    rf"(?i)(?:URL:\s*)?((?:{EXPLICIT_START}|//[^\s/]).+|[a-z0-9-]+(?:\.[a-z0-9-]+){{0,8}}\[\.\].+)", re.DOTALL
)
_DESTINATION_MARK = re.compile(r"\\[!-/:-@\[-`{-~]|\]\(|[()\s]")
_WORD = re.compile(r"\S+")
_BLANKS = re.compile(r"[ \t]*(?:\n[ \t]*(?=\S))?")
_TITLE = re.compile(
    r"""[ \t]*+(?:\n[ \t]*+)?(?:"[^"\n]{0,300}+"|'[^'\n]{0,300}+'|\([^()\n]{0,300}+\))?[ \t]*+(?:\n[ \t]*+)?\)"""
)
_TITLE_START = re.compile(r"[ \t\n]+[\"'(]")
_REST = re.compile(r"\n[ \t]*([^\s()<>]{1,2000})\)")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_AMPERSAND = re.compile(r"(?i)&(?:amp|#0?38|#x26);")
_ATTRIBUTE = re.compile(
    r"<(?:a|area|img|iframe|embed|q|blockquote|link)\b[^<>]{0,4000}?\s(?:href|src|cite)\s{0,9}=\s{0,9}(?:\"([^\"<>]*+)\"|'([^'<>]*+)')",
    re.IGNORECASE,
)


def unquoted(text: str) -> str:
    """The text without the `>` of quotations: lines keep their number, an address may run on over them."""
    return _QUOTE_MARK.sub("", text) if ">" in text else text


def addresses(text: str, markdown: bool) -> list[Found]:
    """Every address of a text, in order; `markdown` says that entities and backslash escapes mean something in it."""
    explicit = list(_explicit(text))
    bare = scan(_masked(text, explicit))
    if markdown:
        bare = (_with_url(found, _meant(found.url)) for found in bare)
    else:
        bare = (_with_url(found, _in_attribute(text, found)) for found in bare)
    return sorted(bounded(one for one in chain(explicit, bare) if one.url), key=lambda one: one.start)


def _with_url(found: Found, url: str) -> Found:
    return found if url == found.url else replace(found, url=url)


def _meant(url: str) -> str:
    """CommonMark 2.4 and 2.5: backslash escapes and entities in an address of a Markdown text."""
    if "\\" in url:
        url = _ESCAPE.sub(r"\1", url)
    return _AMPERSAND.sub("&", url) if "&" in url else url


def _in_attribute(text: str, found: Found) -> str:
    """HTML pasted into plain text: `href="…?a=1&amp;b=2"`."""
    if "&" not in found.url:
        return found.url
    before = text[max(0, found.start - 2) : found.start]
    return _AMPERSAND.sub("&", found.url) if before in ('="', "='") else found.url


def _masked(text: str, explicit: Iterable[Found]) -> str:
    """The text with the addresses that are known blanked out, line ends kept, so that they are not found twice."""
    pieces, at = [], 0
    for found in explicit:
        start = text.find("(", found.start, found.end) if text.startswith("](", found.start) else found.start
        pieces += [text[at:start], re.sub(r"[^\n]", "\x1f", text[start : found.end])]
        at = found.end
    return "".join([*pieces, text[at:]])


# ------------------------------------------------------------------ explicit


def _explicit(text: str) -> list[Found]:
    """Every address in a place made for one, in order; a definition that is used has no address of its own."""
    definitions: dict[str, str] = {}
    for match in _DEFINITION.finditer(text):
        destination = _destination(text, match.end())
        if destination is not None:
            definitions.setdefault(_label(match[1]), destination[0])
    used: set[str] = set()
    reference = _references(definitions, used)
    found: list[Found] = []
    own: list[tuple[int, str]] = []
    done = 0
    for match in _CONSTRUCT.finditer(text):
        if match.start() < done:
            continue
        refuse_too_many(len(found))
        if match[2] is not None:
            one = _definition(text, match)
            own.append((len(found), _label(match[2])))
        else:
            one = _READERS.get(match.group(), reference)(text, match)
        if one is not None:
            found.append(one)
            done = one.end
        elif match[2] is not None:
            own.pop()
    for index, label in own:
        if label in used:
            found[index] = replace(found[index], url="")
    return found


def _references(definitions: dict[str, str], used: set[str]) -> Callable[[str, re.Match[str]], Found | None]:
    """`[text][label]`, `[label][]` and `[label]`, read at the place where they stand."""

    def read(text: str, match: re.Match[str]) -> Found | None:
        if match.group() == "[":
            shortcut = _SHORTCUT.match(text, match.start())
            label, end = (_label(shortcut[1]), shortcut.end()) if shortcut else ("", match.end())
        else:
            inner = match[1] or text[text.rfind("[", max(0, match.start() - 300), match.start()) + 1 : match.start()]
            label, end = _label(inner), match.end()
        destination = definitions.get(label)
        if destination is None:
            return None
        used.add(label)
        return Found(match.start(), end, destination, explicit=True)

    return read


def _label(text: str) -> str:
    """CommonMark 4.7: labels match without regard to case and to how much white space is in them."""
    return " ".join(text.split()).casefold()


def _definition(text: str, match: re.Match[str]) -> Found | None:
    head = _DEFINITION.match(text, match.start())
    destination = _destination(text, head.end()) if head else None
    if destination is None:
        return None
    return Found(match.start(), destination[1], destination[0], explicit=True)


def _destination(text: str, at: int) -> tuple[str, int] | None:
    """The address of a reference definition: `<…>` or up to the next white space."""
    if text.startswith("<", at):
        end = _ANGLE_END.search(text, at + 1)
        if end is None or end.group() != ">":
            return None
        return _joined(text[at + 1 : end.start()]), end.end()
    word = _WORD.match(text, at)
    return (_meant(word.group()), word.end()) if word else None


def _angle(text: str, match: re.Match[str]) -> Found | None:
    """`<http://…>`, also broken over lines (RFC 3986, appendix C), or the address in an HTML tag."""
    at = match.start()
    end = _ANGLE_END.search(text, at + 1)
    if end is None or end.group() != ">":
        return None
    address = _ADDRESS.fullmatch(_unwrapped(text[at + 1 : end.start()]))
    if address:
        return Found(at, end.end(), _AMPERSAND.sub("&", address[1]), explicit=True)
    tag = _ATTRIBUTE.match(text, at, end.end())
    if tag is None:
        return None
    group = 1 if tag[1] is not None else 2
    return Found(tag.start(group), tag.end(group), html.unescape(tag[group]), explicit=True)


def _unwrapped(inner: str) -> str:
    """The lines of an address joined; empty when a blank inside a line shows that it is none."""
    lines = [line.strip() for line in inner.split("\n")]
    return "" if any(" " in line or "\t" in line for line in lines) else "".join(lines)


def _joined(inner: str) -> str:
    return _meant("".join(line.strip() for line in inner.split("\n")))


def _inline(text: str, match: re.Match[str]) -> Found | None:
    """`](address "title")`: parentheses balanced or escaped, or the address in `<…>`."""
    at = match.start()
    blanks = _BLANKS.match(text, at + 2)
    start = blanks.end() if blanks else at + 2
    if text.startswith("<", start):
        close = _ANGLE_END.search(text, start + 1)
        if close is None or close.group() != ">":
            return None
        title = _TITLE.match(text, close.end())
        end = title.end() if title else close.end()
        return Found(at, end, _joined(text[start + 1 : close.start()]), explicit=True)
    return _parenthesised(text, at, start)


def _parenthesised(text: str, at: int, start: int) -> Found | None:
    depth = 0
    for mark in _DESTINATION_MARK.finditer(text, start):
        symbol = mark.group()
        if symbol == "(":
            depth += 1
        elif symbol == ")" and depth:
            depth -= 1
        elif symbol == ")":
            return Found(at, mark.end(), _meant(text[start : mark.start()]), explicit=True)
        elif symbol == "](":
            return None
        elif symbol.isspace():
            title = _TITLE.match(text, mark.start())
            if title and depth == 0:
                return Found(at, title.end(), _meant(text[start : mark.start()]), explicit=True)
            if symbol == "\n":
                return _over_the_line(text, at, start, mark.start())
            # A blank inside an address is written by mistake; browsers take it as %20 instead of cutting there.
            if _TITLE_START.match(text, mark.start()):
                return None
    return None


def _over_the_line(text: str, at: int, start: int, broken: int) -> Found | None:
    """An address which an editor wrapped: its rest fills the beginning of the next line up to `)`."""
    rest = _REST.match(text, broken)
    if rest is None or start == broken:
        return None
    return Found(at, rest.end(), _meant(text[start:broken] + rest[1]), explicit=True)


_READERS: dict[str, Callable[[str, re.Match[str]], Found | None]] = {"](": _inline, "<": _angle}
