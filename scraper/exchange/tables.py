"""One row per capture, as JSON Lines or CSV."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from scraper import archiver, printable
from scraper.errors import OutputUnwritable

COLUMNS = (
    "url",
    "final_url",
    "time",
    "status",
    "outcome",
    "mime",
    "title",
    "subtitle",
    "byline",
    "authors",
    "agency",
    "publisher",
    "section",
    "published",
    "modified",
    "language",
    "canonical",
    "image",
    "tags",
    "is_article",
    "free_to_read",
    "noarchive",
    "warc",
    "offset",
    "length",
    "detail",
    "text",
)
# A spreadsheet would run a cell beginning so as a formula (OWASP, CSV injection).
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\n", "\\x0d")
_TEXT_FIELDS = ("title", "subtitle", "byline", "agency", "publisher", "section", "language", "canonical")
_FLAGS = ("is_article", "free_to_read", "noarchive")


def rows(visits: Iterable[Mapping[str, Any]], root: Path) -> Iterator[dict[str, Any]]:
    """A row for each visit, with the article's fields where there is a text."""
    for visit in visits:
        stored = None
        if visit["text_path"]:
            captured_at = datetime.fromisoformat(visit["captured_at"])
            stored = archiver.Texts(root, visit["collection"]).read_fields(visit["final_href"], captured_at)
        yield _row(visit, stored or {})


def _row(visit: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    article = stored.get("article", {})
    reason = visit["until"] or visit["reason"]
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {
        "url": visit["href"],
        "final_url": visit["final_href"],
        "time": visit["captured_at"],
        "status": visit["status"],
        "outcome": f"{visit['state']}({reason})" if reason else visit["state"],
        "mime": visit["mime"],
        "warc": visit["page_warc"] or visit["warc"],
        "offset": visit["page_offset"] if visit["page_offset"] is not None else visit["visit_offset"],
        "length": visit["page_length"] or visit["visit_length"],
        "detail": visit["detail"] or None,
    }
    row |= {name: article.get(name) for name in (*_TEXT_FIELDS, *_FLAGS)}
    row["authors"] = list(article.get("authors") or ())
    row["tags"] = list(article.get("tags") or ())
    row["published"] = _date(article.get("published"))
    row["modified"] = _date(article.get("modified"))
    row["image"] = (article.get("image") or {}).get("url")
    row["text"] = article.get("text")
    return row


def _date(value: Any) -> Any:
    return value.get("iso") if isinstance(value, Mapping) else value


def write(table: Iterable[Mapping[str, Any]], form: str, output: str | None) -> int:
    """Write rows as `jsonl` or `csv` to a file or standard output; gives their number.

    Raises `OutputUnwritable` when the output cannot be written.
    """
    with _opened(output) as out:
        return _write_jsonl(table, out) if form == "jsonl" else _write_csv(table, out)


@contextmanager
def _opened(output: str | None) -> Iterator[TextIO]:
    if output is None and sys.stdout is None:
        raise OutputUnwritable("standard output is closed; name a file with --output")
    target: str | int = output if output is not None else sys.stdout.fileno()
    try:
        # UTF-8, and line ends as they are: csv writes its own.
        with open(
            target, "w", encoding="utf-8", errors="backslashreplace", newline="", closefd=output is not None
        ) as out:
            yield out
    except BrokenPipeError:
        raise
    except OSError as error:
        where = output if output is not None else "standard output"
        raise OutputUnwritable(f"{where}: cannot be written: {error.strerror}; name another --output") from error


def _write_jsonl(table: Iterable[Mapping[str, Any]], out: TextIO) -> int:
    count = 0
    for row in table:
        out.write(printable.json_line(json.dumps(row, ensure_ascii=False, default=str)) + "\n")
        count += 1
    return count


def _write_csv(table: Iterable[Mapping[str, Any]], out: TextIO) -> int:
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    count = 0
    for row in table:
        writer.writerow([_cell(row[name]) for name in COLUMNS])
        count += 1
    return count


def _cell(value: Any) -> Any:
    """A CSV cell: lists are parted by semicolons, texts that would be formulas begin with an apostrophe."""
    if isinstance(value, list):
        value = "; ".join(value)
    if not isinstance(value, str):
        return value
    value = printable.block(value)
    return "'" + value if value.startswith(_FORMULA_STARTS) else value
