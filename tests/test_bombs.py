"""No answer and no document can fill the memory, hold up the other pages of a run, or crash the program.

What is measured is the whole tree of processes of a real command, against a server that sends the bombs as fast as
they are taken.
"""

from __future__ import annotations

import gzip
import itertools
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

import pytest
from cli import ENVIRONMENT, Cli
from memory import Measured, measured
from server import Connection, Seen

from scraper.extractor.guard import over_limits
from scraper.model import ParserLimits

MB = 1_000_000
MIB = 1024 * 1024
MOST_MB = 400
PAGE = """<!doctype html><html lang="en"><head><title>{0} - Site</title>
<meta property="og:type" content="article"></head><body><article><h1>{0}</h1>
<p>This is the first paragraph of the page, long enough to be taken for a real one.</p>
<p>This is the second paragraph of the page, which also says something at some length.</p>
<p>And a third one, so that nobody can doubt that all of this is an article's text.</p>
</article></body></html>"""


def squeezed(piece: bytes, times: int, window: int = 31) -> bytes:
    """`piece` times `times`, as one stream (31: gzip, 15: zlib, -15: raw deflate), never made whole."""
    packer = zlib.compressobj(9, zlib.DEFLATED, window)
    start = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush every block stands alone, so that the same bytes can follow each other.
    return start + block * (times - 1)


