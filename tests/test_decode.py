"""Bytes become text by a named rule: BOM, header, meta, valid UTF-8, detector, windows-1252."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scraper import decode

RUSSIAN = "Городской совет решил во вторник сохранить три старых крана на набережной."
CZECH = "Příliš žluťoučký kůň úpěl ďábelské ódy, řekl městský úředník ve čtvrtek."
JAPANESE = "三月の検査では、二台のクレーンがあと六十年立っていられると分かった。"


@pytest.mark.parametrize(
    ("body", "content_type", "text", "rule"),
    [
        (codecs.BOM_UTF8 + "é".encode(), "text/html; charset=iso-8859-1", "é", "bom"),
        (codecs.BOM_UTF16_LE + "é".encode("utf-16-le"), None, "é", "bom"),
        ("é".encode("iso-8859-1"), "text/html; charset=ISO-8859-1", "é", "http"),
        (b'<meta charset="windows-1251">' + "да".encode("cp1251"), None, '<meta charset="windows-1251">да', "meta"),
        ("é ☃".encode(), "text/html", "é ☃", "utf-8"),
        (RUSSIAN.encode("cp1251"), None, RUSSIAN, "detector"),
        (CZECH.encode("cp1250"), None, CZECH, "detector"),
        (JAPANESE.encode("shift_jis"), None, JAPANESE, "detector"),
        (b"", None, "", "utf-8"),
    ],
)
def test_a_page_is_decoded_by_the_first_rule_that_holds(body, content_type, text, rule):
    decoded = decode.html(body, content_type)
    assert (decoded.text, decoded.rule) == (text, rule)


@pytest.mark.parametrize("text", ["café au lait", "Jörg", "“quotes” – and a dash", "déjà vu à l’été"])
def test_western_letters_are_windows_1252_and_no_rarer_name(text):
    decoded = decode.html(text.encode("cp1252"))
    assert decoded.text == text
    assert decoded.encoding == "cp1252"


def test_latin_1_means_windows_1252_as_in_browsers():
    assert decode.html(b"\x93a\x94", "text/html; charset=iso-8859-1").text == "“a”"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_text_in_utf_16_without_a_mark_is_known_by_its_zeros(encoding):
    assert decode.plain("Original url: https://e.example/".encode(encoding)).text == "Original url: https://e.example/"


def test_broken_utf_8_is_replaced_and_never_raises():
    assert "�" in decode.html(b"ab\xff", "text/html; charset=utf-8").text


@given(st.binary(max_size=300), st.sampled_from([None, "text/html; charset=utf-8", "text/html; charset=nonsense"]))
def test_no_bytes_make_the_decoder_raise(body, content_type):
    assert isinstance(decode.html(body, content_type).text, str)
    assert isinstance(decode.plain(body).text, str)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), max_size=200))
def test_valid_utf_8_without_a_declaration_is_read_as_it_is(text):
    assert decode.plain(text.encode()) == decode.Text(text, "utf-8", "utf-8")
