"""`scraper import` of what is odd or meant to harm: bombs of many parts, known faults of tools, lacking codecs."""

from __future__ import annotations

import copy
import gzip
import json
import os
import shutil
import subprocess
import threading
import zipfile
from concurrent.futures import ProcessPoolExecutor
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import brotlicffi  # type: ignore[import-untyped]
import pytest
from foreign import WORDS, http, members, page, record, sha1, wacz
from test_import import NEWS, Site, crawl, keep, problems, put, rezipped, scraper, take, text_of

from scraper import message
from scraper.archiver import IMPORTED, Collection, Imports
from scraper.pipeline import Listener, importing, reextract
from scraper.settings import Settings

LARGE = "http://e.example/large"
EMPTY = "sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ"  # of no bytes at all


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "archive"


# ------------------------------------------------------------------------- bombs


def with_many_members(archive: zipfile.ZipFile, files: list[tuple[zipfile.ZipInfo, bytes]]) -> None:
    """Each of them far below what makes a bomb."""
    keep(archive, files)
    for number in range(4):
        archive.writestr(f"archive/{number}.warc", b"\0" * (30 << 20), zipfile.ZIP_DEFLATED)


def with_overlap(archive: zipfile.ZipFile, files: list[tuple[zipfile.ZipInfo, bytes]]) -> None:
    """Two more names for the bytes of one member."""
    keep(archive, files)
    archive.writestr("archive/z.warc", b"".join(crawl()))
    for name in ("archive/y.warc", "archive/x.warc"):
        again = copy.copy(archive.getinfo("archive/z.warc"))
        again.filename = name
        archive.filelist.append(again)


@pytest.mark.parametrize(
    ("change", "told", "count"),
    [(with_many_members, "with it the file unpacks to more than 64 MiB", 2), (with_overlap, "overlaps another", 3)],
)
def test_small_bombs_in_one_file_are_taken_together(
    tmp_path: Path, root: Path, change: object, told: str, count: int
) -> None:
    data = members(crawl())
    path = rezipped(wacz(tmp_path / "c.wacz", {"a.warc.gz": data}), change)
    (refused,) = take(root, path)
    assert refused.exit_code == 5
    assert told in refused.error
    (done,) = take(root, path, salvage=True)
    assert sum(told in sentence for sentence in done.left_out) == count
    assert data in [Imports(root).path_of(warc).read_bytes() for warc in done.warcs]


def test_wholes_in_a_wacz_may_not_unpack_to_more_than_all_of_it_may(tmp_path: Path, root: Path) -> None:
    large = [gzip.compress(b"".join([*crawl(bytes(40 << 20)), record(http(name), NEWS)])) for name in (b"x", b"y")]
    path = wacz(tmp_path / "c.wacz", {"a.warc.gz": large[0], "b.warc.gz": large[1]})
    (refused,) = take(root, path)
    assert refused.exit_code == 5
    assert "b.warc.gz: unpacks to more than 64 MiB" in refused.error
    (done,) = take(root, path, salvage=True)
    assert len(done.warcs) == 1


def test_a_record_that_unpacks_to_far_more_than_the_file_has_is_a_bomb(tmp_path: Path, root: Path) -> None:
    path = put(tmp_path, members([*crawl(), record(http(bytes(80 << 20)), "http://e.example/bomb")]))
    for salvage in (False, True):
        (refused,) = take(root, path, salvage=salvage)
        assert refused.exit_code == 5
        assert refused.error.startswith(f"{path.name}: unpacks to more than 64 MiB: a bomb")
    assert [file for file in (root / "collections" / IMPORTED / "archive").iterdir() if "warc" in file.name] == []


def test_a_record_too_large_to_hold_a_page_is_kept_and_not_read_for_its_text(tmp_path: Path, root: Path) -> None:
    (done,) = take(root, put(tmp_path, b"".join([*crawl(), record(http(page() + bytes(65 << 20)), LARGE)]), "c.warc"))
    assert (done.exit_code, done.captures) == (0, 2)
    assert skipped(root, LARGE) == "its record is larger than 64 MiB"
    assert skipped(root, NEWS) is None


def skipped(root: Path, href: str) -> str | None:
    texts = [json.loads(path.read_text()) for path in (root / "collections" / IMPORTED / "text").rglob("*.json")]
    return {text["url"]: text["article"]["skipped"] for text in texts}[href]


