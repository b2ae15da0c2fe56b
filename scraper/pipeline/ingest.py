"""Documents become rows: read, parsed once by their bytes, their citations judged under today's settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from scraper import citations, urls
from scraper.errors import UsageError
from scraper.fetcher import guard
from scraper.model import Citation, Document, Facts, Moment, Role
from scraper.pipeline.sources import Source
from scraper.settings import Settings
from scraper.state import StateFile

READER_VERSION = 1  # raised when documents must be read again


@dataclass(frozen=True, slots=True)
class Ingested:
    """What came of reading the documents: digests in order, and what is wrong, as (place, sentence, new)."""

    digests: tuple[str, ...]
    troubles: tuple[tuple[str, str, bool], ...]
    without_url: tuple[str, ...]


def ingest(state: StateFile, sources: Iterable[Source], settings: Settings, stopped: Callable[[], bool]) -> Ingested:
    """Bring the documents into the state; the bytes known already cost nothing."""
    selection = selection_key(settings)
    judge = Judge.of(settings)
    digests: list[str] = []
    troubles: list[tuple[str, str, bool]] = []
    empty: list[str] = []
    for source in sources:
        if stopped():
            break
        try:
            data = source.read()
            digest = hashlib.sha256(data).hexdigest()
            if not state.is_known(digest, selection):
                document = citations.read_document(data, source.name)
                state.add_document(document, facts_json(document.facts), judge(document), selection)
                if not document.citations:
                    empty.append(source.label)
            state.place(source.label, digest)
            digests.append(digest)
        except UsageError as error:
            sentence = str(error) if source.label in str(error) else f"{source.label}: {error}"
            troubles.append((source.label, sentence, state.note_trouble(source.label, sentence) or source.named))
    state.commit()
    return Ingested(tuple(digests), tuple(troubles), tuple(empty))


@dataclass(frozen=True, slots=True)
class Judge:
    """Says of each citation why it is not fetched, under today's settings."""

    roles: frozenset[Role]
    gate: guard.Guard

    @classmethod
    def of(cls, settings: Settings) -> Judge:
        return cls(frozenset(map(Role, settings.documents.roles)), guard.Guard.of(settings.fetch))

    def __call__(self, document: Document) -> list[tuple[Citation, str | None]]:
        """Each citation with its reason, or None for one that is fetched."""
        return [
            (citation, excluded or (guard.refusal(citation.target, self.gate) if citation.target else None))
            for citation, excluded in citations.selected(document, self.roles)
        ]


def selection_key(settings: Settings) -> str:
    """Under which rules citations were judged: documents are judged again when these change."""
    fetch = settings.fetch
    rules = [
        READER_VERSION,
        sorted(settings.documents.roles),
        sorted(fetch.ports),
        sorted(fetch.allow_networks),
        list(fetch.resolve),
        fetch.resolve_file,
    ]
    return hashlib.sha256(json.dumps(rules).encode()).hexdigest()[:16]


def facts_json(facts: Facts) -> str:
    """The document's facts as stored: no user names or passwords of URLs."""

    def plain(value: Any) -> Any:
        if isinstance(value, Moment):
            return value.iso()
        raise TypeError(f"cannot be stored: {value!r}")

    fields = asdict(facts) | {"published": facts.published}
    return urls.without_userinfo(json.dumps(fields, ensure_ascii=False, default=plain))
