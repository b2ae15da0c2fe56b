"""What changed from one text to the next: paragraphs first, then the words within those that changed. Pure.

Common ends are cut off, what stands once in both is lined up (patience: the longest rising run of such pairs), and the
gaps are compared by Myers' greedy method (1986). Steps are counted; when they are used up, a gap counts as replaced.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby, pairwise
from typing import TypeVar

STEPS = 1_000_000
DEEPEST = 12  # rounds of patience within gaps of gaps
MOST_EDITS = 200  # Myers keeps a row for each

# A word, or one character of a script that parts words by nothing, or white space, or one other mark.
_ALONE = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f"
_TOKEN = re.compile(rf"\s+|[{_ALONE}]|[^\W{_ALONE}]+|[^\w\s]")

Pair = tuple[int, int]
T = TypeVar("T", bound=Hashable)


class Mark(StrEnum):
    """What became of a piece."""

    SAME = "same"
    DELETED = "del"
    INSERTED = "ins"


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of words with one mark."""

    mark: Mark
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph with its pieces."""

    pieces: tuple[Piece, ...]

    @property
    def is_same(self) -> bool:
        return all(piece.mark is Mark.SAME for piece in self.pieces)

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)


class _Budget:
    """How many steps are left."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def take(self, steps: int) -> bool:
        self.left -= steps
        return self.left >= 0


def paragraphs(before: Sequence[str], after: Sequence[str], steps: int = STEPS) -> list[Paragraph]:
    """The later text with all that was deleted from the earlier one and inserted, in reading order."""
    budget = _Budget(steps)
    found: list[Paragraph] = []
    for old, new, is_same in _runs(_matches(before, after, budget), len(before), len(after)):
        if is_same:
            found += [Paragraph((Piece(Mark.SAME, text),)) for text in after[slice(*new)]]
        else:
            found += _within(before[slice(*old)], after[slice(*new)], budget)
    return found


