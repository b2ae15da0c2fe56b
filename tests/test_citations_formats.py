"""Documents of every kind, charset and wrapping, and those that cannot be read."""

from __future__ import annotations

import gzip
import hashlib
import time

import pytest

from scraper.citations import SUFFIXES, Unreadable, read_document, selected
from scraper.errors import UsageError


def cites(data: str | bytes, name: str) -> list[tuple[str, str, int]]:
    raw = data.encode() if isinstance(data, str) else data
    return [(one.url, str(one.role), one.line) for one in read_document(raw, name).citations]


# ----------------------------------------------------------------------- HTML


def test_html_links_are_decoded_and_resolved_against_base_and_canonical():
    page = """<!doctype html><html><head><base href="/sub/">
<link rel="stylesheet" href="/style.css"><link rel="Canonical" href="http://a.com/page"></head>
<body><a href="x?a=1&amp;b=2&copy=3">relative</a>
<a href="#top">up</a> <a href="">self</a>
<p>See http://b.com/y.</p></body>"""
    assert cites(page, "a.html") == [
        ("http://a.com/page", "original", 2),
        ("http://a.com/sub/x?a=1&b=2&copy=3", "cited", 3),
        ("http://b.com/y", "cited", 5),
    ]


def test_html_without_any_base_keeps_absolute_links_only():
    page = '<html><a href="x">x</a> <a href="//a.com/y">y</a> <a href="http://b.com/">z</a>'
    assert cites(page, "a.htm") == [("http://a.com/y", "cited", 1), ("http://b.com/", "cited", 1)]


@pytest.mark.parametrize(
    "head",
    [
        '<meta property="og:url" content="http://a.com/x?a&amp;b">',
        "<!-- saved from url=(0042)http://a.com/x?a&b -->",
        "<!--\n Page saved with SingleFile \n url: http://a.com/x?a&b \n saved date: today\n-->",
    ],
)
def test_a_saved_page_without_canonical_still_names_its_original(head: str):
    assert cites(f"<html>{head}<p>text", "a.html") == [("http://a.com/x?a&b", "original", 1)]


def test_html_markers_and_refused_schemes_are_seen_as_in_any_text():
    page = """<html><p>Original article:</p><p><a href="http://a.com/x">The page</a></p>
<div>Read also: <a href="http://b.com/">B</a></div><a href="mailto:me@b.com">mail</a>
<a href="javascript:void(0)">run</a><script>"http://c.com/"</script><!-- http://d.com/ -->"""
    document = read_document(page.encode(), "a.html")
    assert [(one.url, str(one.role), one.refusal) for one in document.citations] == [
        ("http://a.com/x", "original", None),
        ("http://b.com/", "related", None),
        ("mailto:me@b.com", "cited", "scheme"),
        ("javascript:void(0)", "cited", "scheme"),
    ]


def test_html_facts_are_title_and_paragraphs():
    page = "<html><title>A &amp; B | Site</title><h1>A &amp; <i>B</i></h1><p>One <b>bold</b>\nline.<p>Two.</p>"
    facts = read_document(page.encode(), "a.html").facts
    assert facts.title == "A & B"
    assert facts.paragraphs == ("One bold line.", "Two.")


# ----------------------------------------------------------------- data files


def test_csv_takes_the_url_column_and_keeps_lines_over_embedded_newlines():
    table = (
        'id,Page URL,note\n1,http://a.com/1,"see http://b.com/x\nand http://c.com/y."\n2,"http://a.com/2?x=""q"",z",\n'
    )
    assert cites(table, "a.csv") == [
        ("http://a.com/1", "original", 2),
        ("http://b.com/x", "cited", 2),
        ("http://c.com/y", "cited", 3),
        ('http://a.com/2?x="q",z', "original", 4),
    ]


def test_csv_separators_and_tables_without_header():
    assert cites("url;b\nhttp://a.com/1;x\n", "a.csv") == [("http://a.com/1", "original", 2)]
    assert cites("b\tlink\nx\thttp://a.com/1\n", "a.tsv") == [("http://a.com/1", "original", 2)]
    assert cites("x,http://a.com/1\ny,http://a.com/2\n", "a.csv") == [
        ("http://a.com/1", "original", 1),
        ("http://a.com/2", "original", 2),
    ]


