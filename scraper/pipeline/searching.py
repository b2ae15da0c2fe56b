"""The search indexes of an archive kept in step with its texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from scraper import archiver
from scraper.errors import IntegrityError
from scraper.state import StateReader

_COMMIT_ENTRIES = 500


class SearchIndexes:
    """The indexes of all collections, each opened when it is needed. Needs the archive's lock."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._open: dict[str, archiver.SearchIndex] = {}
        self._caught_up: set[str] = set()
        self._expected: set[str] = set()

    def expect(self, collection: str) -> None:
        """Note that texts are going to be made, before they are: after a crash, all are looked at."""
        if collection not in self._expected:
            self._expected.add(collection)
            with self._surviving_damage(collection):
                self._index(collection).expect()

    def add(self, collection: str, entry: archiver.SearchEntry) -> None:
        """Index a capture; it is there for readers after `commit`."""
        with self._surviving_damage(collection):
            self._index(collection).add(entry)

    def catch_up(self, state: StateReader, stopped: Callable[[], bool] = lambda: False) -> int:
        """Bring in what the state has texts of and the indexes have not: one is new, or a crash came between.

        Gives the number of texts read. One that is stopped goes on at the next run.
        """
        return sum(self._catch_up(name, state, stopped) for name in archiver.collections(self._root))

    def commit(self) -> None:
        for index in self._open.values():
            index.commit()

    def close(self, state: StateReader, *, is_whole: bool = True) -> None:
        """Leave plain files behind. Not `is_whole`: texts may have changed of which nobody was told."""
        for name, index in self._open.items():
            # One that was made anew says so as long as it lacks anything: the next run brings it in.
            has_all = name in self._caught_up or (index.ended_well and index.count() == state.count_texts(name))
            index.close(is_settled=is_whole and has_all)
        self._open = {}

    def abandon_one(self, collection: str) -> None:
        """Let go of an index after a fault."""
        index = self._open.pop(collection, None)
        if index is not None:
            index.abandon()

    @contextmanager
    def _surviving_damage(self, collection: str) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            # Damage to what is derived must not stop who gathers evidence: `catch_up` makes it again.
            self.abandon_one(collection)
            archiver.discard(self._root, collection)

    def _index(self, collection: str) -> archiver.SearchIndex:
        if collection not in self._open:
            self._open[collection] = archiver.SearchIndex.open(self._root, collection)
        return self._open[collection]

    def _catch_up(self, name: str, state: StateReader, stopped: Callable[[], bool]) -> int:
        wanted = state.count_texts(name)
        if not wanted and not (self._root / "collections" / name / "search.sqlite3").exists():
            return 0
        index = self._index(name)
        if index.ended_well and index.count() == wanted:
            self._caught_up.add(name)
            return 0
        paths = dict.fromkeys(state.texts_of(name))
        index.remove(index.paths() - paths.keys())
        # After a crash any text may be newer than what is indexed of it: all are looked at.
        there = index.paths() if index.ended_well else set()
        texts = archiver.Texts(self._root, name)
        count = 0
        for path in paths:
            if path in there:
                continue
            index.add(entry_of_files(texts, path))
            count += 1
            if count % _COMMIT_ENTRIES == 0:
                index.commit()
                if stopped():
                    return count
        self._caught_up.add(name)
        return count


def entry_of_files(texts: archiver.Texts, path: str) -> archiver.SearchEntry:
    """A capture to be indexed, from its text files; one without words where they cannot be read (`check` says so)."""
    try:
        fields = texts.load(path)
    except IntegrityError:
        fields = None
    if fields is None:
        return archiver.SearchEntry(path, "", datetime.fromisoformat("1970-01-01T00:00:00+00:00"), "", "")
    return entry_of_fields(path, fields)


def entry_of_fields(path: str, fields: dict[str, Any]) -> archiver.SearchEntry:
    """A capture to be indexed, from the fields of its text's JSON."""
    article = fields["article"]
    captured_at = datetime.fromisoformat(fields["captured_at"])
    return archiver.SearchEntry(
        path, fields["final_url"], captured_at, article["title"] or "", "\n\n".join(_body(article))
    )


def _body(article: dict[str, Any]) -> Iterator[str]:
    image = article["image"] or {}
    for part in (article["subtitle"], article["byline"], article["text"], image.get("caption"), image.get("credit")):
        if part:
            yield part
