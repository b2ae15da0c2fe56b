"""The replay server against pywb over one archive: processor time and median latency; and a look-up in 1,000,000 lines.

`python -m tests.bench replay [PAGES] [LINES]`. pywb runs in the environment of the oracles (SCRAPER_ORACLES).
"""

from __future__ import annotations

import gzip
import http.client
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from factories import make_capture, make_collection, make_exchange
from replaying import served
from test_oracles import oracle_folder

from scraper.archiver import Collection

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Encoding: gzip\r\n\r\n"
_STAMP = "20260504030201"
_ROUNDS = 4
_PARAGRAPH = '<p>The <a href="/story/{0}">ferry</a> left at nine. <img src="/i/{0}.png" alt=""> Nobody was on it.</p>\n'


def run(arguments: list[str]) -> None:
    """Measure and print both tables."""
    pages = int(arguments[0]) if arguments else 200
    lines = int(arguments[1]) if len(arguments) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        _servers(Path(folder), pages)
    with tempfile.TemporaryDirectory() as folder:
        _lookups(Path(folder), lines)


def page(number: int) -> bytes:
    """A news page of about 40 KB, each another."""
    body = "".join(_PARAGRAPH.format(number * 1000 + line) for line in range(340))
    head = '<link rel="stylesheet" href="/a.css"><style>a{background:url(/b.png)}</style>'
    return f"<!doctype html><title>{number}</title>{head}<body>{body}".encode()


def fill(root: Path, pages: int) -> None:
    """An archive of so many pages, one visit each."""
    collection = make_collection(root)
    for number in range(pages):
        packed = gzip.compress(page(number), mtime=0)
        collection.append(make_capture(make_exchange(f"http://e{number}.example/{number}", packed, head=_HEAD)))
    collection.close()


def _servers(root: Path, pages: int) -> None:
    fill(root, pages)
    print(f"{pages} pages, serial, {_ROUNDS} rounds interleaved; CPU of the server process, median latency")
    with served(root) as ours, _pywb(root) as theirs:
        sides = {"scraper": (ours.port, ours.process.pid)} | ({"pywb": theirs} if theirs else {})
        for mode in ("id_", "mp_", ""):
            spent: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
            for number in range(_ROUNDS + 1):
                for name, (port, process) in sides.items():
                    if name == "pywb" and not mode:
                        continue  # there it answers with an empty frame, whose page is another request
                    measured = _round(port, process, pages, mode)
                    if number:  # the first warms up
                        spent[name].append(measured)
            cells = {
                name: [statistics.median(column) for column in zip(*rows, strict=True)]
                for name, rows in spent.items()
                if rows
            }
            for name, (cpu, latency) in cells.items():
                ratio = f"{cells['pywb'][0] / cpu:5.1f}x CPU" if "pywb" in cells and name != "pywb" else ""
                print(f"  {mode or '(with bar)':<11} {name:<8} {cpu:6.2f} CPU-ms  {latency:6.2f} ms  {ratio}")


def _round(port: int, process: int, pages: int, mode: str) -> tuple[float, float]:
    before, times = _cpu_seconds(process), []
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for number in range(pages):
        start = time.perf_counter()
        connection.request("GET", f"/main/{_STAMP}{mode}/http://e{number}.example/{number}")
        answer = connection.getresponse()
        answer.read()
        times.append(time.perf_counter() - start)
        assert answer.status == 200
    connection.close()
    return (_cpu_seconds(process) - before) / pages * 1000, statistics.median(times) * 1000


def _cpu_seconds(process: int) -> float:
    """User and system time of a process and its ended children (proc(5))."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _pywb(root: Path) -> Iterator[tuple[int, int] | None]:
    program = oracle_folder() / "bin" / "wayback"
    if not program.exists():
        print("  (no pywb at hand)")
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(program), "--directory", str(root), "--port", str(port), "--bind", "127.0.0.1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
                time.sleep(0.2)
            yield port, server.pid
        finally:
            server.terminate()


def _lookups(root: Path, lines: int) -> None:
    """Look-ups in a synthetic index, and the server's start on it."""
    collection = make_collection(root)
    collection.append(make_capture(make_exchange()))
    collection.close()
    index = root / "collections/main/indexes/synthetic.cdxj"
    with index.open("w") as file:
        for number in range(lines):
            url = f"http://e.example/{number:08}"
            fields = f'{{"url": "{url}", "mime": "text/html", "status": "200", "digest": "sha1:{number:032}"'
            place = f'"length": "1000", "offset": "{number}", "filename": "main-20260504030201-00000.warc.gz"}}'
            file.write(f"example,e)/{number:08} {_STAMP} {fields}, {place}\n")
    reader = Collection(root, "main")
    times = []
    for number in range(0, lines, max(lines // 2000, 1)):
        start = time.process_time()
        assert len(reader.find_alike(f"http://e.example/{number:08}")) == 1
        times.append(time.process_time() - start)
    worst = sorted(times)[int(len(times) * 0.99)]
    median = statistics.median(times)
    print(f"look-up in {lines:,} lines: median {median * 1000:.2f} CPU-ms, 99 % under {worst * 1000:.2f}")
    start = time.perf_counter()
    with served(root):
        print(f"server listening on them after {time.perf_counter() - start:.2f} s")
