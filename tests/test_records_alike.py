"""What is written and parted without warcio, for speed, is what warcio writes and parts."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from warcio.recordloader import ArcWarcRecord
from warcio.statusandheaders import StatusAndHeaders, StatusAndHeadersParser
from warcio.warcwriter import WARCWriter

from scraper.archiver import records

NAMES = st.sampled_from(["Content-Type", "content-type", "CONTENT-TYPE", "Server", "X-Content-Type", "A"])
BLANKS = st.sampled_from(["", " ", "  ", "\t"])
VALUES = st.text(st.sampled_from('abc/;="- :\t\x80é'), max_size=12)
LINES = st.tuples(NAMES, st.sampled_from([":", " :", ""]), BLANKS, VALUES, st.sampled_from(["\r\n", "\n", "\r\n "]))
STARTS = st.sampled_from(
    ["HTTP/1.1 200 OK\r\n", "HTTP/1.0 404\r\n", "HTTP/1.1 503 \r\n", "ICY 200 OK\r\n", "HTTP/1.1 20 x\r\n", "\r\n", ""]
)


def as_warcio(block: bytes) -> records.HttpPart | None:
    """The head as warcio's parser alone sees it."""
    stream = BytesIO(block)
    try:
        head = StatusAndHeadersParser([], verify=False).parse(stream)
    except EOFError:
        return None
    if not head:
        return records.HttpPart(None, None, stream.tell())
    return records.HttpPart(str(head.get_statuscode()), head.get_header("content-type"), stream.tell())


@settings(max_examples=400, deadline=None)
@given(STARTS, st.lists(LINES, max_size=5), st.sampled_from(["\r\n", "\n", ""]), st.binary(max_size=5))
def test_a_head_is_parted_as_warcio_parts_it(start: str, lines: list[tuple[str, ...]], end: str, body: bytes) -> None:
    block = (start + "".join(map("".join, lines)) + end).encode("latin-1") + body
    assert records.http_head(block) == as_warcio(block)


def test_the_first_content_type_of_a_plain_head_counts() -> None:
    block = b"HTTP/1.1 200 OK\r\nX: content-type: a\r\nContent-Type: b; c \r\ncontent-type: d\r\n\r\nbody"
    assert records.http_head(block) == records.HttpPart("200", "b; c", len(block) - 4) == as_warcio(block)


@pytest.mark.parametrize("block", [b"", b"bytes\x00\r\n\r\n\xff"])
def test_a_record_is_written_as_warcio_writes_it(block: bytes) -> None:
    fields = [
        ("WARC-Date", "2026-05-04T03:02:01.000001Z"),
        ("WARC-Target-URI", "http://a.example/?q=\N{SNOWMAN}"),
        ("WARC-Empty", ""),
    ]
    record = records.make("resource", fields, block)
    out = BytesIO()
    headers = StatusAndHeaders("", list(record.headers), protocol="WARC/1.1")
    theirs = ArcWarcRecord("warc", "resource", headers, BytesIO(block), None, None, len(block))
    theirs.payload_length = len(block)
    writer = WARCWriter(out, gzip=False, warc_version="1.1")
    writer.ensure_digest = lambda *_args, **_more: None  # ours are there
    writer.write_record(theirs)
    assert records.serialise(record) == out.getvalue()
    assert records.parse(records.serialise(record), 0) == record
