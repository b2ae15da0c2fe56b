"""Plain text, Markdown and URL lists -> citations and facts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from scraper.citations import facts, markdown, roles
from scraper.citations.cite import cite, target_line, unique
from scraper.model import Citation, Facts, Role

_COMMENT = re.compile(r"(?s)(?<!\s)\s+#(?:\s.*)?$|\t.*$")
_SHORTCUT_FILE = re.compile(r"(?i)\s*\[InternetShortcut\]")
_SHORTCUT_URL = re.compile(r"(?i)^\s*(?:base)?url\s*=\s*(.*)$")


def read_text(text: str, is_markdown: bool) -> tuple[Facts, tuple[Citation, ...]]:
    """The facts and citations of a running text."""
    prepared = markdown.unquoted(text)
    lines = roles.Lines(prepared)
    found = markdown.addresses(prepared, is_markdown)
    assigned = roles.assign(lines, found)
    citations = (
        cite(one.url, role, lines.number(one.start) + 1) for one, role in zip(found, assigned.roles, strict=True)
    )
    return facts.of_text(lines, assigned), tuple(unique(citations))


def read_list(text: str) -> tuple[Citation, ...]:
    """One URL a line, each a target; blank lines and lines that start with `#` or `;` aside."""
    return tuple(unique(_listed(text)))


def _listed(text: str) -> Iterator[Citation | None]:
    shortcut = bool(_SHORTCUT_FILE.match(text))
    for number, line in enumerate(text.split("\n"), 1):
        entry = _entry(line, shortcut)
        if entry:
            yield target_line(entry, Role.ORIGINAL, number)


def _entry(line: str, shortcut: bool) -> str:
    if shortcut:  # a .url file as browsers on Windows save it
        match = _SHORTCUT_URL.match(line)
        return match[1].strip() if match else ""
    entry = line.strip()
    if entry.startswith(("#", ";")):
        return ""
    entry = _COMMENT.sub("", entry)
    entry = re.sub(r"^(?:[-*+•]|\d{1,6}[.)])\s+", "", entry)
    if len(entry) > 1 and (entry[0], entry[-1]) in {("<", ">"), ('"', '"'), ("'", "'"), ("`", "`")}:
        entry = entry[1:-1].strip()
    return entry
