"""A program that runs on captures instead of the web: httpx over an archive, without a network."""

from __future__ import annotations

import asyncio
import gzip
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from factories import START, chunked, make_capture, make_collection, make_exchange

from scraper import ArchiveTransport
from scraper.errors import UsageError
from scraper.model import Outcome, State

HTML = (("Content-Type", "text/html"),)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("transport")
    collection = make_collection(root)

    def add(url: str, body: bytes = b"", **options: object) -> object:
        return collection.append(make_capture(make_exchange(url, body, **options)))  # type: ignore[arg-type]

    first = add("http://e.example/page", b"<p>one", headers=HTML)
    add("http://e.example/page", b"<p>two", headers=HTML, at=START + 4 * DAY)
    later = make_exchange("http://e.example/page", b"", status=304, at=START + DAY)
    collection.append(make_capture(later, outcome=Outcome(State.UNCHANGED)), held=first.held)  # type: ignore[attr-defined]
    packed = gzip.compress(b"<p>packed", mtime=0)
    head = (
        b"HTTP/1.1 200 Fine\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"
        b"Connection: keep-alive\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n"
    )
    add("http://e.example/packed", chunked(packed), head=head)
    add("http://e.example/old", status=301, headers=(("Location", "/page"),))
    add("http://e.example/away", status=302, headers=(("Location", "http://never.example/"),))
    add("http://e.example/gone", b"gone", status=404)
    collection.append(make_capture(outcome=Outcome(State.FAILED, "dns"), url="http://dead.example/"))
    collection.close()
    return root


def client(archive: Path, at: str | datetime | None = None) -> httpx.Client:
    return httpx.Client(transport=ArchiveTransport(archive, at=at), follow_redirects=True)


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (None, "<p>two"),
        ("2026-05-04", "<p>one"),
        ("2026-05-05", "<p>one"),  # found unchanged on that day: the body is that of the first capture
        ("2026-05-06T02:00:00Z", "<p>one"),
        ("2026-05-07", "<p>two"),
        ("20260508", "<p>two"),
        ("1999", "<p>one"),
        ("2026", "<p>two"),
        (START + DAY, "<p>one"),
    ],
)
def test_the_capture_nearest_to_the_given_time_answers(archive: Path, at: str | datetime | None, text: str) -> None:
    with client(archive, at) as http:
        assert http.get("http://e.example/page").text == text


def test_sync_and_async_clients_get_the_same(archive: Path) -> None:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=ArchiveTransport(archive), follow_redirects=True) as http:
            return await http.get("http://e.example/old")

    there = asyncio.run(ask())
    with client(archive) as http:
        here = http.get("http://e.example/old")
    assert (here.status_code, here.text, str(here.url)) == (200, "<p>two", "http://e.example/page")
    assert (there.status_code, there.text, str(there.url)) == (200, "<p>two", "http://e.example/page")
    assert [answer.status_code for answer in here.history] == [301]


def test_the_content_coding_is_kept_for_httpx_to_remove_and_the_transfer_coding_is_gone(archive: Path) -> None:
    with client(archive) as http:
        answer = http.get("http://e.example/packed")
    assert answer.text == "<p>packed"
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-length"] == str(len(gzip.compress(b"<p>packed", mtime=0)))
    assert "transfer-encoding" not in answer.headers
    assert "connection" not in answer.headers
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert (answer.reason_phrase, answer.http_version) == ("Fine", "HTTP/1.1")


def test_an_answer_says_which_capture_it_is(archive: Path) -> None:
    with client(archive, "2026-05-04") as http:
        found = http.get("http://www.e.example/page").extensions["scraper"]
    assert found == {"collection": "main", "timestamp": "20260504030201", "url": "http://e.example/page"}


def test_a_dead_page_is_an_answer_and_not_an_error(archive: Path) -> None:
    with client(archive) as http:
        answer = http.get("http://e.example/gone")
    assert (answer.status_code, answer.content) == (404, b"gone")


def test_head_has_the_headers_and_no_body(archive: Path) -> None:
    with client(archive) as http:
        answer = http.head("http://e.example/page")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "6")


@pytest.mark.parametrize("url", ["http://never.example/", "http://e.example/away", "https://dead.example/"])
def test_a_url_never_captured_is_a_failed_connection_and_no_request(archive: Path, url: str) -> None:
    with client(archive) as http, pytest.raises(httpx.ConnectError, match="never captured, and the network is refused"):
        http.get(url)


def test_a_method_that_changes_something_is_refused(archive: Path) -> None:
    with client(archive) as http, pytest.raises(httpx.UnsupportedProtocol, match="only GET and HEAD"):
        http.post("http://e.example/page")


def test_a_capture_whose_file_is_gone_is_a_read_error_that_names_it(tmp_path: Path) -> None:
    collection = make_collection(tmp_path)
    collection.append(make_capture(make_exchange()))
    collection.close()
    for warc in (tmp_path / "collections/main/archive").iterdir():
        warc.unlink()
    with client(tmp_path) as http, pytest.raises(httpx.ReadError, match="this WARC is missing"):
        http.get("http://example.com/")


@pytest.mark.parametrize("at", ["yesterday", "2026-13", "123", "20260231", datetime(2026, 1, 1)])  # noqa: DTZ001
def test_a_time_that_is_none_is_refused_at_once(archive: Path, at: str | datetime) -> None:
    with pytest.raises(UsageError):
        ArchiveTransport(archive, at=at)


def test_an_archive_or_collection_that_is_not_there_is_refused_at_once(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no archive here"):
        ArchiveTransport(tmp_path / "none")
    with pytest.raises(UsageError, match="no such collection"):
        ArchiveTransport(archive, collection="none")


def test_nothing_in_the_archive_changes(archive: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in archive.rglob("*")}
    with client(archive, datetime(2026, 5, 4, tzinfo=UTC)) as http:
        http.get("http://e.example/page")
    assert {path: path.stat().st_mtime_ns for path in archive.rglob("*")} == before
