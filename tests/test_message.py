from __future__ import annotations

import gzip
import random
import sys
import time
import tracemalloc
import zlib

import brotlicffi  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from scraper import message


def test_a_head_is_read_with_folds_and_bare_line_feeds() -> None:
    head = message.parse_head(b"HTTP/1.1 200 Fine\nA: 1\n  2\nSet-Cookie: x\r\nset-cookie:  y \r\n\r\nbody")
    assert head is not None
    assert (head.status, head.reason, head.header("a")) == (200, "Fine", "1 2")
    assert head.all("set-cookie") == ["x", "y"]


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200 OK\r\n", b"ICY 200 OK\r\n\r\n", b"\r\n\r\n"])
def test_what_is_no_whole_http_head_gives_none(data: bytes) -> None:
    assert message.parse_head(data) is None


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=8), st.binary(max_size=20))
def test_the_chunked_coding_comes_off_and_its_end_is_found(chunks: list[bytes], surplus: bytes) -> None:
    coded = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\nTrailer: 1\r\n\r\n"
    assert message.dechunk(coded + surplus) == (b"".join(chunks), len(coded))


@given(st.binary(max_size=200))
def test_a_cut_chunked_body_has_no_end_and_nothing_raises(junk: bytes) -> None:
    data, end = message.dechunk(b"5\r\nhello\r\n" + junk[:0])
    assert (data, end) == (b"hello", None)
    message.dechunk(junk)


def test_gzip_members_in_a_row_and_junk_behind_them_are_read_as_browsers_do() -> None:
    packed = gzip.compress(b"one ") + gzip.compress(b"two") + b"junk"
    assert message.content(packed, "gzip", 100) == b"one two"


def test_deflate_with_and_without_the_zlib_wrapper() -> None:
    raw = zlib.compressobj(wbits=-15)
    bare = raw.compress(b"text " * 20) + raw.flush()
    assert message.content(bare, "deflate", 1000) == b"text " * 20
    assert message.content(zlib.compress(b"text " * 20), "deflate", 1000) == b"text " * 20


def test_double_coding_comes_off_from_the_last_to_the_first() -> None:
    assert message.content(gzip.compress(zlib.compress(b"x" * 50)), "deflate, gzip", 100) == b"x" * 50


def test_a_cut_gzip_stream_gives_what_could_be_read() -> None:
    packed = gzip.compress(bytes(range(256)) * 40, compresslevel=0)
    assert message.content(packed[:5000], "gzip", 100_000).startswith(bytes(range(256)))


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(message.TooLarge):
        message.content(gzip.compress(b"\0" * 5_000_000), "gzip", 1_000_000)


def test_many_gzip_members_cost_no_more_than_their_bytes() -> None:
    # Fed whole, each of 9,000 empty members would copy the 20 MB behind it: minutes.
    packed = gzip.compress(b"") * 9_000 + gzip.compress(b"end") + b"\0" * 20_000_000
    started = time.process_time()
    assert message.content(packed, "gzip", 100) == b"end"
    assert time.process_time() - started < 5


def test_gzip_members_past_all_reason_are_not_read() -> None:
    assert message.content(gzip.compress(b"x") * 10_001, "gzip", 100_000) == b"x" * 10_000


@pytest.mark.parametrize("size", [1, 1003, 1024, 1025, 70_000, 3_000_000])
def test_a_member_of_any_size_is_read_whole_and_the_next_one_too(size: int) -> None:
    noise = random.Random(size).randbytes(size)
    assert message.content(gzip.compress(noise) + gzip.compress(b"next"), "gzip", 5_000_000) == noise + b"next"


def test_the_cap_counts_all_members_together() -> None:
    assert message.content(gzip.compress(b"x" * 50) * 2, "gzip", 100) == b"x" * 100
    with pytest.raises(message.TooLarge):
        message.content(gzip.compress(b"x" * 50) * 2, "gzip", 99)


def test_br_and_zstd_are_removed_where_the_extra_is_installed() -> None:
    assert message.content(brotlicffi.compress(b"text " * 2000), "br", 10_000) == b"text " * 2000
    assert message.content(zstandard.compress(b"text " * 2000), "zstd", 10_000) == b"text " * 2000
    two_frames = zstandard.compress(b"one ") + zstandard.compress(b"two")
    assert message.content(two_frames, "zstd", 100) == b"one two"
    assert message.content(gzip.compress(brotlicffi.compress(b"both")), "br, gzip", 100) == b"both"


