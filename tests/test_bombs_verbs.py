"""Bombs that came in by an import fill no memory, whatever is done with them: every verb, and the replay server."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import brotlicffi  # type: ignore[import-untyped]
import foreign
import pytest
import zstandard
from cli import ENVIRONMENT
from memory import Measured, measured, watched
from replaying import served
from test_bombs import BOMBS, MIB, MOST_MB, squeezed

ZEROS = b"\0" * MIB
FORMS = ("page", "text", "headers")  # the others are made of these


def brotli(mebibytes: int) -> bytes:
    packer = brotlicffi.Compressor(quality=1)
    return b"".join(packer.process(ZEROS) for _ in range(mebibytes)) + packer.finish()


def zstd(mebibytes: int) -> bytes:
    packer = zstandard.ZstdCompressor(level=1).compressobj()
    return b"".join(packer.compress(ZEROS) for _ in range(mebibytes)) + packer.flush()


def message(name: str) -> bytes:
    """What a server sent, head and body."""
    match name:
        case "brotli":
            return foreign.http(brotli(1024), "Content-Encoding: br")
        case "zstd":
            return foreign.http(zstd(2048), "Content-Encoding: zstd")
        case "brotli-in-zstd":
            return foreign.http(zstandard.compress(brotli(1024)), "Content-Encoding: br, zstd")
        case "style":
            return foreign.http(squeezed(ZEROS, 2048), "Content-Encoding: gzip", kind="text/css")
        case "picture":
            return foreign.http(squeezed(ZEROS, 2048), "Content-Encoding: gzip", kind="image/svg+xml")
    return b"".join(BOMBS[name]())


CODED = ("brotli", "zstd", "brotli-in-zstd", "style", "picture")
CHOSEN = ("brotli", "zstd", "brotli-in-zstd", "gzip", "five-layers", "one-header", "laughs", "attribute-below-cap")
ENDLESS = frozenset({"endless", "sitemap"})  # 2 GiB of a file


def url(name: str) -> str:
    return f"http://e.example/{name}"


def scraper(folder: Path, verb: str, *arguments: str) -> Measured:
    command = [sys.executable, "-m", "scraper", verb, "--archive", str(folder / "archive"), *arguments]
    return measured(command, env=ENVIRONMENT, cwd=folder)


def in_every_verb(folder: Path, names: Iterable[str]) -> None:
    """Import the bombs, plain as they came, and do all that can be done with them."""
    with (folder / "bombs.warc").open("wb") as file:
        for name in ("good", *names):
            file.write(foreign.record(foreign.http(foreign.page()) if name == "good" else message(name), url(name)))
    done = {
        (verb, *rest): scraper(folder, verb, *rest)
        for verb, *rest in [
            ("import", "bombs.warc"), ("check",), ("rebuild",), ("extract", "--all"), ("search", "otters"),
            ("export", "--format", "wacz", "--output", "out.wacz"),
            *(("replay", url(name), "--as", form) for name in names for form in FORMS),
            *(("show", url(name)) for name in names),
        ]
    }  # fmt: skip
    print(f"bombs imported: {max(one.peak_mb for one in done.values()):.0f} MB")
    assert {verb: one.peak_mb for verb, one in done.items() if one.peak_mb >= MOST_MB} == {}
    assert [verb for verb, one in done.items() if "Traceback" in one.stderr] == []
    # Of a capture that is no page, has no text or unpacks to too much, `show` and `replay` tell in a line.
    failed = {verb: one.stderr for verb, one in done.items() if one.returncode}
    assert {verb for verb in failed if verb[0] not in ("replay", "show")} == set()
    assert {(one.returncode, one.stderr.count("\n")) for one in done.values()} <= {(0, 0), (0, 1), (2, 1), (5, 1)}
    assert "Otters return" in done["search", "otters"].stdout
    with served(folder / "archive") as server, watched(server.process.pid) as seen:
        for name in ("good", *names):
            for modifier in ("id_", "mp_", "", "im_", "cs_"):
                reply = server.ask(f"/imported/20190909120300{modifier}/{url(name)}")
                assert reply.status in (200, 302, 307, 502), (name, modifier, reply.status)
            for view in ("text", "fields", "raw", "headers"):
                assert server.ask(f"/-/capture/imported/20190909120300/{view}/{url(name)}").status in (200, 404)
    print(f"bombs replayed: {seen.peak_mb:.0f} MB")
    assert seen.peak_mb < MOST_MB


def test_imported_bombs_fill_no_memory_in_any_verb(tmp_path: Path) -> None:
    in_every_verb(tmp_path, CHOSEN)


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in (*CODED, *BOMBS) if name not in ENDLESS])
def test_an_imported_bomb_alone_fills_no_memory_in_any_verb(tmp_path: Path, name: str) -> None:
    in_every_verb(tmp_path, [name])
