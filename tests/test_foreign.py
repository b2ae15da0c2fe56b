"""The reader of other tools' WARCs: every packing, every oddity, and where each record lies."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest
from foreign import http, info, members, page, record, sha1
from hypothesis import given, settings
from hypothesis import strategies as st

from scraper import message
from scraper.archiver import foreign, foreign_index
from scraper.archiver.foreign import Found
from scraper.archiver.members import Damaged

ANSWER = http(page())


def write(folder: Path, data: bytes, name: str = "x.warc") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def read(path: Path) -> list[Found]:
    return list(foreign.scan(path, 0, foreign.PROOF))


def three() -> list[bytes]:
    return [info(), record(ANSWER, "http://e.example/1"), record(http(b"<p>two"), "http://e.example/2")]


def test_each_record_of_a_plain_file_lies_where_its_bytes_are(tmp_path: Path) -> None:
    records = three()
    found = read(write(tmp_path, b"".join(records)))
    assert [(item.offset, item.length) for item in found] == [
        (0, len(records[0]) - 4),
        (len(records[0]), len(records[1]) - 4),
        (len(records[0]) + len(records[1]), len(records[2]) - 4),
    ]
    assert [item.href for item in found] == ["", "http://e.example/1", "http://e.example/2"]


def test_each_record_of_a_gzip_file_is_its_member(tmp_path: Path) -> None:
    sizes = [len(gzip.compress(item, mtime=0)) for item in three()]
    found = read(write(tmp_path, members(three())))
    assert [(item.offset, item.length) for item in found] == [
        (0, sizes[0]),
        (sizes[0], sizes[1]),
        (sizes[0] + sizes[1], sizes[2]),
    ]
    assert not any(item.is_shared for item in found)


@pytest.mark.parametrize("packed", [False, True])
def test_a_record_is_read_back_whole_from_its_offset(tmp_path: Path, packed: bool) -> None:
    path = write(tmp_path, members(three()) if packed else b"".join(three()))
    second = read(path)[1]
    with path.open("rb", buffering=0) as file:
        again = foreign.read_at(file, second.offset)
        following = foreign.read_at(file, again.end)
    assert again.record.block == ANSWER
    assert following.href == "http://e.example/2"


def test_records_that_share_a_gzip_member_are_seen(tmp_path: Path) -> None:
    found = read(write(tmp_path, gzip.compress(b"".join(three()))))
    assert len(found) == 3
    assert [item.is_shared for item in found] == [True, True, True]


@pytest.mark.parametrize("version", ["WARC/0.17", "WARC/0.18", "WARC/1.0", "WARC/1.1"])
def test_every_version_of_the_standard_is_read(tmp_path: Path, version: str) -> None:
    (found,) = read(write(tmp_path, record(ANSWER, "http://e.example/", version=version)))
    assert found.href == "http://e.example/"


def test_folded_lines_brackets_and_odd_case_are_understood(tmp_path: Path) -> None:
    data = record(ANSWER, None, "warc-target-uri: <http://e.example/a>", "X-Long: one\r\n two\r\n\tthree")
    (found,) = read(write(tmp_path, data))
    assert found.href == "http://e.example/a"
    assert found.record.header("x-long") == "one two three"


def test_too_few_or_too_many_line_ends_after_a_block_are_forgiven(tmp_path: Path) -> None:
    first, second = record(ANSWER, "http://e.example/1"), record(ANSWER, "http://e.example/2")
    for between in (b"", b"\r\n", b"\r\n" * 9):
        path = write(tmp_path, first[:-4] + between + second)
        assert [item.offset for item in read(path)] == [0, len(first) - 4 + len(between)]
        packed = write(tmp_path, gzip.compress(first[:-4] + between) + gzip.compress(second))
        assert [item.is_shared for item in read(packed)] == [False, False]


@pytest.mark.parametrize(
    ("cut", "reason"),
    [
        (lambda data: data[:-200], "the record's block is shorter than its Content-Length"),
        (lambda data: data[:60], "the record's header does not end"),
        (lambda data: b"\0" * 50 + data, "no WARC record"),
        (lambda data: data.replace(b"Content-Length: ", b"Content-Length: -"), "no readable Content-Length"),
        (lambda data: data.replace(b"2019-09-09T", b"2019-99-99T"), "no readable WARC-Date"),
        (lambda data: data.replace(b"WARC-Type: response", b"X-Type: response"), "no WARC-Type"),
        (lambda data: b"filedesc://x.arc 0.0.0.0 20190909 text/plain 77\n1 0 Org\n\n", "an ARC file"),
    ],
)
def test_what_is_no_whole_record_is_named_with_its_offset(tmp_path: Path, cut: object, reason: str) -> None:
    path = write(tmp_path, cut(record(ANSWER)))  # type: ignore[operator]
    with pytest.raises(Damaged, match=reason) as caught:
        read(path)
    assert caught.value.offset == 0


def test_a_content_length_that_lies_is_damage_and_the_next_record_is_found(tmp_path: Path) -> None:
    lying = record(ANSWER, "http://e.example/1", f"Content-Length: {len(ANSWER) + 30}")
    good = record(ANSWER, "http://e.example/2")
    for data in (lying + good, members([lying, good])):
        damages: list[Damaged] = []
        found = list(foreign.scan_on(write(tmp_path, data), damages, foreign.PROOF))
        assert [item.href for item in found][-1] == "http://e.example/2"
        assert len(damages) == 1


def test_a_torn_gzip_member_is_damage_and_the_next_is_found(tmp_path: Path) -> None:
    packed = [gzip.compress(item) for item in three()]
    data = packed[0] + packed[1][:60] + packed[2]
    damages: list[Damaged] = []
    found = list(foreign.scan_on(write(tmp_path, data), damages, foreign.PROOF))
    assert [item.href for item in found] == ["", "http://e.example/2"]
    assert [damage.offset for damage in damages] == [len(packed[0])]


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
def test_a_block_that_is_not_what_its_digest_says_is_found(tmp_path: Path, algorithm: str) -> None:
    import hashlib

    right = f"{algorithm}:{hashlib.new(algorithm, ANSWER).hexdigest()}"
    wrong = f"{algorithm}:{hashlib.new(algorithm, ANSWER + b'.').hexdigest()}"
    good, bad = (record(ANSWER, "http://e.example/", f"WARC-Block-Digest: {said}") for said in (right, wrong))
    assert [item.faults for item in read(write(tmp_path, good + bad))] == [
        (),
        ("the block is not what its digest says",),
    ]


def test_a_payload_digest_may_be_of_the_body_as_it_lies_or_without_its_chunks(tmp_path: Path) -> None:
    chunked = b"5\r\nhello\r\n0\r\n\r\n"
    block = http(chunked, "Transfer-Encoding: chunked")
    data = [
        record(block, "http://e.example/", f"WARC-Payload-Digest: {sha1(said)}") for said in (chunked, b"hello", b"")
    ]
    assert [bool(item.faults) for item in read(write(tmp_path, b"".join(data)))] == [False, False, True]


def test_a_payload_larger_than_any_buffer_is_hashed_in_passing(tmp_path: Path) -> None:
    body = bytes(range(256)) * 20_000
    path = write(tmp_path, gzip.compress(record(http(body), "http://e.example/")))
    (found,) = foreign.scan(path)
    assert found.payload_sha1 == sha1(body)
    assert len(found.record.block) < 200


def entry(folder: Path, data: bytes) -> tuple[str | None, str | None, str] | None:
    (found,) = foreign.scan(write(folder, data))
    line = foreign_index.entry_of(found, "x.warc")
    return (line.status, line.mime, line.digest) if line else None


def test_an_index_line_has_status_type_and_digest_of_what_was_recorded(tmp_path: Path) -> None:
    assert entry(tmp_path, record(http(b"x", status="HTTP/2 200", kind="text/html; charset=utf-8"))) == (
        "200",
        "text/html",
        sha1(b"x"),
    )
    assert entry(
        tmp_path, record(http(b"x", status="HTTP/1.1 404"), "http://e.example/", "WARC-Payload-Digest: md5:0")
    ) == (
        "404",
        "text/html",
        "md5:0",
    )
    resource = record(b"pixels", "http://e.example/a.png", "Content-Type: image/png", kind="resource")
    assert entry(tmp_path, resource) == (None, "image/png", sha1(b"pixels"))


@pytest.mark.parametrize("href", ["dns:e.example", "urn:pageinfo:http://e.example/", "metadata://x/y", "file:///etc/x"])
def test_what_is_no_web_address_is_listed_as_others_do(tmp_path: Path, href: str) -> None:
    made = entry(tmp_path, record(b"x", href, "Content-Type: text/plain", kind="resource"))
    assert made == (None, "text/plain", sha1(b"x"))


def test_the_notes_of_a_crawler_are_not_listed(tmp_path: Path) -> None:
    assert entry(tmp_path, record(b"via: http://e.example/\r\n", "http://e.example/x", kind="metadata")) is None
    assert entry(tmp_path, record(b"GET / HTTP/1.1\r\n\r\n", "http://e.example/x", kind="request")) is None


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=400), at=st.integers(0, 2000), cut=st.booleans())
def test_no_bytes_whatever_do_more_than_damage(data: bytes, at: int, cut: bool) -> None:
    import tempfile

    whole = b"".join(three())
    packed = members(three())
    for source in (whole, packed):
        place = at % len(source)
        broken = source[:place] + data + (b"" if cut else source[place:])
        with tempfile.TemporaryDirectory() as folder:
            path = write(Path(folder), broken)
            damages: list[Damaged] = []
            found = list(foreign.scan_on(path, damages, foreign.PROOF))
            assert all(0 <= item.offset < len(broken) for item in found)
            assert all(0 <= item.offset <= len(broken) for item in damages)


def test_fastwarc_finds_the_same_records_at_the_same_places(tmp_path: Path) -> None:
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    for data in (b"".join(three()), members(three())):
        path = write(tmp_path, data)
        theirs = [
            (item.stream_pos, item.headers.get("WARC-Target-URI") or "")
            for item in ArchiveIterator(io.BytesIO(data), record_types=WarcRecordType.any_type)
        ]
        assert [(item.offset, item.href) for item in read(path)] == theirs


@given(data=st.lists(st.sampled_from([b"\r", b"\n", b"a"]), max_size=12).map(b"".join), start=st.integers(0, 12))
def test_the_end_of_a_head_is_where_its_pattern_says(data: bytes, start: int) -> None:
    found = message.HEAD_END.search(data, start)
    assert message.head_end(data, start) == (found.span() if found else None)


@pytest.mark.parametrize(
    ("said", "stamp"),
    [
        ("2019-09-09T12:03:00Z", "20190909120300"),
        ("2019-09-09T12:03:00.123456Z", "20190909120300"),
        ("2019-09-09T120300.1Z", "20190909120300"),
        ("2019-09-09T14:03:00+02:00", "20190909120300"),
        ("2019", "20190101000000"),
    ],
)
def test_every_form_of_a_date_gives_its_14_digits(tmp_path: Path, said: str, stamp: str) -> None:
    (found,) = foreign.scan(write(tmp_path, record(ANSWER, at=said)))
    line = foreign_index.entry_of(found, "x.warc")
    assert line is not None
    assert line.timestamp == stamp
