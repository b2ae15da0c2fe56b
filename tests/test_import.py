"""`scraper import`: other tools' WARC and WACZ files into the archive, and what counts of them."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import brotlicffi  # type: ignore[import-untyped]
import pytest
import zstandard
from foreign import WORDS, http, info, members, page, record, sha1, wacz

from scraper import pipeline, report
from scraper.archiver import IMPORTED, Collection, Imports, check
from scraper.errors import UsageError
from scraper.model import Location, Outcome, Purpose, State
from scraper.pipeline import Imported, Listener, Stop
from scraper.settings import Settings
from scraper.state import StateFile, StateReader, VisitRow

NEWS = "http://e.example/news"
AT = datetime(2019, 9, 9, 12, 3, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def put(folder: Path, data: bytes, name: str = "crawl.warc.gz") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def take(root: Path, *files: Path, salvage: bool = False) -> list[Imported]:
    done = pipeline.import_files(root, Settings(), [str(path) for path in files], salvage, Listener(), Stop())
    return list(done)


def crawl(body: bytes | None = None, href: str = NEWS, *headers: str) -> list[bytes]:
    return [info(), record(http(page() if body is None else body, *headers), href)]


def rows(root: Path) -> list[tuple[str, str, str]]:
    with StateReader.open_for_reading(root) as state:
        return [(row["href"], row["final_href"], row["state"]) for row in state.visits()]


def text_of(root: Path, href: str) -> str:
    with StateReader.open_for_reading(root) as state:
        paths = [row["text_path"] for row in state.visits() if row["href"] == href]
    return (root / "collections" / IMPORTED / f"{paths[-1]}.md").read_text(encoding="utf-8")


def problems(root: Path) -> list[str]:
    return [str(problem) for problem in check(root, IMPORTED)]


# ----------------------------------------------------------------- whole files


@pytest.mark.parametrize(
    ("name", "pack"),
    [("x.warc.gz", members), ("x.warc", b"".join), ("no-ending", members)],
    ids=["a member a record", "plain", "nameless"],
)
def test_a_warc_is_copied_byte_for_byte_indexed_and_made_text(
    tmp_path: Path, root: Path, name: str, pack: object
) -> None:
    data = pack(crawl())  # type: ignore[operator]
    (done,) = take(root, put(tmp_path, data, name))
    assert (done.captures, done.left_out, done.error) == (1, (), "")
    (warc,) = done.warcs
    assert (root / "collections" / IMPORTED / "archive" / warc).read_bytes() == data
    assert warc.startswith(hashlib.sha256(data).hexdigest()[:12] + "-")
    (entry,) = Collection(root, IMPORTED).find(NEWS)
    assert entry.status == "200"
    assert Collection(root, IMPORTED).load(entry.location).received == http(page())
    assert WORDS in text_of(root, NEWS)
    assert problems(root) == []


def test_a_file_packed_as_a_whole_becomes_the_plain_warc_in_it(tmp_path: Path, root: Path) -> None:
    plain = b"".join(crawl())
    packed = gzip.compress(plain, mtime=0)
    (done,) = take(root, put(tmp_path, packed))
    assert done.sha256 == hashlib.sha256(packed).hexdigest()
    (warc,) = done.warcs
    assert warc.endswith(".warc")
    assert (root / "collections" / IMPORTED / "archive" / warc).read_bytes() == plain
    assert WORDS in text_of(root, NEWS)
    assert problems(root) == []


def test_the_same_file_again_changes_nothing(tmp_path: Path, root: Path) -> None:
    path = put(tmp_path, members(crawl()))
    take(root, path)
    before = {item: item.read_bytes() for item in root.rglob("*") if item.is_file() and item.suffix != ".sqlite3"}
    (again,) = take(root, put(tmp_path, path.read_bytes(), "another-name.warc.gz"))
    assert (again.known, again.exit_code, again.captures) == (True, 0, 0)
    after = {item: item.read_bytes() for item in root.rglob("*") if item.is_file() and item.suffix != ".sqlite3"}
    assert {path for path in before if before[path] != after.get(path)} <= {root / ".lock"}
    assert set(after) == set(before)
    assert len(rows(root)) == 1


def test_where_a_file_is_from_is_kept_beside_it_and_in_the_state(tmp_path: Path, root: Path) -> None:
    path = put(tmp_path, members(crawl()), "my crawl (1).warc.gz")
    (done,) = take(root, path)
    sidecar = root / "collections" / IMPORTED / "archive" / f"{done.warcs[0]}.import.json"
    (told,) = json.loads(sidecar.read_text(encoding="utf-8"))["imports"]
    assert told["source"]["name"] == "my crawl (1).warc.gz"
    assert told["source"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert told["source"]["tool"] == "Wget/1.21.3 (linux-gnu)"
    with StateReader.open_for_reading(root) as state:
        known = state.imported(done.sha256)
    assert known is not None
    assert (known["source"], known["tool"]) == ("my crawl (1).warc.gz", "Wget/1.21.3 (linux-gnu)")
    assert done.warcs[0].endswith("-my-crawl-1.warc.gz")


def test_a_name_from_outside_never_leads_out_or_grows_too_long(tmp_path: Path, root: Path) -> None:
    archives = [
        wacz(tmp_path / f"{number}.wacz", {name: members(crawl(page(f"Number {number}")))})
        for number, name in enumerate(["a/../b c.warc.gz".replace("../", ""), "\u202e" * 40 + "x" * 300 + ".warc.gz"])
    ]
    names = [name for done in take(root, *archives) for name in done.warcs]
    assert len(names) == 2
    assert all(len(name) < 130 and name.isascii() and not set(name) - set(ALLOWED) for name in names)


ALLOWED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"


@pytest.mark.parametrize(
    ("coding", "pack"),
    [("br", brotlicffi.compress), ("zstd", zstandard.compress), ("gzip", gzip.compress), ("br", bytes)],
    ids=["br", "zstd", "gzip", "br said, decoded already"],
)
def test_the_codings_of_browsers_are_read(tmp_path: Path, root: Path, coding: str, pack: object) -> None:
    body = pack(page())  # type: ignore[operator]
    take(root, put(tmp_path, members(crawl(body, NEWS, f"Content-Encoding: {coding}"))))
    assert WORDS in text_of(root, NEWS)


def test_a_head_of_http_2_and_a_chunked_coding_taken_off_are_understood(tmp_path: Path, root: Path) -> None:
    block = http(page(), "transfer-encoding: chunked", status="HTTP/2 200")
    take(root, put(tmp_path, members([record(block, f"<{NEWS}>")])))
    assert WORDS in text_of(root, NEWS)


def test_a_revisit_gets_the_body_it_refers_to(tmp_path: Path, root: Path) -> None:
    digest = f"WARC-Payload-Digest: {sha1(page())}"
    first = record(http(page()), NEWS, digest)
    again = record(http(b"", "X-Second: 1"), NEWS, digest, kind="revisit", at="2020-01-01T00:00:00Z")
    take(root, put(tmp_path, members([first, again])))
    collection = Collection(root, IMPORTED)
    newest = collection.find(NEWS)[-1]
    assert newest.is_revisit
    exchange = collection.load(newest.location)
    assert (exchange.header("x-second"), exchange.body) == ("1", page())


def test_an_address_is_found_as_it_was_recorded_and_in_normal_form(tmp_path: Path, root: Path) -> None:
    take(root, put(tmp_path, members(crawl(None, "HTTP://E.example:80"))))
    (entry,) = Collection(root, IMPORTED).find("http://e.example/")
    assert entry.url == "HTTP://E.example:80"
    assert [href for href, _, _ in rows(root)] == ["http://e.example/"]


def test_a_resource_is_read_back_with_a_head_of_our_making(tmp_path: Path, root: Path) -> None:
    href = "http://e.example/a.txt"
    take(root, put(tmp_path, members([record(b"plain words", href, "Content-Type: text/plain", kind="resource")])))
    (entry,) = Collection(root, IMPORTED).find(href)
    exchange = Collection(root, IMPORTED).load(entry.location)
    assert (exchange.status, exchange.header("content-type"), exchange.body) == (200, "text/plain", b"plain words")


# ---------------------------------------------------------- what counts as page


def request(href: str, *headers: str) -> bytes:
    lines = "\r\n".join(["GET / HTTP/1.1", "Host: e.example", *headers])
    return record(f"{lines}\r\n\r\n".encode(), href, kind="request")


def test_pages_are_whole_html_answers_which_no_page_asked_for(tmp_path: Path, root: Path) -> None:
    hop = record(b"via: http://e.example/\r\nhopsFromSeed: LE\r\n", "http://e.example/hop", kind="metadata")
    records = [
        record(http(page()), "http://e.example/page"),
        record(http(page(), status="HTTP/1.1 404 Not Found"), "http://e.example/gone"),
        record(http(b"\x89PNG", kind="image/png"), "http://e.example/picture"),
        record(http(page()), "http://e.example/cut", "WARC-Truncated: length"),
        record(http(page()), "http://e.example/frame"),
        request("http://e.example/frame", "Sec-Fetch-Dest: iframe"),
        request("http://e.example/ajax", "X-Requested-With: XMLHttpRequest"),
        record(http(page()), "http://e.example/ajax"),
        record(http(page()), "http://e.example/hop"),
        hop,
        record(http(page()), "http://e.example/visited"),
        request("http://e.example/visited", "Sec-Fetch-Dest: document"),
    ]
    take(root, put(tmp_path, members(records)))
    assert [href for href, _, _ in rows(root)] == ["http://e.example/page", "http://e.example/visited"]


def test_redirects_lead_to_the_page_that_was_asked_for_soon_after(tmp_path: Path, root: Path) -> None:
    moved = "HTTP/1.1 301 Moved"
    records = [
        record(http(b"", "Location: /b", status=moved), "http://e.example/a"),
        record(http(b"", "Location: https://e.example/c", status=moved), "http://e.example/b"),
        record(http(page()), "https://e.example/c", at="2019-09-09T12:04:00Z"),
        record(http(b"", "Location: /c", status=moved), "https://e.example/years-before", at="2009-09-09T12:00:00Z"),
        record(http(b"", "Location: /loop", status=moved), "http://e.example/loop"),
    ]
    take(root, put(tmp_path, members(records)))
    assert sorted(rows(root)) == [
        ("http://e.example/a", "https://e.example/c", "captured"),
        ("http://e.example/b", "https://e.example/c", "captured"),
        ("https://e.example/c", "https://e.example/c", "captured"),
    ]


def test_what_is_cited_counts_whatever_its_type(tmp_path: Path, root: Path) -> None:
    cited, other = "http://e.example/report.pdf", "http://e.example/other.pdf"
    known(root, cited, Outcome(State.FAILED, "timeout"))
    take(root, put(tmp_path, members([record(http(b"%PDF", kind="application/pdf"), href) for href in (cited, other)])))
    assert [(href, state) for href, _, state in rows(root)] == [(cited, "failed"), (cited, "captured")]


def test_a_page_and_what_redirects_to_it_have_one_text(tmp_path: Path, root: Path) -> None:
    moved = [record(http(b"", "Location: /news", status="HTTP/1.1 301 Moved"), f"{NEWS}/{n}") for n in range(3)]
    take(root, put(tmp_path, members([*moved, *crawl()])))
    with StateReader.open_for_reading(root) as state:
        texts = [row["text_path"] for row in state.visits()]
    assert len(texts) == 4
    assert len(set(texts)) == 1
    assert len(list((root / "collections" / IMPORTED / "text").rglob("*.json"))) == 1


# ------------------------------------------------------------------- the ledger


def known(root: Path, href: str, outcome: Outcome, at: datetime = AT) -> None:
    """A visit of our own to a target."""
    root.mkdir(exist_ok=True)
    state = StateFile.open(root)
    offset = len(list(state.visits())) * 100
    row = VisitRow(
        href=href,
        final_href=href,
        started_at=at,
        ended_at=at,
        outcome=outcome,
        tries=1,
        detail="told",
        purpose=Purpose.PAGE,
        collection="main",
        visit=Location("main-1.warc.gz", offset, 100),
        captured_at=at,
    )
    state.record(row)
    state.close()


@pytest.mark.parametrize("before", [State.FAILED, State.DEAD, State.DEFERRED, State.EXCLUDED])
def test_an_import_counts_as_the_capture_of_what_could_not_be_had(tmp_path: Path, root: Path, before: State) -> None:
    known(
        root,
        NEWS,
        Outcome(before, "404", until=AT if before is State.DEFERRED else None),
        datetime(2024, 1, 1, tzinfo=UTC),
    )
    take(root, put(tmp_path, members(crawl())))
    with StateReader.open_for_reading(root) as state:
        target = state.target(NEWS)
        good = [row["captured_at"] for row in state.visits() if target and row["id"] == target.good_visit]
    assert target is not None
    assert target.outcome.state is State.CAPTURED
    assert target.visited_at == datetime(2024, 1, 1, tzinfo=UTC)
    assert good == ["2019-09-09T12:03:00.000000Z"]


def test_an_older_import_does_not_hide_a_newer_capture(tmp_path: Path, root: Path) -> None:
    take(root, put(tmp_path, members([record(http(page()), NEWS, at="2021-01-01T00:00:00Z")]), "new.warc.gz"))
    take(root, put(tmp_path, members([record(http(page()), NEWS, at="2011-01-01T00:00:00Z")]), "old.warc.gz"))
    with StateReader.open_for_reading(root) as state:
        target = state.target(NEWS)
        good = [row["captured_at"][:4] for row in state.visits() if target and row["id"] == target.good_visit]
        shown = report.show(state, root, NEWS)
    assert good == ["2021"]
    assert shown.capture is not None
    assert (shown.capture["captured_at"][:4], shown.last_visit["captured_at"][:4]) == ("2021", "2021")


def test_a_visit_after_the_import_decides_again_and_a_rebuild_agrees(tmp_path: Path, root: Path) -> None:
    take(root, put(tmp_path, members(crawl())))
    known(root, NEWS, Outcome(State.DEAD, "404"), datetime.now(UTC) + timedelta(hours=1))
    with StateReader.open_for_reading(root) as state:
        after = state.target(NEWS)
    assert after is not None
    assert after.outcome == Outcome(State.DEAD, "404")
    assert after.good_visit is not None


def test_state_index_and_texts_are_made_again_from_the_files_alone(tmp_path: Path, root: Path) -> None:
    moved = record(http(b"", "Location: /news", status="HTTP/1.1 301 Moved"), "http://e.example/old")
    frame = record(http(page("A frame")), "http://e.example/frame")
    warc = members([*crawl(), moved, frame])
    archive = wacz(tmp_path / "c.wacz", {"a.warc.gz": warc}, [(NEWS, "2019-09-09T12:03:00Z")])
    (done,) = take(root, archive)
    before = sorted(rows(root))
    indexes = {path.name: path.read_bytes() for path in (root / "collections" / IMPORTED / "indexes").iterdir()}
    (root / "state.sqlite3").unlink()
    shutil.rmtree(root / "collections" / IMPORTED / "text")
    shutil.rmtree(root / "collections" / IMPORTED / "indexes")
    pipeline.rebuild(root, Settings(), Listener(), Stop())
    assert sorted(rows(root)) == before == [(NEWS, NEWS, "captured"), ("http://e.example/old", NEWS, "captured")]
    assert {path.name: path.read_bytes() for path in (root / "collections" / IMPORTED / "indexes").iterdir()} == indexes
    assert WORDS in text_of(root, NEWS)
    with StateReader.open_for_reading(root) as state:
        assert state.imported(done.sha256) is not None
    assert take(root, archive)[0].known


# ------------------------------------------------------------------ damaged files


def torn() -> tuple[list[bytes], bytes]:
    packed = [
        gzip.compress(item, mtime=0)
        for item in [info(), record(http(page()), NEWS), record(http(page("B")), NEWS + "2")]
    ]
    return packed, packed[0] + packed[1][:-20] + packed[2]


def test_a_damaged_file_is_refused_with_place_and_reason_and_the_others_are_taken(tmp_path: Path, root: Path) -> None:
    packed, damaged = torn()
    bad, good = put(tmp_path, damaged, "bad.warc.gz"), put(tmp_path, members(crawl()), "good.warc.gz")
    refused, taken = take(root, bad, good)
    assert refused.exit_code == 5
    assert f"offset {len(packed[0])}" in refused.error
    assert "--salvage" in refused.error
    assert taken.captures == 1
    assert len(list((root / "collections" / IMPORTED / "archive").glob("*.warc.gz"))) == 1


def test_salvage_takes_the_whole_records_byte_for_byte_and_lists_the_rest(tmp_path: Path, root: Path) -> None:
    packed, damaged = torn()
    (done,) = take(root, put(tmp_path, damaged), salvage=True)
    assert [sentence.partition(":")[0] for sentence in done.left_out] == [f"offset {len(packed[0])}"]
    (warc,) = done.warcs
    assert (root / "collections" / IMPORTED / "archive" / warc).read_bytes() == packed[0] + packed[2]
    assert [href for href, _, _ in rows(root)] == [NEWS + "2"]
    assert problems(root) == []


def test_a_flipped_bit_is_refused_by_its_digest_and_left_out_by_salvage(tmp_path: Path, root: Path) -> None:
    block = http(page())
    wrong = record(block.replace(b"otters", b"badger", 1), NEWS, f"WARC-Block-Digest: {sha1(block)}")
    path = put(tmp_path, wrong + record(http(page()), NEWS + "2"), "x.warc")
    (refused,) = take(root, path)
    assert "offset 0: the block is not what its digest says" in refused.error
    (done,) = take(root, path, salvage=True)
    assert [href for href, _, _ in rows(root)] == [NEWS + "2"]
    assert done.left_out == ("offset 0: the block is not what its digest says",)


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("notes.txt", b"just words\n", "not a WARC"),
        ("empty.warc", b"", "not a WARC"),
        ("old.arc", b"filedesc://x.arc 0.0.0.0 20190909 text/plain 7\n1 0 Org\n\n", "an ARC file"),
        ("page.gz", gzip.compress(b"<html>no archive</html>", mtime=0), "not a WARC"),
        ("photos.zip", b"PK\x05\x06" + b"\0" * 18, "datapackage.json"),
    ],
)
def test_what_is_neither_warc_nor_wacz_is_named_and_nothing_stays(
    tmp_path: Path, root: Path, name: str, data: bytes, told: str
) -> None:
    (done,) = take(root, put(tmp_path, data, name))
    assert done.exit_code in (2, 5)
    assert name in done.error
    assert told in done.error
    assert list((root / "collections" / IMPORTED / "archive").iterdir()) == []


def test_a_file_that_is_not_there_is_told_of(tmp_path: Path, root: Path) -> None:
    missing, folder = take(root, tmp_path / "nowhere.warc", tmp_path)
    assert (missing.exit_code, folder.exit_code) == (2, 2)
    assert "nowhere.warc" in missing.error


def test_our_own_collection_may_not_have_the_name_of_the_imports(tmp_path: Path, root: Path) -> None:
    with pytest.raises(UsageError, match="--set collection=main"):
        list(pipeline.import_files(root, Settings(collection=IMPORTED), [], False, Listener(), Stop()))


# --------------------------------------------------------------------------- WACZ


def test_the_warcs_of_a_wacz_are_taken_and_its_pages_decide(tmp_path: Path, root: Path) -> None:
    first = members(
        [info("pywb 2.8"), record(http(page()), NEWS), record(http(page("Frame")), "http://e.example/frame")]
    )
    second = b"".join(crawl(page("Second"), "http://e.example/second"))
    path = wacz(
        tmp_path / "c.wacz",
        {"one.warc.gz": first, "two.warc": second},
        [(NEWS, "2019-09-09T12:03:00Z"), ("http://e.example/second", "2019-09-09T12:03:00Z")],
    )
    (done,) = take(root, path)
    folder = root / "collections" / IMPORTED / "archive"
    assert sorted((folder / name).read_bytes() for name in done.warcs) == sorted([first, second])
    assert sorted(href for href, _, _ in rows(root)) == [NEWS, "http://e.example/second"]
    with StateReader.open_for_reading(root) as state:
        known = state.imported(hashlib.sha256(path.read_bytes()).hexdigest())
    assert known is not None
    assert known["tool"] == "Browsertrix-Crawler 1.2.3"
    assert sorted(known["warcs"]) == sorted(done.warcs)


def rezipped(path: Path, change: object) -> Path:
    """The same WACZ, with a change made while its members are written again."""
    with zipfile.ZipFile(path) as archive:
        files = [(member, archive.read(member)) for member in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        change(archive, files)  # type: ignore[operator]
    return path


def keep(archive: zipfile.ZipFile, files: list[tuple[zipfile.ZipInfo, bytes]], but: str = "") -> None:
    for member, data in files:
        if member.filename != but:
            archive.writestr(member, data)


def with_traversal(archive: zipfile.ZipFile, files: list[tuple[zipfile.ZipInfo, bytes]]) -> None:
    keep(archive, files)
    archive.writestr("archive/../../evil.warc", b"x")


def with_link(archive: zipfile.ZipFile, files: list[tuple[zipfile.ZipInfo, bytes]]) -> None:
    keep(archive, files)
    link = zipfile.ZipInfo("archive/link.warc")
    link.external_attr = 0o120777 << 16
    archive.writestr(link, "/etc/passwd")


def with_bomb(archive: zipfile.ZipFile, files: list[tuple[zipfile.ZipInfo, bytes]]) -> None:
    keep(archive, files)
    archive.writestr("archive/bomb.warc", b"\0" * (80 << 20), zipfile.ZIP_DEFLATED)


def without_package(archive: zipfile.ZipFile, files: list[tuple[zipfile.ZipInfo, bytes]]) -> None:
    keep(archive, files, but="datapackage.json")


def with_other_bytes(archive: zipfile.ZipFile, files: list[tuple[zipfile.ZipInfo, bytes]]) -> None:
    keep(archive, files, but="pages/pages.jsonl")
    archive.writestr("pages/pages.jsonl", b'{"url": "http://e.example/other"}\n')


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (with_traversal, "its name leads out of the file"),
        (with_link, "a symbolic link"),
        (with_bomb, "a bomb"),
        (without_package, "datapackage.json: missing"),
        (with_other_bytes, "not what its digest in datapackage.json says"),
    ],
)
def test_a_wacz_with_something_wrong_is_refused_and_its_whole_warcs_salvaged(
    tmp_path: Path, root: Path, change: object, told: str
) -> None:
    data = members(crawl())
    path = rezipped(wacz(tmp_path / "c.wacz", {"a.warc.gz": data}, [(NEWS, "2019")]), change)
    (refused,) = take(root, path)
    assert refused.exit_code == 5
    assert told in refused.error
    (done,) = take(root, path, salvage=True)
    assert any(told in sentence for sentence in done.left_out)
    (warc,) = done.warcs
    assert (root / "collections" / IMPORTED / "archive" / warc).read_bytes() == data
    assert not list(tmp_path.rglob("evil*"))


def test_a_cut_wacz_is_told_of(tmp_path: Path, root: Path) -> None:
    path = wacz(tmp_path / "c.wacz", {"a.warc.gz": members(crawl())})
    path.write_bytes(path.read_bytes()[:-100])
    (done,) = take(root, path)
    assert done.exit_code == 5
    assert "not a whole ZIP" in done.error


def test_a_wacz_of_which_one_warc_is_damaged_leaves_nothing_behind(tmp_path: Path, root: Path) -> None:
    path = wacz(tmp_path / "c.wacz", {"a.warc.gz": members(crawl()), "b.warc.gz": torn()[1]})
    (done,) = take(root, path)
    assert (done.exit_code, list((root / "collections" / IMPORTED / "archive").iterdir())) == (5, [])
    (done,) = take(root, path, salvage=True)
    assert len(done.warcs) == 2


# ----------------------------------------------------------------- after a crash

KILLED = """
import os, sys
from pathlib import Path
from scraper import pipeline
from scraper.archiver import imports, layout
from scraper.settings import Settings

