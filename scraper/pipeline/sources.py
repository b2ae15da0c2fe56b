"""Where documents are: files, folders, globs and standard input."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scraper import citations, urls
from scraper.errors import UsageError

STDIN = "-"
MAX_BYTES = citations.MAX_BYTES


@dataclass(frozen=True, slots=True)
class Source:
    """A document's place; `named` when the user named this very file, and so wants to hear of it."""

    path: Path | None  # None: standard input
    named: bool

    @property
    def label(self) -> str:
        return label_of(self.path) if self.path else STDIN

    @property
    def shown(self) -> str:
        """The place as the user named it."""
        return os.fsencode(self.path).decode("utf-8", "backslashreplace") if self.path else STDIN

    @property
    def name(self) -> str:
        return self.path.name if self.path else ""

    def read(self) -> bytes:
        """The document's bytes. Raises `UsageError` when they cannot be had."""
        try:
            if self.path is None:
                if sys.stdin is None:
                    raise UsageError("standard input is closed; name a file, a folder or a glob")
                data = sys.stdin.buffer.read(MAX_BYTES + 1)
            else:
                with self.path.open("rb") as file:
                    data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise UsageError(f"{self.label}: cannot be read: {error.strerror}") from error
        if len(data) > MAX_BYTES:
            raise UsageError(f"{self.label}: larger than {MAX_BYTES >> 20} MiB; split it")
        return data


@dataclass(frozen=True, slots=True)
class Sources:
    """The documents found, and the folders that were searched for them (as labels)."""

    found: tuple[Source, ...]
    folders: tuple[str, ...]


def find(named: Sequence[str], suffixes: Collection[str]) -> Sources:
    """The documents behind file names, folders (searched for known suffixes), globs and `-`.

    Raises `UsageError` for a name behind which there is nothing.
    """
    found: list[Source] = []
    folders: list[str] = []
    for name in named:
        if not name:
            raise UsageError("an empty name is no document; name a file, a folder, a glob or - for standard input")
        try:
            path = Path(name).expanduser()
            if path.is_dir():
                folders.append(label_of(path))
            found += _behind(name, path, suffixes)
        except (OSError, RuntimeError) as error:  # a name too long, a ~user who is not there
            raise UsageError(f"{urls.bare(name)}: cannot be looked up: {error}") from error
    return Sources(tuple({source.label: source for source in found}.values()), tuple(folders))


def _behind(name: str, path: Path, suffixes: Collection[str]) -> Iterator[Source]:
    if name == STDIN:
        yield Source(None, named=True)
    elif path.is_dir():
        yield from _in_folder(path, suffixes)
    elif path.exists():
        yield Source(path, named=True)
    else:
        yield from _matching(name, suffixes)


def label_of(path: Path) -> str:
    """A path as text: absolute, safe to store."""
    return os.fsencode(path.absolute()).decode("utf-8", "backslashreplace")


def _in_folder(folder: Path, suffixes: Collection[str]) -> Iterator[Source]:
    found = 0
    for parent, folders, files in os.walk(folder, onerror=_raise):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            # Not a pipe: whoever reads one waits for its writer.
            if not name.startswith(".") and _has_suffix(name, suffixes) and Path(parent, name).is_file():
                found += 1
                yield Source(Path(parent, name), named=False)
    if not found:
        raise UsageError(f"{folder}: no documents in this folder; known suffixes: {' '.join(sorted(suffixes))}")


def _raise(error: OSError) -> None:
    """A folder that cannot be read must not pass for an empty one."""
    raise error


def _has_suffix(name: str, suffixes: Collection[str]) -> bool:
    lowered = name.lower().removesuffix(".gz")
    return any(lowered.endswith(suffix) for suffix in suffixes if not suffix.endswith(".gz"))


def _matching(pattern: str, suffixes: Collection[str]) -> Iterator[Source]:
    # glob, not Path.glob: the pattern may be absolute.
    paths = sorted(glob.iglob(str(Path(pattern).expanduser()), recursive=True)) if glob.has_magic(pattern) else []  # noqa: PTH207
    if not paths:
        shown = urls.bare(pattern)
        if "://" in pattern:
            raise UsageError(f"{shown}: no such document; to archive a URL, use `scraper fetch`")
        what = "matches no file" if glob.has_magic(pattern) else "no such file or folder"
        raise UsageError(f"{shown}: {what}; name a file, a folder, a glob or - for standard input")
    for path in map(Path, paths):
        if path.is_dir():
            yield from _in_folder(path, suffixes)
        else:
            yield Source(path, named=False)
