"""JSON, JSON Lines and CSV -> citations, with the line each value stands on. Pure, without recursion.

A value in a field named for URLs is a target. URLs in other fields are cited. Nothing else of the data is read.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from scraper.citations.boundaries import EXPLICIT_START, scan
from scraper.citations.cite import cite, target_line, unique
from scraper.model import Citation, Role

# The last words of a name decide: `original_url`, `sourceUrl`, `page-link`.
_ADDRESS_WORDS = frozenset(
    {"url", "uri", "link", "href", "permalink", "canonical", "urls", "uris", "hrefs", "loc", "iri"}
)
_WHOLE_NAMES = frozenset({"source", "original", "target", "address", "webpage", "weburl", "pageurl", "sourceurl"}) | {
    *("originalurl", "articleurl", "canonicalurl", "storyurl", "seed", "seeds"),
}
_RELATED_WORDS = frozenset({"related", "recommended", "recommendations"})
# `image_url`, `author.url`: addresses of something else than the page.
_OTHER_THINGS = frozenset(
    {
        *(
            "image",
            "images",
            "img",
            "thumbnail",
            "thumb",
            "picture",
            "photo",
            "icon",
            "favicon",
            "logo",
            "avatar",
            "media",
        ),
        *(
            "video",
            "audio",
            "author",
            "authors",
            "user",
            "profile",
            "publisher",
            "feed",
            "rss",
            "api",
            "download",
            "css",
        ),
        *("script", "banner", "poster", "cover", "license", "licence", "homepage", "archive", "archived", "wayback"),
        *("self", "next", "prev", "previous", "comments", "schema", "context", "id", "share", "embed", "pdf", "amp"),
    }
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORD = re.compile(r"[^\W_]+")
_ONE_WORD = re.compile(r"\s*[^\s.:]*[.:]\S*\s*")  # `example.com`, but no name: "source": "Reuters"
_WHOLE_ADDRESS = re.compile(rf"(?is)\s*<?(?:{EXPLICIT_START}|//)\S*\s*")


def column_role(name: str) -> Role | None:
    """The role which a column's or field's name gives to an address in it; None for other fields."""
    words = [word.lower() for word in _WORD.findall(_CAMEL.sub("_", name))] if len(name) <= 60 else []
    if not words:
        return None
    if _RELATED_WORDS.intersection(words):
        return Role.RELATED
    if _OTHER_THINGS.intersection(words):
        return None
    return Role.ORIGINAL if words[-1] in _ADDRESS_WORDS or "".join(words) in _WHOLE_NAMES else None


@dataclass(frozen=True, slots=True)
class _Field:
    """What surrounds a value: the role its name gives, and whether an ancestor is about something else."""

    role: Role | None
    related: bool = False
    other: bool = False

    def below(self, name: str) -> _Field:
        words = {word.lower() for word in _WORD.findall(_CAMEL.sub("_", name[:60]))}
        related = self.related or bool(words & _RELATED_WORDS)
        other = self.other or bool(words & _OTHER_THINGS)
        role = None if other else column_role(name)
        return _Field(Role.RELATED if role and related else role, related, other)


def _value(text: str, role: Role | None, line: int, spread: bool = False) -> Iterator[Citation | None]:
    """The addresses in one value: the whole of it in a field for addresses, those in its text elsewhere.

    `spread` says that a line end in the value is one of the document too.
    """
    if _WHOLE_ADDRESS.fullmatch(text):
        yield target_line(text.strip().removeprefix("<").removesuffix(">"), role or Role.CITED, line)
    elif role is not None and _ONE_WORD.fullmatch(text):
        yield target_line(text.strip(), role, line)
    else:
        at = 0
        for found in scan(text):
            line += text.count("\n", at, found.start) if spread else 0
            at = found.start
            yield cite(found.url, role or Role.CITED, line)


# ---------------------------------------------------------------------- JSON

# A string that never closes runs to the end: from each of its quotes on, it would else be read once more.
_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*+)(?:"(\s*+:)?|\\?\Z)|[{}\[\]]', re.DOTALL)


def read_json(text: str) -> tuple[Citation, ...]:
    """The citations of a JSON document or of JSON Lines, both known to be valid."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    return tuple(unique(_json_values(text, starts)))