left = int(sys.argv[3])

def dying(real):
    def call(*given, **named):
        global left
        left -= 1
        if left < 0:
            os._exit(9)
        return real(*given, **named)
    return call

for name in ("fsync", "rename", "replace", "unlink"):
    setattr(os, name, dying(getattr(os, name)))
list(pipeline.import_files(Path(sys.argv[1]), Settings(), [sys.argv[2]], False, pipeline.Listener(), pipeline.Stop()))
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    """Archives after a kill at each of several steps of one import."""
    folder = tmp_path_factory.mktemp("killed")
    path = put(folder, members(crawl()))
    archives = []
    for step in (3, 7, 11, 15):
        root = folder / f"archive-{step}"
        subprocess.run([sys.executable, "-c", KILLED, str(root), str(path), str(step)], check=False, timeout=120)
        archives.append(root)
    yield archives


def test_a_kill_at_any_moment_leaves_an_archive_which_the_same_again_completes(killed: list[Path]) -> None:
    for root in killed:
        (done,) = take(root, root.parent / "crawl.warc.gz")
        assert done.error == "", root.name
        assert rows(root) == [(NEWS, NEWS, "captured")], root.name
        assert problems(root) == [], root.name
        assert WORDS in text_of(root, NEWS), root.name
        names = {path.name for path in (root / "collections" / IMPORTED / "archive").iterdir()}
        assert len(names) == 3, names


