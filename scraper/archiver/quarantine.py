"""Where bytes go that are not right: whole, over nobody's name, and durable before their place is touched."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from scraper.archiver.layout import Layout, make_folder, rename_anew, sync_folder, write_all, writing

_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Copy:
    """Bytes that were copied: to where, and their sha256 (hex)."""

    path: Path
    sha256: str


def copy_bytes(layout: Layout, source: Path, start: int, end: int, name: str) -> Copy:
    """Copy the bytes from `start` to below `end` to a new file in quarantine."""
    make_folder(layout.quarantine)
    kept = free_name(layout.quarantine / name)
    digest = hashlib.sha256()
    with writing(kept):
        try:
            with source.open("rb") as file, kept.open("xb", buffering=0) as out:
                file.seek(start)
                left = end - start
                while left and (chunk := file.read(min(left, _COPY_BYTES))):
                    digest.update(chunk)
                    write_all(out.fileno(), chunk)
                    left -= len(chunk)
                os.fsync(out.fileno())
        except OSError:
            kept.unlink(missing_ok=True)  # the bytes still stand where they stood
            raise
        sync_folder(layout.quarantine)
    return Copy(kept, digest.hexdigest())


def move(layout: Layout, path: Path, name: str) -> Path:
    """Move a file of the collection into quarantine; `name` may have folders."""
    wanted = layout.quarantine / name
    make_folder(wanted.parent)
    kept = free_name(wanted)
    with writing(kept):
        rename_anew(path, kept)
    return kept


def free_name(path: Path) -> Path:
    """The name, or the next one with a number that nothing has."""
    number, free = 1, path
    while os.path.lexists(free):
        number, free = number + 1, path.with_name(f"{path.name}.{number}")
    return free
