"""How cost grows: a run over an archive of 1,000,000 captures beside the same run over an empty one.

    python -m tests.bench scale [--captures 1000000] [--pages 500] [--rounds 3]

The large archive is made up: rows of state, index, search index and list of pages for so many captures, written by the
house's own classes, all pointing into one small WARC. `check` would call them wrong; nothing else looks.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from scraper import archiver
from scraper.archiver.index import write_index
from scraper.model import HostMemory, Outcome, Purpose, State
from scraper.state import StateFile, VisitRow
from tests.bench import _cost, _machine
from tests.bench.fetch import Site, ours, served
from tests.factories import START, make_capture, make_collection, make_exchange

_ON_A_HOST = 20  # captures
_GROUP = 20_000


def run(arguments: list[str]) -> None:
    """Make the archive, then measure start, cost a page, and look-ups."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench scale")
    parser.add_argument("--captures", type=int, default=1_000_000)
    parser.add_argument("--pages", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    print(_machine.named())
    with tempfile.TemporaryDirectory() as name, served(Path(name), tls=False) as site:
        folder = Path(name)
        start = time.perf_counter()
        fill(folder / "large", given.captures)
        print(f"{given.captures:,} captures made in {time.perf_counter() - start:.0f} s")
        _look_ups(folder / "large", given.captures)
        _runs(site, folder, given)


def href(number: int) -> str:
    """The address of a made-up capture."""
    return f"https://www.paper{number // _ON_A_HOST}.example/2024/story-{number}.html"


def fill(root: Path, captures: int) -> None:
    """Make up an archive of so many captures."""
    collection = make_collection(root)
    kept = collection.append(make_capture(make_exchange()))
    collection.close()
    state = StateFile.open(root)
    search = archiver.SearchIndex.open(root, "main")
    for numbers in _groups(captures):
        for number in numbers:
            row = _row(number, kept)
            visit_id, _ = state.record(row)
            path = f"text/www.paper{number // _ON_A_HOST}.example/2024/20240504030201-{number:012x}"
            state.set_text(visit_id, path, f"Story {number}")
            words = f"Story {number} of word{number % 5000} and word{number % 777}"
            search.add(archiver.SearchEntry(path, row.href, row.captured_at, f"Story {number}", words))
            if number % _ON_A_HOST == 0:
                state.remember(HostMemory(f"www.paper{number // _ON_A_HOST}.example", row.ended_at, 0.1))
        state.commit()
        search.commit()
    search.close(is_settled=True)
    # `record` marks how far the WARC is committed by the made-up offsets; the file is as long as it is.
    state._db.execute("UPDATE segments SET end_offset = ?", (kept.end,))
    state.close()
    entries = (_entry(number, kept) for number in range(captures))
    write_index(collection.layout, "made-up-00000.warc.gz", entries)
    pages = (archiver.Page(href(number), START, f"Story {number}", 200) for number in range(captures))
    archiver.Pages(root, "main").rewrite(pages)


def _groups(captures: int) -> Iterator[list[int]]:
    numbers = iter(range(captures))
    while group := list(itertools.islice(numbers, _GROUP)):
        yield group


def _row(number: int, kept: archiver.Kept) -> VisitRow:
    assert kept.page is not None and kept.held is not None
    at = START + timedelta(seconds=number)
    sha256 = f"{number:064x}"
    return VisitRow(
        href=href(number), final_href=href(number), started_at=at, ended_at=at, outcome=Outcome(State.CAPTURED),
        tries=1, detail="", purpose=Purpose.PAGE, collection="main",
        visit=replace(kept.visit, offset=1_000_000 + number), captured_at=at,
        page=replace(kept.page, offset=1_000_000_000 + number), status=200, mime="text/html", entity_sha256=sha256,
        held=replace(kept.held, href=href(number), captured_at=at, entity_sha256=sha256),
    )  # fmt: skip


def _entry(number: int, kept: archiver.Kept) -> archiver.IndexEntry:
    from scraper import urls

    assert kept.page is not None
    stamp = f"{START + timedelta(seconds=number):%Y%m%d%H%M%S}"
    return archiver.IndexEntry(
        urls.surt(href(number)), stamp, href(number), f"sha1:{number:032}", kept.page, "text/html", "200"
    )


def _look_ups(root: Path, captures: int) -> None:
    """By index (what replay asks) and by state (what a run and `show` ask), of addresses all over."""
    reader = archiver.Collection(root, "main")
    with StateFile.open_for_reading(root) as state:
        asked = [href(number) for number in range(0, captures, max(captures // 1000, 1))]
        for name, look in (("index", reader.find), ("index, by key", reader.find_alike), ("state", state.target)):
            times = []
            for address in asked:
                start = time.process_time()
                assert look(address), address
                times.append((time.process_time() - start) * 1000)
            worst = sorted(times)[len(times) * 99 // 100]
            print(f"look-up in the {name}: median {statistics.median(times):.2f} CPU-ms, 99 % under {worst:.2f}")


def _runs(site: Site, folder: Path, given: argparse.Namespace) -> None:
    """Runs of two sizes over both archives, so that what a start and an end cost can be told from what a page costs."""
    sizes = (max(given.pages // 5, 1), given.pages)
    costs: dict[tuple[str, int], list[_cost.Cost]] = {}
    starts: dict[str, list[float]] = {"empty": [], "large": []}
    for number in range(given.rounds + 1):
        for kind, size in itertools.product(starts, sizes):
            cost, start = _run(site, folder, kind, size)
            if number:  # the first warms up
                costs.setdefault((kind, size), []).append(cost)
                starts[kind].append(start)
    for kind in starts:
        few, many = (statistics.median(cost.cpu_seconds for cost in costs[kind, size]) for size in sizes)
        further, fixed = (many - few) / (sizes[1] - sizes[0]), many - (many - few) / (sizes[1] - sizes[0]) * sizes[1]
        peak = max(cost.peak_mb for cost in costs[kind, sizes[1]])
        print(
            f"{kind:<6} archive: first request after {statistics.median(starts[kind]):.2f} s, {fixed:.2f} CPU-s a run"
            f" and {further * 1000:.2f} CPU-ms a page, {peak:.0f} MB"
        )


def _run(site: Site, folder: Path, kind: str, pages: int) -> tuple[_cost.Cost, float]:
    """What one run costs, and the seconds to its first request."""
    names, work = site.write_list(folder / f"list{pages}.txt", pages), folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    if kind == "large":
        subprocess.run(["cp", "-r", "--reflink=auto", str(folder / kind), str(work / "archive")], check=True)
    site.first_request_at()
    began = time.time()
    cost = _cost.of(ours(site, names, work / "archive", text=False), work)
    if cost.status != 0:
        sys.exit(f"the run ended with {cost.status}:\n{cost.output[-2000:]}")
    return cost, site.first_request_at() - began
