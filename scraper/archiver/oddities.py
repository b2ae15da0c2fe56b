"""What lies in a collection under a WARC's name, and cannot be read as one; nothing is said of what it holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from scraper.archiver.layout import Layout, collections, is_utf8, warc_name
from scraper.archiver.lock import Watch
from scraper.archiver.problems import RECOVER, Kind, Problem


def oddities(layout: Layout, watch: Watch) -> Iterator[Problem]:
    """Links without a target, folders and pipes, names that are no text, and pairs of one name."""
    for path in layout.named_warcs():
        if not is_utf8(path.name):
            what = f"the name of {os.fsencode(path.name).decode('utf-8', 'backslashreplace')} is no UTF-8"
            yield Problem(Kind.NAME, layout.warcs, None, what, "rename it, or move it away")
        elif not path.is_file() and (os.path.lexists(path) or not watch.disturbed()):
            yield _away(path)
    for path in layout.twins() if not watch.disturbed() else ():
        what = f"{warc_name(path)} is there already, and finished"
        yield Problem(Kind.WARC_TWICE, path, None, what, RECOVER)


def away(root: Path, watch: Watch) -> Iterator[Problem]:
    """All of an archive that is only not at hand: as long as it is away, nothing may be written off as lost."""
    yield from away_folders(root)
    for name in collections(root):
        yield from (problem for problem in oddities(Layout(root, name), watch) if problem.kind is Kind.WARC_AWAY)


def away_folders(root: Path) -> Iterator[Problem]:
    """Whole collections that are not at hand."""
    try:
        folders = sorted((root / "collections").iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for folder in folders:
        for part in (folder, Layout(root, folder.name).warcs):
            if part.is_symlink() and not part.exists():
                yield _away(part)


def _away(path: Path) -> Problem:
    if path.is_symlink() and not path.exists():
        target = path.readlink()
        what, advice = f"its target {target} is missing", "mount it, or put it back"
    else:
        what, advice = "is no file", "move it away, and put the file back if there was one"
    return Problem(Kind.WARC_AWAY, path, None, what, advice)
