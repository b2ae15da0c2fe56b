"""Whether the rows hold only what was ever written: SQLite proves that a file is whole, not that it makes sense."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from math import inf
from typing import Any

from scraper import urls
from scraper.errors import StateDamaged
from scraper.model import Purpose, State
from scraper.state.rows import at, held_of, stored_json

Query = Callable[[str], Iterator[Any]]
Judge = Callable[[Any], bool]

_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_TEXT_PATH = re.compile(r"text/(?!\.)[a-z0-9._-]{1,255}/[0-9]{4}/[0-9]{14}-[0-9a-f]{12}")
_COLLECTION = re.compile(r"(?!\.)[^/\x00]{1,255}")


def wrong_values(query: Query) -> Iterator[str]:
    """A sentence for every value that cannot be: table, row, column and the value; all rows are read, one at a time."""
    for table, (key, judges) in _TABLES.items():
        names = list(judges)
        for row in query(f"SELECT {key}, {', '.join(names)} FROM {table}"):
            for name, value in zip(names, row[1:], strict=True):
                if value is not None and not judges[name](value):
                    yield f"{name} of {table} {ascii(row[0])[:200]}: {ascii(value)[:60]}"


def _can(read: Callable[[Any], object], value: Any) -> bool:
    try:
        read(value)
    except StateDamaged:
        return False
    return True


def _is_stamp(value: str) -> bool:
    """Fixed width: SQL compares times as texts."""
    return _STAMP.fullmatch(value) is not None and _can(at, value)


def _is_pace(value: float) -> bool:
    return 0 <= value < inf


def _is_text_path(value: str) -> bool:
    return value == "" or _TEXT_PATH.fullmatch(value) is not None


def _is_among(values: frozenset[str], value: str) -> bool:
    return value in values


_held: Judge = partial(_can, held_of)
_list: Judge = partial(_can, lambda value: stored_json(value, list))
_dict: Judge = partial(_can, lambda value: stored_json(value, dict))
_state: Judge = partial(_is_among, frozenset(State))
_name: Judge = lambda value: _COLLECTION.fullmatch(value) is not None  # noqa: E731

# By table: what names a row, and how each column is judged that is more than a number or a free text.
_TABLES: dict[str, tuple[str, dict[str, Judge]]] = {
    "documents": ("digest", {"facts": _dict}),
    "targets": ("href", {"href": urls.is_target, "state": _state, "due_at": _is_stamp, "visited_at": _is_stamp}),
    "visits": (
        "id",
        {
            "started_at": _is_stamp,
            "ended_at": _is_stamp,
            "captured_at": _is_stamp,
            "until": _is_stamp,
            "state": _state,
            "purpose": partial(_is_among, frozenset(Purpose)),
            "collection": _name,
            "text_path": _is_text_path,
            "held": _held,
        },
    ),
    "payloads": ("entity_sha256", {"held": _held}),
    "hosts": (
        "host",
        {
            "not_before": _is_stamp,
            "robots_at": _is_stamp,
            "noted_at": _is_stamp,
            "response_seconds": _is_pace,
            "slowdown": _is_pace,
        },
    ),
    "imports": ("sha256", {"warcs": _list, "left_out": _list}),
}
