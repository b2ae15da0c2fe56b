"""Our own text of an article reads back into the same facts; JSON reads back into the same article."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from extract_pages import PAGE, URL
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scraper import citations
from scraper.extractor import extract, render
from scraper.model import Article, Block, BlockKind, Image, Link, Moment, Precision, Role

AWKWARD = [
    "# not a heading, but a paragraph that begins with a number sign and goes on.",
    "By the time they came, the ship had left the harbour and the quay was empty.",
    "Original url: this is only the beginning of a sentence about an address.",
    "Related article: this is a paragraph and no pointer to anything at all.",
    "1. First of all, this is a paragraph that begins like a numbered list.",
    "- A dash begins this paragraph, which is no list item and stays one piece.",
    "> It is not a quotation although the first character of it says so.",
    "September 09, 2019",
    "Source: the ministry of *harbours* and _quays_, [as it said](in brackets).",
    "A <b>tag</b>, an &amp; entity, a back\\slash, `code` and ![no image](x.png).",
    "***",
    "---",
    "| a | table | row |",
    "https://e.example/a_b_c and www.e.example/*x*",
    "Photo: not a credit but the first word of a paragraph which ends here.",
    "原文链接：这不是标记，而是一个段落的开头。",
    "=====",
    "~~~",
    "+ plus",
    "2019) a number with a parenthesis begins this paragraph of the text.",
    "**bold**",
    "Автор: так начинается абзац, который не является подписью.",
    "© the town",
    "• A bullet begins this paragraph, which is no list item.",
]

_TEXT = (
    st.text(
        st.characters(codec="utf-8", exclude_categories=["C", "Z"])
        | st.sampled_from(" .,:;!?#*_[]()<>\\`~-+=|&0123456789aB"),
        min_size=1,
        max_size=80,
    )
    .map(lambda text: " ".join(text.split()))
    .filter(lambda text: any(map(str.isalnum, text)))
)
# A credit names its maker; a sentence in bold would be a paragraph.
_CREDIT = st.one_of(_TEXT, st.just("By Ada Holm / Example")).filter(lambda text: text[-1].isalnum())
_PARAGRAPH = st.one_of(_TEXT, st.sampled_from(AWKWARD))
_NAME = st.sampled_from(["Ada Holm", "Jean-Yves Le Drian", "José Müller", "Иван Петров", "M. O'Neil"])
_AGENCY = st.sampled_from([None, "Reuters", "AFP", "Associated Press"])
_ZONE = st.sampled_from([None, UTC, timezone(timedelta(hours=3)), timezone(timedelta(hours=-9, minutes=-30))])


_FIRST, _LAST = datetime.fromisoformat("1990-01-01"), datetime.fromisoformat("2090-01-01")


@st.composite
def _moments(draw) -> Moment:
    precision = draw(st.sampled_from([Precision.DAY, Precision.MINUTE, Precision.SECOND]))
    at = draw(st.datetimes(_FIRST, _LAST)).replace(microsecond=0)
    if precision is Precision.DAY:
        return Moment(at.replace(hour=0, minute=0, second=0), precision)
    at = at.replace(tzinfo=draw(_ZONE))
    return Moment(at if precision is Precision.SECOND else at.replace(second=0), precision)


@st.composite
def _articles(draw) -> Article:
    image = Image(None, draw(st.none() | _TEXT), draw(_CREDIT)) if draw(st.booleans()) else None
    return Article(
        url="https://e.example/a?b=(c)",
        title=draw(_TEXT),
        authors=tuple(draw(st.lists(_NAME, max_size=3, unique=True))),
        agency=draw(_AGENCY),
        published=draw(st.none() | _moments()),
        image=image,
        blocks=tuple(Block(BlockKind.PARAGRAPH, text) for text in draw(st.lists(_PARAGRAPH, min_size=1, max_size=5))),
        related=tuple(Link(text, "https://e.example/r") for text in draw(st.lists(_TEXT, max_size=2))),
    )


def _read(article: Article):
    return citations.read_document(render.markdown(article).encode(), "article.md")


@settings(max_examples=150, deadline=None)
@given(_articles())
def test_the_markdown_of_an_article_reads_back_into_the_same_facts(article):
    document = _read(article)
    facts = document.facts
    assert facts.title == article.title
    assert (facts.authors, facts.agency) == (article.authors, article.agency)
    assert facts.published == article.published
    assert facts.paragraphs == tuple(block.text for block in article.blocks)
    assert facts.related == article.related
    if article.image:
        assert (facts.caption, facts.credit) == (article.image.caption, article.image.credit)
    originals = [citation for citation in document.citations if citation.role is Role.ORIGINAL]
    assert [citation.url for citation in originals] == [article.url]


@pytest.mark.parametrize("text", AWKWARD)
def test_a_paragraph_that_looks_like_something_else_survives_as_the_first_and_the_last(text):
    blocks = tuple(Block(BlockKind.PARAGRAPH, words) for words in (text, "A plain one stands between them.", text))
    article = Article(url="https://e.example/a", title="A title", blocks=blocks)
    assert _read(article).facts.paragraphs == tuple(block.text for block in blocks)


def test_the_seed_form_is_written_to_the_letter():
    article = Article(
        url="https://e.example/a",
        title="A title",
        byline="Ada Holm, Reuters",
        authors=("Ada Holm",),
        agency="Reuters",
        published=Moment(datetime(2019, 9, 9, 14, 30, tzinfo=timezone(timedelta(hours=3))), Precision.MINUTE),
        image=Image("https://e.example/i.jpg", "A quay", "Bo Lind / Flickr"),
        blocks=(Block(BlockKind.PARAGRAPH, "One."), Block(BlockKind.HEADING, "Two", level=2)),
        related=(Link("Another", "https://e.example/b"),),
    )
    assert render.markdown(article) == (
        "# A title\n\nBy Ada Holm, Reuters\n\nSeptember 09, 2019 14:30 UTC+03:00\n\nA quay **Bo Lind / Flickr**\n\n"
        "One.\n\n## Two\n\n**Related article:** [Another](<https://e.example/b>)\n\n"
        "Original url:\n\n<https://e.example/a>\n"
    )
    assert (
        render.plain(article)
        == "A title\n\nBy Ada Holm, Reuters\n\nSeptember 09, 2019 14:30 UTC+03:00\n\nOne.\n\nTwo\n"
    )


@settings(max_examples=60, deadline=None)
@given(_articles())
@example(extract(PAGE, URL))
@example(
    Article(url="x", skipped="empty page", published=Moment(datetime.fromisoformat("2019-09-01"), Precision.MONTH))
)
@example(Article(url="x", published=Moment(datetime.fromisoformat("2019-01-01"), Precision.YEAR)))
def test_the_json_of_an_article_reads_back_into_the_same_article(article):
    assert render.from_json(render.as_json(article)) == article
