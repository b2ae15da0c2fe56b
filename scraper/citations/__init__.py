"""Documents in, citations out: which URLs a document names, why, where, and what it says of its page. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator

from scraper.citations import texts
from scraper.citations.reading import MAX_BYTES, SUFFIXES, Source, Unreadable, read
from scraper.model import Citation, Document, Facts, Role

__all__ = ["MAX_BYTES", "SUFFIXES", "Unreadable", "read_document", "selected"]


def read_document(data: bytes, name: str = "") -> Document:
    """Read a document: its citations in order and its facts. Only the suffix of `name` decides anything.

    Raises `Unreadable` for what is empty, binary, damaged or too large.
    """
    source = read(data, name)
    facts, citations = _read(source)
    return Document(hashlib.sha256(data).hexdigest(), source.kind, source.charset, facts, citations)


def _read(source: Source) -> tuple[Facts, tuple[Citation, ...]]:
    # Each reader is loaded for the first document of its kind: most runs see but one kind, and bs4 is large.
    match source.kind:
        case "list":
            return Facts(), texts.read_list(source.text)
        case "html":
            from scraper.citations import pages

            return pages.read_page(source.text)
        case "json" | "jsonl":
            from scraper.citations import data as data_files

            return Facts(), data_files.read_json(source.text)
        case "csv":
            from scraper.citations import data as data_files

            return Facts(), data_files.read_csv(source.text)
        case _:
            return texts.read_text(source.text, is_markdown=source.kind == "markdown")


def selected(document: Document, roles: Collection[Role] = (Role.ORIGINAL,)) -> Iterator[tuple[Citation, str | None]]:
    """Every citation in order, with None when it is to be fetched or else the reason why it is excluded.

    Reasons: "role", "scheme", "malformed". A document that names no original has all it cites fetched in its place.
    A target wanted under one role is wanted wherever the document names it.
    """
    wanted = set(roles)
    if Role.ORIGINAL in wanted and all(citation.role is not Role.ORIGINAL for citation in document.citations):
        wanted.add(Role.CITED)
    targets = {one.target.href for one in document.citations if one.target and one.role in wanted}
    for one in document.citations:
        yield one, one.refusal or (None if one.target is None or one.target.href in targets else "role")
