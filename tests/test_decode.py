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


@pytest.mark.parametrize("name", ["idna", "undefined", "zlib", "rot13", "punycode", "unicode_escape", "utf-7", "hex"])
def test_a_codec_that_no_browser_knows_counts_as_undeclared(name):
    by_header = decode.html("caf\u00e9 \\ud800".encode(), f"text/html; charset={name}")
    assert (by_header.text, by_header.rule) == ("café \\ud800", "utf-8")
    page = f'<meta charset="{name}">café'
    assert decode.html(page.encode()) == decode.Text(page, "utf-8", "utf-8")
    assert decode.plain(page.encode()) == decode.Text(page, "utf-8", "utf-8")


def test_utf_16_is_little_endian_in_a_header_and_utf_8_in_a_meta():
    assert decode.html("né".encode("utf-16-le"), "text/html; charset=utf-16").text == "né"
    assert decode.html('<meta charset="utf-16">né'.encode()).text == '<meta charset="utf-16">né'


def test_every_encoding_of_the_standard_is_known_to_python():
    labels = "macintosh windows-874 gbk gb2312 big5 euc-jp iso-2022-jp shift_jis euc-kr koi8-u ibm866"
    pages = [decode.html(b"abc", f"text/html; charset={label}") for label in labels.split()]
    assert {page.rule for page in pages} == {"http"}


def test_broken_utf_8_is_replaced_and_never_raises():
    assert "�" in decode.html(b"ab\xff", "text/html; charset=utf-8").text


@given(st.binary(max_size=300), st.sampled_from([None, "text/html; charset=utf-8", "text/html; charset=nonsense"]))
def test_no_bytes_make_the_decoder_raise(body, content_type):
    assert isinstance(decode.html(body, content_type).text, str)
    assert isinstance(decode.plain(body).text, str)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), max_size=200))
def test_valid_utf_8_without_a_declaration_is_read_as_it_is(text):
    assert decode.plain(text.encode()) == decode.Text(text, "utf-8", "utf-8")