def test_a_full_disk_leaves_nothing_half_done(tmp_path: Path, root: Path) -> None:
    path = put(tmp_path, members([info(), *(record(http(os.urandom(60_000)), f"{NEWS}{n}") for n in range(40))]))
    limit = f"ulimit -f 1000; exec {sys.executable} -m scraper import {path} --archive {root}"
    done = subprocess.run(["bash", "-c", limit], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 74, done.stderr
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((root / "collections" / IMPORTED / "archive").iterdir()) == []
    assert Imports(root).layout.closed_warcs() == []


# ---------------------------------------------------------------------- the verb


def scraper(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scraper", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_verb_tells_what_became_of_each_file_and_ends_with_the_worst(tmp_path: Path, root: Path) -> None:
    good, bad = put(tmp_path, members(crawl()), "good.warc.gz"), put(tmp_path, torn()[1], "bad.warc.gz")
    done = scraper("import", good, bad, tmp_path / "none", "--archive", root, "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["captures"], line["exit_code"]) for line in lines] == [(1, 0), (0, 5), (0, 2)]
    assert done.returncode == 5
    again = scraper("import", good, "--archive", root)
    (name,) = lines[0]["warcs"]
    assert (again.returncode, again.stdout) == (0, f"{good}: imported before, in {name}\n")
    assert scraper("check", "--archive", root).returncode == 0
    shown = scraper("show", NEWS, "--archive", root)
    assert WORDS in shown.stdout


class Site(BaseHTTPRequestHandler):
    """Two pages, one of them moved; says nothing."""

    def do_GET(self) -> None:
        self.send_response(302 if self.path == "/old" else 200)
        if self.path == "/old":
            self.send_header("Location", "/news")
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        if self.path != "/old":
            self.wfile.write(page())

    def log_message(self, *_: object) -> None:
        """Be silent."""


@pytest.mark.skipif(shutil.which("wget") is None, reason="wget is not installed")
@pytest.mark.parametrize("option", ["--warc-compression", "--no-warc-compression"])
def test_what_wget_writes_is_taken_whole(tmp_path: Path, root: Path, option: str) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        command = ["wget", "-q", "--no-proxy", "--no-config", option, "--warc-file=w", "-O", os.devnull, f"{url}/old"]
        subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
        server.shutdown()
    (warc,) = tmp_path.glob("w.warc*")
    (done,) = take(root, warc)
    assert (done.error, done.left_out) == ("", ())
    assert sorted(rows(root)) == [(f"{url}/news", f"{url}/news", "captured"), (f"{url}/old", f"{url}/news", "captured")]
    assert WORDS in text_of(root, f"{url}/old")
    assert problems(root) == []
    with StateReader.open_for_reading(root) as state:
        told = state.imported(done.sha256)
    assert told is not None
    assert told["tool"].startswith("Wget/")
