"""Extraction again against fastwarc + trafilatura on the same WARC: pages per CPU-second.

    python -m tests.bench reextract FOLDER [PAGES, default 500]

FOLDER holds pages as *.html or *.html.gz, at any depth. The peer lives in an environment of its own, which is made
below ~/.cache/scraper-oracles if it is not there.
"""

from __future__ import annotations

import gzip
import resource
import subprocess
import sys
import tempfile
import time
import venv
from datetime import timedelta
from pathlib import Path

from tests.factories import START, make_capture, make_collection, make_exchange

_ROUNDS = 2
_PEER = """
import gzip, sys
from fastwarc.warc import ArchiveIterator, WarcRecordType
from trafilatura import bare_extraction
pages = 0
for record in ArchiveIterator(open(sys.argv[1], "rb"), record_types=WarcRecordType.response, parse_http=True):
    body = gzip.decompress(record.reader.read())
    bare_extraction(body, url=record.headers.get("WARC-Target-URI"), with_metadata=True)
    pages += 1
print(pages)
"""


def run(arguments: list[str]) -> None:
    """Make an archive of the pages, and extract it again and again, the peer and we by turns."""
    if not arguments:
        sys.exit("usage: python -m tests.bench reextract FOLDER [PAGES]")
    count = int(arguments[1]) if len(arguments) > 1 else 500
    files = sorted(path for path in Path(arguments[0]).rglob("*.html*") if path.is_file())[:count]
    peer = _peer_python()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "archive"
        _archive(root, files)
        (warc,) = (root / "collections" / "main" / "archive").glob("*.warc.gz")
        ours = [sys.executable, "-m", "scraper", "extract", "--all", "--archive", str(root)]
        theirs = [str(peer), "-c", _PEER, str(warc)]
        print(f"{len(files)} pages, {warc.stat().st_size / 1e6:.1f} MB of WARC; start-up included")
        _measured("warm-up", ours, len(files))
        best: dict[str, float] = {}
        for _ in range(_ROUNDS):
            for name, command in (("ours", ours), ("fastwarc + trafilatura", theirs)):
                best[name] = max(best.get(name, 0.0), _measured(name, command, len(files)))
        print(f"ratio, best of {_ROUNDS}: {best['ours'] / best['fastwarc + trafilatura']:.2f}")


def _archive(root: Path, files: list[Path]) -> None:
    collection = make_collection(root)
    for number, path in enumerate(files):
        body = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        url = f"https://site{number % 97}.example/{number}"
        headers = (("Content-Type", "text/html"), ("Content-Encoding", "gzip"))
        packed = gzip.compress(body, 6)
        exchange = make_exchange(url, body=packed, headers=headers, at=START + timedelta(minutes=number))
        collection.append(make_capture(exchange))
    collection.close()
    command = [sys.executable, "-m", "scraper", "rebuild", "--archive", str(root)]
    subprocess.run(command, check=True, capture_output=True)


def _measured(name: str, command: list[str], pages: int) -> float:
    """Run it once; gives pages per CPU-second, children included."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{name:<24} {pages / spent:8.1f} pages per CPU-s {spent:8.2f} CPU-s {wall:8.2f} s")
    return pages / spent


def _peer_python() -> Path:
    folder = Path.home() / ".cache" / "scraper-oracles" / "extractors"
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    probe = subprocess.run([str(python), "-c", "import fastwarc, trafilatura"], capture_output=True)
    if probe.returncode:
        subprocess.run(
            [str(python), "-m", "pip", "install", "-q", "fastwarc", "trafilatura", "lxml_html_clean"], check=True
        )
    return python
