"""An article's text file as a page shows it. Pure: whatever is missing or of another type is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_FIELDS = (
    *("title", "subtitle", "byline", "authors", "agency", "publisher", "section", "published", "modified"),
    *("language", "canonical", "image", "tags", "is_article", "free_to_read", "noarchive", "skipped"),
)
_LANGUAGE_LETTERS = 35  # RFC 5646, 4.4.1: what a tag may need


@dataclass(frozen=True, slots=True)
class Reading:
    """What is shown of an article; texts are empty where the page did not say."""

    title: str
    byline: str
    published: str
    subtitle: str
    caption: str
    credit: str
    language: str
    skipped: str
    blocks: tuple[Mapping[str, Any], ...]
    related: tuple[tuple[str, str], ...]  # title and address


def reading(article: Mapping[str, Any]) -> Reading:
    """The parts of an article that a reader wants."""
    image = article.get("image")
    image = image if isinstance(image, dict) else {}
    language = _text(article, "language")
    is_tag = len(language) <= _LANGUAGE_LETTERS and language.replace("-", "").isalnum() and language.isascii()
    return Reading(
        title=_text(article, "title"),
        byline=_text(article, "byline"),
        published=_moment(article.get("published")),
        subtitle=_text(article, "subtitle"),
        caption=_text(image, "caption"),
        credit=_text(image, "credit"),
        language=language if is_tag else "",
        skipped=_text(article, "skipped"),
        blocks=tuple(map(_block, _dicts(article, "blocks"))),
        related=tuple((_text(link, "title"), _text(link, "href")) for link in _dicts(article, "related")),
    )


def _block(block: Mapping[str, Any]) -> Mapping[str, Any]:
    rows, items = block.get("rows"), block.get("items")
    return {
        "kind": _text(block, "kind"),
        "text": _text(block, "text"),
        "items": list(map(str, items)) if isinstance(items, list) else [],
        "ordered": block.get("ordered") is True,
        "rows": [list(map(str, row)) for row in rows if isinstance(row, list)] if isinstance(rows, list) else [],
        "href": _text(block, "href"),
    }


def paragraphs(article: Mapping[str, Any]) -> list[str]:
    """The body as paragraphs of plain text: what is compared from one capture to the next."""
    texts = [_text(block, "text") for block in _dicts(article, "blocks")]
    lines = [" ".join(line.split()) for text in texts for line in text.splitlines()]
    return list(filter(None, lines))


def labelled(article: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    """Some of what a reader sees, by name."""
    image = article.get("image")
    merged = {**(image if isinstance(image, dict) else {}), **article}
    return {name: as_text(merged.get(name)) for name in names}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an article: its value as text, which source gave it, and what stood there."""

    name: str
    value: str
    source: str
    raw: str


def fields(article: Mapping[str, Any]) -> Iterator[Field]:
    """Every field with its evidence, those that are missing with an empty value."""
    evidence = article.get("evidence")
    evidence = evidence if isinstance(evidence, dict) else {}
    for name in (*_FIELDS, *sorted(set(evidence) - {*_FIELDS})):
        found = evidence.get(name)
        found = found if isinstance(found, dict) else {}
        yield Field(name, as_text(_value(article, name)), _text(found, "source"), _text(found, "raw"))


def _value(article: Mapping[str, Any], name: str) -> Any:
    if name == "blocks":
        return f"{len(_dicts(article, 'blocks'))} blocks"
    if name == "related":
        return [_text(link, "title") for link in _dicts(article, "related")]
    outer, _, inner = name.partition(".")
    value = article.get(outer)
    return value.get(inner) if inner and isinstance(value, dict) else value


def as_text(value: Any) -> str:
    """A field's value in a few words."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case {"iso": iso}:
            return str(iso)
        case dict():
            return ", ".join(f"{key}: {part}" for key, part in value.items() if part)
        case list():
            return "; ".join(map(str, value))
    return str(value)


def _moment(value: Any) -> str:
    return str(value.get("iso", "")) if isinstance(value, dict) else ""


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""


def _dicts(values: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    value = values.get(name)
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []
