"""A WACZ of a whole collection, with the text of its pages: `scraper export` beside `wacz create` of py-wacz, in turns.

py-wacz is AGPL and lives in an environment of its own, which `tests/test_oracle_players.py` makes.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.factories import START, make_capture, make_collection, make_exchange

WORDS = [
    "harbour",
    "council",
    "paper",
    "evening",
    "minister",
    "report",
    "street",
    "morning",
    "station",
    "people",
    "water",
    "number",
    "letter",
]


def run(arguments: list[str]) -> None:
    """Print CPU and wall seconds per GB of WARC, of both, and their ratio."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench wacz")
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    peer = Path(os.environ.get("SCRAPER_ORACLES") or cache / "scraper-oracles" / "pywb").parent / "wacz/bin/wacz"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "archive"
        warc = make_archive(root, options.megabytes << 20)
        ours = [sys.executable, "-m", "scraper", "export", "--archive", str(root), "--format", "wacz", "--output"]
        theirs = [str(peer), "create", "-f", str(warc), "--detect-pages", "-t", "-o"]
        commands = {"scraper": [*ours, f"{folder}/ours.wacz"], "py-wacz": [*theirs, f"{folder}/theirs.wacz"]}
        if not peer.exists():
            del commands["py-wacz"]
        table(commands, options.rounds, warc.stat().st_size / 1e9)


def table(commands: dict[str, list[str]], rounds: int, gigabytes: float) -> None:
    """Run the commands in turns and print the best of each."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            spent[name].append(seconds(command))
    print(f"WACZ of {gigabytes * 1000:.0f} MB of WARC, best of {rounds}, in turns\n")
    print(f"{'':10} {'CPU-s/GB':>10} {'wall s/GB':>10} {'ratio':>7}")
    best = {name: min(pairs) for name, pairs in spent.items()}
    for name, (cpu, wall) in best.items():
        ratio = cpu / best["scraper"][0]
        print(f"{name:10} {cpu / gigabytes:10.1f} {wall / gigabytes:10.1f} {ratio:7.1f}")


def seconds(command: Sequence[str]) -> tuple[float, float]:
    """CPU and wall seconds of a command."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def make_archive(root: Path, size: int) -> Path:
    """An archive of news pages with a picture each, and its state and texts."""
    chance = random.Random(7)
    collection = make_collection(root)
    written = number = 0
    while written < size:
        for kind, body in (("text/html", page(chance, number)), ("image/jpeg", chance.randbytes(60_000))):
            path = f"{number}" if kind == "text/html" else f"{number}.jpg"
            made = make_exchange(f"http://bench.example/{path}", body, headers=(("Content-Type", kind),), at=START)
            kept = collection.append(make_capture(made))
            written = kept.end
        number += 1
    collection.close()
    subprocess.run([sys.executable, "-m", "scraper", "rebuild", "--archive", str(root)], check=True)
    (warc,) = (root / "collections/main/archive").glob("*.warc.gz")
    return warc


def page(chance: random.Random, number: int) -> bytes:
    """A page of 60 kB, most of it markup."""
    paragraphs = ["<p>" + " ".join(chance.choices(WORDS, k=80)) + f" {chance.random()}.</p>" for _ in range(12)]
    links = [f'<li class="item"><a href="/{chance.random()}">{chance.choice(WORDS)}</a></li>' for _ in range(800)]
    head = f"<html><head><title>Page {number}</title></head><body><ul>{''.join(links)}</ul>"
    return f"{head}<article><h1>Page {number}</h1>{''.join(paragraphs)}</article></body></html>".encode()