def test_json_takes_url_fields_at_any_depth_and_cites_the_rest():
    data = """{"items": [
 {"originalUrl": "http:\\/\\/a.com\\/1", "source": "Reuters",
  "image": {"url": "http://a.com/i.png"}, "author_url": "http://a.com/me",
  "text": "See http://b.com/x, please.",
  "related": [{"url": "http://r.com/"}], "urls": ["http://a.com/2", "example.com/3"]}]}"""
    assert cites(data, "a.json") == [
        ("http://a.com/1", "original", 2),
        ("http://a.com/i.png", "cited", 3),
        ("http://a.com/me", "cited", 3),
        ("http://b.com/x", "cited", 4),
        ("http://r.com/", "related", 5),
        ("http://a.com/2", "original", 5),
        ("http://example.com/3", "original", 5),
    ]


def test_json_lines_are_read_line_by_line():
    data = '{"url": "http://a.com/1"}\n\n{"link": "http://a.com/2"}\n'
    wanted = [("http://a.com/1", "original", 1), ("http://a.com/2", "original", 3)]
    assert cites(data, "a.jsonl") == wanted
    assert cites(data, "a.json") == wanted
    assert cites(data, "") == wanted


def test_a_list_is_targets_one_a_line():
    data = "# seeds\nhttp://a.com/1\n\n<http://a.com/2>\nhttp://a.com/3  # note\nhxxp://a[.]com/4\nfile:///etc/passwd\n"
    document = read_document(data.encode(), "seeds.txt")
    assert document.kind == "list"
    assert [(one.url, one.line, why) for one, why in selected(document)] == [
        ("http://a.com/1", 2, None),
        ("http://a.com/2", 4, None),
        ("http://a.com/3", 5, None),
        ("http://a.com/4", 6, None),
        ("file:///etc/passwd", 7, "scheme"),
    ]


def test_a_line_of_a_list_is_whole_and_one_that_is_no_url_is_malformed():
    data = "http://a.com/b.\nexample.com/c\nno address\n"
    document = read_document(data.encode(), "seeds.lst")
    assert [(one.url, one.refusal) for one in document.citations] == [
        ("http://a.com/b.", None),
        ("http://example.com/c", None),
        ("no address", "malformed"),
    ]


def test_an_internet_shortcut_names_its_page():
    assert cites("[InternetShortcut]\r\nURL=http://a.com/x\r\nIconIndex=0\r\n", "a.url") == [
        ("http://a.com/x", "original", 2)
    ]


# ------------------------------------------------------------ bytes and kinds


@pytest.mark.parametrize(
    "encoding, charset",
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16-le"), ("utf-16-le", "utf-16-le")],
)
def test_charsets_are_recognised(encoding: str, charset: str):
    document = read_document("Source: http://a.com/é\n".encode(encoding), "a.txt")
    assert (document.charset, document.citations[0].url) == (charset, "http://a.com/é")


def test_a_legacy_charset_of_html_is_the_declared_one():
    page = '<html><meta charset="windows-1251"><a href="http://a.com/">Привет</a><p>Текст</p>'
    document = read_document(page.encode("cp1251"), "a.html")
    assert (document.charset, document.facts.paragraphs) == ("cp1251", ("Текст",))


def test_gzip_is_read_and_the_digest_is_of_the_bytes_on_disk():
    plain, packed = b"Source: http://a.com/\n", gzip.compress(b"Source: http://a.com/\n", mtime=0)
    document = read_document(packed + gzip.compress(b"http://b.com/\n", mtime=0), "a.txt.gz")
    assert [one.url for one in document.citations] == ["http://a.com/", "http://b.com/"]
    assert read_document(packed).digest != read_document(plain).digest
    assert read_document(plain).digest == hashlib.sha256(plain).hexdigest()


@pytest.mark.parametrize(
    "name, text, kind",
    [
        ("a.txt", "Plain text.", "text"),
        ("a.txt", "# Title\n\nText.", "markdown"),
        ("a.md", "Plain text.", "markdown"),
        ("a.txt", "<!DOCTYPE html><p>x", "html"),
        ("", "<html><p>x", "html"),
        ("", '{"url": "http://a.com/"}', "json"),
        ("", "http://a.com/\n", "list"),
        ("", "title,url\nx,http://a.com/\n", "csv"),
        ("", "[a note] in brackets", "text"),
    ],
)
def test_the_kind_follows_suffix_and_look(name: str, text: str, kind: str):
    assert read_document(text.encode(), name).kind == kind


