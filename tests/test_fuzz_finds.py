"""What fuzzing has found, each a test for ever."""

from __future__ import annotations

import io
import time
import zipfile
from pathlib import Path

import pytest
from fuzz.targets import NOW, all_targets

from scraper import bylines, settings, urls
from scraper.archiver import Imports, check, foreign_wacz, index
from scraper.citations import Unreadable, read_document
from scraper.errors import ConfigError, IntegrityError
from scraper.fetcher import robots


def test_an_address_whose_normal_form_is_too_long_is_no_target() -> None:
    with pytest.raises(urls.NotATarget, match="malformed"):
        urls.target("http://e.example/" + "é" * 9000)


@pytest.mark.parametrize(
    "text", [" " * 40_000, "\n" * 40_000, "By" + "\t" * 40_000 + "x", "a via" + " " * 40_000 + "b"]
)
def test_a_name_of_blanks_costs_nothing(text: str) -> None:
    started = time.process_time()
    bylines.person(text)
    bylines.is_agency(text)
    bylines.parse(text)
    assert time.process_time() - started < 1


def test_a_line_of_blanks_in_a_document_costs_nothing() -> None:
    started = time.process_time()
    read_document(b"# title" + b" " * 60_000 + b"x\n\nhttp://e.example/\n", "x.md")
    assert time.process_time() - started < 1


def test_json_of_quotes_that_never_close_costs_nothing() -> None:
    started = time.process_time()
    with pytest.raises(Unreadable):
        read_document(b'{"url": "http://e.example/"}\n' + b'"\\' * 60_000, "x.json")
    assert time.process_time() - started < 1


@pytest.mark.parametrize("line", ["a.test:80=127.0.0.1:80=b:1", "a=b:80=c:1x", "a.test:٣=1.2.3.4:1"])
def test_a_resolver_line_that_is_almost_right_is_refused_in_words(line: str, tmp_path: Path) -> None:
    path = tmp_path / "scraper.toml"
    path.write_text(f'[fetch]\nresolve = ["{line}"]\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="host:port=address:port"):
        settings.load(path, environ={})


@pytest.mark.parametrize("field", ['"url": null', '"url": 3', '"url": "x", "mime": 3', '"url": "x", "status": 200'])
def test_an_index_line_whose_fields_are_no_texts_is_damaged(field: str) -> None:
    rest = '"digest": "x", "length": "9", "offset": "0", "filename": "z"'
    with pytest.raises(IntegrityError):
        index.read_line(f"b 20260504030201 {{{field}, {rest}}}\n".encode(), Path("x.cdxj"))


@pytest.mark.parametrize("href", ["http://e.ex mple:x y/z", "http://ü b/", "dns: a b", "x\ty", "http://e:\x7f"])
def test_a_key_holds_no_blank_and_only_ascii_whatever_the_address(href: str) -> None:
    assert all("!" <= char <= "~" for char in urls.surt(href))


def test_a_foreign_record_of_an_odd_address_does_not_spoil_the_index(tmp_path: Path) -> None:
    block = b"HTTP/1.1 200 OK\r\n\r\nx"
    head = b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:x>\r\nWARC-Date: 2026-05-04T03:02:01Z\r\n"
    head += b"WARC-Target-URI: http://e.ex mple:x y\r\nContent-Type: application/http\r\n"
    path = tmp_path / "x.warc"
    path.write_bytes(head + b"Content-Length: %d\r\n\r\n%b\r\n\r\n" % (len(block), block))
    imports = Imports(tmp_path / "archive")
    for taken in imports.add_file(path, "0" * 64, NOW, salvage=False):
        imports.complete(taken.warc)
    assert list(check(tmp_path / "archive", imports.layout.name)) == []


def test_a_wacz_member_whose_second_name_is_no_text_is_damage(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("archive/ä.warc.gz", b"x")
    data = out.getvalue().replace("ä".encode(), b"\xff\xff", 1)
    path = tmp_path / "x.wacz"
    path.write_bytes(data)
    with foreign_wacz.opened(path) as archive, pytest.raises(IntegrityError, match="no text"):
        foreign_wacz.member(archive, "archive/ä.warc.gz")


def test_robots_txt_is_allowed_however_its_name_is_spelt() -> None:
    assert robots.parse(b"user-agent: *\ndisallow: /\n", "x").allows("/%72obots.txt") is True


def test_the_targets_hold_for_what_they_were_once_broken_by() -> None:
    all_targets()["urls"].check("\u200b".encode() * 3000)
    all_targets()["texts"].check(b"\n" * 20_000)
