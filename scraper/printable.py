"""Text from pages, URLs and servers, made fit for a terminal or a log. Pure."""

from __future__ import annotations

import re

# C0 and C1 controls, DEL, line and paragraph separators, bidi marks, embeddings, overrides and isolates, tag
# characters, invisible operators and the byte-order mark: what can move the cursor, hide text or turn its direction.
# Soft hyphens and the joiners U+200C and U+200D stay: German, Persian and Hindi are written with them.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_UNSAFE_IN_LINES = re.compile(_UNSAFE.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))


def line(text: str) -> str:
    """One line: every unsafe character becomes its visible escape (`\\x1b`), line breaks too."""
    return _UNSAFE.sub(_escape, text)


def block(text: str) -> str:
    """Several lines: line feeds and tabs stay, all else as `line`."""
    return _UNSAFE_IN_LINES.sub(_escape, text)


def json_line(text: str) -> str:
    """A line of JSON as JSON still: what is unsafe becomes `\\u` escapes, which mean the same."""
    return _UNSAFE.sub(_json_escape, text)


def _json_escape(match: re.Match[str]) -> str:
    units = match.group().encode("utf-16-be").hex("-", 2).split("-")
    return "".join(f"\\u{unit}" for unit in units)


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
