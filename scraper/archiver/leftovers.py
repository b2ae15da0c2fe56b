"""What a killed process leaves beside the evidence: temporary files, and index files that were merged already."""

from __future__ import annotations

import shutil
from pathlib import Path

from scraper.archiver.index import holds_line, index_files, merge_indexes
from scraper.archiver.layout import Layout, sync_folder, writing
from scraper.errors import IntegrityError

STAGING = ".rebuild"  # where a rebuild makes its index files


def sweep(layout: Layout, *, after_crash: bool) -> None:
    """Remove what was left half done of derived files; at the start of a run, under the lock.

    It costs one look into three folders, and into those of the texts only after a crash.
    """
    places = [(layout.warcs, ".*.tmp"), (layout.indexes, ".*.tmp"), (layout.pages.parent, ".*.tmp")]
    if after_crash:
        places.append((layout.text, "*/*/.*.tmp"))
    for folder, names in places:
        for path in folder.glob(names):
            with writing(path):
                path.unlink(missing_ok=True)
    shutil.rmtree(layout.folder / STAGING, ignore_errors=True)
    if layout.indexes.is_dir():
        _drop_merged(layout)
        merge_indexes(layout)


def _drop_merged(layout: Layout) -> None:
    """Remove the index files whose every line is in a merged one: a crash came before they were removed."""
    files = index_files(layout)
    merged = [path for path in files if path.name.startswith("merged-")]
    dropped = []
    for path in files:
        if any(path != other and _is_within(path, other) for other in merged if other.name not in dropped):
            with writing(path):
                path.unlink(missing_ok=True)
            dropped.append(path.name)
    if dropped:
        with writing(layout.indexes):
            sync_folder(layout.indexes)


def _is_within(part: Path, whole: Path) -> bool:
    """Whether all lines of a sorted file are in another; most often its first line tells."""
    try:
        with part.open("rb") as wanted, whole.open("rb") as held:
            first = wanted.readline()
            if not first or not holds_line(whole, first):
                return False
            wanted.seek(0)
            # Both are sorted: the iterator over the larger is never turned back.
            return all(any(line == other for other in held) for line in wanted)
    except IntegrityError:
        return False  # a damaged index serves as long as nothing takes its place
