"""Two extractions of one capture, field by field: is the new one better? Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from enum import StrEnum
from typing import Any

FIELDS = (
    *("title", "subtitle", "byline", "authors", "agency", "publisher", "section", "published", "modified"),
    *("language", "canonical", "image", "text", "blocks", "related", "tags"),
    *("is_article", "free_to_read", "noarchive", "skipped"),
)
_SHOWN_CHARACTERS = 200
# Beyond this many words between the first and the last difference, they are not told apart: that takes squared time.
_MOST_WORDS = 3000
_EXAMPLES = 3


class Verdict(StrEnum):
    """What became of a field."""

    EQUAL = "equal"
    CHANGED = "changed"
    GAINED = "gained"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Change:
    """A field that is not what it was; both values shortened, of texts the words that differ."""

    name: str
    verdict: Verdict
    was: str
    now: str


@dataclass(frozen=True, slots=True)
class Example:
    """A change and the page it is of."""

    url: str
    captured_at: str
    change: Change


@dataclass(slots=True)
class Comparison:
    """What an extraction would change, over all captures: counts, and the first examples of each."""

    captures: int = 0
    counts: dict[str, Counter[Verdict]] = field(default_factory=lambda: {name: Counter() for name in FIELDS})
    examples: list[Example] = field(default_factory=list)

    def add(self, url: str, captured_at: str, changes: tuple[Change, ...]) -> None:
        """Count one capture."""
        self.captures += 1
        by_name = {change.name: change for change in changes}
        for name in FIELDS:
            change = by_name.get(name)
            verdict = change.verdict if change else Verdict.EQUAL
            self.counts[name][verdict] += 1
            if change and self.counts[name][verdict] <= _EXAMPLES:
                self.examples.append(Example(url, captured_at, change))


def compared(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> tuple[Change, ...]:
    """The fields that differ between two articles as JSON; everything is gained where there was none before."""
    old = before or {}
    return tuple(
        _change(name, old.get(name), after.get(name)) for name in FIELDS if not _same(old.get(name), after.get(name))
    )


def _same(was: Any, now: Any) -> bool:
    return bool(was == now or (_is_empty(was) and _is_empty(now)))


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [], {})


def _change(name: str, was: Any, now: Any) -> Change:
    verdict = Verdict.GAINED if _is_empty(was) else Verdict.LOST if _is_empty(now) else Verdict.CHANGED
    if name == "text" and verdict is Verdict.CHANGED:
        return Change(name, verdict, *map(_shortened, changed_words(was, now)))
    if name == "blocks":
        was, now = _outline(was), _outline(now)
    return Change(name, verdict, _shortened(_shown(was)), _shortened(_shown(now)))


def changed_words(was: str, now: str) -> tuple[str, str]:
    """Of two texts the words which only one of them has, pieces parted by `…`."""
    old, new = was.split(), now.split()
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    old, new = old[start : len(old) - end], new[start : len(new) - end]
    if len(old) + len(new) > _MOST_WORDS:
        return " ".join(old), " ".join(new)
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    pieces = [code for code in matcher.get_opcodes() if code[0] != "equal"]
    removed = [" ".join(old[i1:i2]) for _, i1, i2, _, _ in pieces if i2 > i1]
    added = [" ".join(new[j1:j2]) for _, _, _, j1, j2 in pieces if j2 > j1]
    return " … ".join(removed), " … ".join(added)


def _outline(blocks: Any) -> str:
    kinds = Counter(block["kind"] for block in blocks or ())
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and "iso" in value:
        return str(value["iso"])
    return json.dumps(value, ensure_ascii=False)


def _shortened(text: str) -> str:
    flat = " ".join(text[: 4 * _SHOWN_CHARACTERS].split())
    return flat if len(flat) <= _SHOWN_CHARACTERS else flat[: _SHOWN_CHARACTERS - 1] + "…"
