"""A page becomes an article: every field from its best source, with its evidence."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime

import pytest
from extract_pages import BODY, FIRST, PAGE, PARAGRAPHS, SECOND, THIRD, URL, paragraphs, simple
from hypothesis import given
from hypothesis import strategies as st

import scraper
from scraper.extractor import blocks, extract
from scraper.model import Block, BlockKind, Image, Link, SiteRules


@pytest.fixture(scope="module")
def article():
    return extract(PAGE.encode(), URL, content_type="text/html; charset=utf-8")


def test_extract_can_be_imported_from_the_package():
    assert scraper.extract is extract


def test_the_headline_on_the_page_beats_the_one_for_search_engines(article):
    assert article.title == "Harbour keeps its three cranes"
    assert article.evidence["title"].source == "h1"


def test_the_json_ld_headline_serves_where_no_h1_agrees():
    page = PAGE.replace("<h1>Harbour keeps its three cranes</h1>", "<h1>Lindholm Courier</h1>")
    article = extract(page, URL)
    assert article.title == "Harbour keeps its three cranes"
    assert article.evidence["title"].source == "json-ld"


def test_the_site_is_cut_off_a_title_from_the_head():
    head = '<meta property="og:title" content="Cranes stay | Lindholm Courier">'
    head += '<meta property="og:site_name" content="Lindholm Courier">'
    assert extract(simple(f"<p>{FIRST}</p>", head), URL).title == "Cranes stay"


def test_a_dash_inside_a_title_is_no_site():
    head = '<meta property="og:title" content="Cranes – a love story">'
    assert extract(simple(f"<p>{FIRST}</p>", head), URL).title == "Cranes – a love story"


def test_persons_are_authors_and_the_agency_is_its_own_field(article):
    assert article.authors == ("Ada Holm",)
    assert article.agency == "Reuters"
    assert article.byline == "Ada Holm, Reuters"
    assert article.evidence["authors"].source == "json-ld"
    assert article.evidence["byline"].source == "byline"


def test_the_publisher_is_never_an_author():
    page = simple(paragraphs(*PARAGRAPHS), '<meta name="author" content="Lindholm Courier">')
    page = page.replace("<title>", '<meta property="og:site_name" content="Lindholm Courier"><title>')
    assert extract(page, URL).authors == ()


def test_roles_addresses_and_buttons_are_no_authors():
    byline = '<div class="byline">By Ada Holm, Senior Reporter | ada@courier.example.org | Share on Social</div>'
    assert extract(simple(byline + paragraphs(*PARAGRAPHS)), URL).authors == ("Ada Holm",)


def test_published_and_modified_keep_zone_and_precision_apart(article):
    assert article.published.iso() == "2023-05-17T06:30:00+02:00"
    assert article.modified.iso() == "2023-05-18T08:00:00+02:00"
    assert article.evidence["published"].source == "json-ld"
    assert article.evidence["modified"].raw == "2023-05-18T08:00:00+02:00"


@pytest.mark.parametrize(
    ("head", "body", "url", "expected", "source"),
    [
        (
            '<meta property="article:published_time" content="2023-05-17T06:30Z">',
            "",
            URL,
            "2023-05-17T06:30+00:00",
            "og",
        ),
        ("", '<time datetime="2023-05-17">yesterday</time>', URL, "2023-05-17", "time"),
        ("", "", "https://e.example/2023/05/17/cranes", "2023-05-17", "url"),
        ("", '<span class="date">17 May 2023</span>', URL, "2023-05-17", "visible"),
    ],
)
def test_the_date_comes_from_the_best_source_there_is(head, body, url, expected, source):
    article = extract(simple(body + paragraphs(*PARAGRAPHS), head), url)
    assert article.published.iso() == expected
    assert article.evidence["published"].source == source


def test_a_time_of_change_is_not_the_time_of_publication():
    body = '<p class="updated">Updated <time datetime="2023-05-18T10:00Z">18 May</time></p>'
    article = extract(simple(body + paragraphs(*PARAGRAPHS)), URL)
    assert article.published is None
    assert article.modified.iso() == "2023-05-18T10:00+00:00"


def test_nothing_is_published_after_it_was_captured():
    head = '<meta property="article:published_time" content="2033-05-17T06:30Z">'
    captured = datetime(2023, 6, 1, tzinfo=UTC)
    assert extract(simple(paragraphs(*PARAGRAPHS), head), URL, captured_at=captured).published is None


def test_the_smaller_fields_have_values_and_evidence(article):
    assert article.subtitle == "The council pays one crown for each of the three cranes."
    assert (article.publisher, article.section, article.language) == ("Lindholm Courier", "Town", "en-GB")
    assert article.canonical == "https://courier.example.org/town/cranes"
    assert article.tags == ("harbour", "cranes")
    assert (article.free_to_read, article.noarchive, article.is_article) == (False, True, True)
    for name in ("subtitle", "publisher", "section", "language", "canonical", "tags", "free_to_read", "blocks"):
        assert article.evidence[name].raw


def test_the_lead_picture_has_caption_and_credit_which_are_not_text(article):
    assert article.image == Image(
        "https://courier.example.org/media/cranes.jpg", "The middle crane in spring", "Bo Lind / Courier"
    )
    assert "middle crane" not in article.text
    assert "Bo Lind" not in article.text


def test_the_body_is_typed_blocks_in_order(article):
    assert article.blocks == (
        Block(BlockKind.PARAGRAPH, FIRST),
        Block(BlockKind.PARAGRAPH, SECOND),
        Block(BlockKind.HEADING, "After the herring season", level=2),
        Block(BlockKind.PARAGRAPH, THIRD),
        Block(BlockKind.LIST, "Three cranes\nOne landing stage", items=("Three cranes", "One landing stage")),
        Block(BlockKind.QUOTE, "You could always find your clothes again."),
        Block(BlockKind.TABLE, "Crane\tBuilt\nNorth\t1931", rows=(("Crane", "Built"), ("North", "1931"))),
    )


def test_related_links_in_the_text_are_kept_as_links(article):
    assert article.related == (
        Link("The survey of the quay, in numbers", "https://courier.example.org/town/survey"),
        Link("Herring come late this year again", "https://courier.example.org/sea/herring"),
    )
    assert "survey of the quay" not in article.text


@pytest.mark.parametrize(
    "words", ["cookies", "comments", "mailbox", "lives on a boat", "All rights", "Share this", "Home"]
)
def test_page_furniture_is_not_text(article, words):
    assert words not in article.text


def test_white_space_around_inline_elements_is_as_a_browser_shows_it():
    page = simple(
        paragraphs(
            *PARAGRAPHS, "The <b>B</b>RIEF, <i>a</i>\n<b>boat</b> of <a href='/x'>wood</a>, sank<sup>2</sup>. " * 2
        )
    )
    assert "The BRIEF, a boat of wood, sank2. The BRIEF" in extract(page, URL).text


def test_double_breaks_part_paragraphs_in_a_body_without_p():
    page = simple(f"<h1>A small page</h1><div class='text'>{FIRST}<br><br>{SECOND}<br /> <br>{THIRD}</div>")
    assert tuple(block.text for block in extract(page, URL).blocks) == PARAGRAPHS


def test_a_body_of_bare_text_between_headings_is_read():
    page = simple(f"<h1>A small page</h1><div>{FIRST}<h2>Then</h2>{SECOND}<h2>Last</h2>{THIRD}</div>")
    texts = [block.text for block in extract(page, URL).blocks]
    assert texts == [FIRST, "Then", SECOND, "Last", THIRD]


def test_a_body_in_several_sibling_chunks_is_taken_whole():
    chunks = "".join(
        f"<section><div class='chunk'><p>{text}</p><p>{text[::-1]}.</p></div></section>" for text in PARAGRAPHS
    )
    text = extract(simple(f"<main><h1>A small page</h1>{chunks}</main>"), URL).text
    assert all(paragraph in text for paragraph in PARAGRAPHS)


def test_a_chinese_body_is_read_without_spaces():
    one = "林德霍尔姆镇议会周二晚间决定，保留旧木材码头上的三台起重机，并拨款重新油漆。"
    two = "三月的一项钢材检测发现，其中两台建于一九三一年的起重机还能再使用六十年。"
    page = simple(f"<h1>A small page</h1><div><p>{one}</p><p>{two}<b>港口</b>负责人说。</p></div>")
    assert [block.text for block in extract(page, URL).blocks] == [one, f"{two}港口负责人说。"]


def test_hidden_text_and_a_repeated_headline_are_left_out():
    page = simple(
        "<article><h1>A small page</h1><p>A small page</p><p hidden>Never shown to any reader of this page at all.</p>"
        f"<p>{FIRST}</p><p>{SECOND}</p><p>{THIRD}<span class='sr-only'>opens in a new window</span></p></article>"
    )
    assert tuple(block.text for block in extract(page, URL).blocks) == PARAGRAPHS


def test_names_that_condemn_all_of_a_text_are_not_believed():
    widgets = "".join(f"<div class='builder-widget'><p>{text}</p></div>" for text in PARAGRAPHS)
    page = simple(f"<div class='widget-area'><h1>A small page</h1>{widgets}</div>")
    assert tuple(block.text for block in extract(page, URL).blocks) == PARAGRAPHS


def test_an_embedded_post_is_a_block_of_its_own_and_not_text():
    tweet = '<blockquote class="twitter-tweet"><p>Cranes!</p><a href="https://t.example/1">May 17</a></blockquote>'
    page = simple(paragraphs(FIRST, SECOND).replace("</article>", f"{tweet}<p>{THIRD}</p></article>"))
    article = extract(page, URL)
    assert article.blocks[2] == Block(BlockKind.EMBED, "Cranes!\nMay 17", href="https://t.example/1")
    assert "Cranes!" not in article.text


def test_site_rules_win_and_name_themselves_as_evidence():
    rules = SiteRules(
        hosts=("example.org",),
        title="h2.real",
        byline=".who",
        published=".when",
        body=".words",
        caption=".under",
        credit=".under em",
        related=".box",
        remove=(".junk",),
    )
    body = (
        "<h1>Not this</h1><h2 class='real'>The real title</h2>"
        "<p class='who'>By Reuters</p><p class='when'>May 3, 2021</p>"
        "<p class='under'>A quay <em>Bo Lind</em></p><p class='words'>One.</p><p class='junk words'>Bad.</p>"
        "<div class='box'><a href='/r'>Related article: Another</a></div><p class='words'>Two.</p>"
    )
    article = extract(simple(body), "https://www.example.org/a", rules=[rules])
    assert article.title == "The real title"
    assert (article.byline, article.authors, article.agency) == ("Reuters", (), "Reuters")
    assert article.published.iso() == "2021-05-03"
    assert article.text == "One.\n\nTwo."
    assert (article.image.caption, article.image.credit) == ("A quay", "Bo Lind")
    assert article.related == (Link("Another", "https://www.example.org/r"),)
    assert {article.evidence[name].source for name in ("title", "byline", "published", "blocks")} == {"site rule"}


def test_rules_of_another_site_are_not_used():
    rules = SiteRules(hosts=("example.org",), title="h2")
    article = extract(simple(paragraphs(*PARAGRAPHS) + "<h2>No</h2>"), "https://notexample.org/", rules=rules)
    assert article.title == "A small page"


def test_paragraphs_in_a_heading_that_was_never_closed_are_read_as_paragraphs():
    page = simple(f"<p>{FIRST}</p><h2>After the season<p>{SECOND}</p><p>{THIRD}</p>")
    assert extract(page, URL).text == f"{FIRST}\n\nAfter the season\n\n{SECOND}\n\n{THIRD}"


def test_a_short_heading_may_hold_a_paragraph():
    body = extract(simple(f"<p>{FIRST}</p><h2><p>After the season</p></h2><p>{SECOND}</p>"), URL).blocks
    assert body[1] == Block(BlockKind.HEADING, "After the season", level=2)


def test_comments_are_no_text():
    page = simple(f"<p>{FIRST}<!-- not this --></p><!-- nor this --><p>{SECOND}</p>")
    assert extract(page, URL).text == f"{FIRST}\n\n{SECOND}"


def test_an_article_travels_through_a_process_pool(article):
    assert pickle.loads(pickle.dumps(article)) == article


def test_a_listing_is_not_called_an_article():
    cards = "".join(f'<li><a href="/{n}">Headline number {n} of the day</a></li>' for n in range(40))
    assert not extract(simple(f"<h1>News</h1><ul>{cards}</ul>"), URL).is_article


def test_userinfo_never_reaches_the_article():
    article = extract(BODY, "https://user:secret@courier.example.org/town/cranes")
    assert "secret" not in repr(article)


@given(st.text(" \t\n\u00a0xy"))
def test_white_space_is_folded_as_a_browser_shows_it_and_lines_are_kept(text):
    lines = (" ".join(line.replace("\u00a0", " ").split()) for line in text.split("\n"))
    assert blocks.fold(text) == "\n".join(lines).strip()
