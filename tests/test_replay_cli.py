"""`scraper replay` on the command line: a server that starts and stops cleanly, and one capture on standard output."""

from __future__ import annotations

import gzip
import json
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cli import ENVIRONMENT, Cli
from factories import START, make_capture, make_collection, make_exchange
from replaying import served
from test_run import page

URL = "http://e.example/news"
TEXT = "The first paragraph of this page says enough to be taken for the article, and a little more than that. " * 3
HTML = f"<html><head><title>News</title></head><body><article><h1>News</h1><p>{TEXT}</p></article></body></html>"
PACKED = gzip.compress(HTML.encode(), mtime=0)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX-Odd:   two\r\nContent-Encoding: gzip\r\n\r\n"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("replay")
    collection = make_collection(root)
    collection.append(make_capture(make_exchange(URL, PACKED, head=HEAD)))
    later = make_exchange(URL, "<title>Later</title><p>caf\xe9".encode("latin-1"), at=START + timedelta(days=9))
    collection.append(make_capture(later))
    collection.close()
    return root


def replay(archive: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "scraper", "replay", "--archive", str(archive), *arguments]
    return subprocess.run(command, capture_output=True, env=ENVIRONMENT, timeout=60, check=False)


@pytest.mark.parametrize(
    ("arguments", "out"),
    [
        (["--at", "2026-05-04"], HTML.encode()),
        (["--at", "20260504", "--as", "page"], HTML.encode()),
        (["--at", "2026-05-04T12:00:00Z", "--as", "raw"], PACKED),
        (["--at", "1999", "--as", "raw"], PACKED),
        (["--as", "headers", "--at", "2026-05-04"], b"GET /news HTTP/1.1\r\nHost: e.example\r\n\r\n" + HEAD),
        ([], "<title>Later</title><p>caf\xe9".encode("latin-1")),
    ],
)
def test_one_capture_is_printed_byte_for_byte(archive: Path, arguments: list[str], out: bytes) -> None:
    done = replay(archive, URL, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (0, out, b"")


def test_text_and_fields_of_a_capture_are_made_where_none_are_stored(archive: Path) -> None:
    text = replay(archive, URL, "--at", "2026-05-04", "--as", "text")
    assert text.stdout.decode().startswith("# News\n")
    assert TEXT.strip() in text.stdout.decode()
    fields = json.loads(replay(archive, URL, "--at", "2026-05-04", "--as", "json").stdout)
    assert (fields["url"], fields["article"]["title"]) == (URL, "News")


def test_the_stored_text_is_what_a_run_made(cli: Cli) -> None:
    url = page(cli, "/a", "Kept words")
    cli.citing(url)
    cli.run("run")
    stored = next((cli.archive / "collections/main/text").rglob("*.md")).read_text()
    assert cli.run("replay", url, "--as", "text").stdout == stored


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A redirect to the page, one that leads nowhere, a PDF, and a page in a coding that nobody knows."""
    root = tmp_path_factory.mktemp("odd")
    collection = make_collection(root)
    collection.append(make_capture(make_exchange(URL, HTML.encode())))
    for path, location in [("old", "/middle"), ("middle", "/news"), ("lost", "/nowhere")]:
        head = f"HTTP/1.1 301 Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
        collection.append(make_capture(make_exchange(f"http://e.example/{path}", b"", head=head)))
    pdf = (("Content-Type", "application/pdf"),)
    collection.append(make_capture(make_exchange("http://e.example/pdf", b"%PDF-1.4", headers=pdf)))
    packed = (("Content-Type", "text/html"), ("Content-Encoding", "rot13"))
    collection.append(make_capture(make_exchange("http://e.example/packed", b"<c>uv", headers=packed)))
    collection.close()
    return root


def test_the_page_and_its_text_are_where_captured_redirects_lead(odd: Path) -> None:
    assert replay(odd, "http://e.example/old").stdout == HTML.encode()
    assert replay(odd, "http://e.example/old", "--as", "text").stdout.startswith(b"# News\n")
    assert b"301 Moved" in replay(odd, "http://e.example/old", "--as", "headers").stdout


@pytest.mark.parametrize(
    ("path", "form", "words"),
    [
        ("lost", "page", "redirects to http://e.example/nowhere, which was never captured"),
        ("pdf", "text", "there is no text: not HTML: application/pdf; --as raw prints its bytes"),
        ("packed", "page", "its content coding cannot be read: rot13; --as raw prints its bytes"),
    ],
)
def test_a_capture_without_such_a_form_is_refused_in_a_sentence(odd: Path, path: str, form: str, words: str) -> None:
    done = replay(odd, f"http://e.example/{path}", "--as", form)
    assert (done.returncode, done.stdout) == (2, b"")
    assert words in done.stderr.decode()


def test_headers_without_a_request_begin_with_the_answer(tmp_path: Path) -> None:
    collection = make_collection(tmp_path)
    collection.append(make_capture(replace(make_exchange(URL), request=b"")))
    collection.close()
    assert replay(tmp_path, URL, "--as", "headers").stdout.startswith(b"HTTP/1.1 200 Reason\r\n")


@pytest.mark.parametrize("options", [["--as", "text"], ["--at", "2019"]])
def test_what_belongs_to_a_url_is_refused_without_one(archive: Path, options: list[str]) -> None:
    done = replay(archive, *options)
    assert done.returncode == 2
    assert b"name the URL" in done.stderr


def test_a_url_never_captured_is_a_sentence_that_says_when_it_was_tried(cli: Cli) -> None:
    url = cli.site.url("/never")
    dead = "http://nowhere.invalid/page"
    cli.citing(dead)
    cli.run("run")
    done = cli.run("replay", dead)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{dead}: never captured; it was tried 2" in done.stderr
    assert "failed(" in done.stderr
    never = cli.run("replay", url)
    assert never.returncode == 2
    assert "it was never tried" in never.stderr
    with served(cli.archive) as server:
        reply = server.follow(f"/main/{dead}")
        assert reply.status == 404
        assert "It was tried:" in reply.text and "failed(" in reply.text
        assert "It was never tried." in server.follow(f"/main/{url}").text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([URL, "--at", "yesterday"], "no date"),
        ([URL, "--at", "2026-02-31"], "no such date"),
        (["ftp://e.example/"], "only http and https"),
        (["http://"], "not a web address"),
        ([URL, "--as", "pdf"], "'pdf' is not one of"),
        (["--port", "70000"], "70000 is not in the range"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(archive: Path, arguments: list[str], words: str) -> None:
    done = replay(archive, *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert words in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_a_damaged_capture_ends_with_5(tmp_path: Path) -> None:
    collection = make_collection(tmp_path)
    collection.append(make_capture(make_exchange(URL)))
    collection.close()
    (warc,) = (tmp_path / "collections/main/archive").glob("*.warc.gz")
    warc.unlink()
    done = replay(tmp_path, URL)
    assert done.returncode == 5
    assert "this WARC is missing" in done.stderr.decode()


def test_without_an_archive_nothing_is_served(tmp_path: Path) -> None:
    done = replay(tmp_path / "none", "--port", "0")
    assert done.returncode == 2
    assert "there is no archive here" in done.stderr.decode()


def test_a_port_that_is_taken_is_named(archive: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = replay(archive, "--port", str(port))
    assert done.returncode == 2
    assert f"port {port} is in use; name another with --port" in done.stderr.decode()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_server_cleanly(archive: Path, number: signal.Signals, code: int) -> None:
    with served(archive) as server:
        assert server.ask("/").status == 200
        server.process.send_signal(number)
        assert server.process.wait(timeout=30) == code


def test_only_loopback_is_listened_on(archive: Path) -> None:
    with served(archive) as server:
        address = f"0100007F:{server.port:04X}"
        lines = Path("/proc/net/tcp").read_text().splitlines() if Path("/proc/net/tcp").exists() else [address]
        own = [line for line in lines if f":{server.port:04X} 00000000:0000 0A" in line or line == address]
    assert own and all(address in line for line in own)
