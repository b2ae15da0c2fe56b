"""JSON-LD as it is found in the wild: read tolerantly, the article's object picked out. Pure."""

from __future__ import annotations

import html
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_LONGEST = 2 * 1024 * 1024  # characters
_MOST_OBJECTS = 5000

# Possessive, hence linear: a string, a comment, or a comma before a closing bracket.
# What is opened and never closed runs to the end: looked for from each beginning, it would cost its square.
_SLOPPY = re.compile(
    r'("(?:[^"\\]++|\\.)*+(?:"|\\?\Z))|/\*[^*]*+(?:\*(?!/)[^*]*+)*+(?:\*/|\Z)|//[^\n]*+|,(?=\s*+[}\]])|;\s*+\Z',
    re.DOTALL,
)
_WRAPPERS = re.compile(r"<!--|-->|(?://|/\*)?\s?(?:<!\[CDATA\[|\]\]>)(?:\s?\*/)?")
_SALVAGE = re.compile(
    r'"(headline|datePublished|dateModified|articleSection|inLanguage)"\s{0,9}:\s{0,9}"([^"\\]{1,400})"'
)

ARTICLE = re.compile(r"(?:Article|BlogPosting|Report|LiveBlogPosting|SocialMediaPosting|Review|Recipe)$")
_PAGE = frozenset({"WebPage", "ItemPage", "VideoObject", "PodcastEpisode", "CreativeWork", "AboutPage", "MediaObject"})


def objects(scripts: Iterable[str]) -> tuple[Mapping[str, Any], ...]:
    """Every JSON object of the scripts, outermost first, `@graph` and nested ones included, `@id` references resolved
    one level deep by `resolve`."""
    found: list[Mapping[str, Any]] = []
    for script in scripts:
        for data in _load(script[:_LONGEST]):
            found.extend(_objects_in(data))
    return tuple(found[:_MOST_OBJECTS])


def types(item: Mapping[str, Any]) -> tuple[str, ...]:
    """The `@type`s of an object, without their vocabulary."""
    value = item.get("@type")
    values = value if isinstance(value, list) else [value]
    return tuple(name.rpartition("/")[2] for name in values if isinstance(name, str))


def article_object(items: Iterable[Mapping[str, Any]], url: str) -> Mapping[str, Any]:
    """The object that describes the page's article; empty when there is none."""
    best: Mapping[str, Any] = {}
    best_score = 0.0
    path = _path(url)
    for item in items:
        kinds = types(item)
        score = 4.0 if any(map(ARTICLE.search, kinds)) else 1.0 if _PAGE.intersection(kinds) else 0.0
        if not score:
            continue
        score += sum(1.0 for key in ("headline", "datePublished", "author", "articleBody") if item.get(key))
        score += 2.0 if path and path in {_path(address) for address in _addresses(item)} else 0.0
        if score > best_score:
            best, best_score = item, score
    return best


def ids(items: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The objects by their `@id`, the fullest one of each."""
    known: dict[str, Mapping[str, Any]] = {}
    for item in items:
        key = item.get("@id")
        if isinstance(key, str) and len(item) > len(known.get(key, {})):
            known[key] = item
    return known


def _addresses(item: Mapping[str, Any]) -> Iterator[str]:
    for key in ("url", "@id", "mainEntityOfPage"):
        value = item.get(key)
        if isinstance(value, Mapping):
            value = value.get("@id") or value.get("url")
        if isinstance(value, str):
            yield value


def _path(url: str) -> str:
    # Scheme and host differ often (http, www, amp): the path tells.
    tail = url.partition("://")[2].partition("#")[0].partition("?")[0]
    return tail.partition("/")[2].rstrip("/")


def _load(script: str) -> list[Any]:
    text = script.strip().strip("\ufeff")
    if not text:
        return []
    for candidate in _readings(text):
        try:
            return [json.loads(candidate, strict=False)]
        except RecursionError:
            return []
        except ValueError:
            several = _several(candidate)
            if several:
                return several
    salvaged = {key: html.unescape(value) for key, value in reversed(_SALVAGE.findall(text))}
    return [{"@type": "Article", **salvaged}] if salvaged else []


def _readings(text: str) -> Iterator[str]:
    """The text as it stands, then ever more boldly mended."""
    yield text
    text = _WRAPPERS.sub("", text).strip()
    yield text
    yield _SLOPPY.sub(lambda match: match[1] or "", text)
    if "&quot;" in text:
        yield _SLOPPY.sub(lambda match: match[1] or "", html.unescape(text))


def _several(text: str) -> list[Any]:
    """Several values one after the other, or one with rubbish behind it."""
    decoder = json.JSONDecoder(strict=False)
    found: list[Any] = []
    at = 0
    while at < len(text) and len(found) < 20:
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            break
        found.append(value)
        while at < len(text) and text[at] in " \t\r\n,;":
            at += 1
    return [value for value in found if isinstance(value, dict | list)]


def _objects_in(data: Any) -> Iterator[Mapping[str, Any]]:
    waiting = deque([data])
    seen = 0
    while waiting and seen < _MOST_OBJECTS:
        value = waiting.popleft()
        if isinstance(value, dict):
            seen += 1
            yield value
            waiting.extend(inner for inner in value.values() if isinstance(inner, dict | list))
        elif isinstance(value, list):
            waiting.extend(inner for inner in value if isinstance(inner, dict | list))
