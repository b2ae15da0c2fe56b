"""What a page needs to be seen is found in it, and chosen as a wide desktop browser chooses. Pure."""

from __future__ import annotations

import gzip

import pytest
from factories import make_exchange

from scraper.fetcher import choice, requisites

BASE = "http://e.org/news/page"


def named(html: str, **fields: object) -> list[str]:
    """What a page names, without the icon that every page is asked for; e.org's as paths."""
    found = requisites.of_page(make_exchange(BASE, html.encode(), **fields))  # type: ignore[arg-type]
    hrefs = [need.target.href.removeprefix("http://e.org") for need in found]
    return [href for href in hrefs if href != "/favicon.ico"]


def in_sheet(css: str) -> list[str]:
    sheet = make_exchange("http://e.org/css/s.css", css.encode(), headers=(("Content-Type", "text/css"),))
    return [need.target.href.removeprefix("http://e.org") for need in requisites.of_sheet(sheet)]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<img src="a.png">', ["/news/a.png"]),
        ('<base href="/b/"><img src="a.png">', ["/b/a.png"]),
        ('<img src="s.jpg" srcset="s1.jpg, s2.jpg 2x">', ["/news/s1.jpg"]),
        ('<img srcset="a.jpg 320w, b.jpg 1280w, c.jpg 2560w">', ["/news/b.jpg"]),
        ('<img srcset="a.jpg 320w, b.jpg 640w" sizes="(max-width: 700px) 100vw, 300px">', ["/news/a.jpg"]),
        ('<img srcset="a.jpg 320w, b.jpg 640w">', ["/news/b.jpg"]),
        (
            '<picture><source type="image/jxl" srcset="no.jxl"><source media="(max-width: 600px)" srcset="small.jpg">'
            '<source srcset="big.jpg"><img src="fall.jpg"></picture>',
            ["/news/big.jpg"],
        ),
        ('<picture><source media="print" srcset="p.jpg"><img src="fall.jpg"></picture>', ["/news/fall.jpg"]),
        ('<img src="data:image/gif;base64,R0lG" data-src="lazy.jpg">', ["/news/lazy.jpg"]),
        ('<img data-srcset="l1.jpg 100w, l2.jpg 1300w">', ["/news/l2.jpg"]),
        ('<img src="real.jpg" data-src="other.jpg">', ["/news/real.jpg"]),
        ('<noscript><img src="n.jpg"></noscript>', ["/news/n.jpg"]),
        ('<img src="counter.gif" width="1" height="1">', []),
        ('<input type="image" src="go.png"><input src="no.png">', ["/news/go.png"]),
        ('<video src="no.mp4" poster="poster.jpg"></video>', ["/news/poster.jpg"]),
        ('<svg><image xlink:href="in.png"/><use href="#y"/></svg>', ["/news/in.png"]),
        ('<svg><use href="sprite.svg#x"/></svg>', ["/news/sprite.svg"]),
        ('<body background="/bg.gif">', ["/bg.gif"]),
        ('<p style="background: url(&quot;w.png&quot;)">', ["/news/w.png"]),
        ('<style>@import "i.css"; p { background: url(q.png) }</style>', ["/news/i.css", "/news/q.png"]),
        ('<style media="print">p { background: url(q.png) }</style>', []),
        ('<img src="z.png"><link rel="StyleSheet" href="//cdn.org/s.css">', ["http://cdn.org/s.css", "/news/z.png"]),
        ('<link rel="stylesheet" media="print" href="p.css"><link rel="alternate stylesheet" href="a.css">', []),
        ('<link rel="stylesheet" media="(max-width: 600px)" href="phone.css">', ["/news/phone.css"]),
        ('<link rel="shortcut icon" href="i.png"><link rel="apple-touch-icon" href="t.png">', ["/news/i.png"]),
        ('<link rel="preload" as="font" href="f.woff2"><link rel="preload" as="script" href="s">', ["/news/f.woff2"]),
        ('<link rel="preload" as="image" href="h.jpg" imagesrcset="h1.jpg, h2.jpg 2x">', ["/news/h1.jpg"]),
        ('<script src="s.js"></script><iframe src="f.html"></iframe><link rel="prefetch" href="n.html">', []),
        ('<audio src="a.mp3"></audio><object data="o.swf"></object><embed src="e.swf"><a href="l.html">l</a>', []),
        ('<img src="javascript:1"><img src="data:image/png,x"><img src=""><img src="http://[bad/"><img src="#t">', []),
        ('<img src="page"><img src="/news/page#part">', []),
    ],
)  # fmt: skip
def test_of_a_page_exactly_what_a_browser_would_show_is_needed(html: str, expected: list[str]) -> None:
    assert named(html) == expected