def many(piece: bytes, total: int) -> Iterator[bytes]:
    """A piece again and again until so many bytes are reached."""
    block = piece * max(1, 65536 // len(piece))
    for _ in range(total // len(block) + 1):
        yield block


def layers(body: bytes, number: int) -> bytes:
    for _ in range(number):
        body = gzip.compress(body, 6, mtime=0)
    return body


def answer(*headers: str, body: Iterable[bytes], mime: str = "text/html") -> Iterator[bytes]:
    yield "\r\n".join(["HTTP/1.1 200 OK", f"Content-Type: {mime}", *headers, "Connection: close", "", ""]).encode()
    yield from body


def page(body: Iterable[bytes] | bytes, *headers: str, mime: str = "text/html") -> Callable[[], Iterator[bytes]]:
    return lambda: answer(*headers, body=[body] if isinstance(body, bytes) else body, mime=mime)


def zipped(body: bytes, mime: str = "text/html") -> Callable[[], Iterator[bytes]]:
    return page(gzip.compress(body, 1), "Content-Encoding: gzip", mime=mime)


LAUGHS = b"".join(
    [b'<!ENTITY l0 "lol">', *(b'<!ENTITY l%d "%b">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 12))]
)
OUTSIDE = b'<!ENTITY x SYSTEM "file:///etc/passwd"><!ENTITY y SYSTEM "http://127.0.0.1:8000/y"><!ENTITY % z SYSTEM "http://127.0.0.1:8080/z.dtd">%z;'
XHTML = b'<?xml version="1.0"?><!DOCTYPE html [%b]><html xmlns="http://www.w3.org/1999/xhtml"><head><title>&%b;</title></head><body><p>&%b;</p></body></html>'
RSS = b'<?xml version="1.0"?><!DOCTYPE rss [%b]><rss version="2.0"><channel><title>&%b;</title></channel></rss>'
WORDS = b"<p>Words that make up a very long page of nothing but text, which nobody will ever read to its end.</p>"

BOMBS: dict[str, Callable[[], Iterator[bytes]]] = {
    "gzip": page(squeezed(b"\0" * MIB, 2048), "Content-Encoding: gzip"),
    "gzip-html": page(squeezed(b"<b>" * 300_000, 2048), "Content-Encoding: gzip"),
    "zlib": page(squeezed(b"\0" * MIB, 2048, 15), "Content-Encoding: deflate"),
    "deflate": page(squeezed(b"\0" * MIB, 2048, -15), "Content-Encoding: deflate"),
    "members": page(gzip.compress(b"\0" * MIB) * 2048, "Content-Encoding: gzip"),
    "tiny-members": page(many(gzip.compress(b""), 19 * MIB), "Content-Encoding: gzip"),
    "five-layers": page(layers(b"\0" * 90 * MIB, 5), "Content-Encoding: gzip, gzip, gzip, gzip, gzip"),
    "five-large": page(layers(squeezed(b"\0" * MIB, 2048), 4), "Content-Encoding: gzip, gzip, gzip, gzip, gzip"),
    "thousand": page(layers(PAGE.encode(), 1000), "Content-Encoding: " + ", ".join(["gzip"] * 1000)),
    "thousand-lies": page(squeezed(b"\0" * MIB, 90), "Content-Encoding: " + ", ".join(["gzip"] * 1000)),
    "thousand-headers": page(layers(PAGE.encode(), 1000), *["Content-Encoding: gzip"] * 1000),
    "unasked": page(b"\x1b" * 2 * MB, "Content-Encoding: br"),
    "unasked-zstd": page(b"\x28\xb5\x2f\xfd" * MB, "Content-Encoding: zstd"),
    "chunks": page(many(b"1\r\na\r\n", 60 * MB), "Transfer-Encoding: chunked"),
    "chunk-of-chunks": page(many(b"1;" + b"x" * 60 + b"\r\na\r\n", 60 * MB), "Transfer-Encoding: chunked"),
    "chunk-line": page(itertools.chain([b"1;"], many(b"x", 100 * MB)), "Transfer-Encoding: chunked"),
    "trailers": page(itertools.chain([b"1\r\na\r\n0\r\n"], many(b"X: y\r\n", 100 * MB)), "Transfer-Encoding: chunked"),
    "endless": page(many(WORDS, 2048 * MIB)),
    "many-headers": lambda: itertools.chain([b"HTTP/1.1 200 OK\r\n"], many(b"X-Some-Header: value\r\n", 100 * MB)),
    "one-header": lambda: itertools.chain([b"HTTP/1.1 200 OK\r\nX-Long: "], many(b"x", 100 * MB)),
    "folded-header": lambda: itertools.chain([b"HTTP/1.1 200 OK\r\nX: y"], many(b"\r\n z", 100 * MB)),
    "status-line": lambda: itertools.chain([b"HTTP/1.1 200 "], many(b"x", 100 * MB)),
    "blank-lines": lambda: many(b"\r\n", 100 * MB),
    "interim": lambda: many(b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\n", 100 * MB),
    "no-http": lambda: many(b"garbage ", 100 * MB),
    "tags": zipped(b"<b>" * 10_000_000),
    "tags-below-cap": page(b"<b>" * 3_000_000),
    "tags-closed": page(b"<b></b>" * 149_000),
    "unclosed": page(b"<b>" * 1_000_000),
    "nested": page(b"<div>" * 60_000),
    "nested-closed": page(b"<div>" * 60_000 + b"</div>" * 60_000),
    "lists": page(b"<ul><li>" * 60_000),
    "tables": page(b"<table><tr><td>" * 60_000),
    "fonts": page((b"<font color=%d>" * 500) % tuple(range(500)) + b"<p>" * 100_000),
    "links": page(b"<a href=x><p>" * 100_000),
    "attribute": zipped(b'<p title="' + b"x" * 50 * MB + b'">'),
    "attribute-below-cap": page(b'<p title="' + b"x" * 9 * MB + b'">' + WORDS),
    "attributes": page(b"<p " + b" ".join(b"a%d" % n for n in range(1_000_000)) + b">" + WORDS),
    "attributes-valued": page(b"<p " + b" ".join(b"a%d=1" % n for n in range(700_000)) + b">" + WORDS),
    "entities-named": page(b"<p>" + b"&lt;&amp;&nbsp;" * 600_000),
    "comments": page(b"<!--x-->" * 1_000_000 + WORDS),
    "comment": page(b"<!--" + b"-" * 9 * MB),
    "open-quotes": page(b"<a href='" * 900_000),
    "open-tags": page(b"<a " * 290_000),
    "json-ld": page(
        b'<script type="application/ld+json">['
        + b'{"@type":"Article","headline":"x"},' * 250_000
        + b"{}]</script>"
        + WORDS
    ),
    "json-deep": page(b'<script type="application/ld+json">' + b"[" * 1_000_000 + b"</script>" + WORDS),
    "json-deep-objects": page(
        b'<script type="application/ld+json">' + b'{"a":' * 200_000 + b"1" + b"}" * 200_000 + b"</script>" + WORDS
    ),
    "json-number": page(
        b'<script type="application/ld+json">{"@type":"Article","datePublished":'
        + b"9" * 5 * MB
        + b"}</script>"
        + WORDS
    ),
    "laughs": page(XHTML % (LAUGHS, b"l11", b"l11"), mime="application/xhtml+xml"),
    "outside": page(XHTML % (OUTSIDE, b"x", b"y"), mime="application/xhtml+xml"),
    "feed-laughs": page(RSS % (LAUGHS, b"l11"), mime="application/rss+xml"),
    "feed-outside": page(RSS % (OUTSIDE, b"x"), mime="text/xml"),
    "quadratic": page(
        XHTML % (b'<!ENTITY q "' + b"q" * MB + b'">', b"q", b"q;" + b"&q;" * 100_000 + b"&q"), mime="text/xml"
    ),
    "sitemap": page(
        itertools.chain([b"<urlset>"], many(b"<url><loc>http://site.test/</loc></url>", 2048 * MIB)),
        mime="application/xml",
    ),
    "srcset": page(b'<img srcset="' + b"/p.png 2x, " * 800_000 + b'">' + WORDS),
    "text": page(WORDS * (9 * MIB // len(WORDS))),
    # One character beyond the Basic Multilingual Plane makes Python keep every character in four bytes.
    "text-wide": page((WORDS + "😀".encode()) * (9 * MIB // len(WORDS + b"1234"))),
    "text-cjk": page("<p>水獭在四十年后回到了这条河里，谁也没有料到。</p>".encode() * 130_000),
    "paragraphs": page(b"<p>Words of a page." * 290_000),
    "paragraphs-wide": page("<p>Words of a page 😀.".encode() * 290_000),
    "items": page(b"<ul>" + b"<li>Words of a page." * 290_000),
    "rows": page(b"<table>" + b"<tr><td>Words<td>of a page" * 95_000),
    "sentences": page(b"<p>Words of a page, and more." * 290_000),
    "sentences-wide": page("<p>Words of a page, and so 😀.".encode() * 299_000),
    "breaks": page(b"<p>" + b"Words of a page.<br>" * 290_000),
    "code": page(b"<pre><code>" + b"words  of\n" * 900_000),
    "one-word-wide": page(b"<p>" + b"x" * 9 * MIB + "😀</p>".encode()),
    "text-19": page(WORDS * (19 * MIB // len(WORDS))),
    "one-word": page(b"<p>" + b"x" * 9 * MIB + b"</p>"),
    "png": page(b"\x89PNG\r\n\x1a\n" + b"\0" * 5 * MB),
    "images": page(b"".join(b'<img src="/i/%d.png">' % n for n in range(100_000)) + WORDS),
    "styles": page(b"<style>" + b"p{background:url(/a.png)}" * 300_000 + b"</style>" + WORDS),
    "style-comments": page(b"<style>" + b"/*" * 4_000_000 + b"</style>" + WORDS),
    "nul": page(b"\0" * 9 * MIB),
    "utf-7": page(b"<p>" + "😀".encode("utf-16") * 1_000_000, mime="text/html; charset=utf-16"),
}


TOO_LARGE = "failed(too large)"
# What is asked of a run in the reduced form: how each ends, and why there is no text, where there is none.
CHOSEN: dict[str, tuple[str, str | None]] = {
    "gzip": (TOO_LARGE, None),
    "deflate": (TOO_LARGE, None),
    "members": (TOO_LARGE, None),
    "five-large": (TOO_LARGE, None),
    # Several lines are one list, and so many are left on.
    "thousand-headers": ("captured", "its content coding cannot be read: there are more than 5"),
    "endless": (TOO_LARGE, None),
    "sitemap": (TOO_LARGE, None),
    "tags": ("captured", "larger than 10,485,760 bytes"),
    "tags-below-cap": ("captured", "more than 300,000 tags"),
    "unclosed": ("captured", "more than 300,000 tags"),
    "nested": ("captured", "nested deeper than 512 levels"),
    "attribute": ("captured", "larger than 10,485,760 bytes"),
    "attributes": ("captured", "more than 256 attributes in one tag"),
    "attributes-valued": ("captured", "more than 256 attributes in one tag"),
    "json-deep": ("captured", None),
    "laughs": ("captured", None),
    "outside": ("captured", None),
    "png": ("captured", "not HTML: image/png"),
    "text-19": ("captured", "larger than 10,485,760 bytes"),
}


def serve(cli: Cli, name: str) -> str:
    def behave(connection: Connection, seen: Seen) -> None:
        with suppress(OSError):
            for piece in BOMBS[name]():
                connection.send(piece)
        connection.closing = True

    cli.site.behave(f"/{name}", behave)
    return cli.site.url(f"/{name}")


def good_pages(cli: Cli) -> dict[str, str]:
    titles = {cli.site.url(f"/good/{number}"): f"Good {number}" for number in range(3)}
    for number, title in enumerate(titles.values()):
        cli.site.reply(f"/good/{number}", headers={"Content-Type": "text/html"}, body=PAGE.format(title).encode())
    return titles


def run_with(cli: Cli, urls: Iterable[str]) -> Measured:
    cli.settings |= {"robots": "ignore", "max_tries": 1, "deadline_seconds": 30.0}
    cli.capture |= {"requisites": "page", "max_requisites": 3}
    cli.document("\n".join(urls) + "\n", "bombs.urls")
    return measured(cli.command("run"), env=ENVIRONMENT, cwd=cli.folder)


def test_bombs_fill_no_memory_and_the_other_pages_are_archived_and_extracted(cli: Cli) -> None:
    good = good_pages(cli)
    first, *rest = good
    got = run_with(cli, [first, *(serve(cli, name) for name in CHOSEN), *rest])
    assert "Traceback" not in got.stderr
    assert got.returncode == 3
    print(f"bombs: {len(CHOSEN)} in one run, {got.peak_mb:.0f} MB, {got.cpu_seconds:.0f} s of processor")
    assert got.peak_mb < MOST_MB
    ledger = cli.ledger()
    assert {name: ledger[cli.site.url(f"/{name}")] for name in CHOSEN} == {
        name: how for name, (how, _) in CHOSEN.items()
    }
    texts = [json.loads(path.read_text()) for path in (cli.archive / "collections/main/text").rglob("*.json")]
    skipped = {text["url"].rpartition("/")[2]: text["article"]["skipped"] for text in texts}
    assert {name: skipped[name] for name, (how, _) in CHOSEN.items() if how == "captured"} == {
        name: why for name, (how, why) in CHOSEN.items() if how == "captured"
    }
    assert {text["url"]: text["article"]["title"] for text in texts if text["url"] in good} == good
    assert "root:" not in json.dumps(texts)  # no external entity was read


@pytest.mark.long
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_alone_fills_no_memory(cli: Cli, name: str) -> None:
    good = good_pages(cli)
    got = run_with(cli, [serve(cli, name), *good])
    print(f"{name}: {got.peak_mb:.0f} MB, {got.cpu_seconds:.1f} s of processor")
    assert "Traceback" not in got.stderr
    assert got.peak_mb < MOST_MB
    ledger = cli.ledger()
    assert [ledger[url] for url in good] == ["captured"] * len(good)


def test_large_pages_take_the_memory_of_one_and_all_are_extracted(cli: Cli) -> None:
    large = [serve(cli, name) for name in ("text", "code", "sentences-wide")]
    got = run_with(cli, [*good_pages(cli), *large, *(cli.site.url(f"/good/{number}?{number}") for number in range(20))])
    again = measured(cli.command("extract", "--all"), env=ENVIRONMENT, cwd=cli.folder)
    print(f"large pages: {got.peak_mb:.0f} MB, again {again.peak_mb:.0f} MB")
    assert (again.returncode, again.stderr) == (0, "")
    assert max(got.peak_mb, again.peak_mb) < MOST_MB
    texts = [json.loads(path.read_text()) for path in (cli.archive / "collections/main/text").rglob("*.json")]
    skipped = {text["url"]: text["article"]["skipped"] for text in texts}
    assert [skipped[url] for url in large] == [None, None, "its text is in more than 200,000 pieces"]


CROWD = " ".join(f"a{number}" for number in range(300))
MOB = " ".join(f"a{number}" for number in range(1500))


@pytest.mark.parametrize(
    "page",
    [
        f"<p {CROWD}>",
        f"<script {CROWD}></script>",
        "<p " + " ".join(f'a{number}=">"' for number in range(300)) + ">",
        "<p " + "".join(f"a{number}='<b>'" for number in range(300)) + ">",
        "<p " + "/".join(f"a{number}" for number in range(300)) + ">",
        f"<svg><title><p {MOB}></title></svg>",
        f'<script>"<x y=\'"</script><svg><script><p {MOB}></script></svg>',
    ],
)
def test_a_tag_with_hundreds_of_attributes_is_found_wherever_it_hides(page: str) -> None:
    assert over_limits(page, ParserLimits()) == "more than 256 attributes in one tag"


@pytest.mark.parametrize(
    "page",
    [
        f"<!-- <p {CROWD}> --><p>x</p>",
        f"<p {CROWD[:700]}>x</p>",
        f"<script>if (a <b) '{CROWD}'</script>",
        f"<p>{CROWD}</p>",
    ],
)
def test_what_only_looks_like_a_crowded_tag_is_given_to_the_parser(page: str) -> None:
    assert over_limits(page, ParserLimits()) is None
