"""Documents become rows: read, parsed once by their bytes, their citations judged under today's settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from scraper import citations, urls
from scraper.errors import UsageError
from scraper.fetcher import guard
from scraper.model import Citation, Document, Facts, Moment, Role
from scraper.pipeline.sources import Sources
from scraper.settings import Settings
from scraper.state import StateFile

READER_VERSION = 1  # raised when documents must be read again


@dataclass(frozen=True, slots=True)
class Ingested:
    """What came of reading the documents: digests in order, and what is wrong, as (place, sentence, new)."""

    digests: tuple[str, ...]
    troubles: tuple[tuple[str, str, bool], ...]
    without_url: tuple[str, ...]


def ingest(state: StateFile, sources: Sources, settings: Settings) -> Ingested:
    """Bring the documents into the state; the bytes known already cost nothing.

    What lay in one of the folders and is there no more cites no more; its captures stay.
    """
    judge = Judge.of(settings)
    selection = judge.key
    state.judge_anew(selection)
    digests: list[str] = []
    troubles: list[tuple[str, str, bool]] = []
    empty: list[str] = []
    for source in sources.found:
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
    for folder in sources.folders:
        state.forget_places(folder, {source.label for source in sources.found})
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

    @property
    def key(self) -> str:
        """Under which rules citations are judged: documents are judged again when these change."""
        gate = self.gate
        networks = sorted(map(str, gate.networks))
        rules = [READER_VERSION, sorted(self.roles), sorted(gate.ports), networks, sorted(gate.overrides.items())]
        text = json.dumps(rules)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __call__(self, document: Document) -> Iterator[tuple[Citation, str | None]]:
        """Each citation with its reason, or None for one that is fetched."""
        for citation, excluded in citations.selected(document, self.roles):
            yield citation, excluded or (guard.refusal(citation.target, self.gate) if citation.target else None)


def facts_json(facts: Facts) -> str:
    """The document's facts as stored: no user names or passwords of URLs."""
    return json.dumps(_storable(asdict(facts) | {"published": facts.published}), ensure_ascii=False)


def _storable(value: Any) -> Any:
    match value:
        case str():
            return urls.without_userinfo(value)
        case Moment():
            return value.iso()
        case dict():
            return {key: _storable(part) for key, part in value.items()}
        case tuple() | list():
            return [_storable(part) for part in value]
    return value