def test_a_page_that_names_no_icon_has_the_one_that_browsers_ask_for() -> None:
    found = requisites.of_page(make_exchange(BASE, b'<base href="http://other.org/"><p>x'))
    assert [need.target.href for need in found] == ["http://e.org/favicon.ico"]


def test_what_names_more_comes_first_and_everything_once() -> None:
    html = '<p style="background:url(d.png)"><img src=a.png><img src=a.png#x><link rel=icon href=i.ico>'
    html += "<link rel=preload as=font href=f.woff2><link rel=stylesheet href=s.css>"
    assert named(html) == ["/news/s.css", "/news/f.woff2", "/news/a.png", "/news/i.ico", "/news/d.png"]


@pytest.mark.parametrize(
    ("css", "expected"),
    [
        ('@import url("a.css"); @import "b.css" print;', ["/css/a.css", "/css/b.css"]),
        ("p { background: u\\72l(../x.png) } /* url(no.png) */", ["/x.png"]),
        (
            "@font-face { src: url(f.eot); src: url(f.eot?#iefix) format('embedded-opentype'), "
            "url(f.woff) format('woff'), url(f.woff2) format('woff2'), url(f.svg#f) format('svg') }",
            ["/css/f.woff2"],
        ),
        ("@font-face{src:url(a.ttf)} @font-face{src:url(b.woff),url(b.ttf)}", ["/css/a.ttf", "/css/b.woff"]),
        ("@font-face{src:url(data:font/woff2;base64,AA) format('woff2'),url(b.woff)}", []),
        ("@font-face{src:url(only.eot)}", []),
    ],
)
def test_a_style_sheet_needs_its_imports_one_file_a_font_face_and_its_images(css: str, expected: list[str]) -> None:
    assert in_sheet(css) == expected


def test_packed_and_chunked_pages_are_read() -> None:
    packed = make_exchange(
        BASE,
        gzip.compress(b"<img src=a.png>"),
        headers=(("Content-Type", "text/html"), ("Content-Encoding", "gzip")),
    )
    assert [need.target.path for need in requisites.of_page(packed)] == ["/news/a.png", "/favicon.ico"]


@pytest.mark.parametrize(
    "bomb",
    [
        b"<div>" * 60_000 + b"<img src=a.png>",
        b"<b>" * 1_000_000,
        b"<img src=a.png>" + b" " * 5_000_000,
        b"%PDF-1.4 <img src=a.png>",
        b"",
    ],
    ids=["deep", "many", "large", "pdf", "empty"],
)
def test_what_no_parser_should_be_given_needs_nothing(bomb: bytes) -> None:
    assert requisites.of_page(make_exchange(BASE, bomb)) == []


def test_a_page_that_names_very_much_is_cut_off() -> None:
    html = "".join(f"<img src={number}.png>" for number in range(50_000))
    assert len(named(html)) == 2_000


@pytest.mark.parametrize(
    ("sizes", "width_px"),
    [
        ("", 1280.0), ("50vw", 640.0), ("20em", 320.0), ("(min-width: 1000px) 900px, 100vw", 900.0),
        ("(max-width: 1000px) 900px, 33vw", 422.4), ("calc(100vw - 2em)", 1280.0), ("(", 1280.0),
    ],
)  # fmt: skip
def test_sizes_give_the_width_in_a_window_of_1280_px(sizes: str, width_px: float) -> None:
    assert choice.width_px(sizes) == pytest.approx(width_px)
