"""Derived files: names that cannot do harm, whole or not there."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from factories import START
from hypothesis import given
from hypothesis import strategies as st

from scraper.archiver import Page, Pages, Texts
from scraper.archiver.text import safe_host
from scraper.errors import IntegrityError

URL = "https://www.example.com/2019/09/../09/title?x=1"


def test_a_text_lies_under_host_and_year(tmp_path: Path) -> None:
    texts = Texts(tmp_path, "main")
    stem = texts.write({"title": "Тест", "n": [1]}, "# Тест\n", URL, START)
    assert stem == "text/www.example.com/2026/20260504030201-8fd8f0f8095c"
    assert (tmp_path / "collections/main" / f"{stem}.md").read_text(encoding="utf-8") == "# Тест\n"
    assert texts.read(URL, START) == ({"title": "Тест", "n": [1]}, "# Тест\n")
    assert texts.exists(URL, START)
    assert [path.suffix for path in sorted((tmp_path / "collections/main/text").rglob("*.*")) if path.is_file()] == [
        ".json",
        ".md",
    ]


def test_a_text_that_was_never_written_is_none(tmp_path: Path) -> None:
    assert Texts(tmp_path, "main").read(URL, START) is None
    assert not Texts(tmp_path, "main").exists(URL, START)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_damaged_text_is_named_and_counts_as_missing(tmp_path: Path, damage: bytes) -> None:
    texts = Texts(tmp_path, "main")
    path = tmp_path / "collections/main" / f"{texts.write({}, '', URL, START)}.json"
    path.write_bytes(damage)
    with pytest.raises(IntegrityError, match=r"this text is damaged; run `scraper rebuild`"):
        texts.read(URL, START)
    assert texts.exists(URL, START) is bool(damage)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("example.com", "example.com"),
        ("xn--n3h.net", "xn--n3h.net"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:db8::1]", "2001-db8--1"),
        ("[::1]", "_-1"),
        ("..", "_."),
        ("a_b.example", "a_b.example"),
        ("a!b'c.example", "a_b_c.example"),
    ],
)
def test_a_host_becomes_a_safe_folder_name(host: str, name: str) -> None:
    assert safe_host(host) == name


@given(st.text(min_size=1))
def test_no_host_leaves_its_folder(host: str) -> None:
    name = safe_host(host)
    assert re.fullmatch(r"[a-z0-9_][a-z0-9._-]*", name)
    assert 1 <= len(name) <= 255


def test_pages_are_listed_once_each_under_a_header(tmp_path: Path) -> None:
    pages = Pages(tmp_path, "main")
    path = tmp_path / "collections/main/pages/pages.jsonl"
    pages.append([])
    assert not path.exists()
    pages.append([Page("http://a.example/", START, 'A "title"\n', 200)])
    pages.append([Page("http://b.example/", datetime(2026, 6, 1, tzinfo=UTC))])
    header, first, second = map(json.loads, path.read_text().splitlines())
    assert header == {"format": "json-pages-1.0", "id": "pages", "title": "All Pages"}
    assert (first["url"], first["ts"], first["title"], first["status"]) == (
        "http://a.example/",
        "2026-05-04T03:02:01.123456Z",
        'A "title"\n',
        200,
    )
    assert set(second) == {"id", "url", "ts"}
    before = path.read_bytes()
    pages.rewrite(
        [
            Page("http://a.example/", START, 'A "title"\n', 200),
            Page("http://b.example/", datetime(2026, 6, 1, tzinfo=UTC)),
        ]
    )
    assert path.read_bytes() == before


@pytest.mark.parametrize("torn", [b'{"id": "x', b"x" * 10_000])
def test_a_line_torn_by_a_crash_is_cut_away(tmp_path: Path, torn: bytes) -> None:
    pages = Pages(tmp_path, "main")
    path = tmp_path / "collections/main/pages/pages.jsonl"
    pages.append([Page("http://a.example/", START)])
    with path.open("ab") as file:
        file.write(torn)
    pages.append([Page("http://b.example/", START)])
    assert [json.loads(line).get("url") for line in path.read_text().splitlines()] == [
        None,
        "http://a.example/",
        "http://b.example/",
    ]


def test_a_list_of_which_only_a_torn_header_is_left_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "collections/main/pages/pages.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"format": ')
    Pages(tmp_path, "main").append([Page("http://a.example/", START)])
    assert json.loads(path.read_text().splitlines()[0])["id"] == "pages"


def test_a_long_list_of_pages_is_rewritten_without_being_held_whole(tmp_path: Path) -> None:
    pages = Pages(tmp_path, "main")
    tracemalloc.start()
    pages.rewrite(Page(f"http://a.example/{number}", START) for number in range(20_000))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    path = tmp_path / "collections/main/pages/pages.jsonl"
    assert len(path.read_bytes().splitlines()) == 20_001
    assert peak_bytes < path.stat().st_size / 4


def test_a_rewrite_that_fails_leaves_the_old_list(tmp_path: Path) -> None:
    pages = Pages(tmp_path, "main")
    pages.append([Page("http://a.example/", START)])
    path = tmp_path / "collections/main/pages/pages.jsonl"
    before = path.read_bytes()

    def failing() -> Iterator[Page]:
        yield Page("http://b.example/", START)
        raise RuntimeError("the state cannot be read")

    with pytest.raises(RuntimeError):
        pages.rewrite(failing())
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