def test_a_member_named_often_is_hashed_once(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real = zipfile.ZipFile.open

    def counted(self: zipfile.ZipFile, name: str | zipfile.ZipInfo, mode: str = "r") -> object:
        opened.append(name if isinstance(name, str) else name.filename)
        return real(self, name)

    named = [{"path": "archive/a.warc.gz", "hash": f"sha256:{number}"} for number in range(100)]
    path = wacz(tmp_path / "c.wacz", {"a.warc.gz": members(crawl())}, package={"resources": named})
    monkeypatch.setattr(zipfile.ZipFile, "open", counted)
    (refused,) = take(root, path)
    assert "(and 99 more)" in refused.error
    assert opened.count("archive/a.warc.gz") == 1


# ------------------------------------------------- members that cannot be opened

BAD = b"archive/b.warc"
# What is written where: an offset from the member's local header, or from its entry in the central directory.
UNOPENABLE: dict[str, tuple[tuple[int, bytes] | None, tuple[int, bytes] | None, str]] = {
    "content that is no deflate": ((30 + len(BAD), b"\x07" * 20), None, "damaged (Error -3"),
    "a wrong sum": (None, (16, b"\0\0\0\0"), "damaged (Bad CRC-32"),
    "encrypted": ((6, b"\1"), (8, b"\1"), "encrypted"),
    "strongly encrypted": ((6, b"\x40"), (8, b"\x40"), "damaged (strong encryption"),
    "an unknown method": ((8, b"\x63"), (10, b"\x63"), "packed in a way that WACZ does not know"),
    "a patch": (None, (8, b"\x20"), "damaged (compressed patched data"),
    "no local header": ((0, b"XX"), None, "damaged (Bad magic number"),
    "another name": ((30, b"X"), None, "damaged (File name in directory"),
    "a name that is no text": ((6, b"\0\x08\x08" + b"\0" * 17 + b"\x0e\0\0\0\xff"), None, "damaged (the name before"),
    "a place beyond the end": (None, (42, b"\xff\xff\xff\x7f"), "damaged ("),
}


@pytest.mark.parametrize("named", [True, False], ids=["digest named", "no digest"])
@pytest.mark.parametrize("how", UNOPENABLE)
def test_a_member_that_cannot_be_opened_is_refused_in_a_line_and_left_out_by_salvage(
    tmp_path: Path, root: Path, how: str, named: bool
) -> None:
    good, bad = members(crawl()), b"".join(crawl(page("B"), "http://e.example/b"))
    path = wacz(tmp_path / "c.wacz", {"a.warc.gz": good, "b.warc": bad}, package=None if named else {"resources": []})
    path = rezipped(path, deflated)
    data = bytearray(path.read_bytes())
    local, listed, told = UNOPENABLE[how]
    for patch, name_at in ((local, 30), (listed, 46)):
        if patch is not None:
            # The local header comes first in the file, the entry of the central directory last.
            start = (data.find(BAD) if name_at == 30 else data.rfind(BAD)) - name_at
            data[start + patch[0] : start + patch[0] + len(patch[1])] = patch[1]
    path.write_bytes(data)

    (refused,) = take(root, path)
    assert refused.exit_code == 5
    assert refused.error.startswith("c.wacz: archive/b.warc: ")
    assert "nothing of it was taken" in refused.error
    assert "\n" not in refused.error
    (done,) = take(root, path, salvage=True)
    assert (done.exit_code, done.error) == (0, "")
    assert any(sentence.startswith(f"archive/b.warc: {told}") for sentence in done.left_out)
    assert [Imports(root).path_of(warc).read_bytes() for warc in done.warcs] == [good]


def deflated(archive: zipfile.ZipFile, files: list[tuple[zipfile.ZipInfo, bytes]]) -> None:
    for member, data in files:
        archive.writestr(member.filename, data, zipfile.ZIP_DEFLATED)


# ----------------------------------------------------------------------- remarks


def test_what_is_not_kept_as_it_came_is_told_of_and_noted(tmp_path: Path, root: Path) -> None:
    path = put(tmp_path, gzip.compress(b"".join(crawl())))
    done = scraper("import", path, "--archive", root, "--json", "--verbose")
    told = json.loads(done.stdout)["remarks"]
    assert told == ["packed as a whole, so that no record could be read alone: kept as the plain WARC inside"]
    assert f"{path}: {told[0]}" in done.stderr
    (kept,) = Imports(root).all()
    assert kept.remarks == tuple(told)


def test_a_revisit_may_say_that_its_block_is_empty_and_no_other_record_may(tmp_path: Path, root: Path) -> None:
    fields = (f"WARC-Payload-Digest: {sha1(page())}", f"WARC-Block-Digest: {EMPTY}")
    first = record(http(page()), NEWS, fields[0])
    again = record(http(b""), NEWS, *fields, kind="revisit", at="2020-01-01T00:00:00Z")
    (done,) = take(root, put(tmp_path, members([first, again])))
    assert (done.error, done.left_out) == ("", ())
    assert done.remarks == ("revisits have the digest of an empty block, as wget writes it (1 of them)",)
    assert problems(root) == []
    wrong = [
        record(http(page("B")), NEWS, fields[1]),
        record(http(b""), NEWS, f"WARC-Block-Digest: {sha1(b'x')}", kind="revisit"),
    ]
    for number, one in enumerate(wrong):
        (refused,) = take(root, put(tmp_path, members([one]), f"{number}.warc.gz"))
        assert "offset 0: the block is not what its digest says" in refused.error


@pytest.mark.skipif(shutil.which("wget") is None, reason="wget is not installed")
def test_what_wget_writes_of_pages_it_had_before_is_taken_whole(tmp_path: Path, root: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/news"
        command = ["wget", "-q", "--no-proxy", "--no-config", "-O", os.devnull, url]
        for more in (["--warc-file=one", "--warc-cdx"], ["--warc-file=two", "--warc-dedup=one.cdx"]):
            subprocess.run([*command, *more], cwd=tmp_path, check=True, timeout=60)
        server.shutdown()
    first, second = take(root, tmp_path / "one.warc.gz", tmp_path / "two.warc.gz")
    assert (first.error, second.error, second.left_out) == ("", "", ())
    collection = Collection(root, IMPORTED)
    revisit = next(entry for entry in collection.find(url) if entry.is_revisit)
    assert collection.load(revisit.location).body == page()
    assert problems(root) == []


# ------------------------------------------------------------------------- texts


def test_what_lacks_a_codec_is_counted_and_read_when_it_is_there(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = record(http(b"", "Location: /news", status="HTTP/1.1 301 Moved"), "http://e.example/old")
    packed = [record(http(brotlicffi.compress(page()), "Content-Encoding: br"), NEWS + end) for end in ("", "2")]
    plain = record(http(page()), NEWS + "3")
    with monkeypatch.context() as without:
        without.setattr(message, "readable", lambda: frozenset({"", "gzip"}))
        (done,) = take(root, put(tmp_path, members([*packed, moved, plain])))
    assert done.unreadable == (
        "2 pages have no text: its content coding cannot be read: br (install scraper[codecs]);"
        " then `scraper extract --all --if-older` makes their texts",
    )
    assert WORDS not in text_of(root, NEWS)
    reextract.extract(root, Settings(), reextract.Choice(if_older=True), Listener(), lambda: False)
    assert WORDS in text_of(root, NEWS)
    assert WORDS in text_of(root, NEWS + "2")


async def dying(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_page_is_made_text_without_a_process_of_its_own_unless_a_run_before_left_it(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools: list[object] = []
    real: Any = ProcessPoolExecutor.__init__

    def counted(self: ProcessPoolExecutor, *given: object, **named: object) -> None:
        pools.append(self)
        real(self, *given, **named)

    monkeypatch.setattr(ProcessPoolExecutor, "__init__", counted)
    take(root, put(tmp_path, members(crawl())))
    assert pools == []
    second = put(tmp_path, members(crawl(page("B"), NEWS + "2")), "b.warc.gz")
    with monkeypatch.context() as killed:
        killed.setattr(importing.Run, "only_texts", dying)  # type: ignore[attr-defined]
        with pytest.raises(KeyboardInterrupt):
            take(root, second)
    take(root, second)
    assert len(pools) == 1
    assert WORDS in text_of(root, NEWS + "2")


@pytest.mark.parametrize(
    ("at", "taken"),
    [
        ("9900-12-31T23:59:59Z", True),
        ("9999-12-31T23:59:59Z", False),
        ("9999-12-31T23:59:59-05:00", False),
        ("0001-01-01T00:00:00+05:00", False),
        ("0999", False),
    ],
)
def test_dates_of_no_sense_break_no_view(tmp_path: Path, root: Path, at: str, taken: bool) -> None:
    path = put(tmp_path, members([record(http(page()), NEWS, at=at), record(http(page()), NEWS + "2")]))
    done = scraper("import", path, "--archive", root, "--salvage")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert ("no readable WARC-Date" not in done.stderr) is taken
    for verb in (["rebuild"], ["check"], ["show", NEWS + "2"], ["status"], ["search", "otters"], ["extract", "--all"]):
        told = scraper(*verb, "--archive", root)
        assert (told.returncode, "Traceback" in told.stderr) == (0, False), (verb, told.stderr)
    assert scraper("show", NEWS, "--archive", root).returncode == (0 if taken else 2)
    lines = b"".join(file.read_bytes() for file in (root / "collections" / IMPORTED / "indexes").iterdir()).splitlines()
    assert all(len(line.split(b" ")[1]) == 14 for line in lines)
    assert len(lines) == 1 + taken
