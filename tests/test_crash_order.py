"""The order of a commit, judged from outside: whenever a process dies or the power goes, what counted as done is whole.

Every call that changes or syncs a file is seen. Before each, two archives are laid aside: what is in the files (a
killed process leaves that), and what is durable (a power failure leaves no more): the bytes of a file as they were at
its last sync, below the names that its folder had at its own. SQLite's files are taken as they are: it syncs by itself.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from factories import make_capture, make_collection, make_exchange

from scraper import pipeline
from scraper.archiver import Collection, Lock
from scraper.pipeline import Listener
from scraper.pipeline.session import opened
from scraper.settings import Settings
from scraper.state import FILE_NAME, StateFile, row_of

CALLS = ("write", "fsync", "fdatasync", "ftruncate", "rename", "replace", "unlink")


@dataclass
class Disk:
    """What of an archive is durable, by the inodes of files and folders."""

    root: Path
    aside: Path
    every: int
    contents: dict[int, bytes] = field(default_factory=dict)
    names: dict[int, dict[str, int]] = field(default_factory=dict)
    folders: set[int] = field(default_factory=set)
    committed: list[str] = field(default_factory=list)
    moments: list[tuple[str, Path, int]] = field(default_factory=list)
    calls: int = 0

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        for name in CALLS:
            patch.setattr(os, name, self._watched(name, getattr(os, name)))

    def _watched(self, name: str, real: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            self.calls += 1
            if self.calls % self.every == 0:
                self._lay_aside()
            result = real(*arguments, **options)
            if name in ("fsync", "fdatasync"):
                self._synced(arguments[0])
            return result

        return call

    def _synced(self, descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        inode = os.fstat(descriptor).st_ino
        if path.is_dir():
            self.folders.add(inode)
            self.names[inode] = {entry.name: entry.inode() for entry in os.scandir(path)}
            self.folders.update(entry.inode() for entry in os.scandir(path) if entry.is_dir())
        else:
            self.contents[inode] = path.read_bytes()

    def _lay_aside(self) -> None:
        number = len(self.moments)
        killed, dark = self.aside / f"{number}-killed", self.aside / f"{number}-dark"
        shutil.copytree(self.root, killed)
        self._write(self.root.stat().st_ino, dark)
        for path in self.root.glob(f"{FILE_NAME}*"):
            shutil.copyfile(path, dark / path.name)
        done = len(self.committed)
        self.moments += [(f"killed before call {self.calls}", killed, done), (f"dark before {self.calls}", dark, done)]

    def _write(self, inode: int, folder: Path) -> None:
        folder.mkdir(parents=True)
        for name, below in self.names.get(inode, {}).items():
            if below in self.folders:
                self._write(below, folder / name)
            else:
                (folder / name).write_bytes(self.contents.get(below, b""))


def visit(collection: Collection, state: StateFile, number: int) -> str:
    """Archive a page as a run does; every third one brings what was there before."""
    url = f"http://{number}.example/"
    capture = make_capture(make_exchange(url, f"<p>page {number - number % 3 // 2}</p>".encode() * 40))
    kept = collection.append(capture, known=lambda sha256: state.payload("main", sha256))
    state.record(row_of(capture, "main", kept.visit, kept.page, kept.held))
    return url


def lives(root: Path, disk: Disk, visits: int) -> None:
    """Runs of an archive whose WARCs hold a few visits each, so that indexes are merged; the last one dies."""
    with Lock(root):
        state = StateFile.open(root)
        collection = make_collection(root, segment_bytes=2500)
        pending = []
        for number in range(visits):
            pending.append(visit(collection, state, number))
            if number % 3 == 2:
                collection.sync()
                state.commit()
                disk.committed += pending
                pending = []
        collection.close()
        state.close()


def judged(root: Path, done: list[str]) -> Iterator[str]:
    """What a start makes of an archive: nothing that counted as done may be missing, and nothing be wrong."""
    with opened(root, Settings(), Listener()) as session:
        rows = {row["href"] for row in session.state.visits()}
        yield from (f"{url} is lost" for url in done if url not in rows)
    yield from (str(problem) for problem in pipeline.check(root))
    yield from (str(path) for path in root.rglob("*.tmp"))


def faults(tmp_path: Path, every: int, visits: int) -> tuple[list[str], int]:
    root = tmp_path / "archive"
    root.mkdir()
    disk = Disk(root, tmp_path / "aside", every)
    with pytest.MonkeyPatch.context() as patch:
        disk.watch(patch)
        lives(root, disk, visits)
    found = []
    for name, laid_aside, done in disk.moments:
        found += [f"{name}: {fault}" for fault in judged(laid_aside, disk.committed[:done])]
        shutil.rmtree(laid_aside)
    assert disk.committed
    return found, len(disk.moments)


def test_whenever_the_process_dies_or_the_power_goes_what_was_committed_is_whole(tmp_path: Path) -> None:
    found, moments = faults(tmp_path, every=37, visits=60)
    assert found == []
    assert moments > 20


@pytest.mark.long
def test_before_every_single_call_the_process_may_die_or_the_power_go(tmp_path: Path) -> None:
    found, moments = faults(tmp_path, every=1, visits=60)
    assert found == []
    print(f"moments after which all that was committed was whole: {moments} of {moments}")
