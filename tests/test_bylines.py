"""Bylines of documents and pages read alike: persons, agency, and nothing else."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scraper import bylines

READ = [
    ("By Reuters", "Reuters", (), "Reuters"),
    ("By Ada Holm", "Ada Holm", ("Ada Holm",), None),
    ("By Ada Holm and Bo Lind, Reuters", "Ada Holm and Bo Lind, Reuters", ("Ada Holm", "Bo Lind"), "Reuters"),
    ("BY ADA HOLM, STAFF WRITER", "ADA HOLM, STAFF WRITER", ("ADA HOLM",), None),
    ("By Ada Holm in Paris", "Ada Holm in Paris", ("Ada Holm",), None),
    ("Ada Holm (Reuters)", "Ada Holm (Reuters)", ("Ada Holm",), "Reuters"),
    ("The Associated Press", "The Associated Press", (), "Associated Press"),
    ("Ada Holm, PhD", "Ada Holm, PhD", ("Ada Holm",), None),
    ("Dr. Ada Holm", "Dr. Ada Holm", ("Ada Holm",), None),
    ("Bo Lind, Jr.", "Bo Lind, Jr.", ("Bo Lind, Jr",), None),
    ("Von Jörg Müller, dpa", "Jörg Müller, dpa", ("Jörg Müller",), "dpa"),
    ("Par Ève Dupont et Léa Roux", "Ève Dupont et Léa Roux", ("Ève Dupont", "Léa Roux"), None),
    ("Por Ana Ruiz y Juan Gil", "Ana Ruiz y Juan Gil", ("Ana Ruiz", "Juan Gil"), None),
    ("Автор: Иван Петров", "Иван Петров", ("Иван Петров",), None),
    ("文/张三、李四", "张三、李四", ("张三", "李四"), None),
    ("Byron Vonn and Diana Parker", "Byron Vonn and Diana Parker", ("Byron Vonn", "Diana Parker"), None),
]


@pytest.mark.parametrize(("text", "whole", "authors", "agency"), READ)
def test_a_byline_gives_persons_and_agency(text, whole, authors, agency):
    assert bylines.parse(text) == bylines.Byline(whole, authors, agency)


@pytest.mark.parametrize(
    "text",
    [
        "Staff Writer",
        "admin",
        "https://e.example/a",
        "a@e.example",
        "Share on Social",
        "2019",
        "",
        "By",
    ],
)
def test_what_is_no_name_gives_no_author(text):
    assert bylines.parse(text).authors == ()


@given(st.lists(st.sampled_from(["Ada Holm", "Bo Lind", "Jean-Yves Le Drian", "Иван Петров"]), max_size=4, unique=True))
def test_a_composed_byline_reads_back(names):
    for agency in (None, "Reuters", "AFP"):
        line = bylines.compose(names, agency)
        found = bylines.parse(line or "")
        assert (found.authors, found.agency) == (tuple(names), agency)


@pytest.mark.parametrize(
    "text", ["By " * 20_000, "a, " * 20_000, "(" * 20_000, "a" * 100_000, "x in " * 20_000, " and" * 20_000]
)
def test_no_byline_takes_long(text):
    start = time.process_time()
    bylines.parse(text)
    assert time.process_time() - start < 10
