"""Whatever the web sends: no exception, no long time, and the reason where there is no article."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest
from extract_pages import FIRST, PAGE, PARAGRAPHS, URL, paragraphs, simple
from hypothesis import given, settings
from hypothesis import strategies as st

from scraper.extractor import extract, guard, jsonld
from scraper.model import ParserLimits

NOT_HTML = [
    (b"%PDF-1.7\n%\xe2\xe3", "application/pdf", "not HTML: application/pdf"),
    (b"%PDF-1.7\n<html>", "text/html", "not HTML: application/pdf"),
    (b"\x89PNG\r\n\x1a\n", None, "not HTML: image/png"),
    (b"\xff\xd8\xff\xe0", "image/jpeg", "not HTML: image/jpeg"),
    (b'{"url": "https://e.example/"}', "application/json", "not HTML: application/json"),
    (b'{"url": "https://e.example/"}', None, "not HTML: application/json"),
    (b"Just words, no mark-up.", "text/plain", "not HTML: text/plain"),
    (b"", "text/html", "empty page"),
    (b" \r\n\t", "text/html", "empty page"),
]


@pytest.mark.parametrize(("body", "content_type", "reason"), NOT_HTML)
def test_what_is_not_a_page_says_what_it_is(body, content_type, reason):
    article = extract(body, URL, content_type=content_type)
    assert article.skipped == reason
    assert (article.blocks, article.is_article) == ((), False)


def test_a_page_sent_as_plain_text_is_read():
    assert extract(PAGE.encode(), URL, content_type="text/plain").skipped is None


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("<div>" * 60_000 + FIRST, "nested deeper than 512 levels"),
        ("<b>" * 250_000 + FIRST, "nested deeper than 512 levels"),
        ("<b>" * 1_000_000 + FIRST, "more than 300,000 tags"),
        ("<p>x" * 2_000_000, "more than 300,000 tags"),
        ("</div>" * 60_000 + "<div>" * 60_000, "nested deeper than 512 levels"),
        ("<div><!-- </div> -->" * 60_000 + FIRST, "nested deeper than 512 levels"),
        ("<div title='</div>'>" * 60_000 + FIRST, "nested deeper than 512 levels"),
        ("<div><style></div></style>" * 60_000 + FIRST, "nested deeper than 512 levels"),
        ("<script></Script>" + "<div>" * 60_000 + FIRST, "nested deeper than 512 levels"),
        ("<i>" + "x" * 11 * 1024 * 1024, "larger than 10,485,760 bytes"),
    ],
    ids=[
        "deep",
        "unclosed",
        "very unclosed",
        "many",
        "closed first",
        "in comments",
        "in values",
        "in styles",
        "after Script",
        "large",
    ],
)
def test_a_bomb_is_skipped_before_any_parser_sees_it(page, reason):
    start = time.process_time()
    article = extract(page.encode(), URL, content_type="text/html")
    assert article.skipped == reason
    assert time.process_time() - start < 10


def test_the_limits_are_the_callers():
    assert extract(PAGE, URL, limits=ParserLimits(max_depth=3)).skipped == "nested deeper than 3 levels"
    assert extract(PAGE, URL, limits=ParserLimits(max_tags=9)).skipped == "more than 9 tags"


def test_a_page_just_within_the_limits_is_read():
    page = "<html><body>" + "<div>" * 400 + "".join(f"<p>{text}</p>" for text in PARAGRAPHS) + "</div>" * 400
    assert tuple(block.text for block in extract(page, URL).blocks) == PARAGRAPHS


def test_markup_in_scripts_is_no_depth():
    script = "<script>" + "document.write('<div>');" * 2000 + "</script>"
    assert guard.over_limits(script + PAGE, ParserLimits()) is None


@pytest.mark.parametrize(
    "body",
    [
        "<div>" * 500 + "<a href=x>" * 5000,
        "<table><tr><td>" * 150 + "text " * 1000,
        "<p>" + "a, " * 200_000,
        "<p class='" + "a-" * 50_000 + "'>" + FIRST,
        "<p>" + "<br>" * 50_000 + FIRST,
        '<script type="application/ld+json">' + "[" * 100_000 + "</script>",
        '<script type="application/ld+json">' + '{"a":"' * 50_000 + "</script>",
        '<script type="application/ld+json">' + "/*" * 50_000 + "</script>",
        "<script>" * 50_000,
        "<p>" + "By " * 50_000,
        "<time>" + "1 May " * 50_000,
        "<figure><img><figcaption>" + "photo by " * 50_000,
        "<title>" + " | " * 50_000,
        "<span>" * 500 + "x</span>" * 500,
    ],
    ids=lambda body: body[:24],
)
def test_no_page_takes_long(body):
    start = time.process_time()
    extract(simple(body), URL)
    assert time.process_time() - start < 10


@pytest.mark.parametrize("encoding", ["cp1251", "utf-8", "utf-16", "koi8-r"])
def test_a_declared_charset_is_believed(encoding):
    words = "Городской совет решил во вторник сохранить три старых крана на лесной набережной порта."
    page = simple(paragraphs(words, words + " Да.", words + " Нет."), f'<meta charset="{encoding}">')
    assert extract(page.encode(encoding), URL).blocks[0].text == words


@pytest.mark.parametrize("encoding", ["shift_jis", "gb18030"])
def test_a_charset_of_the_header_is_believed(encoding):
    japanese = "三月の検査では、二台のクレーンがあと六十年立っていられると分かった。"
    words = japanese if encoding == "shift_jis" else "港口的三台起重机将继续保留六十年。"
    page = simple(f"<h1>A small page</h1><div><p>{words}</p><p>{words}</p></div>")
    article = extract(page.encode(encoding), URL, content_type=f"text/html; charset={encoding}")
    assert article.blocks[0].text == words


def test_nul_bytes_and_lone_surrogates_are_no_trouble():
    article = extract(simple(paragraphs(*PARAGRAPHS)).replace("crane", "cra\0ne") + "\ud800", URL)
    assert article.blocks[0].text == FIRST


def test_xhtml_with_cdata_is_read():
    page = '<?xml version="1.0"?>' + simple(
        paragraphs(*PARAGRAPHS), "<script>//<![CDATA[\nif (1 < 2) {}\n//]]></script>"
    )
    assert tuple(b.text for b in extract(page, URL, content_type="application/xhtml+xml").blocks) == PARAGRAPHS


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.binary(max_size=400), st.text(max_size=400)), st.text(max_size=60))
def test_no_input_makes_the_extractor_raise(page, url):
    article = extract(page, url)
    assert article.skipped or isinstance(article.blocks, tuple)


_PIECES = st.sampled_from(
    [
        *(
            "<p>",
            "</p>",
            "<div class='related'>",
            "</div>",
            "<a href='//[bad'>",
            "</a>",
            "<h1>",
            "</h1>",
            "<ul><li>",
            "<table>",
        ),
        *("<tr><td>", "<br>", "<figure><img src='data:x'>", "<figcaption>", "<time datetime='2020-13-45'>", "<pre>"),
        *('<script type="application/ld+json">', '{"@graph":[{"@type":"Article","author":', "null", "}]}", "</script>"),
        *(
            "<meta property='og:title' content='x|y'>",
            "<body>",
            "<html lang='&'>",
            "&#0;",
            "&nbsp;",
            FIRST,
            "2020-01-01",
        ),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_PIECES, max_size=40))
def test_no_soup_of_tags_makes_the_extractor_raise(pieces):
    article = extract("".join(pieces) or "x", "https://e.example/a")
    assert pickle.loads(pickle.dumps(article)) == article


SLOPPY = {
    "trailing commas": '{"@type": "NewsArticle", "headline": "Cranes stay", "tags": [1, 2,],}',
    "comments": '/* one */ {"@type": "NewsArticle", // two\n "headline": "Cranes stay"}',
    "raw newline": '{"@type": "NewsArticle", "headline": "Cranes\n stay"}',
    "raw tab": '{"@type": "NewsArticle", "headline": "Cranes\tstay"}',
    "html comment": '<!-- {"@type": "NewsArticle", "headline": "Cranes stay"} -->',
    "cdata": '//<![CDATA[\n{"@type": "NewsArticle", "headline": "Cranes stay"}\n//]]>',
    "entities": "{&quot;@type&quot;: &quot;NewsArticle&quot;, &quot;headline&quot;: &quot;Cranes stay&quot;}",
    "escaped entities": '{"@type": "NewsArticle", "headline": "Cranes&amp;nbsp;stay"}',
    "graph": '{"@graph": [{"@type": "WebPage"}, {"@type": ["Thing", "NewsArticle"], "headline": "Cranes stay"}]}',
    "list": '[{"@type": "BreadcrumbList"}, {"@type": "NewsArticle", "headline": "Cranes stay"}]',
    "nested": '{"@type": "WebPage", "mainEntity": {"@type": "NewsArticle", "headline": "Cranes stay"}}',
    "semicolon": '{"@type": "NewsArticle", "headline": "Cranes stay"};',
    "two values": '{"@type": "WebSite"} {"@type": "NewsArticle", "headline": "Cranes stay"}',
    "vocabulary": '{"@type": "http://schema.org/NewsArticle", "headline": "Cranes stay"}',
    "broken elsewhere": '{"@type": "NewsArticle", "headline": "Cranes stay", "body": "she said "no" to it"}',
    "a URL with slashes": '{"@type": "NewsArticle", "url": "https://e.example/a", "headline": "Cranes stay",}',
}


@pytest.mark.parametrize("script", SLOPPY.values(), ids=SLOPPY.keys())
def test_sloppy_json_ld_is_read(script):
    page = simple(f"<p>{FIRST}</p>", f'<script type="application/ld+json">{script}</script>')
    article = extract(page, URL)
    assert article.title == "Cranes stay"
    assert article.evidence["title"].source == "json-ld"


def test_broken_json_ld_gives_nothing_and_does_no_harm():
    assert jsonld.objects(["{]", "", "null", "3", '"x"', "{" * 5000]) == ()


def test_the_same_bytes_give_the_same_article_under_any_clock_zone_and_locale(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(PAGE, encoding="utf-8")
    code = (
        "import sys, json; from pathlib import Path\n"
        "from scraper.extractor import extract, render\n"
        f"a = extract(Path(sys.argv[1]).read_bytes(), {URL!r})\n"
        "print(json.dumps(render.as_json(a)), render.markdown(a))"
    )
    seen = set()
    for zone, locale, seed in (
        ("UTC", "C.UTF-8", "1"),
        ("Asia/Tokyo", "de_DE.UTF-8", "2"),
        ("America/St_Johns", "C", "3"),
    ):
        env = {**os.environ, "TZ": zone, "LC_ALL": locale, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"}
        command = [sys.executable, "-c", code, str(page)]
        seen.add(subprocess.run(command, env=env, capture_output=True, check=True, cwd=Path.cwd()).stdout)
    assert len(seen) == 1
    assert b"Harbour keeps its three cranes" in seen.pop()


@pytest.mark.parametrize(
    "hiding", ["</p <!-- >", "<!x <!-- >", "<?x <!-- >", "<title-x>", "<style-foo>", "<\u017fcript>"]
)
def test_nothing_that_a_parser_sees_hides_behind_what_only_looks_like_a_comment_or_a_script(hiding: str) -> None:
    crowded = "<a " + " ".join(f"k{number}" for number in range(300)) + ">"
    assert guard.over_limits(f"<body>{hiding}{crowded}", ParserLimits()) == "more than 256 attributes in one tag"
    nested = "<div>" * 600
    assert guard.over_limits(f"<body>{hiding}{nested}", ParserLimits()) == "nested deeper than 512 levels"


@pytest.mark.parametrize(
    "page",
    [
        "<svg><title>{}</title></svg>",
        "<svg><script>{}</script></svg>",
        "<svg a='</svg>'><style>{}</style></svg>",
        "<svg><foreignObject><p></svg></p></foreignObject><title>{}",
        "<math><mi><svg></svg></mi><style>{}",
    ],
)
def test_depth_cannot_hide_inside_svg_where_titles_and_scripts_are_elements_like_any_other(page: str) -> None:
    assert guard.over_limits(page.format("<div>" * 600), ParserLimits()) == "nested deeper than 512 levels"


def test_an_icon_makes_no_depth_of_the_templates_in_scripts() -> None:
    script = "<svg><path d='M0 0'/></svg><script>" + "document.write('<div>');" * 2000 + "</script>"
    assert guard.over_limits(script + PAGE, ParserLimits()) is None
