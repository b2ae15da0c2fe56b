from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scraper import printable


def test_escapes_and_bidi_marks_become_visible() -> None:
    assert printable.line("a\x1b[31mred\u202egnp.exe\n") == "a\\x1b[31mred\\u202egnp.exe\\x0a"


def test_a_block_keeps_its_line_feeds_and_tabs_only() -> None:
    assert printable.block("a\n\tb\r\x07") == "a\n\tb\\x0d\\x07"


@given(st.text())
def test_no_control_character_is_left(text: str) -> None:
    shown = printable.line(text)
    assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 or char in "\u202e\u2066\u200f" for char in shown)
