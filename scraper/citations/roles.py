"""Which role a line's wording gives to the addresses on it or after it. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from scraper import wording
from scraper.citations.boundaries import Found
from scraper.model import Role

# A line's beginning: quote, list, heading and emphasis marks, then the words up to what may end a label.
_HEAD = re.compile(
    r"(?m)^[ \t\u3000]*+(?:[>*_#+•·‣–—\-(\[\"“'|~]++[ \t]*+|\d{1,3}[.)][ \t]++){0,6}([^\n:：*\[\]()<>|]{1,60}+)"
)
_GLUED_SCHEME = re.compile(r"(?i)(?<![\s\-–—=→])[\s\-–—=→]*\b(?:h(?:tt|xx)ps?|www\..*)$")
_NOTE = re.compile(r"[*_ \t]*+(?:\([^()\n]{0,40}\)|\[\d{1,3}\])?[*_ \t\u3000]*+")
_LIST_ITEM = re.compile(r"[ \t]*(?:[-*+•·]|\d{1,3}[.)])[ \t]|[ \t]*\[")
_MARKS = " \t\u3000>*_#+•·‣–—-(\"“'|~«!<"
_ENDING = " \t.,;:!?*_)]>\"'”»|"
_BLANK = " \t>*_\u3000"
_LONG_LINE = 200


class Lines:
    """The lines of a text by their number, from 0."""

    def __init__(self, text: str) -> None:
        self.text = text

        self.lines = text.split("\n")
        self.starts = [0, *accumulate(len(line) + 1 for line in self.lines[:-1])]

    def number(self, offset: int) -> int:
        return bisect_right(self.starts, offset) - 1

    def span(self, number: int) -> tuple[int, int]:
        return self.starts[number], self.starts[number] + len(self.lines[number])

    def next_filled(self, number: int) -> int | None:
        """The number of the next line that is not blank."""
        for later in range(number + 1, len(self.starts)):
            if self.lines[later].strip(_BLANK):
                return later
        return None


@dataclass(frozen=True, slots=True)
class Marker:
    """A line that begins with a role's wording. `waits`: nothing follows on it, the address may come later."""

    line: int
    start: int
    role: Role
    waits: bool
    bare: bool  # only an address alone on its line may be meant: no colon, or other words after it
    names: bool = False  # words follow on the line: a title whose address may be lost


@dataclass(frozen=True, slots=True)
class Assigned:
    """The role of each address, and the lines (from 0) which only serve to name the original or something related."""

    roles: tuple[Role, ...]
    original_lines: frozenset[int]
    related_lines: frozenset[int]


def assign(lines: Lines, found: Sequence[Found]) -> Assigned:
    """Give each address (in order of its start) its role: by the marker on its line, else by one that waits for it."""
    numbers = [lines.number(one.start) for one in found]
    roles = [Role.CITED] * len(found)
    marked: dict[Role, set[int]] = {Role.ORIGINAL: set(), Role.RELATED: set()}
    for marker in _markers(lines):
        first, last = bisect_left(numbers, marker.line), bisect_right(numbers, marker.line)
        mine = [index for index in range(first, last) if found[index].start >= marker.start]
        if not mine and marker.waits:
            mine = _awaited(lines, found, numbers, marker)
        for index in mine:
            if roles[index] is Role.CITED:
                roles[index] = marker.role
        if mine or (marker.role is Role.RELATED and marker.names):
            marked[marker.role] |= {marker.line, *(numbers[index] for index in mine)}
    return Assigned(tuple(roles), frozenset(marked[Role.ORIGINAL]), frozenset(marked[Role.RELATED]))


def _markers(lines: Lines) -> list[Marker]:
    markers = []
    for head in _HEAD.finditer(lines.text):
        marker = _marker(lines, head)
        # "# Read more: …" is a title: a pointer to something else is no heading of the first level.
        if marker and not (marker.role is Role.RELATED and lines.lines[marker.line].startswith("# ")):
            markers.append(marker)
    return markers


def _marker(lines: Lines, head: re.Match[str]) -> Marker | None:
    words = _GLUED_SCHEME.sub("", head[1])
    glued = words != head[1]
    role = wording.role_of(words)
    if role is None:
        return _phrase(lines, head) if wording.is_phrase(words) else None
    note = _NOTE.match(lines.text, head.end())
    end = note.end() if note else head.end()
    after = lines.text[end : end + 1]
    number = lines.number(head.start(1))
    rest = lines.text[end + 1 : lines.span(number)[1]].strip(_BLANK)
    if not glued and after in (":", "："):
        return Marker(number, head.start(1), role, True, bare=bool(rest), names=bool(rest))
    if after in ("", "\n"):
        return Marker(number, head.start(1), role, True, bare=True)
    if glued or after in ("]", "[", "<", "("):
        return Marker(number, head.start(1), role, False, bare=False, names=True)
    return None


def _phrase(lines: Lines, head: re.Match[str]) -> Marker:
    number = lines.number(head.start(1))
    ends = lines.lines[number].rstrip(_BLANK)
    return Marker(number, head.start(1), Role.ORIGINAL, len(ends) <= _LONG_LINE, bare=not ends.endswith((":", "：")))


def _awaited(lines: Lines, found: Sequence[Found], numbers: Sequence[int], marker: Marker) -> list[int]:
    """The addresses on the next line that is not blank, when they are what the marker announced."""
    number = lines.next_filled(marker.line)
    if number is None:
        return []
    mine = _on_line(numbers, number)
    if not mine:
        return []
    if marker.role is Role.RELATED and _LIST_ITEM.match(lines.lines[number]):
        return _in_list(lines, numbers, number)
    if _is_alone(lines, number, found[mine[0]], found[mine[-1]]):
        return mine
    if marker.bare:
        return []
    short = len(lines.lines[number]) <= _LONG_LINE
    return mine[:1] if _leads(lines, number, found[mine[0]]) or (short and len(mine) == 1) else []


def _on_line(numbers: Sequence[int], number: int) -> list[int]:
    return list(range(bisect_left(numbers, number), bisect_right(numbers, number)))


def _in_list(lines: Lines, numbers: Sequence[int], number: int | None) -> list[int]:
    mine: list[int] = []
    while number is not None and _LIST_ITEM.match(lines.lines[number]):
        mine += _on_line(numbers, number)
        number = lines.next_filled(number)
    return mine


def _leads(lines: Lines, number: int, first: Found) -> bool:
    """Does the line begin with the address, or with the text of its link?"""
    before = lines.text[lines.span(number)[0] : max(first.start, lines.span(number)[0])].lstrip(_MARKS)
    return not before or before.startswith("[")


def _is_alone(lines: Lines, number: int, first: Found, last: Found) -> bool:
    end = lines.span(number)[1]
    return _leads(lines, number, first) and not lines.text[last.end : end].strip(_ENDING)