@pytest.mark.parametrize(
    "data, name, words",
    [
        (b"", "a.txt", "a.txt is empty"),
        (b" \n\t", "a.txt", "a.txt is empty"),
        (gzip.compress(b"", mtime=0), "a.txt.gz", "a.txt.gz is empty"),
        (b"%PDF-1.7\n", "a.pdf", "a.pdf is a PDF file"),
        (b"\x89PNG\r\n\x1a\n", "a.txt", "a.txt is a PNG image"),
        (bytes(range(256)) * 8, "a.txt", "a.txt is binary"),
        (
            gzip.compress(b"Source: http://a.com/ " * 99, mtime=0)[:60],
            "a.gz",
            "a.gz is a gzip file which ends too early",
        ),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff\xff", "a.gz", "a.gz is a damaged gzip file"),
        (b'{"url": "http://a.com/1"}\n{"url": "http://a.c', "a.jsonl", "a.jsonl, line 2: not valid JSON"),
        (b'{\n"url": ]', "a.json", "a.json, line 2: not valid JSON"),
    ],
)
def test_what_cannot_be_read_is_named_with_the_reason(data: bytes, name: str, words: str):
    with pytest.raises(Unreadable) as caught:
        read_document(data, name)
    assert words in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_gzip_bomb_is_refused_before_it_fills_the_memory():
    zeros = gzip.compress(b"\n" * (1 << 20), 9)
    with pytest.raises(Unreadable, match="unpacks to more than 32 MiB"):
        read_document(zeros * 257, "bomb.txt.gz")


def test_suffixes_name_documents_plain_and_compressed():
    assert {".txt", ".md", ".html", ".json", ".jsonl", ".csv", ".tsv", ".txt.gz", ".csv.gz"} <= SUFFIXES
    assert ".pdf" not in SUFFIXES


@pytest.mark.parametrize(
    "data, name",
    [
        (b"<div>" * 60_000 + b'<a href="http://a.com/">x</a>', "a.html"),
        (b"[" * 100_000 + b'"http://a.com/"' + b"]" * 100_000, "a.json"),
        (b"> " * 60_000 + b"http://a.com/", "a.md"),
        (b"[" * 60_000 + b"http://a.com/", "a.md"),
    ],
)
def test_depth_is_no_trouble(data: bytes, name: str):
    assert [url for url, _, _ in cites(data, name)] == ["http://a.com/"]


@pytest.mark.parametrize(
    "unit, name",
    [
        ("x http://a.com/b ", "a.txt"),
        ("x http://a.com/b,", "a.txt"),
        ("[a](", "a.md"),
        ("*a `b ", "a.md"),
        ("<http://a\n", "a.md"),
        ('<a "', "a.html"),
        ("<svg><!", "a.html"),
        ('"a,', "a.csv"),
        ("Source:\n", "a.txt"),
    ],
)
def test_the_time_grows_with_the_size_and_not_faster(unit: str, name: str):
    def cpu_seconds(size: int) -> float:
        data = (unit * (size // len(unit))).encode()
        start = time.process_time()
        read_document(data, name)
        return time.process_time() - start

    cpu_seconds(10_000)
    # Quadratic work would take 1600 times as long for 40 times the size; linear work 40 times.
    assert cpu_seconds(400_000) < 10 * 40 * max(cpu_seconds(10_000), 0.002)


@pytest.mark.parametrize("name", ["a.urls", "a.txt", "a.md", "a.html", "a.csv"])
def test_a_document_of_too_many_urls_is_refused_with_a_sentence(name):
    lines = "".join(f"<a href='http://a.test/{n}'>http://b.test/{n}</a>\n" for n in range(100_001))
    if name != "a.html":
        lines = "".join(f"http://a.test/{n}\n" for n in range(200_001))
    with pytest.raises(UsageError, match="cites more than 200,000 URLs; split it into smaller documents"):
        read_document(lines.encode(), name)


@pytest.mark.parametrize(
    ("data", "name", "what"),
    [
        (b"x\n" * 1_000_001, "a.txt", "1,000,000 lines"),
        (b"<b>" * 2_000_001, "a.html", "2,000,000 pieces"),
        (b"[" + b"{}," * 1_500_000 + b"1]", "a.json", "2,000,000 pieces"),
        (b"a," * 2_000_001, "a.csv", "2,000,000 pieces"),
    ],
)
def test_a_document_of_too_many_pieces_is_refused_before_it_is_parsed(data, name, what):
    with pytest.raises(Unreadable, match=f"holds more than {what}; split it into smaller documents"):
        read_document(data, name)
