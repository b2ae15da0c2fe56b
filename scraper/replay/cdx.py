"""The CDX server: which captures there are, as lines for programs, with pywb's parameters and field names."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from urllib.parse import parse_qs

from scraper import urls
from scraper.archiver import IndexEntry
from scraper.errors import UsageError
from scraper.replay import address, policy
from scraper.replay.answers import Answer
from scraper.replay.holdings import Holdings

JSON_TYPE = b"text/x-ndjson"
CDXJ_TYPE = b"text/x-cdxj"
MOST_LINES = 100_000
_LINES_AT_ONCE = 500
_ALIASES = {"statuscode": "status", "mimetype": "mime", "original": "url"}
_NAMED = ("urlkey", "timestamp", "url", "mime", "status", "digest", "length", "offset", "filename")

Fields = dict[str, str]
Judge = Callable[[Fields], bool]


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of the index: the keys from `start` to below `end`, and which of their lines, in which order."""

    start: str
    end: str
    first: str = ""
    last: str = "99999999999999"
    limit: int = MOST_LINES
    newest_first: bool = False
    closest: str = ""
    filters: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    as_json: bool = False


def answer(holdings: Holdings, collection: str, query_string: str) -> Answer:
    """The lines that a query asks for, sent as they are found. Raises `UsageError`."""
    query = read(query_string)
    entries = holdings.between(collection, query.start, query.end)
    # The first lines are read before anything is sent: a damaged index is then still a page that says so.
    lines = _joined(written(query, entries))
    first = next(lines, b"")
    kind = JSON_TYPE if query.as_json else CDXJ_TYPE
    return Answer(200, [*policy.own(), (b"content-type", kind)], _after(first, lines))


def _joined(lines: Iterable[str]) -> Iterator[bytes]:
    lines = iter(lines)
    while some := list(islice(lines, _LINES_AT_ONCE)):
        yield "".join(some).encode()


def _after(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


# ------------------------------------------------------------------- the query


def read(query_string: str) -> Query:
    """Read a query; raises `UsageError` naming the parameter that is wrong."""
    try:
        given = parse_qs(query_string, keep_blank_values=True, max_num_fields=100)
    except ValueError as error:
        raise UsageError(f"this query has too many parameters ({error})") from error
    one = {name: values[-1] for name, values in given.items()}
    if not one.get("url"):
        raise UsageError("the `url` parameter is required: cdx?url=https://example.org/page")
    start, end = key_range(one["url"], one.get("matchType", ""))
    if one.get("output", "text") not in ("json", "text", "cdxj"):
        raise UsageError(f"output={one['output']}: there are text and json")
    sort = one.get("sort", "")
    if sort not in ("", "default", "reverse", "closest"):
        raise UsageError(f"sort={sort}: there are reverse and closest")
    return Query(
        start,
        end,
        first=address.span(one["from"]).first if one.get("from") else "",
        last=address.span(one["to"]).last if one.get("to") else "99999999999999",
        limit=_limit(one.get("limit", "")),
        newest_first=sort == "reverse" or one.get("reverse", "").lower() in ("1", "true", "on", "yes"),
        closest=address.span(one["closest"]).first if one.get("closest") else "",
        filters=tuple(given.get("filter", ())),
        fields=tuple(filter(None, (one.get("fields") or one.get("fl") or "").split(","))),
        as_json=one.get("output") == "json",
    )


def _limit(text: str) -> int:
    if not text:
        return MOST_LINES
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise UsageError(f"limit={text[:20]}: a number of lines, at most {MOST_LINES}")
    return min(int(text) or MOST_LINES, MOST_LINES)


def key_range(url: str, match: str) -> tuple[str, str]:
    """The SURT keys that a URL and a matchType mean: from the first to below the second."""
    if not match and url.startswith("*."):
        url, match = url[2:], "domain"
    elif not match and url.endswith("*"):
        url, match = url[:-1], "prefix"
    key = urls.surt(address.archived_url(url))
    host = key.partition(")/")[0]
    if match in ("", "exact"):
        return key, key + "!"  # the mark after the space that ends a key
    if match == "prefix":
        key += "".join(mark for mark in "/?" if url.endswith(mark) and not key.endswith(mark))
        return key, _next(key)
    if match == "host":
        return f"{host})/", f"{host}*"
    if match == "domain":
        return (f"{host}," if "," not in host else f"{host})/"), f"{host}-"
    raise UsageError(f"matchType={match}: there are exact, prefix, host and domain")


def _next(key: str) -> str:
    return key[:-1] + chr(ord(key[-1]) + 1)


# -------------------------------------------------------------------- its lines


def written(query: Query, entries: Iterable[IndexEntry]) -> Iterator[str]:
    """The lines of a query's answer."""
    write = _json_writer(query) if query.as_json else _text_writer(query)
    return map(write, chosen(query, entries))


def chosen(query: Query, entries: Iterable[IndexEntry]) -> Iterator[Fields]:
    """The entries that a query asks for, in its order."""
    judges = [_judge(text) for text in query.filters]
    kept = (
        fields
        for fields in map(fields_of, (entry for entry in entries if query.first <= entry.timestamp <= query.last))
        if all(judge(fields) for judge in judges)
    )
    if query.closest:
        wanted = address.span(query.closest).start
        by_distance = sorted(kept, key=lambda fields: abs(address.span(fields["timestamp"]).start - wanted))
        return iter(by_distance[: query.limit])
    if query.newest_first:
        return iter(list(deque(kept, maxlen=query.limit))[::-1])
    return islice(kept, query.limit)


def fields_of(entry: IndexEntry) -> Fields:
    """An entry's fields in pywb's order and under its names; what the record did not say is missing."""
    where = entry.location
    fields = {"urlkey": entry.key, "timestamp": entry.timestamp, "url": entry.url}
    fields |= {"mime": entry.mime} if entry.mime is not None else {}
    fields |= {"status": entry.status} if entry.status is not None else {}
    return fields | {
        "digest": entry.digest,
        "length": str(where.length),
        "offset": str(where.offset),
        "filename": where.warc,
    }


def json_line(entry: IndexEntry) -> str:
    """An entry as a line of JSON."""
    return json.dumps(fields_of(entry)) + "\n"


def _json_writer(query: Query) -> Callable[[Fields], str]:
    def write(fields: Fields) -> str:
        chosen_ones = {name: fields[name] for name in query.fields if name in fields} if query.fields else fields
        return json.dumps(chosen_ones) + "\n"

    return write


def _text_writer(query: Query) -> Callable[[Fields], str]:
    def write(fields: Fields) -> str:
        names = [name for name in query.fields or fields if name not in ("urlkey", "timestamp")]
        rest = {name: fields[name] for name in names if name in fields}
        return f"{fields['urlkey']} {fields['timestamp']} {json.dumps(rest)}\n"

    return write


def _judge(text: str) -> Judge:
    """A filter: `[!][=]field:text`, contained or (with `=`) equal, negated by `!`."""
    negated, rest = text.startswith("!"), text.removeprefix("!")
    if rest.startswith("~"):
        raise UsageError(f"filter={text[:80]}: patterns are not evaluated here; use field:text or =field:text")
    whole, rest = rest.startswith("="), rest.removeprefix("=")
    name, colon, wanted = rest.partition(":")
    name = _ALIASES.get(name, name)
    if not colon or name not in _NAMED:
        raise UsageError(f"filter={text[:80]}: write it as field:text, with one of {', '.join(_NAMED)}")

    def judge(fields: Fields) -> bool:
        value = fields.get(name, "")
        return (value == wanted if whole else wanted in value) is not negated

    return judge
