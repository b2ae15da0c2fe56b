"""A run beside its peers: CPU-ms a page and peak memory of fetching and archiving, with texts and without.

    python -m tests.bench fetch [--pages 600] [--rounds 5] [--tls] [--text] [--from FOLDER] [--only NAME] [--profile]

A server of our own in its own process has one article-like page a URL, on 200 addresses of loopback. Nobody obeys
robots.txt or waits between requests; all else of our guards is on. Rounds are interleaved, so that a noisy neighbour
hits all alike, and the medians are compared. Two sizes are fetched, so that what a start costs can be told from what
a page costs ("each further page").
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench import _cost, _machine, _peers, _site

_HOSTS = 200
OURS = "scraper run"


@dataclass(frozen=True, slots=True)
class Site:
    """The server: its port, its certificate authority if it speaks TLS, and the process, which can be asked."""

    port: int
    authority: Path | None
    process: subprocess.Popen[str]

    def first_request_at(self) -> float:
        """When the first request since the last call came, in seconds since the epoch."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("first\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def write_list(self, path: Path, pages: int) -> Path:
        """A list of so many URLs."""
        tls = self.authority is not None
        path.write_text("".join(_site.address(number, _HOSTS, self.port, tls) + "\n" for number in range(pages)))
        return path


@contextmanager
def served(folder: Path, tls: bool, pages: str | None = None) -> Iterator[Site]:
    """The server in a process of its own."""
    command = [sys.executable, "-m", "tests.bench._site", str(_HOSTS), str(folder), "tls" if tls else "plain"]
    command += [pages] if pages else []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Site(int(process.stdout.readline()), folder / "ca.pem" if tls else None, process)
        finally:
            process.terminate()


def ours(site: Site, names: Path, root: Path, text: bool, more: list[str] | None = None) -> list[str]:
    """Our own command."""
    chosen = {
        "fetch.ports": f"[{site.port}]",
        "fetch.allow_networks": '["127.0.0.0/8"]',
        "fetch.delay_seconds": "0",
        "fetch.robots": "ignore",
        "capture.requisites": "none",
        "extract.at_once": "true" if text else "false",
        **({"fetch.ca_file": str(site.authority)} if site.authority else {}),
    }
    settings = [part for key, value in chosen.items() for part in ("--set", f"{key}={value}")]
    return [sys.executable, *(more or []), "-m", "scraper", "run", str(names), "--archive", str(root), *settings]


def run(arguments: list[str]) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench fetch")
    parser.add_argument("--pages", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tls", action="store_true", help="over TLS")
    parser.add_argument("--text", action="store_true", help="extract the articles too")
    parser.add_argument("--from", dest="folder", help="serve the *.html and *.html.gz of this folder instead")
    parser.add_argument("--only", help="measure only those whose name holds this")
    parser.add_argument("--profile", action="store_true", help="run ours once under cProfile")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, served(Path(name), given.tls, given.folder) as site:
        folder = Path(name)
        if given.profile:
            _profile(site, folder, given)
        else:
            _compare(site, folder, given)


def _compare(site: Site, folder: Path, given: argparse.Namespace) -> None:
    print(_machine.named())
    sizes = (max(given.pages // 4, 1), given.pages)
    costs: dict[tuple[str, int], list[_cost.Cost]] = {}
    for number in range(given.rounds + 1):
        for size in sizes:
            names = site.write_list(folder / f"list{size}.txt", size)
            for name, command in _chosen(site, folder, names, given):
                cost = _measured(folder, command, name, size)
                if number:  # the first round warms up
                    costs.setdefault((name, size), []).append(cost)
    _print(costs, sizes, given)


def _chosen(site: Site, folder: Path, names: Path, given: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    everybody = {OURS: ours(site, names, Path("archive"), given.text)}
    everybody |= _peers.commands(folder, names, site.authority)
    for name, command in everybody.items():
        is_alike = name == OURS or ("trafilatura" in name) == given.text
        if is_alike and (given.only or "") in name:
            yield name, command


def _measured(folder: Path, command: list[str], name: str, pages: int) -> _cost.Cost:
    place = folder / "work"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    cost = _cost.of(command, place)
    if cost.status != 0:
        sys.exit(f"{name} ended with {cost.status}:\n{cost.output[-2000:]}")
    kept = _records(place)
    if kept != pages:
        sys.exit(f"{name} archived {kept} of {pages} pages:\n{cost.output[-2000:]}")
    return cost


def _records(place: Path) -> int:
    from warcio.archiveiterator import ArchiveIterator

    kept = 0
    for path in place.rglob("*.warc.gz"):
        with path.open("rb") as file:
            kept += sum(record.rec_type == "response" for record in ArchiveIterator(file))
    return kept


def _print(costs: dict[tuple[str, int], list[_cost.Cost]], sizes: tuple[int, int], given: argparse.Namespace) -> None:
    small, large = sizes
    kind = f"{'TLS, ' if given.tls else ''}{'with texts' if given.text else 'no texts'}"
    print(f"{large} pages on {_HOSTS} hosts, {kind}, medians of {given.rounds} interleaved rounds")
    print(f"{'':<30} {'CPU-ms a page':>13} {'each further':>13} {'peak MB':>9} {'a worker':>9} {'wall s':>7}")
    total, slope = {}, {}
    for name in dict.fromkeys(name for name, _ in costs):
        few, many = costs[name, small], costs[name, large]
        spent = statistics.median(cost.cpu_seconds for cost in many)
        total[name] = spent / large * 1000
        slope[name] = (spent - statistics.median(cost.cpu_seconds for cost in few)) / (large - small) * 1000
        peak, worker = max(cost.peak_mb for cost in many), max(cost.worker_peak_mb for cost in many)
        wall = statistics.median(cost.wall_seconds for cost in many)
        print(f"{name:<30} {total[name]:13.2f} {slope[name]:13.2f} {peak:9.0f} {worker:9.0f} {wall:7.1f}")
    for name in total:
        if name != OURS and OURS in total:
            print(f"  {total[name] / total[OURS]:5.2f}x {name} (each further page: {slope[name] / slope[OURS]:.2f}x)")


def _profile(site: Site, folder: Path, given: argparse.Namespace) -> None:
    names = site.write_list(folder / "list.txt", given.pages)
    out = folder / "profile.out"
    command = ours(site, names, folder / "archive", given.text, ["-m", "cProfile", "-o", str(out)])
    subprocess.run(command, check=True)
    import pstats

    stats = pstats.Stats(str(out))
    stats.sort_stats("tottime").print_stats(45)
    stats.sort_stats("cumtime").print_stats(70)
