"""Where damaged bytes were cut out, one whole record stands, of exactly their length."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import START
from hypothesis import given
from hypothesis import strategies as st

from scraper.archiver import records
from scraper.archiver.filler import filler
from scraper.archiver.layout import Layout
from scraper.archiver.quarantine import copy_bytes, move

FIELDS = {
    "quarantined": "main-20260101000000-00000.warc.gz.123456.damaged",
    "damage": "not a right gzip member (incorrect data check)",
    "sha256": "0" * 64,
}


@pytest.mark.parametrize("length", [*range(300, 700), *range(65_800, 66_300, 7), 1_000_000, 1_000_003])
def test_a_filler_is_one_whole_record_of_any_length_a_record_has(tmp_path: Path, length: int) -> None:
    pieces = filler(length, FIELDS, START)
    assert pieces is not None
    path = tmp_path / "filled"
    path.write_bytes(b"".join(pieces))
    ((member, record),) = records.read_all(path)
    assert (member.offset, member.length) == (0, length)
    assert records.is_filler(record)
    assert records.digest_faults(record) == []
    assert record.block.startswith(b"quarantined: main-20260101000000-00000.warc.gz.123456.damaged\r\n")


def test_no_filler_is_shorter_than_a_record_can_be() -> None:
    assert filler(150, FIELDS, START) is None


def test_what_is_quarantined_never_takes_the_place_of_what_is_there(tmp_path: Path) -> None:
    layout = Layout(tmp_path, "main")
    source = tmp_path / "source"
    source.write_bytes(b"0123456789")
    copies = [copy_bytes(layout, source, 2, 5, "piece"), copy_bytes(layout, source, 2, 6, "piece")]
    assert [copy.path.read_bytes() for copy in copies] == [b"234", b"2345"]
    moved = move(layout, source, "text/piece")
    assert moved.read_bytes() == b"0123456789"
    assert not source.exists()


NAMES = st.sampled_from(["WARC-Type", "warc-date", "Content-Length", "X", "X y", "", "X-\u00e9", "WARC-Target-URI"])
VALUES = st.text(alphabet="ab:;= \t\u00a0\u2028\u00e9\r\n\0", max_size=6)
BREAKS = st.sampled_from([": ", ":", " : ", ":\t", ""])


@given(
    st.sampled_from(["WARC/1.1\r\n", "WARC/1.0\r\n", "WARC/1.1\n", "WARC/1.2\r\n"]),
    st.lists(st.tuples(NAMES, BREAKS, VALUES, st.sampled_from(["\r\n", "\r\n", "\n"])), max_size=5),
    st.sampled_from([b"\r\n", b"\n", b""]),
)
def test_a_header_read_by_hand_is_what_warcio_reads(
    version: str, fields: list[tuple[str, str, str, str]], end: bytes
) -> None:
    head = version + "".join("".join(field) for field in fields)
    data = head.encode() + end + b"block\r\n\r\n"
    by_hand = records._plain_header(data)
    if by_hand is not None:
        assert by_hand == records._any_header(data, 0)


def test_a_header_of_ours_is_read_by_hand() -> None:
    record = records.make("metadata", [("WARC-Date", "2026-05-04T03:02:01Z"), ("X", "Äpfel")], b"block")
    assert records._plain_header(records.serialise(record)) is not None
