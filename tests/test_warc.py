"""The records themselves: what the standard asks, verbatim blocks, and no way in for foreign text."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from factories import START, chunked, make_capture, make_collection, make_exchange
from fastwarc.warc import ArchiveIterator as FastIterator
from hypothesis import given
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator

from scraper import urls
from scraper.archiver import members, recorded, records, visits
from scraper.archiver.records import Record
from scraper.model import Capture, Held, Outcome, Purpose, State, Truncation

CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n"


def records_of(captures: list[Capture], root: Path, **options: object) -> list[Record]:
    """Write visits, close the file, and read its records back in order."""
    collection = make_collection(root)
    for capture in captures:
        collection.append(capture, **options)
    collection.close()
    return [records.parse(member.data, member.offset) for member in members.scan(warc_of(root))]


def warc_of(root: Path) -> Path:
    (path,) = (root / "collections/main/archive").glob("*.warc.gz")
    return path


def hidden_heads(metadata: Record) -> list[bytes]:
    """The heads of revisits which could not carry them."""
    fields = visits.read_fields(metadata.block)
    return [unquote_to_bytes(value) for name, value in fields.lines if name == "headOfRevisit"]


def test_a_visit_is_response_and_request_per_exchange_then_one_metadata_record(tmp_path: Path) -> None:
    hop = make_exchange("http://example.com/a", b"", status=302, headers=(("Location", "/b"),))
    page = make_exchange("http://example.com/b")
    found = records_of([make_capture(hop, page)], tmp_path)
    assert [record.type for record in found] == ["warcinfo", "response", "request", "response", "request", "metadata"]
    info, *_, response, request, metadata = found
    assert request.header("WARC-Concurrent-To") == response.id
    assert metadata.all("WARC-Concurrent-To") == [record.id for record in found[1:5]]
    assert {record.header("WARC-Warcinfo-ID") for record in found[1:]} == {info.id}
    assert info.header("WARC-Filename") == "main-20260504030201-00000.warc.gz"
    assert b"software: scraper/test\r\n" in info.block
    assert response.header("WARC-Date") == "2026-05-04T03:02:01.123456Z" == request.header("WARC-Date")
    assert response.header("WARC-IP-Address") == "192.0.2.7"
    assert response.header("WARC-Payload-Digest") == records.sha1(b"<p>hello</p>")
    assert response.header("Content-Type") == "application/http; msgtype=response"


def test_the_file_says_it_is_warc_1_1_and_every_member_holds_one_record(tmp_path: Path) -> None:
    records_of([make_capture(make_exchange())], tmp_path)
    data = warc_of(tmp_path).read_bytes()
    assert gzip.decompress(data).startswith(b"WARC/1.1\r\n")
    assert gzip.decompress(data).count(b"WARC/1.1\r\n") == len(list(members.scan(warc_of(tmp_path)))) == 4


def test_warcio_and_fastwarc_read_the_same_blocks(tmp_path: Path) -> None:
    page = make_exchange(body=chunked(b"some text " * 50), head=CHUNKED_HEAD)
    records_of([make_capture(page)], tmp_path)
    with warc_of(tmp_path).open("rb") as file:
        types = [record.rec_type for record in ArchiveIterator(file, check_digests="raise")]
    assert types == ["warcinfo", "response", "request", "metadata"]
    with warc_of(tmp_path).open("rb") as file:
        blocks = [
            record.reader.read() for record in FastIterator(file, parse_http=False) if record.verify_block_digest()
        ]
    assert blocks[1] == page.received


@pytest.mark.parametrize(
    ("protocols", "expected"), [((), []), (("http/1.1", "tls/1.3"), ["http/1.1", "tls/1.3"])], ids=["none", "two"]
)
def test_each_protocol_has_its_own_field(tmp_path: Path, protocols: tuple[str, ...], expected: list[str]) -> None:
    page = replace(make_exchange(), protocol=protocols)
    assert records_of([make_capture(page)], tmp_path)[1].all("WARC-Protocol") == expected


@pytest.mark.parametrize("truncated", list(Truncation))
def test_a_cut_body_says_why_it_was_cut(tmp_path: Path, truncated: Truncation) -> None:
    page = make_exchange(truncated=truncated)
    outcome = Outcome(State.FAILED, "truncated")
    response = records_of([make_capture(page, outcome=outcome)], tmp_path)[1]
    assert response.header("WARC-Truncated") == str(truncated)
    (visit,) = recorded(tmp_path, "main")
    assert (visit.outcome, visit.kept.held) == (outcome, None)


def test_a_chunked_response_claims_no_payload_digest_on_which_readers_disagree(tmp_path: Path) -> None:
    page = make_exchange(body=chunked(b"text"), head=CHUNKED_HEAD)
    response = records_of([make_capture(page)], tmp_path)[1]
    assert response.block == page.received
    assert response.header("WARC-Payload-Digest") == ""


@pytest.mark.parametrize(
    "received",
    [
        b"HTTP/1.1 200 OK\r\nContent-Ty",
        b"no http at all\r\nxx",
        b"\x00\x01\x02",
        b"<html>HTTP/0.9</html>",
        b"\r\n\r\n",
        b"HTTP/1.1 200 OK",
    ],
)
def test_an_answer_without_a_readable_head_is_kept_verbatim(tmp_path: Path, received: bytes) -> None:
    page = make_exchange(head=b"", body=received, truncated=Truncation.DISCONNECT)
    kind = records_of([make_capture(page, outcome=Outcome(State.FAILED, "broken"))], tmp_path)
    assert (kind[1].type, kind[1].block) == ("response", received)
    with warc_of(tmp_path).open("rb") as file:
        assert len(list(ArchiveIterator(file, check_digests="raise"))) == 4


def test_a_request_without_an_answer_is_kept_alone(tmp_path: Path) -> None:
    silent = make_exchange(head=b"", body=b"", truncated=Truncation.DISCONNECT)
    found = records_of([make_capture(silent, outcome=Outcome(State.FAILED, "reset"))], tmp_path)
    assert [record.type for record in found] == ["warcinfo", "request", "metadata"]
    (visit,) = recorded(tmp_path, "main")
    assert (visit.kept.page, visit.status, visit.outcome.reason) == (None, None, "reset")


def test_a_page_that_could_not_be_asked_for_is_one_metadata_record_which_tells_how(tmp_path: Path) -> None:
    capture = replace(
        make_capture(outcome=Outcome(State.DEFERRED, "503", START + timedelta(hours=3)), url="http://gone.example/x"),
        detail="no such host:\r\nWARC-Type: response\r\n100% \u2028 sure\x1b[31m",
        tries=4,
        purpose=Purpose.ROBOTS,
    )
    found = records_of([capture], tmp_path)
    assert [record.type for record in found] == ["warcinfo", "metadata"]
    (visit,) = recorded(tmp_path, "main")
    assert visit.detail == capture.detail
    assert (visit.outcome, visit.tries, visit.purpose) == (capture.outcome, 4, Purpose.ROBOTS)
    assert visit.target == urls.target("http://gone.example/x")
    assert found[1].block.count(b"\r\n") == len(found[1].block.splitlines())


INJECTION = "x\r\nWARC-Type: evil\r\n\r\nHTTP/1.1 200 OK"


def test_foreign_text_cannot_add_a_field_or_a_record(tmp_path: Path) -> None:
    page = replace(make_exchange(), peer_ip=INJECTION, protocol=(INJECTION,))
    page = replace(page, headers=(*page.headers, ("ETag", INJECTION), ("Last-Modified", "\x85\x0b" + INJECTION)))
    capture = replace(make_capture(page, outcome=Outcome(State.CAPTURED, INJECTION)), detail=INJECTION)
    found = records_of([capture], tmp_path, via=(INJECTION,))
    assert [record.all("WARC-Type") for record in found] == [["warcinfo"], ["response"], ["request"], ["metadata"]]
    assert b"evil\r\n" not in found[3].block
    (visit,) = recorded(tmp_path, "main")
    assert visit.via == (INJECTION,)
    assert visit.detail == visit.outcome.reason == INJECTION
    assert visit.kept.held is not None
    assert visit.kept.held.etag == INJECTION


@given(st.text())
def test_any_text_survives_a_field(text: str) -> None:
    block = f"detail: {visits.escaped(text)}\r\n".encode("utf-8", "strict")
    assert block.count(b"\n") == 1
    assert visits.read_fields(block).text("detail") == text


def test_a_304_revisits_what_is_held_and_keeps_its_true_head_beside_it(tmp_path: Path) -> None:
    collection = make_collection(tmp_path)
    page = make_exchange(headers=(("ETag", '"1"'), ("Last-Modified", "then")))
    first = collection.append(make_capture(page))
    head = b'HTTP/1.1 304 Not Modified\r\nETag:   "2"\r\nX-Caf\xe9: %41\r\n\r\n'
    later = make_exchange(body=b"", head=head, at=START + timedelta(days=1))
    second = collection.append(make_capture(later, outcome=Outcome(State.UNCHANGED)), held=first.held)
    collection.close()

    revisit = collection.record(second.page)
    assert (revisit.type, revisit.block) == ("revisit", b"")
    assert revisit.header("WARC-Profile") == "http://netpreserve.org/warc/1.1/revisit/server-not-modified"
    assert revisit.header("WARC-Refers-To-Target-URI") == "http://example.com/"
    assert revisit.header("WARC-Refers-To-Date") == "2026-05-04T03:02:01.123456Z"
    assert revisit.header("WARC-Payload-Digest") == first.held.payload_digest
    assert hidden_heads(collection.record(second.visit)) == [head]
    assert second.held == replace(first.held, etag='"2"')
    assert collection.load(second.page).received == page.received
    assert list(recorded(tmp_path, "main"))[1].kept == second


def test_a_304_with_nothing_held_is_kept_as_it_came(tmp_path: Path) -> None:
    page = make_exchange(status=304, body=b"", headers=())
    assert records_of([make_capture(page)], tmp_path)[1].block == page.received


def test_an_unasked_304_of_another_address_is_no_revisit_of_what_is_held(tmp_path: Path) -> None:
    collection = make_collection(tmp_path)
    first = collection.append(make_capture(make_exchange("http://a.example/", headers=(("ETag", "1"),))))
    hop = make_exchange("http://a.example/", b"", status=302, headers=(("Location", "/x"),))
    stray = make_exchange("http://a.example/x", b"", status=304)
    kept = collection.append(make_capture(hop, stray, outcome=Outcome(State.FAILED, "http 304")), held=first.held)
    collection.close()
    assert collection.record(kept.page).type == "response"
    assert collection.load(kept.page).received == stray.received


def test_a_payload_shared_by_two_urls_is_revalidated_at_each_with_its_own_validators(tmp_path: Path) -> None:
    day = timedelta(days=1)
    collection = make_collection(tmp_path)
    first = collection.append(make_capture(make_exchange("http://a.example/", headers=(("ETag", '"a"'),))))
    known = {first.entity_sha256: first.held}
    shared = make_exchange("http://b.example/", headers=(("ETag", '"b"'), ("Last-Modified", "then")))
    second = collection.append(make_capture(shared), known=known.get)
    answer = make_exchange("http://b.example/", b"", status=304, headers=(("ETag", '"b2"'),), at=START + day)
    third = collection.append(make_capture(answer, outcome=Outcome(State.UNCHANGED)), held=second.held)
    stray = make_exchange("http://a.example/", b"", status=304)
    fourth = collection.append(make_capture(stray, outcome=Outcome(State.FAILED, "http 304")), held=third.held)
    collection.close()

    assert (first.held.asked_href, first.held.etag) == ("http://a.example/", '"a"')
    assert second.held == replace(first.held, etag='"b"', last_modified="then", validators_href="http://b.example/")
    assert third.held == replace(second.held, etag='"b2"')
    revisit = collection.record(third.page)
    assert revisit.type == "revisit"
    assert revisit.header("WARC-Target-URI") == "http://b.example/"
    assert revisit.header("WARC-Refers-To-Target-URI") == "http://a.example/"
    assert collection.load(third.page).body == shared.body
    assert collection.record(fourth.page).type == "response"
    assert [visit.kept for visit in recorded(tmp_path, "main")] == [first, second, third, fourth]


@pytest.mark.parametrize(
    ("status", "body", "truncated", "kind"),
    [
        (200, b"same", None, "revisit"),
        (200, b"", None, "response"),
        (404, b"same", None, "response"),
        (200, b"same", Truncation.LENGTH, "response"),
    ],
    ids=["same", "empty", "an error page", "cut"],
)
def test_only_whole_and_not_empty_200s_become_revisits(
    tmp_path: Path, status: int, body: bytes, truncated: Truncation | None, kind: str
) -> None:
    held = Held("http://a.example/", START, records.sha1(b"same"), hashlib.sha256(b"same").hexdigest())
    page = make_exchange("http://b.example/", body, status=status, truncated=truncated)
    collection = make_collection(tmp_path)
    kept = collection.append(make_capture(page), known=lambda _sha256: held)
    assert collection.record(kept.page).type == kind
    collection.close()


@pytest.mark.parametrize(
    ("first", "then", "has_head"),
    [
        ((None, b"body"), (None, b"body"), True),
        ((CHUNKED_HEAD, chunked(b"body", 3)), (CHUNKED_HEAD, chunked(b"body", 3)), True),
        ((CHUNKED_HEAD, chunked(b"body", 3)), (CHUNKED_HEAD, chunked(b"body", 2)), False),
        ((CHUNKED_HEAD, chunked(b"body", 3)), (None, b"body"), False),
        ((None, b"body"), (CHUNKED_HEAD, chunked(b"body", 2)), False),
    ],
    ids=["plain", "same chunks", "other chunks", "chunks, then plain", "plain, then chunks"],
)
def test_a_revisit_carries_its_own_head_only_where_the_originals_body_fits_it(
    tmp_path: Path, first: tuple[bytes | None, bytes], then: tuple[bytes | None, bytes], has_head: bool
) -> None:
    known: dict[str, Held] = {}
    collection = make_collection(tmp_path)
    original = collection.append(make_capture(make_exchange("http://a.example/", first[1], head=first[0])))
    known[original.entity_sha256] = original.held
    page = make_exchange("http://b.example/", then[1], head=then[0])
    kept = collection.append(make_capture(page), known=known.get)
    collection.close()

    revisit = collection.record(kept.page)
    assert revisit.header("WARC-Profile").endswith("/identical-payload-digest")
    assert revisit.block == (page.received[: page.head_length] if has_head else b"")
    hidden = hidden_heads(collection.record(kept.visit))
    assert hidden == ([] if has_head else [page.received[: page.head_length]])
    loaded = collection.load(kept.page)
    assert visits.message.entity(loaded.received) == b"body"


def test_a_page_that_is_the_same_again_is_unchanged(tmp_path: Path) -> None:
    collection = make_collection(tmp_path)
    first = collection.append(make_capture(make_exchange()))
    known = {first.entity_sha256: first.held}
    again = collection.append(make_capture(make_exchange()), held=first.held, known=known.get)
    other = collection.append(make_capture(make_exchange(body=b"new")), held=first.held, known=known.get)
    collection.close()
    assert again.outcome == Outcome(State.UNCHANGED)
    assert other.outcome == Outcome(State.CAPTURED)
    assert [visit.outcome.state for visit in recorded(tmp_path, "main")] == ["captured", "unchanged", "captured"]


@pytest.mark.parametrize(
    ("headers", "stored"),
    [
        ((("Content-Type", "text/html"),), False),
        ((("Content-Type", "text/html"), ("Content-Encoding", "gzip")), True),
        ((("Content-Type", "image/jpeg"),), True),
        ((("Content-Type", "image/svg+xml"),), False),
    ],
)
def test_what_is_packed_already_is_not_deflated_again(
    tmp_path: Path, headers: tuple[tuple[str, str], ...], stored: bool
) -> None:
    collection = make_collection(tmp_path)
    kept = collection.append(make_capture(make_exchange(body=b"a" * 10_000, headers=headers)))
    collection.close()
    assert (kept.page.length > 10_000) is stored


def test_an_entity_is_the_payload_without_its_transfer_coding(tmp_path: Path) -> None:
    packed = zlib.compress(b"text" * 100)
    head = CHUNKED_HEAD[:-2] + b"Content-Encoding: deflate\r\n\r\n"
    kept = make_collection(tmp_path).append(make_capture(make_exchange(body=chunked(packed), head=head)))
    assert kept.entity_sha256 == hashlib.sha256(packed).hexdigest()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-05", datetime(2026, 5, 1, tzinfo=UTC)),
        ("2026-05-04", datetime(2026, 5, 4, tzinfo=UTC)),
        ("2026-05-04T03:02Z", datetime(2026, 5, 4, 3, 2, tzinfo=UTC)),
        ("2026-05-04T03:02:01Z", datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)),
        ("2026-05-04T03:02:01.123456789Z", START),
    ],
)
def test_a_warc_date_of_any_precision_is_read(text: str, moment: datetime) -> None:
    assert records.parse_date(text) == moment


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "no WARC record"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "no WARC record"),
        (b"WARC/1.1\r\nWARC-Type: x\r\n\r\n\r\n\r\n", "no readable Content-Length"),
        (b"WARC/1.1\r\nContent-Length: -1\r\n\r\n\r\n\r\n", "no readable Content-Length"),
        (b"WARC/1.1\r\nContent-Length: 9\r\n\r\nabc\r\n\r\n", "shorter than its Content-Length"),
        (b"WARC/1.1\r\nContent-Length: 3\r\n\r\nabc\r\n\r\nmore", "does not end where its one record ends"),
        (b"WARC/1.1\r\nContent-Length: 3\r\n\r\nabc\r\n\r\n", "lacks WARC-Type or WARC-Record-ID"),
        (
            b"WARC/1.1\r\nWARC-Type:x\r\nWARC-Record-ID: y\r\nWARC-Date: no\r\nContent-Length: 3\r\n\r\nabc\r\n\r\n",
            "no readable WARC-Date",
        ),
    ],
)
def test_what_is_not_exactly_one_record_is_damage(data: bytes, what: str) -> None:
    with pytest.raises(members.Damaged, match=what) as found:
        records.parse(data, 42)
    assert found.value.offset == 42
