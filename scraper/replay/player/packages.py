"""The packages that are played: made when a capture is opened, kept for a while outside the archive."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scraper.archiver import IndexEntry
from scraper.errors import OutputUnwritable, UsageError

Pack = Callable[[str, IndexEntry, Path], None]

FILES = ("ui.js", "sw.js")
MOST_PACKAGES = 16
MOST_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Player:
    """The folder with ReplayWeb.page's files, and what writes the WACZ of a capture (its collection and index entry)
    to a file."""

    folder: Path
    pack: Pack

    def prove_there(self) -> None:
        """Raises `UsageError` when a file is missing."""
        missing = [name for name in FILES if not (self.folder / name).is_file()]
        if missing:
            raise UsageError(
                f"{self.folder}: ReplayWeb.page's {' and '.join(missing)} not here; they are in its npm package:"
                " `npm pack replaywebpage`, unpack it, and name its folder with --player"
            )


class Packages:
    """The newest packages, in a temporary folder that goes with the process. Threads may share it."""

    def __init__(self, pack: Pack, *, most_packages: int = MOST_PACKAGES, most_bytes: int = MOST_BYTES) -> None:
        self._pack = pack
        self._most_packages, self._most_bytes = most_packages, most_bytes
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._sizes: OrderedDict[Path, int] = OrderedDict()

    def package(self, collection: str, entry: IndexEntry) -> Path:
        """The WACZ of a capture, made if it is not there. Raises `OutputUnwritable` or `IntegrityError`."""
        with self._lock:
            path = self._place(collection, entry)
            if path not in self._sizes or not path.exists():
                self._pack(collection, entry, path)
                self._sizes[path] = path.stat().st_size
            self._sizes.move_to_end(path)
            self._make_room()
        return path

    def _place(self, collection: str, entry: IndexEntry) -> Path:
        if self._folder is None:
            try:
                self._folder = Path(tempfile.mkdtemp(prefix="scraper-player-"))
            except OSError as error:
                raise OutputUnwritable(f"no place for a package: {error}; set TMPDIR to a folder with room") from error
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)  # at the latest at the exit
        where = entry.location
        identity = f"{collection}\n{entry.timestamp}\n{entry.url}\n{where.warc}\n{where.offset}"
        return self._folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.wacz"

    def _make_room(self) -> None:
        # One that is being sent stays readable: its name goes, its bytes when the last reader has closed it.
        while len(self._sizes) > 1 and (
            len(self._sizes) > self._most_packages or sum(self._sizes.values()) > self._most_bytes
        ):
            oldest, _ = self._sizes.popitem(last=False)
            oldest.unlink(missing_ok=True)
