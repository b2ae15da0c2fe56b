"""Dates are read strictly, with their zone and precision, in many languages."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scraper import dates
from scraper.model import Precision

READ = [
    ("September 09, 2019", None, "2019-09-09"),
    ("9 Sept. 2019", None, "2019-09-09"),
    ("Sept. 9, 2019", None, "2019-09-09"),
    ("2nd of May 2019", None, "2019-05-02"),
    ("09-Sep-2019", None, "2019-09-09"),
    ("2019-09-09", None, "2019-09-09"),
    ("2019/9/9", None, "2019-09-09"),
    ("20190909", None, "2019-09-09"),
    ("2019年9月9日", None, "2019-09-09"),
    ("2019年9月9日 15時04分", None, "2019-09-09T15:04"),
    ("2019년 9월 9일 오후 3:04", None, "2019-09-09T15:04"),
    ("9 сентября 2019 г.", None, "2019-09-09"),
    ("9 de septiembre de 2019", None, "2019-09-09"),
    ("9 janvier 2019 à 14h30", None, "2019-01-09T14:30"),
    ("9. September 2019, 12:03 Uhr", None, "2019-09-09T12:03"),
    ("9 syyskuuta 2019", None, "2019-09-09"),
    ("9 सितंबर 2019", "hi", "2019-09-09"),
    ("9 tháng 9, 2019", "vi", "2019-09-09"),
    ("2019", None, "2019"),
    ("2019-09", None, "2019-09"),
    ("September 2019", None, "2019-09"),
    ("2019-09-09T12:03:00Z", None, "2019-09-09T12:03:00+00:00"),
    ("2019-09-09T12:03:00.000+0300", None, "2019-09-09T12:03:00+03:00"),
    ("2019-09-09T12:03-04:00", None, "2019-09-09T12:03-04:00"),
    ("2019-09-09 12:03", None, "2019-09-09T12:03"),
    ("Mon, 09 Sep 2019 12:03:00 +0300", None, "2019-09-09T12:03:00+03:00"),
    ("Mon Sep 09 2019 12:03:00 GMT+0300 (Moscow Standard Time)", None, "2019-09-09T12:03:00+03:00"),
    ("Published 3:04 PM EDT, Mon September 9, 2019", None, "2019-09-09T15:04-04:00"),
    ("12:30 a.m. September 9, 2019", None, "2019-09-09T00:30"),
    ("September 09, 2019 14:30 UTC+03:00", None, "2019-09-09T14:30+03:00"),
    ("September 09, 2019 14:30:05 UTC", None, "2019-09-09T14:30:05+00:00"),
    ("09/10/2019", "de", "2019-10-09"),
    ("09/10/2019", "en-GB", "2019-10-09"),
    ("09/10/2019", "en-US", "2019-09-10"),
    ("09.10.2019", None, "2019-10-09"),
    ("13/10/2019", None, "2019-10-13"),
]
REFUSED = [
    "09/10/2019",  # September or October: the text alone cannot tell
    "31.02.2019",
    "1398-02-03",  # another calendar
    "In May 2019 he died",
    "On May 3, 2019 he said so",
    "May 3",
    "yesterday",
    "3 hours ago",
    "12:03",
    "",
    "٣٪",
]


@pytest.mark.parametrize(("text", "language", "expected"), READ)
def test_a_date_is_read_with_its_zone_and_precision(text, language, expected):
    moment = dates.parse(text, language)
    assert moment is not None
    assert moment.iso() == expected


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_ambiguous_or_prose_is_no_date(text):
    assert dates.parse(text) is None


def test_a_date_inside_a_byline_is_found():
    moment = dates.search("By Jane Doe | Published 9 September 2019 14:30 GMT | 3 min read")
    assert moment is not None
    assert moment.iso() == "2019-09-09T14:30+00:00"


def test_a_year_in_a_byline_is_not_taken_for_its_date():
    assert dates.search("Copyright 2019 Example") is None


def test_a_two_part_date_says_that_it_has_no_day():
    moment = dates.parse("September 2019")
    assert moment is not None
    assert moment.precision is Precision.MONTH


def test_dates_do_not_depend_on_the_time_zone_or_locale_of_the_machine():
    code = (
        "from scraper import dates\n"
        "for t, l in [('9 September 2019 14:30', None), ('9 सितंबर 2019 14:30', 'hi'), ('09/10/2019', 'fr')]:\n"
        "    print(dates.parse(t, l).iso())"
    )
    seen = set()
    for zone, locale in (("UTC", "C.UTF-8"), ("Asia/Tokyo", "de_DE.UTF-8"), ("America/St_Johns", "C")):
        env = {**os.environ, "TZ": zone, "LC_ALL": locale}
        seen.add(subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True).stdout)
    assert seen == {b"2019-09-09T14:30\n2019-09-09T14:30\n2019-10-09\n"}


@given(st.text(max_size=80), st.sampled_from([None, "en", "ru", "xx"]))
def test_no_text_makes_the_reader_raise(text, language):
    moment = dates.parse(text, language)
    assert moment is None or 1500 <= moment.at.year < 2200


@given(st.datetimes(), st.sampled_from(["%Y-%m-%d", "%d %B %Y", "%B %d, %Y", "%a, %d %b %Y"]))
def test_every_day_comes_back_as_written(day, form):
    if 1500 <= day.year < 2200:
        moment = dates.parse(day.strftime(form))
        assert moment is not None
        assert moment.iso() == f"{day.year:04}-{day.month:02}-{day.day:02}"