@pytest.mark.parametrize("coding", ["br", "zstd"])
def test_a_bomb_in_br_or_zstd_is_stopped_at_the_cap(coding: str) -> None:
    packed = {"br": brotlicffi.compress, "zstd": zstandard.compress}[coding](b"\0" * 50_000_000)
    assert len(packed) < 50_000
    with pytest.raises(message.TooLarge):
        message.content(packed, coding, 1_000_000)


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip", "deflate"])
def test_a_body_that_was_decoded_before_it_was_stored_stays_as_it_is(coding: str) -> None:
    page = b"<!doctype html><title>Plain</title><p>Words.</p>"
    assert message.content(page, coding, 1000) == page


@pytest.mark.parametrize("coding", ["br", "zstd"])
def test_a_cut_stream_gives_what_could_be_read(coding: str) -> None:
    whole = random.Random(1).randbytes(400_000)
    packed = {"br": brotlicffi.compress, "zstd": zstandard.compress}[coding](whole)
    found = message.content(packed[:300_000], coding, 1_000_000)
    assert len(found) > 100_000
    assert whole.startswith(found)


def test_a_coding_nobody_can_remove_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    assert message.unreadable("gzip, br, zstd, identity") == ""
    assert message.unreadable("compress") == "its content coding cannot be read: compress"
    monkeypatch.setitem(sys.modules, "brotlicffi", None)
    message.readable.cache_clear()
    try:
        assert message.unreadable("br") == "its content coding cannot be read: br (install scraper[codecs])"
        assert message.content(b"packed", "br", 100) == b"packed"
    finally:
        monkeypatch.undo()
        message.readable.cache_clear()


def test_the_status_line_that_browsers_captures_give_http_2_is_read() -> None:
    head = message.parse_head(b"HTTP/2 200\r\ncontent-type: text/html\r\n\r\n")
    assert head is not None
    assert (head.version, head.status, head.header("content-type")) == ("2.0", 200, "text/html")


def test_a_chunked_coding_that_was_taken_off_while_its_header_stayed_is_seen() -> None:
    stored = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n<html>whole page</html>"
    assert message.entity(stored) == b"<html>whole page</html>"


def test_a_bomb_is_counted_without_being_held() -> None:
    bomb, other = gzip.compress(bytes(90 << 20), 1), zlib.compress(bytes(90 << 20), 1)
    tracemalloc.start()
    try:
        assert not message.is_larger(bomb, "gzip", 90 << 20)
        assert message.is_larger(bomb, "gzip", (90 << 20) - 1)
        assert message.is_larger(other, "deflate", 80 << 20)
        assert message.is_larger(gzip.compress(bomb), "gzip, gzip", 80 << 20)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate", "gzip, gzip", "gzip, deflate", "br", "zstd", ""]))
def test_counting_and_unpacking_agree(body: bytes, codings: str) -> None:
    coded = gzip.compress(body) if codings.startswith("gzip") else zlib.compress(body)
    try:
        message.content(coded, codings, 100)
    except message.TooLarge:
        assert message.is_larger(coded, codings, 100)
    else:
        assert len(coded) > 100 or not message.is_larger(coded, codings, 100)


def test_content_codings_on_several_lines_are_one_list() -> None:
    headers = [("Content-Encoding", "gzip"), ("X-Other", "br"), ("content-encoding", "deflate, gzip")]
    assert message.codings(headers) == "gzip, deflate, gzip"
    assert message.codings([("X-Other", "br")]) == ""


def test_more_than_five_codings_are_left_on() -> None:
    packed = b"hello"
    for _ in range(6):
        packed = gzip.compress(packed)
    many = ", ".join(["gzip"] * 6)
    assert message.content(packed, many, 1000) == packed
    assert message.unreadable(many) == "its content coding cannot be read: there are more than 5"
    assert not message.is_readable_now(message.unreadable(many))
    assert message.left_on(many) == ["gzip"] * 6
    assert not message.is_larger(packed, many, 1000)
    assert message.content(gzip.decompress(packed), ",".join(["gzip"] * 5), 1000) == b"hello"
    assert message.left_on("gzip, x-odd, identity") == ["x-odd"]
    assert message.content(gzip.compress(b"hello"), "identity," * 600 + "gzip", 1000) == b"hello"
    assert not message.is_larger(b"hello", "identity," * 600, 5)
    assert message.is_larger(b"hello", "identity," * 600, 4)


def test_the_cap_holds_for_all_that_is_unpacked_together() -> None:
    inner = gzip.compress(random.Random(1).randbytes(600), 0)
    packed = gzip.compress(inner, 0)
    assert len(message.content(packed, "gzip, gzip", 1300)) == 600
    with pytest.raises(message.TooLarge):
        message.content(packed, "gzip, gzip", 1100)
