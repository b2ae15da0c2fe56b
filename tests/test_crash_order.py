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
from cli import Cli
from factories import make_capture, make_collection, make_exchange

from scraper import pipeline
from scraper.archiver import Collection, Lock
from scraper.errors import IntegrityError
from scraper.pipeline import Listener, Stop, verbs
from scraper.pipeline.session import opened
from scraper.settings import ArchiveSettings, CaptureSettings, ExtractSettings, Settings
from scraper.state import StateFile, StateReader, row_of

CALLS = ("write", "writev", "fsync", "fdatasync", "ftruncate", "rename", "replace", "unlink")


@dataclass
class Disk:
    """What of an archive is durable, by the inodes of files and folders."""

    root: Path
    aside: Path
    every: int
    at_syncs: bool = False  # before each of these too: what it is to make durable must not count yet
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
            is_sync = name in ("fsync", "fdatasync")
            if self.calls % self.every == 0 or (is_sync and self.at_syncs):
                self._lay_aside()
            result = real(*arguments, **options)
            if is_sync:
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
        for path in self.root.rglob("*.sqlite3*"):
            copy = dark / path.relative_to(self.root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
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


def known_to_state(root: Path) -> list[str]:
    """What an archive's state counts as done, before a start looks at it."""
    try:
        with StateReader.open_for_reading(root) as state:
            return [row["href"] for row in state.visits()]
    except IntegrityError:  # the first run is just making it
        return []


def judged(root: Path, done: list[str]) -> Iterator[str]:
    """What a start makes of an archive: nothing that counted as done may be missing, and nothing be wrong."""
    counted = [*done, *known_to_state(root)]
    with opened(root, Settings(), Listener()) as session:
        rows = {row["href"] for row in session.state.visits()}
        yield from (f"{url} is lost" for url in counted if url not in rows)
    yield from (str(problem) for problem in pipeline.check(root))
    yield from (str(path) for path in root.rglob("*.tmp"))


def judgements(disk: Disk) -> tuple[list[str], int, int]:
    """The faults of all moments, how many moments had none, and how many there were."""
    found: list[str] = []
    whole = 0
    for name, laid_aside, done in disk.moments:
        faults = [f"{name}: {fault}" for fault in judged(laid_aside, disk.committed[:done])]
        whole += not faults
        found += faults
        shutil.rmtree(laid_aside)
    assert disk.committed
    return found, whole, len(disk.moments)


def of_lives(tmp_path: Path, every: int, visits: int) -> tuple[list[str], int, int]:
    root = tmp_path / "archive"
    root.mkdir()
    disk = Disk(root, tmp_path / "aside", every)
    with pytest.MonkeyPatch.context() as patch:
        disk.watch(patch)
        lives(root, disk, visits)
    return judgements(disk)


def of_run(cli: Cli, every: int, pages: int, sync_seconds: float) -> tuple[list[str], int, int]:
    """`scraper run` over a small site, then a session that ends while a visit waits for its commit.

    Of the evidence and the state: texts can be made again, and are not waited for.
    """
    body = b"<title>A page</title><article><p>" + b"Some words of it, and more of them. " * 20
    hosts = [f"h{number}.test" for number in range(2)]
    for number in range(pages):
        cli.site.reply(f"/{number}", hosts[number % 2], headers={"Content-Type": "text/html"}, body=body)
    document = cli.citing(*(cli.site.url(f"/{number}", hosts[number % 2]) for number in range(pages)))
    settings = Settings(
        fetch=cli.site.settings(),
        warc=ArchiveSettings(sync_seconds=sync_seconds),
        capture=CaptureSettings(requisites="none"),
        extract=ExtractSettings(at_once=False),
    )
    cli.archive.mkdir()
    disk = Disk(cli.archive, cli.folder / "aside", every, at_syncs=True)
    told = Listener(visit=lambda result: disk.committed.append(result.target.href))
    with pytest.MonkeyPatch.context() as patch:
        disk.watch(patch)
        assert verbs.run(cli.archive, settings, [document], told, Stop()).tally.visits == pages
        with opened(cli.archive, settings, Listener()) as session:
            visit(session.collection, session.state, 1)
    assert len(disk.committed) == pages
    return judgements(disk)


def test_whenever_the_process_dies_or_the_power_goes_what_was_committed_is_whole(tmp_path: Path) -> None:
    found, _, moments = of_lives(tmp_path, every=37, visits=60)
    assert found == []
    assert moments > 20


def test_whenever_the_power_goes_in_a_run_what_it_told_and_what_its_state_knows_is_whole(cli: Cli) -> None:
    found, _, moments = of_run(cli, every=23, pages=6, sync_seconds=0.0)
    assert found == []
    assert moments > 20


@pytest.mark.long
def test_before_every_single_call_the_process_may_die_or_the_power_go(tmp_path: Path) -> None:
    found, whole, moments = of_lives(tmp_path, every=1, visits=60)
    print(f"moments after which all that was committed was whole: {whole} of {moments}")
    assert found == []


@pytest.mark.long
def test_before_every_single_call_of_a_run_the_power_may_go(cli: Cli) -> None:
    found, whole, moments = of_run(cli, 1, 40, 0.01)
    print(f"moments of a run after which all that was committed was whole: {whole} of {moments}")
    assert found == []
