"""The reader of responses: where a message ends, however its bytes are cut up; h11 is its oracle."""

from __future__ import annotations

from itertools import pairwise

import h11
import pytest
from chaos import FAILURES, PAGES, Case
from hypothesis import given, settings
from hypothesis import strategies as st

from scraper import message, urls
from scraper.fetcher.speaker import HEAD_BYTES, Reader, Unwritable, written_request

TARGET = urls.target("http://site.test/a?b")
TOKEN = st.text("ABCabc-_!", min_size=1, max_size=8)
VALUE = st.text("abc ,;=\t\xe9\xff", max_size=12).map(lambda text: text.strip(" \t"))
HEADERS = st.lists(st.tuples(TOKEN, VALUE), max_size=5)
STATUS = st.sampled_from([200, 203, 204, 206, 301, 304, 404, 500])


@st.composite
def responses(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A message which everybody understands, and its body."""
    status, body = draw(STATUS), draw(st.binary(max_size=60))
    headers = [(name, value) for name, value in draw(HEADERS)]
    coded = body
    match draw(st.sampled_from(["length", "chunked", "close"])):
        case "length":
            headers.append(("Content-Length", str(len(body))))
        case "chunked":
            headers.append(("transfer-Encoding", "chunked"))
            cuts = sorted(draw(st.sets(st.integers(1, 59), max_size=4)) | {0, 60})
            parts = [body[start:end] for start, end in pairwise(cuts) if body[start:end]]
            coded = b"".join(b"%x;e=1\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\nX-T: 1\r\n\r\n"
    if status in (204, 304):
        coded = body = b""
    lines = [f"HTTP/1.1 {status} Said", *(f"{name}:{draw(st.sampled_from(['', ' ', '  ']))}{v}" for name, v in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + coded, body


def by_h11(sent: bytes, pieces: list[bytes]) -> tuple[int, list[tuple[bytes, bytes]], bytes, bool, int]:
    """Status, headers, body, whether it ended, and how many bytes came after its end."""
    peer = h11.Connection(h11.CLIENT)
    peer.send(h11.Request(method="GET", target="/", headers=[("Host", "site.test")]))
    peer.send(h11.EndOfMessage())
    status, headers, body, ended = 0, [], b"", False
    for piece in [*pieces, b""]:
        if ended:
            break
        peer.receive_data(piece)
        while (event := peer.next_event()) not in (h11.NEED_DATA, h11.PAUSED) and not ended:
            match event:
                case h11.Response():
                    status, headers = event.status_code, list(event.headers.raw_items())
                case h11.Data():
                    body += bytes(event.data)
                case h11.EndOfMessage():
                    ended = True
    return status, headers, body, ended, len(sent)


def pieces_of(sent: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut for cut in cuts if 0 < cut < len(sent)})
    return [sent[start:end] for start, end in zip([0, *places], [*places, len(sent)], strict=True) if start < end]


@settings(derandomize=True, max_examples=400, deadline=None)
@given(responses(), st.lists(st.integers(1, 400), max_size=6))
def test_status_headers_body_and_end_are_those_of_h11(made: tuple[bytes, bytes], cuts: list[int]) -> None:
    sent, body = made
    pieces = pieces_of(sent, cuts)
    status, headers, read, ended, _ = by_h11(sent, pieces)
    reader = Reader()
    for piece in pieces:
        assert not reader.is_done
        reader.feed(piece)
    assert (reader.close(), reader.end, reader.flaw) == (True, len(sent), None)
    assert ended
    assert reader.head is not None
    assert reader.head.status == status
    assert [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reader.head.headers] == headers
    assert message.entity(sent) == read == body


@settings(derandomize=True, max_examples=300, deadline=None)
@given(responses(), responses(), st.lists(st.integers(1, 400), max_size=6))
def test_what_follows_a_message_is_not_of_it(
    made: tuple[bytes, bytes], following: tuple[bytes, bytes], cuts: list[int]
) -> None:
    sent, surplus = made[0], following[0]
    reader = Reader()
    reader.feed(sent)
    if reader.end is None:
        return  # only the close ends it
    assert reader.may_follow
    again = Reader()
    for piece in pieces_of(sent + surplus, cuts):
        if again.is_done:
            break
        again.feed(piece)
    assert again.end == len(sent)
    assert again.may_follow == (again.fed == len(sent))


@settings(derandomize=True, max_examples=150, deadline=None)
@given(st.sampled_from([*PAGES, *FAILURES]), st.lists(st.integers(1, 3000), max_size=5))
def test_it_does_not_matter_how_the_bytes_are_cut_up(case: Case, cuts: list[int]) -> None:
    def read(pieces: list[bytes]) -> tuple[object, ...]:
        reader = Reader()
        for piece in pieces:
            if not reader.is_done:
                reader.feed(piece)
        return reader.head, reader.head_at, reader.end, reader.flaw and reader.flaw.reason

    assert read(pieces_of(case.sent, cuts)) == read([case.sent] if case.sent else [])


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"HTTP/1.1 200 OK\r\n", b"\r\n\r\n", b"Content-Length: 3\r\n",
       b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"\n ", b"\0"]), max_size=12))  # fmt: skip
def test_no_bytes_upset_it(pieces: list[bytes]) -> None:
    reader = Reader()
    for piece in pieces:
        if piece and not reader.is_done:
            reader.feed(piece)
    reader.close()
    assert reader.end is None or reader.head is not None
    assert 0 <= reader.head_at <= (reader.fed if reader.end is None else reader.end) <= reader.fed


def test_a_head_of_half_a_mebibyte_is_read_and_one_byte_more_is_not() -> None:
    start, end = b"HTTP/1.1 200 OK\r\nX: ", b"\r\n\r\n"
    for surplus, is_read in ((0, True), (1, False)):
        reader = Reader()
        reader.feed(start + b"y" * (HEAD_BYTES - len(start) - len(end) + surplus) + end)
        assert (reader.head is not None, reader.flaw is None) == (is_read, is_read)


@pytest.mark.parametrize(
    ("headers", "may_follow"),
    [
        (b"Content-Length: 0\r\n", True),
        (b"Content-Length: 0\r\nConnection: Close\r\n", False),
        (b"Content-Length: 0\r\nConnection: x, close\r\n", False),
        (b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", False),
        (b"Transfer-Encoding: chunked\r\n", True),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", False),
        (b"Content-Length: 0\r\nTransfer-Encoding: x\r\n", False),
    ],
)
def test_a_line_serves_again_only_when_the_end_is_certain(headers: bytes, may_follow: bool) -> None:
    reader = Reader()
    reader.feed(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n" + (b"0\r\n\r\n" if b": chunked" in headers else b""))
    reader.close()
    assert reader.may_follow == may_follow


def test_an_old_protocol_is_not_asked_again_on_its_line() -> None:
    reader = Reader()
    reader.feed(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n")
    assert (reader.end, reader.may_follow) == (reader.fed, False)


@pytest.mark.parametrize("name", [b"X Y", b"", b"X\r\n", b"X:"])
def test_a_header_that_is_none_is_not_sent(name: bytes) -> None:
    with pytest.raises(Unwritable):
        written_request("GET", TARGET, [(name, b"v")])


@pytest.mark.parametrize("value", [b"a\r\nX: 1", b"a\nb", b"a\0b"])
def test_no_value_can_add_a_header(value: bytes) -> None:
    with pytest.raises(Unwritable):
        written_request("GET", TARGET, [(b"X", value)])


def test_the_request_is_written_in_order() -> None:
    written = written_request("GET", TARGET, [(b"Host", b"site.test"), (b"A", b"1")])
    assert written == b"GET /a?b HTTP/1.1\r\nHost: site.test\r\nA: 1\r\n\r\n"
