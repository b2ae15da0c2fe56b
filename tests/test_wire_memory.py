"""Large answers wait on disk: memory does not grow with them, and a disk that is full is told of."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import pytest
from cli import Cli
from fetching import fetch
from server import Site

from scraper.fetcher.tape import LARGEST_IN_MEMORY_BYTES, Tape
from scraper.model import State

MIB = 1 << 20
MOST_MEMORY_MIB = 120
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

PROGRAM = """
import asyncio, gzip, resource, sys, threading
sys.path[:0] = [{tests!r}]
from pathlib import Path
from fetching import AGENT, stranger
from scraper import urls
from scraper.fetcher import Fetcher
from scraper.fetcher.guard import Guard
from scraper.fetcher.wire import Limits, Wire
from scraper.settings import FetchSettings

hosts = [f"h{{number}}.test" for number in range({hosts})]
pins = tuple(f"{{host}}:80=127.0.0.1:{port}" for host in hosts)
settings = FetchSettings(resolve=pins, robots="ignore", delay_seconds=0.0)

async def main():
    wire = Wire(settings, Guard.of(settings))
    replies = await asyncio.gather(*(
        wire.exchange(urls.target(f"http://{{host}}/{path}"), (), Limits(60.0, 20 << 20)) for host in hosts
    ))
    await wire.aclose()
    for reply in replies:
        print(reply.fault.reason if reply.fault else "whole", len(reply.exchange.answer))
    peak = [line for line in open("/proc/self/status") if line.startswith("VmHWM")][0]
    print("peak", int(peak.split()[1]) // 1024)

asyncio.run(main())
"""


def peak_mib(site: Site, path: str, hosts: int) -> tuple[set[str], int]:
    """What a process of its own says of its answers, and the most memory it had."""
    program = PROGRAM.format(tests=str(Path(__file__).parent), hosts=hosts, port=site.http_port, path=path)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    *answers, peak = done.stdout.splitlines()
    return set(answers), int(peak.split()[1])


@LINUX
def test_many_large_answers_at_once_take_little_memory(site: Site) -> None:
    body = bytes(18 * MIB)
    sent = site.reply("/large", body=body)
    answers, peak = peak_mib(site, "large", 32)
    assert answers == {f"whole {len(sent)}"}
    print(f"32 answers of 18 MiB: at most {peak} MiB")
    assert peak < MOST_MEMORY_MIB


@LINUX
def test_a_head_of_a_hundred_mebibytes_takes_little_memory(site: Site) -> None:
    site.reply(
        "/head", raw=b"HTTP/1.1 200 OK\r\n" + b"X-Long: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * (2 * MIB)
    )
    answers, peak = peak_mib(site, "head", 4)
    assert answers == {f"too large {MIB // 2}"}
    assert peak < MOST_MEMORY_MIB


def test_a_large_answer_waits_on_disk_and_reads_as_it_came(site: Site) -> None:
    sent = site.reply("/", body=bytes(range(256)) * 8192)
    exchange = fetch(site.settings(robots="ignore"), site.url()).page
    assert exchange is not None
    assert not isinstance(exchange.answer, bytes)
    assert len(exchange.answer) == len(sent)
    assert exchange.received == sent
    assert exchange.body == sent[exchange.head_length :]
    assert exchange.answer[5:9] == sent[5:9]
    assert exchange.answer[-4:] == sent[-4:]


@pytest.mark.parametrize("surplus", [-1, 0, 1])
def test_nothing_is_lost_where_memory_ends_and_the_disk_begins(surplus: int) -> None:
    data = os.urandom(LARGEST_IN_MEMORY_BYTES + surplus)
    tape = Tape()
    for at in range(0, len(data), 60_001):
        tape.record(data[at : at + 60_001])
    kept = tape.received(7, len(data))
    assert isinstance(kept, bytes) == (surplus <= 7)
    assert kept[:] == data[7:]


@LINUX
def test_the_file_of_a_large_answer_has_no_name_and_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    tape = Tape()
    tape.record(bytes(2 * MIB))
    assert list(tmp_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == before + 1
    del tape
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_full_disk_ends_the_run_with_a_sentence_and_what_was_kept_stays(cli: Cli) -> None:
    cli.site.reply("/small", body=b"small")
    cli.site.reply("/large", body=bytes(3 * MIB))
    cli.settings = {"robots": "ignore"}
    cli.citing(cli.site.url("/small"), cli.site.url("/large"))
    # A limit on the size of files stands for the full disk: the answer fits no file, the archive's records do.
    limited = ["/bin/sh", "-c", 'ulimit -f 2048; exec "$@"', "sh", *cli.command("run")]
    done = subprocess.run(limited, capture_output=True, text=True, timeout=100, cwd=cli.folder, check=False)
    assert done.returncode == 74, done.stderr
    assert "a large answer cannot wait there for the archive" in done.stderr
    assert os.strerror(errno.EFBIG) in done.stderr
    assert "TMPDIR" in done.stderr
    assert "Traceback" not in done.stderr
    assert cli.ledger()[cli.site.url("/small")] == str(State.CAPTURED)
    assert cli.run("run").returncode == 0
    assert set(cli.ledger().values()) == {str(State.CAPTURED)}
    assert cli.run("check").returncode == 0
    assert len(cli.site.seen("/small")) == 1


@LINUX
def test_two_gibibytes_out_of_two_mebibytes_are_not_unpacked_in_memory(site: Site) -> None:
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)  # nothing before it is referred to
    packed = b"\x1f\x8b\x08" + bytes(6) + b"\xff" + 2048 * block
    assert len(packed) < 2.2 * MIB
    site.reply("/bomb", body=packed, headers={"Content-Encoding": "gzip"})
    answers, peak = peak_mib(site, "bomb", 8)
    assert len(answers) == 1
    assert answers.pop().startswith("whole")
    assert peak < MOST_MEMORY_MIB
    capture = fetch(site.settings(robots="ignore"), site.url("/bomb"))
    assert str(capture.outcome) == "failed(too large)"
