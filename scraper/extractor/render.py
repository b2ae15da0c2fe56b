"""Article -> Markdown (the form of the citing documents), plain text, JSON and back. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from scraper import bylines, dates, wording
from scraper.model import Article, Block, BlockKind, Evidence, Image, Link, Moment, Precision

# English whatever the locale of the machine: strftime would ask it.
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
# CommonMark 2.4: any ASCII punctuation may be escaped by a backslash.
_SPECIAL = re.compile(r"[\\`*_\[\]<>]|&(?=#?\w{1,31};)")
_LINE_START = re.compile(r"^(?:[#+=~|!-]|\d{1,9}(?=[.)]))")
# A short label such as "Original url:" or "Related article:" would give a paragraph a meaning in the documents' form.
_LABEL = re.compile(r"^[^:：]{1,40}(?=[:：])")
_LONGEST_HEAD_LINE = 200  # letters
_NOT_HTTP = re.compile(r"[\s<>]")


def markdown(article: Article) -> str:
    """The article in the form of the sample documents, which reads back into the same facts."""
    parts = [f"# {_inline(article.title)}"] if article.title else []
    byline = article.byline or bylines.compose(article.authors, article.agency)
    if byline:
        parts.append(f"By {_inline(byline)}")
    if article.published:
        parts.append(date_line(article.published))
    if picture := _picture_line(article.image):
        parts.append(picture)
    body = [text for block in article.blocks if (text := _block(block))]
    if body and article.blocks[0].kind in (BlockKind.PARAGRAPH, BlockKind.EMBED):
        body[0] = _not_a_head_line(body[0])
    parts += body
    parts += [f"**Related article:** {_link(link)}" for link in article.related]
    parts += ["Original url:", f"<{_address(article.url)}>"]
    return "\n\n".join(parts) + "\n"


def plain(article: Article) -> str:
    """Title, byline, date and body as text without any marks."""
    head = [article.title, article.subtitle]
    byline = article.byline or bylines.compose(article.authors, article.agency)
    head += [f"By {byline}" if byline else None, date_line(article.published) if article.published else None]
    return "\n\n".join([*filter(None, head), *(block.text for block in article.blocks)]) + "\n"


def date_line(moment: Moment) -> str:
    """`September 09, 2019`, with time and zone where they were said: `September 09, 2019 14:30 UTC+03:00`."""
    at = moment.at
    month = _MONTHS[at.month - 1]
    match moment.precision:
        case Precision.YEAR:
            return f"{at.year:04}"
        case Precision.MONTH:
            return f"{month} {at.year:04}"
        case Precision.DAY:
            return f"{month} {at.day:02}, {at.year:04}"
    clock = f"{at.hour:02}:{at.minute:02}" + (f":{at.second:02}" if moment.precision is Precision.SECOND else "")
    offset = at.isoformat()[19:].lstrip(".0123456789") if at.tzinfo else None
    zone = "" if offset is None else " UTC" if offset == "+00:00" else f" UTC{offset}"
    return f"{month} {at.day:02}, {at.year:04} {clock}{zone}"


# ------------------------------------------------------------------- Markdown


def _inline(text: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))


def _paragraph(text: str) -> str:
    """One paragraph on one line, protected from meaning anything else."""
    escaped = _inline(text)
    if match := _LINE_START.match(escaped):
        # A number is escaped at its dot: CommonMark knows no `\1`.
        at = match.end() if escaped[0].isdigit() else 0
        return f"{escaped[:at]}\\{escaped[at:]}"
    label = _LABEL.match(escaped)
    if label and (wording.role_of(label[0]) or wording.is_phrase(label[0])):
        protected = "\\:" if escaped[label.end()] == ":" else "&#65306;"
        return f"{label[0]}{protected}{escaped[label.end() + 1 :]}"
    if escaped[:1] == "•" or wording.role_of(escaped) or wording.is_phrase(escaped):
        return _first_letter_hidden(escaped)
    return escaped


def _first_letter_hidden(text: str) -> str:
    """A paragraph that reads as text, but is taken for no mark, label or head line."""
    return text if text[0] in "\\&" else f"&#{ord(text[0])};{text[1:]}"


def _not_a_head_line(text: str) -> str:
    """The first paragraph must not be taken for a byline, a date or a credit: its first letter tells."""
    short = len(text) < _LONGEST_HEAD_LINE and not text.endswith((".", "!", "?", "…", "。"))
    return _first_letter_hidden(text) if short or _is_byline(text) or dates.parse(text) else text


def _picture_line(image: Image | None) -> str | None:
    if image is None or not (image.caption or image.credit):
        return None
    caption, credit = (_no_byline(_inline(text or "")) for text in (image.caption, image.credit))
    return f"{caption} **{credit}**".strip()


def _no_byline(text: str) -> str:
    return _first_letter_hidden(text) if _is_byline(text) else text


def _is_byline(text: str) -> bool:
    return bylines.strip_prefix(text) != text.strip(" \t:|·•,-–—")


def _block(block: Block) -> str:
    match block.kind:
        case BlockKind.HEADING:
            return f"{'#' * min(max(block.level, 2), 6)} {_inline(block.text)}"
        case BlockKind.QUOTE:
            return "\n>\n".join(f"> {_inline(line)}" for line in block.text.splitlines() if line.strip())
        case BlockKind.LIST:
            marks = (f"{number}." if block.ordered else "-" for number in range(1, len(block.items) + 1))
            return "\n".join(f"{mark} {_inline(item)}" for mark, item in zip(marks, block.items, strict=True))
        case BlockKind.TABLE:
            return _table(block.rows)
        case BlockKind.CODE:
            longest = max((len(run) for run in re.findall(r"`+", block.text)), default=0)
            fence = "`" * max(3, longest + 1)
            return f"{fence}\n{block.text}\n{fence}"
        case BlockKind.EMBED:
            lines = [_paragraph(line) for line in block.text.splitlines() if line.strip()]
            return "\n\n".join([*lines, *([f"<{_address(block.href)}>"] if block.href else [])])
        case BlockKind.PARAGRAPH:
            return "\n\n".join(_paragraph(line) for line in block.text.splitlines() if line.strip())


def _table(rows: tuple[tuple[str, ...], ...]) -> str:
    width = max((len(row) for row in rows), default=0)
    if not width:
        return ""
    lines = [
        "| " + " | ".join(_inline(cell).replace("|", "\\|") for cell in (*row, *[""] * (width - len(row)))) + " |"
        for row in rows
    ]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])


def _link(link: Link) -> str:
    return f"[{_inline(link.title)}]({'<' + _address(link.href) + '>' if link.href else '#'})"


def _address(url: str) -> str:
    return _NOT_HTTP.sub(lambda match: "".join(f"%{byte:02X}" for byte in match.group().encode()), url)


# ----------------------------------------------------------------------- JSON


def as_json(article: Article) -> dict[str, object]:
    """Every field as JSON values; dates as `{"iso", "precision"}`."""
    image = article.image
    return {
        **{name: getattr(article, name) for name in _PLAIN},
        **{name: list(getattr(article, name)) for name in _LISTS},
        "published": _moment_out(article.published),
        "modified": _moment_out(article.modified),
        "image": {"url": image.url, "caption": image.caption, "credit": image.credit} if image else None,
        "related": [{"title": link.title, "href": link.href} for link in article.related],
        "blocks": [_block_out(block) for block in article.blocks],
        "evidence": {name: {"source": found.source, "raw": found.raw} for name, found in article.evidence.items()},
        "text": article.text,
    }


def from_json(data: Mapping[str, Any]) -> Article:
    """The article that `as_json` wrote."""
    image = data["image"]
    values: dict[str, Any] = {name: data[name] for name in _PLAIN}
    values |= {name: tuple(data[name]) for name in _LISTS}
    return Article(
        **values,
        published=_moment_in(data["published"]),
        modified=_moment_in(data["modified"]),
        image=Image(image["url"], image["caption"], image["credit"]) if image else None,
        related=tuple(Link(link["title"], link["href"]) for link in data["related"]),
        blocks=tuple(_block_in(block) for block in data["blocks"]),
        evidence={name: Evidence(found["source"], found["raw"]) for name, found in data["evidence"].items()},
    )


_PLAIN = (
    *("url", "title", "subtitle", "byline", "agency", "publisher", "section", "language", "canonical"),
    *("is_article", "free_to_read", "noarchive", "skipped"),
)
_LISTS = ("authors", "tags")


def _moment_out(moment: Moment | None) -> dict[str, str] | None:
    return {"iso": moment.iso(), "precision": str(moment.precision)} if moment else None


def _moment_in(data: Mapping[str, str] | None) -> Moment | None:
    if data is None:
        return None
    iso = data["iso"] + {4: "-01-01", 7: "-01"}.get(len(data["iso"]), "")
    return Moment(datetime.fromisoformat(iso), Precision(data["precision"]))


def _block_out(block: Block) -> dict[str, object]:
    full: dict[str, object] = {
        "kind": str(block.kind),
        "text": block.text,
        "level": block.level,
        "items": list(block.items),
        "ordered": block.ordered,
        "rows": [list(row) for row in block.rows],
        "href": block.href,
    }
    return {key: value for key, value in full.items() if key in ("kind", "text") or value}


def _block_in(data: Mapping[str, Any]) -> Block:
    return Block(
        BlockKind(data["kind"]),
        data["text"],
        data.get("level", 0),
        tuple(data.get("items", ())),
        data.get("ordered", False),
        tuple(tuple(row) for row in data.get("rows", ())),
        data.get("href"),
    )
