"""Where damaged bytes were cut out, one whole record stands, of exactly their length."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import START

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
