"""The index of a foreign WARC whose bodies are content-encoded: ours, cdxj-indexer, `warcio index`; CPU-seconds per GB.

`python -m tests.bench index [MEGABYTES] [ROUNDS]`. cdxj-indexer is taken from the environment of tests/test_oracles.py.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MEAN_BODY_BYTES = 60_000  # of the news pages of 2024, gzipped, with their pictures
OURS = """
import sys
from pathlib import Path
from scraper.archiver import foreign_index
path = Path(sys.argv[1])
sys.stdout.buffer.writelines(entry.line() for entry in foreign_index.entries(path, path.name, []))
"""


def run(arguments: list[str]) -> None:
    """Print a table of medians."""
    megabytes = int(arguments[0]) if arguments else 200
    rounds = int(arguments[1]) if len(arguments) > 1 else 3
    oracles = Path(os.environ.get("SCRAPER_ORACLES", Path.home() / ".cache/scraper-oracles")) / "pywb/bin"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "foreign.warc.gz"
        _write(path, megabytes * 1_000_000)
        commands = {
            "ours": [sys.executable, "-c", OURS, str(path)],
            "cdxj-indexer": [str(oracles / "cdxj-indexer"), str(path)],
            "warcio index": [str(oracles / "warcio"), "index", str(path)],
        }
        spent: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                spent[name].append(_measured(command))
        _print(spent, path.stat().st_size / 1e9)


def _write(path: Path, size: int) -> None:
    """Response and request in turn, a member each, as warcio writes them; bodies of chance, as packed ones look."""
    chance = random.Random(1)
    with path.open("wb") as out:
        number = 0
        while out.tell() < size:
            body = chance.randbytes(int(chance.expovariate(1 / MEAN_BODY_BYTES)) + 500)
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Encoding: gzip\r\n" + (
                b"".join(b"X-Header-%d: %d\r\n" % (name, chance.randrange(10**9)) for name in range(12)) + b"\r\n"
            )
            href = f"https://www{number % 97}.example.org/news/{number}/some-title?id={number}"
            out.write(_member("response", href, head + body, number, _sha1(body)))
            out.write(_member("request", href, b"GET /news HTTP/1.1\r\nHost: example.org\r\n\r\n", number))
            number += 1


def _member(kind: str, href: str, block: bytes, number: int, payload_digest: str = "") -> bytes:
    digest = f"WARC-Payload-Digest: {payload_digest}\r\n" if payload_digest else ""
    header = (
        f"WARC/1.1\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{number:08x}-0000-4000-8000-{len(block):012x}>\r\n"
        f"WARC-Target-URI: {href}\r\nWARC-Date: 2024-05-01T12:00:00Z\r\n{digest}WARC-Block-Digest: {_sha1(block)}\r\n"
        f"Content-Type: application/http; msgtype={kind}\r\nContent-Length: {len(block)}\r\n\r\n"
    )
    return gzip.compress(header.encode() + block + b"\r\n\r\n", 6)


def _sha1(data: bytes) -> str:
    return "sha1:" + base64.b32encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()


def _measured(command: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of a process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.monotonic() - start


def _print(spent: dict[str, list[tuple[float, float]]], gigabytes: float) -> None:
    ours = statistics.median(cpu for cpu, _ in spent["ours"])
    print(f"{'index of ' + format(gigabytes, '.2f') + ' GB':<22} {'CPU-s/GB':>9} {'wall-s/GB':>10} {'CPU to ours':>12}")
    for name, rounds in spent.items():
        cpu = statistics.median(cpu for cpu, _ in rounds)
        wall = statistics.median(wall for _, wall in rounds)
        print(f"{name:<22} {cpu / gigabytes:>9.2f} {wall / gigabytes:>10.2f} {cpu / ours:>12.2f}")
