"""Captures over HTTP: TimeGate, mementos, TimeMaps, CDX, raw payloads; and what strangers send."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import zlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from factories import START, chunked, make_capture, make_collection, make_exchange
from replaying import Server, served

from scraper.archiver import Collection
from scraper.model import Outcome, State

DAY = timedelta(days=1)
PAGE = "http://e.example/news?b=2&a=1"
FIRST, SECOND, THIRD = "20260504030201", "20260505030201", "20260507030201"
PACKED = gzip.compress(b"<p>packed</p>", mtime=0)
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><a href='http://live.example/'/></svg>"
DOCUMENTS = {
    "page": ("text/html; charset=koi8-r", b"<a href=http://live.example/>x</a>"),
    "xhtml": ("application/xhtml+xml", b"<html xmlns='http://www.w3.org/1999/xhtml'><body>x</body></html>"),
    "svg": ("image/svg+xml", SVG),
    "xml": ("text/xml", SVG),
    "rss": ("application/rss+xml; charset=utf-8", SVG),
    "xsl": ("text/xsl", SVG),
    "none": ("", SVG),
    "torn": ("text/html\x0b", b"<p>x"),
    "two": ("application/json, text/html", b"<p>x"),
    "parts": ("multipart/x-mixed-replace; boundary=b", b"--b\r\nContent-Type: text/html\r\n\r\nx\r\n--b--"),
    "mail": ("message/rfc822", b"Content-Type: text/html\r\n\r\nx"),
    "pdf": ("application/pdf", b"%PDF-1.4"),
    "json": ("application/json", b"{}"),
    "text": ("text/plain; charset=koi8-r", b"x"),
}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def add(collection: Collection, url: str, body: bytes = b"", **options: object) -> object:
    return collection.append(make_capture(make_exchange(url, body, **options)))  # type: ignore[arg-type]


def fill(root: Path) -> None:
    collection = make_collection(root)
    first = add(collection, PAGE, b"<p>one</p>")
    later = make_exchange(PAGE, b"", status=304, at=START + DAY)
    collection.append(make_capture(later, outcome=Outcome(State.UNCHANGED)), held=first.held)  # type: ignore[attr-defined]
    add(collection, PAGE, b"<p>three</p>", at=START + 3 * DAY)
    coded = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n"
    add(collection, "http://e.example/packed", PACKED, head=coded)
    in_chunks = coded.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    add(collection, "http://e.example/chunked", chunked(PACKED), head=in_chunks)
    add(collection, "http://e.example/old", b"moved", status=301, headers=(("Location", "/news?b=2&a=1#top"),))
    add(collection, "http://e.example/out", status=302, headers=(("Location", "javascript:alert(1)"),))
    add(collection, "http://e.example/gone", b"<p>gone</p>", status=404)
    add(collection, "http://e.example/a.png", PNG, headers=(("Content-Type", "image/png"),))
    add(collection, "http://e.example/wrong.png", PNG, headers=(("Content-Type", "text/plain"),))
    add(collection, "http://e.example/a.woff2", b"wOF2" + bytes(9), headers=(("Content-Type", "font/woff2"),))
    css = b"a{background:url(/a.png)}"
    add(collection, "http://e.example/a.css", css, headers=(("Content-Type", "text/css"),))
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>"
    add(collection, "http://e.example/a.svg", svg, headers=(("Content-Type", "image/svg+xml"),))
    hostile = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nSet-Cookie: a=1\r\nContent-Security-Policy: default-src *\r\n"
        b"Strict-Transport-Security: max-age=1\r\nRefresh: 0; url=http://live.example/\r\nLink: </x>; rel=preload\r\n"
        b"X-Forged: a\x0bb\rX-Split: 1\r\nBad Name: x\r\nX-Latin: caf\xe9\r\nAccess-Control-Allow-Origin: *\r\n\r\n"
    )
    add(collection, "http://e.example/hostile", b"<p>hi</p>", head=hostile)
    add(collection, "http://e.example/secure", status=301, headers=(("Location", "https://e.example/secure"),))
    add(collection, "https://www.e.example/%D1%84%0A?q=%22", b"odd")
    add(collection, "http://e.example/same-second", status=302, headers=(("Location", "/gone"),))
    add(collection, "http://e.example/same-second", b"<p>good</p>")
    add(collection, "http://e.example/same-second", b"<p>broken</p>", status=500)
    add(collection, "http://e.example/odd-status", b"<p>denied</p>", status=999)
    for status in (204, 205):
        add(collection, f"http://e.example/{status}", b"<p>body</p>", status=status)
    for name, (media_type, body) in DOCUMENTS.items():
        add(collection, f"http://e.example/documents/{name}", body, headers=(("Content-Type", media_type),))
    many = tuple((f"X-{number}", "v" * 2000) for number in range(30))
    add(collection, "http://e.example/large-headers", b"x", headers=many)
    many = tuple((f"X-{number}", "v") for number in range(300))
    add(collection, "http://e.example/many-headers", b"x", headers=many)
    heavy = zlib.compress(b"<p>" + b"<a href=x1>" * 800_000)
    add(collection, "http://e.example/heavy", heavy, head=coded.replace(b"gzip", b"deflate"))
    sheet = zlib.compress(b"a{background:url(a)}" * 600_000)
    packed_sheet = b"HTTP/1.1 200 OK\r\nContent-Type: text/css\r\nContent-Encoding: deflate\r\n\r\n"
    add(collection, "http://e.example/heavy.css", sheet, head=packed_sheet)
    for size in (60_000, 600_000, 2_000_000):
        page = zlib.compress(b"<p><a href=x1>x</a>".ljust(size))
        add(collection, f"http://e.example/sized-{size}", page, head=coded.replace(b"gzip", b"deflate"))
    add(collection, "http://e.example/bomb", zlib.compress(bytes(60_000_000)), head=coded.replace(b"gzip", b"deflate"))
    add(collection, "http://torn.example/", b"no http", head=b"", truncated=None)
    collection.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("memento")
    fill(root)
    with served(root) as running:
        yield running


# -------------------------------------------------------------------- Memento


def test_a_timegate_redirects_to_the_memento_nearest_to_the_wished_time(server: Server) -> None:
    for wish, timestamp in [
        ("Mon, 04 May 2026 10:00:00 GMT", FIRST),
        ("Thu, 01 Jan 1970 00:00:00 GMT", FIRST),
        ("Wed, 06 May 2026 09:00:00 GMT", THIRD),
        ("Wednesday, 06-May-26 02:00:00 GMT", SECOND),
        (None, THIRD),
    ]:
        reply = server.ask(f"/main/{PAGE}", {"Accept-Datetime": wish} if wish else {})
        assert reply.status == 302
        assert reply.headers["location"] == f"{server.base}/main/{timestamp}/{PAGE}"
        assert reply.headers["vary"] == "accept-datetime"
        assert reply.links["original"] == PAGE
        assert reply.links["timemap"] == f"{server.base}/main/timemap/link/{PAGE}"


def test_a_wish_that_is_no_http_date_is_a_bad_request(server: Server) -> None:
    reply = server.ask(f"/main/{PAGE}", {"Accept-Datetime": "2026-05-04"})
    assert reply.status == 400
    assert "no HTTP date" in reply.text


def test_a_memento_says_its_time_and_where_the_others_are(server: Server) -> None:
    reply = server.ask(f"/main/{SECOND}id_/{PAGE}")
    assert (reply.status, reply.body) == (200, b"<p>one</p>")  # found unchanged: the body of the first
    assert reply.headers["memento-datetime"] == "Tue, 05 May 2026 03:02:01 GMT"
    assert "content-location" not in reply.headers
    assert reply.links == {
        "original": PAGE,
        "timegate": f"{server.base}/main/{PAGE}",
        "timemap": f"{server.base}/main/timemap/link/{PAGE}",
        "first prev memento": f"{server.base}/main/{FIRST}id_/{PAGE}",
        "memento": f"{server.base}/main/{SECOND}id_/{PAGE}",
        "next last memento": f"{server.base}/main/{THIRD}id_/{PAGE}",
    }


def test_an_inexact_time_leads_a_person_to_the_exact_one_and_answers_a_program_at_once(server: Server) -> None:
    person = server.ask(f"/main/20260505/{PAGE}")
    assert (person.status, person.headers["location"]) == (302, f"{server.base}/main/{SECOND}/{PAGE}")
    program = server.ask(f"/main/2026id_/{PAGE}")
    assert (program.status, program.body) == (200, b"<p>three</p>")
    assert program.headers["content-location"] == f"{server.base}/main/{THIRD}id_/{PAGE}"
    assert program.headers["memento-datetime"] == "Thu, 07 May 2026 03:02:01 GMT"


def test_of_one_second_the_page_wins_over_the_redirect_and_the_failure(server: Server) -> None:
    assert server.ask(f"/main/{FIRST}id_/http://e.example/same-second").body == b"<p>good</p>"


def test_a_timemap_lists_every_capture(server: Server) -> None:
    reply = server.ask(f"/main/timemap/link/{PAGE}")
    assert reply.headers["content-type"] == "application/link-format"
    assert reply.text.splitlines() == [
        f'<{server.base}/main/timemap/link/{PAGE}>; rel="self"; type="application/link-format";'
        ' from="Mon, 04 May 2026 03:02:01 GMT"; until="Thu, 07 May 2026 03:02:01 GMT",',
        f'<{server.base}/main/{PAGE}>; rel="timegate",',
        f'<{PAGE}>; rel="original",',
        f'<{server.base}/main/{FIRST}/{PAGE}>; rel="first memento"; datetime="Mon, 04 May 2026 03:02:01 GMT",',
        f'<{server.base}/main/{SECOND}/{PAGE}>; rel="memento"; datetime="Tue, 05 May 2026 03:02:01 GMT",',
        f'<{server.base}/main/{THIRD}/{PAGE}>; rel="last memento"; datetime="Thu, 07 May 2026 03:02:01 GMT"',
    ]
    lines = [json.loads(line) for line in server.ask(f"/main/timemap/json/{PAGE}").text.splitlines()]
    assert [(line["timestamp"], line["mime"]) for line in lines] == [
        (FIRST, "text/html"),
        (SECOND, "warc/revisit"),
        (THIRD, "text/html"),
    ]


@pytest.mark.parametrize(
    "written",
    [
        "http:/e.example/news?b=2&a=1",
        "e.example/news?b=2&a=1",
        "http%3A%2F%2Fe.example%2Fnews%3Fb%3D2%26a%3D1",
        "HTTP://E.EXAMPLE:80/news?b=2&a=1",
        "https://www.e.example/news?a=1&b=2",
        "http://me:secret@e.example/news?b=2&a=1",
        "http://e.example/x/../news?b=2&a=1",
    ],
)
def test_an_address_may_be_written_in_the_ways_people_and_proxies_write_it(server: Server, written: str) -> None:
    assert server.ask(f"/main/{FIRST}id_/{written}").body == b"<p>one</p>"


def test_escapes_in_an_archived_address_stay_as_they_are(server: Server) -> None:
    assert server.ask(f"/main/{FIRST}id_/https://www.e.example/%D1%84%0A?q=%22").body == b"odd"


# ----------------------------------------------------------------------- id_


@pytest.mark.parametrize("name", ["packed", "chunked"])
def test_a_raw_payload_keeps_its_content_coding_and_loses_its_transfer_coding(server: Server, name: str) -> None:
    reply = server.ask(f"/main/{FIRST}id_/http://e.example/{name}", {"Accept-Encoding": "identity"})
    assert reply.body == PACKED
    assert (reply.headers["content-encoding"], reply.headers["content-type"]) == ("gzip", "text/html")
    assert reply.headers["content-length"] == str(len(PACKED))
    assert "transfer-encoding" not in reply.headers


def test_head_says_what_get_would_and_sends_no_body(server: Server) -> None:
    path = f"/main/{FIRST}id_/http://e.example/packed"
    whole, head = server.ask(path), server.ask(path, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert {**head.headers, "date": ""} == {**whole.headers, "date": ""}


def test_a_dead_page_is_shown_with_its_status(server: Server) -> None:
    assert server.ask(f"/main/{FIRST}id_/http://e.example/gone").status == 404
    assert server.ask(f"/main/{FIRST}id_/http://e.example/odd-status").status == 502
    odd = server.ask(f"/main/{FIRST}id_/http://e.example/odd-status")
    assert (odd.headers["x-archive-orig-status"], odd.body) == ("999", b"<p>denied</p>")
    shown = server.ask(f"/main/{FIRST}/http://e.example/gone")
    assert (shown.status, "gone" in shown.text) == (404, True)


@pytest.mark.parametrize("modifier", ["", "id_", "mp_", "if_"])
def test_a_captured_redirect_stays_in_the_archive_and_in_its_mode(server: Server, modifier: str) -> None:
    reply = server.ask(f"/main/{FIRST}{modifier}/http://e.example/old")
    assert (reply.status, reply.headers["location"]) == (301, f"{server.base}/main/{FIRST}{modifier}/{PAGE}")
    assert reply.headers["x-archive-orig-location"] == "/news?b=2&a=1#top"


def test_a_redirect_to_no_web_address_is_told_and_not_followed(server: Server) -> None:
    reply = server.ask(f"/main/{FIRST}/http://e.example/out")
    assert (reply.status, "location" in reply.headers) == (200, False)
    assert "javascript:alert(1)" in reply.text
    assert 'href="javascript' not in reply.text


def test_a_page_held_only_as_the_redirect_to_itself_is_missing_and_no_loop(server: Server) -> None:
    first = server.ask(f"/main/{FIRST}id_/http://e.example/secure")
    assert first.headers["location"] == f"{server.base}/main/{FIRST}id_/https://e.example/secure"
    assert server.ask(first.headers["location"]).status == 404


@pytest.mark.parametrize(
    ("wanted", "status", "extent", "body"),
    [
        ("bytes=0-7", 206, f"bytes 0-7/{len(PNG)}", PNG[:8]),
        ("bytes=-4", 206, f"bytes {len(PNG) - 4}-{len(PNG) - 1}/{len(PNG)}", PNG[-4:]),
        ("bytes=260-", 206, f"bytes 260-263/{len(PNG)}", PNG[260:]),
        ("bytes=0-999999999999999999", 206, f"bytes 0-{len(PNG) - 1}/{len(PNG)}", PNG),
        ("bytes=264-", 416, f"bytes */{len(PNG)}", b""),
        ("bytes=-0", 416, f"bytes */{len(PNG)}", b""),
        ("bytes=5-2", 200, None, PNG),
        ("bytes=0-1,3-4", 200, None, PNG),
        ("bytes=-", 200, None, PNG),
        ("lines=1-2", 200, None, PNG),
        ("bytes=" + "9" * 400 + "-", 200, None, PNG),
        ("bytes=\u00b2-", 200, None, PNG),
    ],
)
def test_ranges_of_a_payload(server: Server, wanted: str, status: int, extent: str | None, body: bytes) -> None:
    reply = server.ask(f"/main/{FIRST}id_/http://e.example/a.png", {"Range": wanted})
    assert (reply.status, reply.headers.get("content-range"), reply.body) == (status, extent, body)


# -------------------------------------------------------------------- policy


@pytest.mark.parametrize("modifier", ["", "id_", "mp_", "im_", "oe_", "if_"])
@pytest.mark.parametrize("name", ["hostile", "a.svg", "a.png", "gone", "a.css", "missing"])
def test_every_answer_with_archived_bytes_is_sandboxed(server: Server, modifier: str, name: str) -> None:
    reply = server.ask(f"/main/{FIRST}{modifier}/http://e.example/{name}")
    policy = reply.headers["content-security-policy"]
    if name != "missing" or modifier not in ("", "id_", "mp_"):
        assert policy.startswith("sandbox; default-src 'none'; ")
        assert "allow-" not in policy and "script" not in policy
    assert f"'self' {server.base}" not in policy
    assert "http://e.example" not in policy
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_no_header_of_the_page_is_passed_on_but_all_are_shown(server: Server) -> None:
    reply = server.ask(f"/main/{FIRST}/http://e.example/hostile")
    assert reply.headers["x-archive-orig-set-cookie"] == "a=1"
    assert reply.headers["x-archive-orig-strict-transport-security"] == "max-age=1"
    assert reply.headers["x-archive-orig-refresh"] == "0; url=http://live.example/"
    assert reply.headers["x-archive-orig-x-latin"] == "caf\xe9"
    assert reply.headers["x-archive-orig-x-forged"] == "a b X-Split: 1"
    for name in ("set-cookie", "strict-transport-security", "refresh", "x-split", "access-control-allow-origin"):
        assert name not in reply.headers
    assert not [name for name in reply.headers if "bad name" in name]
    assert "preload" not in reply.headers["link"]


def test_only_fonts_may_be_read_by_sandboxed_pages(server: Server) -> None:
    font = server.ask(f"/main/{FIRST}oe_/http://e.example/a.woff2")
    assert font.headers["access-control-allow-origin"] == "null"
    for name in ("a.png", "a.css", "hostile", "packed"):
        assert "access-control-allow-origin" not in server.ask(f"/main/{FIRST}id_/http://e.example/{name}").headers


def test_an_image_with_a_wrong_type_goes_out_as_what_it_is(server: Server) -> None:
    for modifier in ("im_", "oe_"):
        reply = server.ask(f"/main/{FIRST}{modifier}/http://e.example/wrong.png")
        assert reply.headers["content-type"] == "image/png"
    assert server.ask(f"/main/{FIRST}id_/http://e.example/wrong.png").headers["content-type"] == "text/plain"


@pytest.mark.parametrize("destination", ["document", "iframe", "frame", "embed", "object", "fencedframe", "new"])
@pytest.mark.parametrize("modifier", ["id_", "im_", "cs_", "oe_", "mp_", "if_", ""])
def test_no_browser_gets_unrewritten_markup_as_a_document(server: Server, modifier: str, destination: str) -> None:
    for name, (media_type, body) in DOCUMENTS.items():
        path = f"/main/{FIRST}{modifier}/http://e.example/documents/{name}"
        reply = server.ask(path, {"Sec-Fetch-Dest": destination})
        kind = reply.headers["content-type"]
        if modifier == "cs_" and name in ("none", "text"):
            assert kind == "text/css; charset=utf-8"  # a style sheet whose server did not say so
        elif name in ("pdf", "json", "text"):
            assert (kind, reply.body) == (media_type, body)
        elif kind.startswith("text/plain; charset="):
            assert reply.body == body
            assert "sec-fetch-dest" in reply.headers["vary"]
        else:
            assert modifier != "id_" and kind == "text/html; charset=utf-8"
            assert 'href="http://live.example' not in reply.text
        assert reply.headers["x-content-type-options"] == "nosniff"


def test_markup_keeps_its_charset_when_it_is_shown_as_text(server: Server) -> None:
    for name, shown in {"page": "koi8-r", "rss": "utf-8", "two": "utf-8", "svg": "utf-8"}.items():
        path = f"/main/{FIRST}id_/http://e.example/documents/{name}"
        assert server.ask(path, {"Sec-Fetch-Dest": "iframe"}).headers["content-type"] == f"text/plain; charset={shown}"


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Dest": "empty"}, {"Sec-Fetch-Dest": "image"}])
def test_programs_and_parts_of_pages_get_exact_bytes_and_types(server: Server, headers: dict[str, str]) -> None:
    for name, (media_type, body) in DOCUMENTS.items():
        reply = server.ask(f"/main/{FIRST}id_/http://e.example/documents/{name}", headers)
        assert reply.body == body
        assert reply.headers.get("content-type", "") == media_type.replace("\x0b", "")


def test_a_browser_that_tells_no_destination_is_known_by_what_it_accepts(server: Server) -> None:
    accept = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    path = f"/main/{FIRST}id_/http://e.example/documents/svg"
    assert server.ask(path, {**accept, "User-Agent": "crawler/1"}).headers["content-type"] == "image/svg+xml"
    old = server.ask(path, {**accept, "User-Agent": "Mozilla/5.0 (X11) Version/15.0 Safari/605.1.15"})
    assert old.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("modifier", ["", "mp_", "if_"])
def test_a_picture_that_would_be_a_document_is_shown_in_a_page_of_ours(server: Server, modifier: str) -> None:
    reply = server.ask(f"/main/{FIRST}{modifier}/http://e.example/documents/svg")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert f'<img src="/main/{FIRST}im_/http://e.example/documents/svg"' in reply.text
    assert ("shadowrootmode" in reply.text) == (modifier == "")
    assert "<svg" not in reply.text.partition("</template>")[2]


@pytest.mark.parametrize("status", [204, 205])
def test_a_status_without_content_goes_out_without_content(server: Server, status: int) -> None:
    for modifier in ("", "id_"):
        reply = server.ask(f"/main/{FIRST}{modifier}/http://e.example/{status}")
        assert (reply.status, reply.body) == (status, b"")
        assert reply.headers.get("content-length", "0") == "0"


def test_headers_are_shown_only_as_far_as_programs_take_them(server: Server) -> None:
    def shown(name: str) -> dict[str, str]:
        headers = server.ask(f"/main/{FIRST}id_/http://e.example/{name}").headers
        return {header: value for header, value in headers.items() if header.startswith("x-archive-orig-")}

    assert list(shown("many-headers")) == [f"x-archive-orig-x-{number}" for number in range(60)]
    assert 20_000 < sum(len(name) + len(value) for name, value in shown("large-headers").items()) < 32 * 1024


# ----------------------------------------------------------------- rewritten


def test_pages_and_style_sheets_are_rewritten_as_utf_8(server: Server) -> None:
    page = server.ask(f"/main/{FIRST}mp_/http://e.example/packed")
    assert (page.headers["content-type"], page.headers.get("content-encoding")) == ("text/html; charset=utf-8", None)
    assert "<p>packed</p>" in page.text
    assert "shadowrootmode" not in page.text
    assert "shadowrootmode" in server.ask(f"/main/{FIRST}/http://e.example/packed").text
    sheet = server.ask(f"/main/{FIRST}cs_/http://e.example/a.css")
    assert sheet.headers["content-type"] == "text/css; charset=utf-8"
    assert f"/main/{FIRST}oe_/http://e.example/a.png" in sheet.text


def test_a_page_that_unpacks_to_too_much_is_offered_raw(server: Server) -> None:
    reply = server.ask(f"/main/{FIRST}/http://e.example/bomb")
    assert len(reply.body) < 10_000
    assert f'href="/main/{FIRST}id_/http://e.example/bomb"' in reply.text
    raw = server.ask(f"/main/{FIRST}id_/http://e.example/bomb")
    assert raw.body == zlib.compress(bytes(60_000_000))


@pytest.mark.parametrize("size", [60_000, 600_000, 2_000_000])
def test_a_page_is_rewritten_alike_wherever_it_is_done(server: Server, size: int) -> None:
    text = server.ask(f"/main/{FIRST}mp_/http://e.example/sized-{size}").text
    assert f'<p><a href="/main/{FIRST}/http://e.example/x1">x</a>' in text
    assert len(text) > size


def test_while_a_large_page_is_rewritten_others_are_answered(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as heavy:
        path = f"GET /main/{FIRST}mp_/http://e.example/heavy HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n"
        heavy.sendall(path.encode())
        for _ in range(3):
            assert server.ask(f"/main/{FIRST}/{PAGE}").status == 200
        heavy.setblocking(False)
        with pytest.raises(BlockingIOError):
            heavy.recv(1)  # it was asked for before them, and is not there yet


def test_a_style_sheet_that_is_too_large_is_an_empty_one_and_for_a_person_its_bytes(server: Server) -> None:
    reply = server.ask(f"/main/{FIRST}cs_/http://e.example/heavy.css")
    assert (reply.status, reply.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert len(reply.body) < 100
    person = server.ask(f"/main/{FIRST}/http://e.example/heavy.css")
    assert f'href="/main/{FIRST}id_/http://e.example/heavy.css"' in person.text


def test_the_server_ends_at_once_even_while_a_large_page_is_rewritten(tmp_path: Path) -> None:
    fill(tmp_path)
    with served(tmp_path) as server, socket.create_connection(("127.0.0.1", server.port), timeout=60) as heavy:
        path = f"GET /main/{FIRST}mp_/http://e.example/heavy HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n"
        heavy.sendall(path.encode())
        assert server.ask(f"/main/{FIRST}/{PAGE}").status == 200
        server.process.terminate()
        server.process.wait(timeout=20)
        assert not heavy.recv(65536).startswith(b"HTTP/1.1 200")


# ------------------------------------------------------------------- missing


def test_missing_parts_of_a_page_have_fitting_placeholders(server: Server) -> None:
    picture = server.ask(f"/main/{FIRST}im_/http://cdn.example/x.png")
    assert (picture.status, picture.headers["content-type"]) == (404, "image/svg+xml")
    assert "not archived" in picture.text and "cdn.example" in picture.text
    sheet = server.ask(f"/main/{FIRST}cs_/http://cdn.example/x.css")
    assert (sheet.status, sheet.headers["content-type"], sheet.body) == (404, "text/css; charset=utf-8", b"")
    frame = server.ask(f"/main/{FIRST}if_/http://cdn.example/%3Cscript%3E")
    assert (frame.status, "<script" in frame.text) == (404, False)
    assert "http://cdn.example/%3Cscript%3E" in frame.text


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost:1", "127.0.0.1.evil.example:{port}", ""])
def test_a_foreign_host_header_is_refused(server: Server, host: str) -> None:
    reply = server.ask(f"/main/{FIRST}id_/{PAGE}", {"Host": host.format(port=server.port)})
    assert reply.status == 403
    assert b"one" not in reply.body


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "[::1]:{port}", "LocalHost:{port}"])
def test_our_own_names_are_answered(server: Server, host: str) -> None:
    assert server.ask(f"/main/{FIRST}id_/{PAGE}", {"Host": host.format(port=server.port)}).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", ["/", f"/main/{FIRST}id_/{PAGE}", "/-/search"])
def test_other_methods_than_get_and_head_are_refused(server: Server, method: str, path: str) -> None:
    reply = server.ask(path, method=method)
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/main/2026id_/", 400),
        ("/main/99999999999999id_/http://e.example/", 400),
        ("/main/00000000000000id_/http://e.example/", 400),
        ("/main/20260231id_/http://e.example/", 400),
        ("/main/123id_/http://e.example/", 400),
        ("/main/202605040302011id_/http://e.example/", 400),
        ("/main/" + "9" * 5000 + "/http://e.example/", 400),
        ("/main/2026zz_/http://e.example/", 400),
        ("/main/2026id_/file:///etc/passwd", 400),
        ("/main/2026id_/javascript:alert(1)", 400),
        ("/main/2026id_/http://exa%20mple/", 400),
        ("/main/2026id_/http://e.example/" + "x" * 20_000, 400),
        ("/main/2026id_/http://e.example/%00%0d%0aSet-Cookie:a=1", 404),
        ("/main/../../../etc/passwd", 404),
        ("/main/2026id_/../../../etc/passwd", 404),
        ("/main/2026id_/%2e%2e%2f%2e%2e%2fetc/passwd", 400),
        ("/%2e%2e/2026id_/http://e.example/", 404),
        ("/..%2f..%2fetc/passwd", 404),
        ("/none/2026id_/http://e.example/", 404),
        ("/favicon.ico", 404),
        ("/main/timemap/nope/http://e.example/", 400),
        ("/main/timemap/link/", 400),
        ("/main/cdx", 400),
        ("/main/cdx?url=e.example&matchType=nope", 400),
        ("/main/cdx?url=e.example&limit=x", 400),
        ("/main/cdx?url=e.example&from=never", 400),
        ("/main/cdx?url=e.example&filter=~url:(a%2B)%2B$", 400),
        ("/main/cdx?url=e.example&output=xml", 400),
        ("/main/cdx?" + "&".join(["a"] * 200), 400),
        ("/main/2026id_/http://torn.example/", 502),
    ],
)
def test_an_absurd_address_is_a_page_that_says_what_is_wrong(server: Server, path: str, status: int) -> None:
    reply = server.ask(path)
    assert reply.status == status
    assert "<h1>" in reply.text
    assert "root:" not in reply.text
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /main/\x00 HTTP/1.1\r\nHost: {host}\r\n\r\n",
        b"GET /main/a\rb HTTP/1.1\r\nHost: {host}\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n",
        b"GET http://e.example/ HTTP/1.1\r\nHost: e.example\r\n\r\n",
        b"CONNECT e.example:443 HTTP/1.1\r\nHost: e.example:443\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: {host}\r\n\r\n",
    ],
)
def test_no_raw_bytes_upset_the_server(server: Server, sent: bytes) -> None:
    host = server.base.removeprefix("http://").encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(sent.replace(b"{host}", host))
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 4") or answer == b""
    assert server.ask(f"/main/{FIRST}id_/{PAGE}").status == 200


_BROKEN = """
import sys
from pathlib import Path
from scraper.replay import memento, serve
memento.Mementos.find = lambda *_: 1 / 0
serve.serve(Path(sys.argv[1]), 0, lambda address: print(address, flush=True))
"""


def test_a_mistake_of_ours_is_a_page_of_ours_and_loud_where_the_server_was_started(tmp_path: Path) -> None:
    make_collection(tmp_path).close()
    command = [sys.executable, "-c", _BROKEN, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        server = Server(process.stdout.readline().strip().rstrip("/"), process)
        reply = server.ask("/main/2026/http://e.example/")
        home = server.ask("/")
        process.terminate()
        said = process.communicate(timeout=20)[1]
    assert (reply.status, reply.headers["content-type"]) == (500, "text/html; charset=utf-8")
    assert reply.headers["content-security-policy"].startswith("default-src 'none'")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "<h1>A mistake in this program</h1>" in reply.text and "/main/2026/http://e.example/" in reply.text
    assert home.status == 200
    assert "Traceback" in said and "ZeroDivisionError" in said


def test_pages_that_say_what_is_wrong_look_like_the_others(server: Server) -> None:
    for path in ("/none/2026id_/http://e.example/", "/main/2026/ftp://e.example/", "/main/2026/http://e.example/never"):
        assert 'href="/-/static/style.css"' in server.ask(path).text


# ----------------------------------------------------------------------- CDX


def cdx(server: Server, query: str) -> list[dict[str, str]]:
    reply = server.ask(f"/main/cdx?output=json&{query}")
    assert reply.status == 200, reply.text
    return [json.loads(line) for line in reply.text.splitlines()]


def test_a_cdx_line_has_pywbs_fields(server: Server) -> None:
    (first, *_) = cdx(server, "url=http://e.example/news?b=2%26a=1")
    assert list(first) == ["urlkey", "timestamp", "url", "mime", "status", "digest", "length", "offset", "filename"]
    assert (first["urlkey"], first["timestamp"], first["url"]) == ("example,e)/news?a=1&b=2", FIRST, PAGE)
    text = server.ask("/main/cdx?url=e.example/news*&limit=1").text
    assert text.startswith(f'example,e)/news?a=1&b=2 {FIRST} {{"url": "{PAGE}", "mime": "text/html", ')


@pytest.mark.parametrize(
    ("query", "timestamps"),
    [
        ("", [FIRST, SECOND, THIRD]),
        ("&from=20260505", [SECOND, THIRD]),
        ("&to=20260505", [FIRST, SECOND]),
        ("&from=2026&to=202605", [FIRST, SECOND, THIRD]),
        ("&limit=2", [FIRST, SECOND]),
        ("&sort=reverse&limit=2", [THIRD, SECOND]),
        ("&closest=20260507000000&limit=1", [THIRD]),
        ("&closest=20260505", [SECOND, FIRST, THIRD]),
        ("&filter=mime:revisit", [SECOND]),
        ("&filter=!mime:revisit&filter==status:200", [FIRST, THIRD]),
    ],
)
def test_a_query_chooses_and_orders_lines(server: Server, query: str, timestamps: list[str]) -> None:
    found = cdx(server, f"url=http://e.example/news?b=2%26a=1{query}")
    assert [line["timestamp"] for line in found] == timestamps


def test_prefix_host_and_domain_reach_further(server: Server) -> None:
    assert {line["url"] for line in cdx(server, "url=e.example/a.&matchType=prefix")} == {
        "http://e.example/a.png",
        "http://e.example/a.css",
        "http://e.example/a.svg",
        "http://e.example/a.woff2",
    }
    hosts = len(cdx(server, "url=e.example&matchType=host"))
    assert len(cdx(server, "url=*.e.example")) == hosts == len(cdx(server, "url=e.example/*"))
    assert len(cdx(server, "url=example&matchType=domain")) == hosts + 1  # with torn.example


# --------------------------------------------------------- the archive changes


def test_what_a_run_writes_is_served_while_it_writes(tmp_path: Path) -> None:
    collection = make_collection(tmp_path)
    add(collection, PAGE, b"<p>one</p>")
    with served(tmp_path) as server:
        assert server.ask(f"/main/{FIRST}id_/{PAGE}").body == b"<p>one</p>"
        add(collection, PAGE, b"<p>two</p>", at=START + DAY)
        assert server.ask(f"/main/{SECOND}id_/{PAGE}").body == b"<p>two</p>"
        collection.close()
        assert server.ask(f"/main/{SECOND}id_/{PAGE}").body == b"<p>two</p>"
        assert len(server.ask(f"/main/cdx?url={PAGE.replace('&', '%26')}").text.splitlines()) == 2


def test_a_capture_whose_file_is_gone_or_damaged_is_a_page_that_says_so(tmp_path: Path) -> None:
    fill(tmp_path)
    (warc,) = (tmp_path / "collections/main/archive").glob("*.warc.gz")
    with served(tmp_path) as server:
        warc.write_bytes(warc.read_bytes()[:600])
        cut = server.ask(f"/main/{THIRD}/{PAGE}")
        assert cut.status == 500
        assert "scraper check" in cut.text
        warc.unlink()
        gone = server.ask(f"/main/{FIRST}/{PAGE}")
        assert gone.status == 500
        assert "this WARC is missing" in gone.text
        (index,) = (tmp_path / "collections/main/indexes").glob("*.cdxj")
        index.write_bytes(b"no index\n" * 10)
        assert server.ask(f"/main/{FIRST}/{PAGE}").status in (404, 500)
        assert server.ask("/main/cdx?url=e.example").status in (200, 500)


def test_serving_changes_nothing_in_the_archive(tmp_path: Path) -> None:
    fill(tmp_path)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in tmp_path.rglob("*")}
    with served(tmp_path) as server:
        for path in ("/", f"/main/{FIRST}/{PAGE}", "/main/cdx?url=e.example/*", f"/main/{FIRST}/http://none.example/"):
            server.ask(path)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in tmp_path.rglob("*")} == before
