"""What a document says of its page: the yardstick for the capture."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from scraper.citations import read_document
from scraper.model import Facts, Link, Moment, Precision

SEED = Path(__file__).parent.parent / "config" / "documents" / "000_b5dde23a3ed5c483.txt"


def facts_of(text: str, name: str = "a.md") -> Facts:
    return read_document(text.encode(), name).facts


def test_the_seed_documents_facts_are_read():
    facts = facts_of(SEED.read_text(encoding="utf-8"), "seed.txt")
    assert facts.title == "France Says EU and Russia Must Rebuild Trust But Too Early to End Sanctions"
    assert (facts.byline, facts.authors, facts.agency) == ("Reuters", (), "Reuters")
    assert facts.published == Moment(datetime(2019, 9, 9), Precision.DAY)  # noqa: DTZ001
    assert (facts.caption, facts.credit) == ("Jean-Yves Le Drian", "Ministre de la Défense / Flickr")
    assert len(facts.paragraphs) == 9
    assert facts.paragraphs[0].startswith("France's foreign minister said on Monday Europe and Russia")
    assert facts.paragraphs[-1].endswith("following weeks of protests in Moscow.")
    assert facts.related == (
        Link("Signaling Readiness for Thaw, Russia and Ukraine Swap Prisoners"),
        Link("Russian Isolation Would Be Europe's 'Profound Error,' France's Macron Says"),
    )


@pytest.mark.parametrize(
    "line, byline, authors, agency",
    [
        ("By [Jane Doe](#)", "Jane Doe", ("Jane Doe",), None),
        ("By Jane Doe and John Roe, Reuters", "Jane Doe and John Roe, Reuters", ("Jane Doe", "John Roe"), "Reuters"),
        ("By [Jane Doe](#), [AFP](#)", "Jane Doe, AFP", ("Jane Doe",), "AFP"),
        ("*By Jane Doe*", "Jane Doe", ("Jane Doe",), None),
        ("Von Erika Mustermann", "Erika Mustermann", ("Erika Mustermann",), None),
        ("Автор: Иван Петров", "Иван Петров", ("Иван Петров",), None),
    ],
)
def test_bylines_are_read_as_persons_and_agency(line: str, byline: str, authors: tuple[str, ...], agency: str | None):
    facts = facts_of(f"# Title\n\n{line}\n\nSeptember 09, 2019\n\nThe body starts here, with a sentence.\n")
    assert (facts.byline, facts.authors, facts.agency) == (byline, authors, agency)
    assert facts.paragraphs == ("The body starts here, with a sentence.",)


@pytest.mark.parametrize(
    "line, caption, credit",
    [
        ("A bridge. **Jane Doe / AP**", "A bridge.", "Jane Doe / AP"),
        ("**Jane Doe** / Flickr", None, "Jane Doe / Flickr"),
        ("A caption alone ****", "A caption alone", None),
        ("Photo: Jane Doe", None, "Photo: Jane Doe"),
        ("© Jane Doe", None, "© Jane Doe"),
        ("Jane Doe / Getty Images", None, "Jane Doe / Getty Images"),
        (r"A \*star\* **Jane \[Doe\]**", "A *star*", "Jane [Doe]"),
    ],
)
def test_the_picture_line_stands_between_date_and_body(line: str, caption: str | None, credit: str | None):
    facts = facts_of(f"# Title\n\nBy Jane Doe\n\n2019-09-09\n\n{line}\n\nThe body.\n")
    assert (facts.caption, facts.credit, facts.paragraphs) == (caption, credit, ("The body.",))


@pytest.mark.parametrize(
    "line",
    [
        "**Paris** is a city where things happen.",
        "By the time he came, it was over.",
        "In 2019 it was so.",
        "**Note:**",
    ],
)
def test_a_first_paragraph_is_not_taken_for_a_head_line(line: str):
    facts = facts_of(f"# Title\n\nBy Jane Doe\n\n2019-09-09\n\n{line}\n\nMore.\n")
    assert (facts.caption, facts.credit, len(facts.paragraphs)) == (None, None, 2)


def test_paragraphs_are_plain_text():
    text = (
        "# T\n\nA **bold** and *soft* [link](http://a.com/) &amp; `code`, 2 * 3 * 4 in snake_case_name.\n\n"
        "## Heading ##\n\n- one\n- two\n\n> quoted\n\n| a | b |\n|---|---|\n\n```\nx = 1\n```\n\n"
        "A line\nwrapped.\n\n---\n\n1\\. Not a list, \\*no star\\*.\n\n![alt](http://a.com/i.png)\n"
    )
    assert facts_of(text).paragraphs == (
        *("A bold and soft link & code, 2 * 3 * 4 in snake_case_name.", "Heading", "one", "two", "quoted", "a b"),
        *("x = 1", "A line wrapped.", "1. Not a list, *no star*."),
    )


def test_the_first_short_line_of_a_plain_text_is_its_title():
    facts = facts_of("A short title\n\nThe text itself, which is a sentence.\n", "a.txt")
    assert (facts.title, facts.paragraphs) == ("A short title", ("The text itself, which is a sentence.",))


def test_related_lines_keep_title_and_address():
    facts = facts_of(
        "# T\n\nText.\n\n**Related article:** [A \\[b\\]](<http://u:p@a.com/x>)\n\nRead more: Something else\n"
    )
    assert facts.related == (Link("A [b]", "http://a.com/x"), Link("Something else"))
    assert facts.paragraphs == ("Text.",)


def test_the_original_and_its_marker_are_no_text_wherever_they_stand():
    facts = facts_of("# T\n\nSource: [The Paper](http://a.com/)\n\nText.\n\nOriginal url:\n\n<http://a.com/x>\n")
    assert facts.paragraphs == ("Text.",)


def test_escaped_labels_are_text():
    facts = facts_of("# T\n\n2019-09-09\n\nOriginal url\\: is a label.\n\n&#66;y Jane Doe\n\n<http://a.com/>\n")
    assert facts.paragraphs[:2] == ("Original url: is a label.", "By Jane Doe")
    assert facts.byline is None


def test_front_matter_gives_the_same_facts():
    facts = facts_of("---\ntitle: A title\nauthor: Jane Doe\ndate: 2019-09-09\nsource: http://a.com/\n---\n\nText.\n")
    assert (facts.title, facts.authors, facts.paragraphs) == ("A title", ("Jane Doe",), ("Text.",))
    assert facts.published == Moment(datetime(2019, 9, 9), Precision.DAY)  # noqa: DTZ001


def test_data_files_have_no_facts():
    assert facts_of("title,url\nx,http://a.com/\n", "a.csv") == Facts()


def test_a_title_in_the_words_of_a_marker_stays_the_title():
    facts = facts_of("# Read more: a plea\n\nText.\n\nRelated Stories\n\nMore text.\n")
    assert facts.title == "Read more: a plea"
    assert facts.paragraphs == ("Text.", "Related Stories", "More text.")