def words(before: str, after: str) -> tuple[Piece, ...]:
    """The difference of two short texts, as the names and dates of an article are."""
    return tuple(_pieces(_TOKEN.findall(before), _TOKEN.findall(after), _Budget(STEPS // 10)))


def changed(paragraphs: Sequence[Paragraph]) -> tuple[int, int]:
    """How many words were deleted and inserted."""
    counts: Counter[Mark] = Counter()
    for paragraph in paragraphs:
        for piece in paragraph.pieces:
            counts[piece.mark] += sum(1 for token in _TOKEN.findall(piece.text) if token[0].isalnum())
    return counts[Mark.DELETED], counts[Mark.INSERTED]


def _within(before: Sequence[str], after: Sequence[str], budget: _Budget) -> list[Paragraph]:
    """Paragraphs which changed, word by word; a blank line between two is a token of its own."""
    pieces = _pieces(_tokens(before), _tokens(after), budget)
    found: list[list[Piece]] = [[]]
    for piece in pieces:
        first, *others = piece.text.split("\n")
        found[-1] += [Piece(piece.mark, first)] if first else []
        for text in others:
            found.append([Piece(piece.mark, text)] if text else [])
    return [Paragraph(tuple(run)) for run in found if run]


def _tokens(texts: Sequence[str]) -> list[str]:
    tokens: list[str] = []
    for text in texts:
        tokens += ["\n"] * bool(tokens) + _TOKEN.findall(" ".join(text.split()))
    return tokens


def _pieces(old: Sequence[str], new: Sequence[str], budget: _Budget) -> Iterator[Piece]:
    marked: list[tuple[Mark, str]] = []
    for before, after, is_same in _readable(list(_runs(_matches(old, new, budget), len(old), len(new))), new):
        if is_same:
            marked.append((Mark.SAME, "".join(new[slice(*after)])))
        else:
            marked.append((Mark.DELETED, "".join(old[slice(*before)])))
            marked.append((Mark.INSERTED, "".join(new[slice(*after)])))
    for mark, run in groupby((item for item in marked if item[1]), key=lambda item: item[0]):
        yield Piece(mark, "".join(text for _, text in run))


Run = tuple[Pair, Pair, bool]


def _readable(runs: list[Run], new: Sequence[str]) -> Iterator[Run]:
    """Changes with only blanks and marks between them are one: `the old man` -> `a new woman`, not three of them."""
    pending: Run | None = None
    for number, run in enumerate(runs):
        old, after, is_same = run
        inner = 0 < number < len(runs) - 1
        is_island = is_same and inner and not any(token[0].isalnum() or token == "\n" for token in new[slice(*after)])
        if is_same and not is_island:
            if pending:
                yield pending
            pending = None
            yield run
        else:
            pending = ((pending[0][0], old[1]), (pending[1][0], after[1]), False) if pending else (old, after, False)
    if pending:
        yield pending


def _runs(matches: Sequence[Pair], old_end: int, new_end: int) -> Iterator[Run]:
    """Matching pairs as runs of what is the same and what is not, which together cover both."""
    old = new = 0
    at = 0
    while at < len(matches):
        a, b = matches[at]
        if (a, b) != (old, new):
            yield (old, a), (new, b), False
        length = 1
        while at + length < len(matches) and matches[at + length] == (a + length, b + length):
            length += 1
        yield (a, a + length), (b, b + length), True
        old, new, at = a + length, b + length, at + length
    if (old, new) != (old_end, new_end):
        yield (old, old_end), (new, new_end), False


# ----------------------------------------------------------- what is the same


@dataclass(frozen=True, slots=True)
class _Gap:
    """Stretches of both sequences that are still to be compared."""

    old: Pair
    new: Pair
    depth: int = 0


def _matches(old: Sequence[T], new: Sequence[T], budget: _Budget) -> list[Pair]:
    """Pairs of equal places, rising in both."""
    found: list[Pair] = []
    gaps = [_Gap((0, len(old)), (0, len(new)))]
    while gaps:
        gap, ends = _trimmed(old, new, gaps.pop())
        found += ends
        size = gap.old[1] - gap.old[0] + gap.new[1] - gap.new[0]
        if gap.old[0] == gap.old[1] or gap.new[0] == gap.new[1] or not budget.take(size):
            continue
        anchors = _anchors(old, new, gap) if gap.depth < DEEPEST else []
        if anchors:
            found += anchors
            gaps += _between(anchors, gap)
        else:
            found += _myers(old, new, gap, budget)
    return sorted(found)


def _trimmed(old: Sequence[T], new: Sequence[T], gap: _Gap) -> tuple[_Gap, list[Pair]]:
    """A gap without what is the same at its two ends, and these pairs."""
    (a, a_end), (b, b_end) = gap.old, gap.new
    pairs: list[Pair] = []
    while a < a_end and b < b_end and old[a] == new[b]:
        pairs.append((a, b))
        a, b = a + 1, b + 1
    while a < a_end and b < b_end and old[a_end - 1] == new[b_end - 1]:
        a_end, b_end = a_end - 1, b_end - 1
        pairs.append((a_end, b_end))
    return _Gap((a, a_end), (b, b_end), gap.depth), pairs


def _anchors(old: Sequence[T], new: Sequence[T], gap: _Gap) -> list[Pair]:
    """What stands exactly once in both, as far as it stands in the same order."""
    old_places, new_places = _once(old, gap.old), _once(new, gap.new)
    pairs = [(at, new_places[item]) for item, at in old_places.items() if item in new_places]
    return _rising(sorted(pairs))


def _once(items: Sequence[T], within: Pair) -> dict[T, int]:
    counts = Counter(items[slice(*within)])
    return {items[at]: at for at in range(*within) if counts[items[at]] == 1}


def _rising(pairs: Sequence[Pair]) -> list[Pair]:
    """The longest run of pairs whose second numbers rise too (patience sorting)."""
    tops: list[int] = []
    top_pairs: list[int] = []
    before: list[int] = []
    for number, (_, b) in enumerate(pairs):
        pile = bisect_left(tops, b)
        before.append(top_pairs[pile - 1] if pile else -1)
        tops[pile : pile + 1] = [b]
        top_pairs[pile : pile + 1] = [number]
    chain: list[Pair] = []
    at = top_pairs[-1] if top_pairs else -1
    while at >= 0:
        chain.append(pairs[at])
        at = before[at]
    return chain[::-1]


def _between(anchors: Sequence[Pair], gap: _Gap) -> list[_Gap]:
    edges = [(gap.old[0] - 1, gap.new[0] - 1), *anchors, (gap.old[1], gap.new[1])]
    return [
        _Gap((a + 1, next_a), (b + 1, next_b), gap.depth + 1)
        for (a, b), (next_a, next_b) in pairwise(edges)
        if a + 1 < next_a and b + 1 < next_b
    ]


def _myers(old: Sequence[T], new: Sequence[T], gap: _Gap, budget: _Budget) -> list[Pair]:
    """The pairs on a shortest edit path; none when it is longer than is worth finding."""
    (a, a_end), (b, b_end) = gap.old, gap.new
    width, height = a_end - a, b_end - b
    reached = {1: 0}
    trail: list[dict[int, int]] = []
    for edits in range(min(width + height, MOST_EDITS) + 1):
        trail.append(reached.copy())
        steps = edits + 1
        for k in range(-edits, edits + 1, 2):
            goes_down = k == -edits or (k != edits and reached[k - 1] < reached[k + 1])
            x = start = reached[k + 1] if goes_down else reached[k - 1] + 1
            while x < width and 0 <= x - k < height and old[a + x] == new[b + x - k]:
                x += 1
            steps += x - start
            reached[k] = x
            if x >= width and x - k >= height:
                return [(a + i, b + j) for i, j in _walked_back(trail, width, height)]
        if not budget.take(steps):
            break
    return []


def _walked_back(trail: Sequence[dict[int, int]], x: int, y: int) -> Iterator[Pair]:
    for edits in range(len(trail) - 1, -1, -1):
        reached, k = trail[edits], x - y
        goes_down = k == -edits or (k != edits and reached[k - 1] < reached[k + 1])
        from_k = k + 1 if goes_down else k - 1
        from_x = reached[from_k] if edits else 0
        from_y = from_x - from_k if edits else 0
        while x > from_x and y > from_y:
            x, y = x - 1, y - 1
            yield x, y
        x, y = from_x, from_y
