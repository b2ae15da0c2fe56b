"""The archiver: visits go in, exchanges come out, and nothing in between changes a byte."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from io import FileIO
from pathlib import Path

import pytest
from factories import START, chunked, make_capture, make_collection, make_exchange

from scraper.archiver import IndexEntry, Lock, recorded
from scraper.archiver.visits import read_fields
from scraper.errors import ArchiveLocked, IntegrityError
from scraper.model import Held, Location, Outcome, State

ODD_HEAD = b"HTTP/1.1  200   Fine\r\nX-Odd:   two\r\nx-odd:\ttabs\t\r\nX-Latin: caf\xe9\r\nX-Fold: a\r\n b\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (None, b"<p>hello</p>"),
        (ODD_HEAD, bytes(range(256)) * 40),
        (b"HTTP/1.1 200\r\n\r\n", b""),
        (b"HTTP/1.0 200 OK\nContent-Type: text/html\n\n", b"bare line feeds"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunked(b"in chunks, as sent")),
    ],
)
def test_a_response_is_read_back_byte_for_byte(tmp_path: Path, head: bytes | None, body: bytes) -> None:
    exchange = make_exchange(body=body, head=head)
    collection = make_collection(tmp_path)
    kept = collection.append(make_capture(exchange))
    collection.sync()
    open_copy = collection.load(kept.page)
    collection.close()

    loaded = make_collection(tmp_path).load(kept.page)

    assert loaded.received == exchange.received == open_copy.received
    assert loaded.request == exchange.request
    assert (loaded.target, loaded.started_at, loaded.peer_ip) == (exchange.target, START, "192.0.2.7")
    assert (loaded.status, loaded.head_length, loaded.headers) == (200, exchange.head_length, exchange.headers)


def test_a_visit_is_told_by_its_records_alone(tmp_path: Path) -> None:
    hop = make_exchange("http://example.com/old", b"", status=301, headers=(("Location", "/new"),))
    page = make_exchange("http://example.com/new", headers=(("ETag", '"a%b"'), ("Content-Type", "text/html; x=y")))
    capture = make_capture(hop, page)
    collection = make_collection(tmp_path)
    kept = collection.append(capture, via=("ab" * 32, "cd" * 32))
    collection.close()

    (visit,) = recorded(tmp_path, "main")

    assert visit.target.href == "http://example.com/old"
    assert visit.final.href == "http://example.com/new"
    assert visit.outcome == Outcome(State.CAPTURED)
    assert visit.kept == kept
    assert visit.via == ("ab" * 32, "cd" * 32)
    assert (visit.status, visit.mime, visit.captured_at) == (200, "text/html", START)
    assert (visit.started_at, visit.ended_at) == (capture.started_at, capture.ended_at)
    assert read_fields(collection.record(kept.visit).block).all("fetchTimeMs") == ("250", "250")
    assert visit.kept.held is not None
    assert visit.kept.held.etag == '"a%b"'


def test_the_same_payload_under_another_url_becomes_a_revisit_and_is_read_back_whole(tmp_path: Path) -> None:
    held: dict[str, Held] = {}
    first = make_exchange("http://example.com/a", b"same body")
    again = make_exchange(
        "http://other.example/b", b"same body", headers=(("X-Own", "1"),), at=START + timedelta(days=1)
    )
    collection = make_collection(tmp_path)
    one = collection.append(make_capture(first), known=held.get)
    held[one.entity_sha256] = one.held
    two = collection.append(make_capture(again), known=held.get)
    collection.close()

    assert two.held is not None
    assert two.held.href == "http://example.com/a"
    assert collection.record(two.page).type == "revisit"
    assert make_collection(tmp_path).load(two.page).received == again.received


def test_a_revisit_within_the_file_being_written_is_read_back_without_searching_it(tmp_path: Path) -> None:
    collection = make_collection(tmp_path)
    first = collection.append(make_capture(make_exchange(body=b"body")))
    known = {first.entity_sha256: first.held}
    again = collection.append(make_capture(make_exchange("http://b.example/", b"body")), known=known.get)
    revisit = collection.record(again.page)
    assert revisit.header("WARC-Refers-To-Filename") == first.page.warc
    assert revisit.header("WARC-Refers-To-File-Offset") == str(first.page.offset)

    reader = make_collection(tmp_path)
    assert reader.load(again.page).body == b"body"
    assert reader._open_entries._seen == {}  # the file was not scanned


@pytest.mark.parametrize("offset", ["7", "99999999", "-1", "../x", "{request}"])
def test_a_revisit_that_names_a_wrong_place_is_found_through_the_index(tmp_path: Path, offset: str) -> None:
    collection = make_collection(tmp_path)
    first = collection.append(make_capture(make_exchange(body=b"body")))
    revisit = collection.append(make_capture(make_exchange(status=304, body=b"")), held=first.held).page
    record = collection.record(revisit)
    collection.close()
    wrong = offset.format(request=first.locations[1].offset)
    headers = tuple((k, wrong if k == "WARC-Refers-To-File-Offset" else v) for k, v in record.headers)
    assert collection._original(replace(record, headers=headers), revisit).block.endswith(b"body")


def test_a_file_that_gets_its_final_name_while_it_is_looked_for_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = make_collection(tmp_path)
    kept = collection.append(make_capture(make_exchange()))
    opened: list[str] = []

    def open_late(path: Path) -> FileIO:
        opened.append(path.suffix)
        if path.suffix == ".open":
            collection.close()
        return FileIO(path)

    monkeypatch.setattr("scraper.archiver.layout.FileIO", open_late)
    assert make_collection(tmp_path).record(kept.page).type == "response"
    assert opened == [".open", ".gz"]


def test_a_capture_is_found_though_its_file_is_closed_in_the_middle_of_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = make_collection(tmp_path)
    kept = collection.append(make_capture(make_exchange()))
    reader = make_collection(tmp_path)
    real_find, real_entries = reader.index.find, reader._open_entries.entries

    def find(href: str) -> list[IndexEntry]:
        found = real_find(href)
        collection.close()
        return found

    def entries(own: str) -> list[IndexEntry]:
        found = list(real_entries(own))
        collection.close()
        return found

    monkeypatch.setattr(reader.index, "find", find)
    monkeypatch.setattr(reader._open_entries, "entries", entries)
    assert [entry.location for entry in reader.find("http://example.com/")] == [kept.page]


@pytest.mark.parametrize("name", ["gone.warc.gz", "../../state.sqlite3"])
def test_a_record_of_a_file_that_is_not_there_is_an_error_that_says_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / "collections/main/archive").mkdir(parents=True)
    (tmp_path / "collections/state.sqlite3").touch()
    with pytest.raises(IntegrityError, match="this WARC is missing; put it back, or run `scraper rebuild`"):
        make_collection(tmp_path).load(Location(name, 0, 0))


@pytest.mark.parametrize(("offset", "why"), [(10**9, "the file ends before it"), (1, "not a right gzip member")])
def test_a_place_without_a_record_is_named(tmp_path: Path, offset: int, why: str) -> None:
    collection = make_collection(tmp_path)
    kept = collection.append(make_capture(make_exchange()))
    with pytest.raises(IntegrityError, match=rf"{kept.warc}\.open: no whole record at offset {offset}: {why}"):
        collection.load(Location(kept.warc, offset, 0))


def test_a_second_run_is_refused_at_once_and_told_who_holds_the_lock(tmp_path: Path) -> None:
    with Lock(tmp_path), pytest.raises(ArchiveLocked, match=r"another run \(process \d+\)"):
        Lock(tmp_path).__enter__()
    with Lock(tmp_path):
        pass
