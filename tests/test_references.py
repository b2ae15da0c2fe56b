# ruff: noqa: E501 - style sheets read best unbroken
"""Where HTML and CSS name other resources: as browsers read it, and in linear time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scraper import references
from scraper.references import (
    Kind,
    attribute_kind,
    css_string,
    css_unescaped,
    in_css,
    in_srcset,
    is_placeholder,
    link_kind,
    refresh,
)

LARGE = 2_000_000  # characters
SECONDS = 20.0  # tenfold what a slow machine needs; a quadratic reading would take hours


def named(css: str) -> list[tuple[str, str]]:
    return [(found.url, found.kind.value) for found in in_css(css)]


@pytest.mark.parametrize(
    ("css", "expected"),
    [
        ("a{b:url(x.png)}", [("x.png", "image")]),
        ("a{b:url( 'x y.png' )}", [("x y.png", "image")]),
        ("a{b:URL(\"x.png\")}", [("x.png", "image")]),
        ("a{b:\\75 rl(x.png)}", [("x.png", "image")]),
        ("a{b:u\\72\r\nl(x.png)}", [("x.png", "image")]),
        ("a{b:\\000075\\000072\\00006c(x.png)}", [("x.png", "image")]),
        ("a{b:url(a\\)b\\20 c)}", [("a)b c", "image")]),
        ("a{b:url(a\\\nb)} c{d:url(e)}", [("e", "image")]),
        ("a{b:src('m.png')}", [("m.png", "image")]),
        ("a{b:url(x", [("x", "image")]),
        ("a{b:url('x", [("x", "image")]),
        ("/* url(x) */a{b:url(y)}/* url(z)", [("y", "image")]),
        ("a{content:'url(x)';b:url(y)}", [("y", "image")]),
        ("a{b:url(bad'x) ;c:url(y)}", [("y", "image")]),
        ("a{b:url(bad y) ;c:url(z)}", [("z", "image")]),
        ("#url(x) @url(y) 1url(z) -url(v) curl(w)", []),
        ("a{b:image-set('a.png' 1x, url(b.png) 2x, url(\"c.avif\") type('image/avif'))}", [
            ("a.png", "image"), ("b.png", "image"), ("c.avif", "image"),
        ]),
        ("a{b:-webkit-image-set(url(a)1x)}", [("a", "image")]),
        ("a{--u:'https://e.org/x';b:image-set(var(--u) 1x)}", [("https://e.org/x", "other")]),
        ("@property --u{syntax:'<string>';inherits:false;initial-value:'//e.org/x'}", [("//e.org/x", "other")]),
        ("a[href^='http://e.org/']{content:'https://e.org'}", []),
        ("@import 'a.css';@import url(b.css) print;@IMPORT/**/\"c.css\";", [
            ("a.css", "style"), ("b.css", "style"), ("c.css", "style"),
        ]),
        ("@\\69mport 'a.css';", [("a.css", "style")]),
        ("@namespace url(http://www.w3.org/1999/xhtml);@namespace s 'http://www.w3.org/2000/svg';", []),
        ("@font-face{src:local('A'),url(a.woff2) format('woff2')} b{c:url(d)}", [("a.woff2", "font"), ("d", "image")]),
        ("a{color:red}", []),
        ("", []),
    ],
)  # fmt: skip
def test_style_sheets_name_what_a_browser_would_ask_for(css: str, expected: list[tuple[str, str]]) -> None:
    assert named(css) == expected


def test_spans_cover_the_argument_so_that_a_quoted_string_can_replace_it() -> None:
    css = "@import 'a'; b{c:url( d ) no-repeat, url(\"e\")}"
    spans = [css[found.start : found.end] for found in in_css(css)]
    assert spans == ["'a'", "d", '"e"']


def test_a_css_string_reads_back_as_it_was_and_holds_nothing_html_would_read() -> None:
    text = 'a"b\\c<d&e\nf\x00g'
    assert css_string(text) == r'"a\22 b\5c c\3c d\26 e\a f\0 g"'
    assert css_unescaped(css_string(text)[1:-1]) == text.replace("\x00", "\ufffd")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a.jpg, b.jpg 2x", [("a.jpg", ""), ("b.jpg", "2x")]),
        ("a.jpg 1x,b.jpg 2x", [("a.jpg", "1x"), ("b.jpg", "2x")]),
        ("a,b 1x", [("a,b", "1x")]),
        ("data:image/png;base64,AA== 1x, x,y.png 640w ,", [("data:image/png;base64,AA==", "1x"), ("x,y.png", "640w")]),
        (" ,, a.jpg 100w (x,y) , b", [("a.jpg", "100w (x,y)"), ("b", "")]),
        ("a.jpg,", [("a.jpg", "")]),
        ("", []),
        (" , ", []),
    ],
)
def test_srcset_is_read_by_the_algorithm_of_the_html_standard(value: str, expected: list[tuple[str, str]]) -> None:
    found = list(in_srcset(value))
    assert [(candidate.url, candidate.descriptor) for candidate in found] == expected
    assert [value[candidate.start : candidate.end] for candidate in found] == [url for url, _ in expected]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("5;url=x", (5.0, "x")),
        ("0; URL='a b' c", (0.0, "a b")),
        ("3", (3.0, "")),
        ("0,http://e.org/", (0.0, "http://e.org/")),
        ('  10 ; url = "u" z', (10.0, "u")),
        ("1.5;u", (1.0, "u")),
        ("url=x", None),
        (";url=x", None),
        ("", None),
    ],
)
def test_a_meta_refresh_gives_seconds_and_address(content: str, expected: tuple[float, str] | None) -> None:
    assert refresh(content) == expected


def test_attributes_tell_what_they_name() -> None:
    assert attribute_kind("img", "src") is Kind.IMAGE
    assert attribute_kind("image", "xlink:href") is Kind.IMAGE
    assert attribute_kind("video", "poster") is Kind.IMAGE
    assert attribute_kind("table", "background") is Kind.IMAGE
    assert attribute_kind("track", "src") is Kind.MEDIA
    assert attribute_kind("iframe", "src") is Kind.FRAME
    assert attribute_kind("a", "href") is Kind.LINK
    assert attribute_kind("mrow", "href") is Kind.LINK
    assert attribute_kind("unheard-of", "src") is Kind.OTHER
    assert attribute_kind("img", "alt") is None


def test_links_tell_what_they_name_by_their_relation() -> None:
    assert link_kind("Stylesheet") is Kind.STYLE
    assert link_kind("shortcut icon") is Kind.IMAGE
    assert link_kind("apple-touch-icon") is Kind.IMAGE
    assert link_kind("preload", "font") is Kind.FONT
    assert link_kind("preload", "fetch") is Kind.OTHER
    assert link_kind("canonical") is Kind.LINK
    assert link_kind("silicon") is Kind.LINK


def test_a_data_url_or_nothing_is_a_stand_in_for_a_picture() -> None:
    assert is_placeholder(" ")
    assert is_placeholder("DATA:image/gif;base64,R0lGOD")
    assert not is_placeholder("/spacer.gif")


PIECES = (
    *("url(", "src(", "image-set(", "-webkit-image-set(", "URL(", "\u017frc(", "(", ")", "'", '"', "\\", "\\75 rl(", "\\u", "\\:"),
    *("\\-", "\\ ", "\\\n", "u", "url", "rl(", "@", "@import ", "@media ", "@font-face{", "@namespace ", "}", "{", "#", "/*", "*/"),
    *("/", "x", "-", "--", " ", "\n", "https://e/", "//e", "3", ".5", "%", ";", ":", "content:", "\\e900", "\u00e9", "a" * 20),
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_long_strides_see_what_reading_every_token_sees(css: str) -> None:
    by_token = references._Sheet(css)
    by_token._strides = False
    assert list(references._Sheet(css).references()) == list(by_token.references())


def test_a_comment_sign_of_html_is_no_part_of_the_name_after_it() -> None:
    assert named("<!--url(a')b{c:url(x)}/*'") == [("x", "image")]
    assert named("<!--\\75 rl(x)") == [("x", "image")]


HOSTILE = (
    "\\", '"\\', "url(", "/*", "@font-face", "@import ", "image-set(", "a", "\\a", "/", "url(a", 'image-set("',
    "image-set(url('a'", "url\\", "\\\n", '"//', "#", "@import url(", 'url("x\n', "url(a\\", "'", "@import/*",
    "*/", "-", "{", "url( ", "a(", "\\:(", "\\u(", "a\\u", "<!--", "@media(", "'a", "'\\e900", "src(",
)  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_style_sheets_are_read_in_linear_time(piece: str) -> None:
    css = piece * (LARGE // len(piece))
    before = time.process_time()
    assert sum(1 for _ in in_css(css)) <= LARGE
    assert time.process_time() - before < SECONDS


@pytest.mark.parametrize("piece", [",", " ", "(", "a ", "a(", "a,", ",(", "a 1x,", ")"])
def test_hostile_srcsets_are_read_in_linear_time(piece: str) -> None:
    value = piece * (LARGE // len(piece))
    before = time.process_time()
    assert sum(1 for _ in in_srcset(value)) <= LARGE
    assert time.process_time() - before < SECONDS
