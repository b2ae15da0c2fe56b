"""The state, opened at each view of a page; an older scraper's is brought up to today's schema only once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scraper.state import Fingerprint, StateReader, fingerprint


class KeptState:
    """An archive's state. The copy of one of an older schema is kept for as long as the file stays as it is."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._kept: tuple[Fingerprint, StateReader] | None = None
        self._turn = threading.RLock()  # a kept copy has one connection

    @contextmanager
    def opened(self) -> Iterator[StateReader]:
        """The state as one snapshot. Raises `IntegrityError` when there is none."""
        found = fingerprint(self._root)
        if self._kept is None or self._kept[0] != found:
            reader = StateReader.open_for_reading(self._root)
            if not reader.is_copy:
                with reader:
                    yield reader
                return
            with self._turn:
                before, self._kept = self._kept, (found, reader)
                if before is not None:
                    before[1].close()
        with self._turn:
            yield self._kept[1]