def _json_values(text: str, starts: list[int]) -> Iterator[Citation | None]:
    root = _Field(Role.ORIGINAL)
    stack: list[_Field] = []
    here = root  # the field that the next value belongs to
    holder = root  # what the object around it gives to its fields
    outer: list[_Field] = []
    for token in _TOKEN.finditer(text):
        mark = token.group()
        if mark in "{[":
            stack.append(here)
            outer.append(holder)
            holder = _Field(None, here.related, here.other) if mark == "{" else holder
        elif mark in "}]":
            here = stack.pop() if stack else root
            holder = outer.pop() if outer else root
        elif token[2] is not None:
            name = _unescaped(token[1])
            here = holder.below(name)
            if "://" in name:
                yield from _value(name, None, bisect_right(starts, token.start()))
        else:
            yield from _value(_unescaped(token[1]), here.role, bisect_right(starts, token.start()))


def _unescaped(raw: str) -> str:
    if "\\" not in raw:
        return raw
    try:
        return str(json.loads(f'"{raw}"', strict=False))
    except ValueError:
        return raw


# ----------------------------------------------------------------------- CSV


@dataclass(frozen=True, slots=True)
class _Cell:
    text: str
    line: int


def read_csv(text: str) -> tuple[Citation, ...]:
    """The citations of a table; its first row names the columns unless it holds an address itself."""
    return tuple(unique(_csv_values(text)))


def _csv_values(text: str) -> Iterator[Citation | None]:
    roles: list[Role | None] | None = None
    for row in _rows(text, _delimiter(text)):
        if roles is None:
            if not any(_WHOLE_ADDRESS.fullmatch(cell.text) for cell in row):
                roles = [column_role(cell.text.strip()) for cell in row]
                continue
            roles = []
        for index, cell in enumerate(row):
            if not cell.text:
                continue
            if not roles:
                role = Role.ORIGINAL if _WHOLE_ADDRESS.fullmatch(cell.text) else None
            else:
                role = roles[index] if index < len(roles) else None
            yield from _value(cell.text, role, cell.line, spread=True)


def _delimiter(text: str) -> str:
    """The separator of the first row: the one that occurs most often outside quotes."""
    first = re.sub(r'"[^"]*+"', "", text.lstrip("\n").partition("\n")[0][:20_000])
    return max(",\t;|", key=first.count)


def _rows(text: str, delimiter: str) -> Iterator[list[_Cell]]:
    """RFC 4180: quoted cells may hold separators, line ends and doubled quotes; what else stands there is kept."""
    bare = re.compile(rf"[^{re.escape(delimiter)}\n]*+")
    quoted = re.compile(r'[ ]*+"((?:[^"]|"")*+)"')
    at, line = 0, 1
    row: list[_Cell] = []
    while at < len(text):
        if not row and '"' not in (plain := text[at : text.find("\n", at) % (len(text) + 1)]):
            yield [_Cell(cell, line) for cell in plain.split(delimiter)]
            at, line = at + len(plain) + 1, line + 1
            continue
        match = quoted.match(text, at)
        cell = _Cell(match[1].replace('""', '"'), line) if match else None
        tail = bare.match(text, match.end() if match else at)
        end = tail.end() if tail else at
        if cell is None:
            cell = _Cell(text[at:end], line)
        row.append(cell)
        line += text.count("\n", at, end)
        if text[end : end + 1] != delimiter:
            yield row
            row = []
            line += 1
        elif end + 1 == len(text):
            row.append(_Cell("", line))
        at = end + 1
    if row:
        yield row
