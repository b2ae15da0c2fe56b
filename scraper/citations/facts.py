"""What a document in the sample's form says of the page it was made from. Pure and linear."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from scraper import bylines, dates, urls
from scraper.citations.cite import cite
from scraper.citations.roles import Assigned, Lines
from scraper.model import Facts, Link, Role

_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_HIDDEN = 0xE000  # private use: where an escaped mark waits until the marks that mean something are gone
_SHOWN = {_HIDDEN + code: chr(code) for code in range(0x21, 0x7F)}
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_DESTINATION = (
    r"\((?:<[^<>\n]*+>|[^()\s<]*+(?:\([^()\s]*+\)[^()\s]*+)*+)(?:\s+(?:\"[^\"]{0,300}\"|'[^']{0,300}'))?\s*\)"
)
_IMAGE = re.compile(rf"!\[[^\[\]]{{0,2000}}\](?:{_DESTINATION}|\[[^\[\]]{{0,200}}\])")
_LINK = re.compile(rf"\[([^\[\]]{{0,2000}})\](?:{_DESTINATION}|\[[^\[\]]{{0,200}}\])")
_LINK_PARTS = re.compile(
    r"\[([^\[\]]{0,2000})\]\(\s*<?([^\s<>]*?)>?(?:\s[^)]{0,300})?\)(?=\W*$)|\[([^\[\]]{0,2000})\]\(\s*<?([^\s<>()]*)"
)
_AUTOLINK = re.compile(r"<((?:[A-Za-z][A-Za-z0-9+.-]{1,30}:|www\.)[^\s<>]*)>")
_TAG = re.compile(r"</?[A-Za-z][^<>\n]{0,1000}>")
_DELIMITERS = re.compile(r"\*+|_+|~~|`+")

_HEADING = re.compile(r"#{1,6}(?:[ \t]+|$)")
_CLOSING_HASHES = re.compile(r"(?<![ \t])[ \t]+#+[ \t]*$")
_UNDERLINE = re.compile(r"=+[ \t]*|-{2,}[ \t]*")
_RULE = re.compile(r"(?:[-*_][ \t]*){3,}|[=~+]{3,}")
_ITEM = re.compile(r"[ \t]*(?:[-*+•][ \t]+|\d{1,9}[.)][ \t]+)(?:\[[ xX]\][ \t]+)?")
_TABLE_RULE = re.compile(r"\|?[ \t:|-]*-[ \t:|-]*")
_FENCE = re.compile(r"(?:`{3,}|~{3,})[^`]*")
_DEFINITION = re.compile(r"[ ]{0,3}\[[^\[\]\n]{1,200}\]:[ \t]*\S")
_FRONT_MATTER = re.compile(r"\s*---[ \t]*\n(?:[^\n]*\n){0,100}?(?:---|\.\.\.)[ \t]*(?:\n|$)")
_KEY_VALUE = re.compile(r"([A-Za-z_-]{1,40}):[ \t]*(.*)")

_LONGEST_PIECE = 1_000_000  # characters of one paragraph or heading; more is no prose
_BYLINE_LIMIT, _TITLE_LIMIT, _PICTURE_LIMIT = 200, 200, 1500
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’»)]*$")
_BOLD = re.compile(r"\*\*|__")
_CREDIT_LABEL = re.compile(
    r"(?i)(?:photos?|images?|pictures?|photograph(?:s|y)?|foto(?:s|grafía|grafia)?|bild(?:er)?|credits?|crédits?|créditos?|immagine|фото|"
    r"photo credit|image credit|image source|picture credit|illustration|graphic|图|图片|写真|사진)"
    r"(?:\s(?:by|courtesy of|via|von|de|par)\b|\s?[:：])"
)
_COPYRIGHT = re.compile(
    r"(?i)^(?:©|\(c\)|copyright\b)|\s/\s(?:getty|shutterstock|alamy|flickr|wikimedia|unsplash|pixabay|istock|epa)"
)


def of_text(lines: Lines, assigned: Assigned) -> Facts:
    """The facts of a text or Markdown document."""
    front = _FRONT_MATTER.match(lines.text)
    first = lines.number(front.end()) if front else 0
    skipped = assigned.original_lines | assigned.related_lines
    facts = _front_facts(front.group()) if front else Facts()
    blocks = list(_blocks(lines, first, skipped))
    head = _Head(facts)
    while blocks and (left := head.take(blocks[0])) is not None:
        blocks[:1] = left
    paragraphs = tuple(text for block in blocks for text in _paragraphs(block) if text)
    related = tuple(link for number in sorted(assigned.related_lines) for link in _related(lines.lines[number]))
    return replace(head.facts, paragraphs=paragraphs, related=related)


def plain(text: str) -> str:
    """A piece of Markdown as a reader sees it: marks and link targets gone, escapes undone, white space folded."""
    hidden = _ESCAPED.sub(lambda match: chr(_HIDDEN + ord(match[1])), text[:_LONGEST_PIECE])
    hidden = _LINK.sub(r"\1", _IMAGE.sub("", hidden))
    hidden = _TAG.sub("", _AUTOLINK.sub(r"\1", hidden))
    shown = _without_emphasis(hidden)
    shown = _ENTITY.sub(lambda match: html.unescape(match.group()), shown)
    return " ".join(shown.translate(_SHOWN).split())


def _without_emphasis(text: str) -> str:
    """Remove the marks which open and close (CommonMark 6.2, simplified); a lone `*` or `_` is text."""
    open_: dict[str, list[tuple[int, int]]] = {}
    cuts: list[tuple[int, int]] = []
    for match in _DELIMITERS.finditer(text):
        start, end = match.span()
        before, after = text[start - 1 : start], text[end : end + 1]
        mark = match.group() if match.group()[0] == "`" else match.group()[0]
        inside_word = match.group()[0] == "_" and before.isalnum() and after.isalnum()
        if inside_word:
            continue
        stack = open_.setdefault(mark, [])
        code = mark[0] == "`"
        if stack and (code or (before and not before.isspace())):
            other = stack.pop()
            count = min(end - start, other[1] - other[0])
            cuts += [(other[1] - count, other[1]), (start, start + count)]
            if other[1] - other[0] > count:
                stack.append((other[0], other[1] - count))
        elif code or (after and not after.isspace()):
            stack.append((start, end))
    return _cut(text, sorted(cuts)) if cuts else text


def _cut(text: str, cuts: list[tuple[int, int]]) -> str:
    pieces, at = [], 0
    for start, end in cuts:
        pieces.append(text[at:start])
        at = max(at, end)
    return "".join([*pieces, text[at:]])


# -------------------------------------------------------------------- blocks


def _blocks(lines: Lines, first: int, skipped: frozenset[int]) -> Iterator[list[str]]:
    """Runs of lines that are not blank; headings and list items stand alone, fenced code is one block."""
    block: list[str] = []
    fence = ""
    for number in range(first, len(lines.starts)):
        line = lines.lines[number].strip()
        if not line and not block:
            continue
        if fence or (_FENCE.fullmatch(line) and number not in skipped):
            if fence and line.startswith(fence) and not line.strip(fence[0]):
                fence = ""
            elif not fence:
                fence = line[: len(line) - len(line.lstrip(line[0]))]
            elif line:
                block.append(line)
            continue
        alone = bool(_HEADING.match(line))
        starts = alone or bool(_ITEM.match(line)) or line.startswith("|")
        if not line or line == ">" or starts or number in skipped or _RULE.fullmatch(line):
            if _is_underlined(block, line):
                block[0] = f"# {block[0]}"
            if block:
                yield block
            block = []
        if line and line != ">" and number not in skipped and not _RULE.fullmatch(line):
            if alone:
                yield [line]
            elif not _DEFINITION.match(line):
                block.append(line)
    if block:
        yield block


def _is_underlined(block: list[str], line: str) -> bool:
    return len(block) == 1 and bool(_UNDERLINE.fullmatch(line)) and len(line) > 2


def _paragraphs(block: list[str]) -> list[str]:
    first = block[0]
    if _HEADING.match(first):
        return [_heading(first)]
    if first.startswith("|"):
        return [] if _TABLE_RULE.fullmatch(first) else [plain(" ".join(re.split(r"(?<!\\)\|", " ".join(block))))]
    item = _ITEM.match(first)
    block = [first[item.end() if item else 0 :], *block[1:]]
    # Lines as long as paragraphs are paragraphs; shorter ones are one paragraph which an editor wrapped.
    if any(len(line) > 120 for line in block[:-1]):
        return [plain(line) for line in block]
    return [plain(" ".join(block))]


def _heading(line: str) -> str:
    mark = _HEADING.match(line)
    return plain(_CLOSING_HASHES.sub("", line[mark.end() if mark else 0 :]))


def _related(line: str) -> list[Link]:
    """The titles on a "Related article:" line, with their address where the document still has it."""
    links = []
    for match in _LINK_PARTS.finditer(_ESCAPED.sub(lambda found: chr(_HIDDEN + ord(found[1])), line)):
        title = plain((match[1] if match[1] is not None else match[3]).translate(_BACK))
        citation = cite((match[2] if match[1] is not None else match[4]).translate(_SHOWN), Role.RELATED, 1)
        if title:
            links.append(Link(title, urls.without_userinfo(citation.url) if citation else None))
    if links:
        return links
    _, colon, rest = re.sub("：", ":", line).partition(":")
    title = plain(rest.strip(" *_"))
    return [Link(title)] if colon and title and "://" not in title else []


_BACK = {code: f"\\{char}" for code, char in _SHOWN.items()}


# ---------------------------------------------------------------------- head


@dataclass(slots=True)
class _Head:
    """Reads the lines before the body; each kind once, in the order people write them."""

    facts: Facts
    saw_byline_or_date: bool = False

    def take(self, block: list[str]) -> list[list[str]] | None:
        """What is left of a block after its head lines; None when the body begins."""
        line = block[0]
        # Our own rendering writes a first letter as `&#66;` where a paragraph might be taken for a head line.
        if line.startswith("&#") or not self._is_head(line, len(block) > 1):
            return None
        return [block[1:]] if len(block) > 1 else []

    def _is_head(self, line: str, more: bool) -> bool:
        return self._title(line, more) or self._byline(line) or self._date(line) or self._picture(line, more)

    def _title(self, line: str, more: bool) -> bool:
        if self.facts.title is not None or self.saw_byline_or_date:
            return False
        if _HEADING.match(line):
            title = _heading(line)
        elif more or _is_no_title(line):
            return False
        else:
            title = plain(line)
        self.facts = replace(self.facts, title=title or None)
        return bool(title)

    def _byline(self, line: str) -> bool:
        byline = _byline_of(line) if self.facts.byline is None else None
        if byline is None:
            return False
        self.facts = replace(self.facts, byline=byline.text, authors=byline.authors, agency=byline.agency)
        self.saw_byline_or_date = True
        return True

    def _date(self, line: str) -> bool:
        moment = dates.parse(plain(line)) if self.facts.published is None and len(line) < 200 else None
        if moment is None:
            return False
        self.facts = replace(self.facts, published=moment)
        self.saw_byline_or_date = True
        return True

    def _picture(self, line: str, more: bool) -> bool:
        known = self.facts.caption or self.facts.credit
        if known or more or not (self.saw_byline_or_date or self.facts.title) or _HEADING.match(line):
            return False
        caption, credit = _picture_of(line)
        self.facts = replace(self.facts, caption=caption, credit=credit)
        return bool(caption or credit)


def _is_no_title(line: str) -> bool:
    long = len(line) > _TITLE_LIMIT or bool(_SENTENCE_END.search(line))
    return long or bool(_ITEM.match(line)) or _byline_of(line) is not None or dates.parse(plain(line)) is not None


def _byline_of(line: str) -> bylines.Byline | None:
    text = plain(line)
    # The mark must be written as such: `&#66;y the time` is a paragraph.
    raw = line.lstrip(" *_")
    if len(text) > _BYLINE_LIMIT or not raw or raw[0] != text[:1] or ("." in text[-1:] and len(text.split()) > 8):
        return None
    name = bylines.strip_prefix(text)
    if name == text.strip(" \t:|·•,-–—") or not name or name[0].islower():
        return None
    whole = bylines.parse(text)
    linked = [plain(match[1]) for match in _LINK.finditer(line)]
    if len(linked) < 2:
        return whole
    parsed = [bylines.parse(part) for part in linked]
    return (
        whole
        if any(not (part.authors or part.agency) for part in parsed)
        else bylines.Byline(
            whole.text,
            tuple(dict.fromkeys(author for part in parsed for author in part.authors)),
            next((part.agency for part in (*parsed, whole) if part.agency), None),
        )
    )


def _picture_of(line: str) -> tuple[str | None, str | None]:
    """Caption and credit: what stands before the first bold mark, and all from there on."""
    if len(line) > _PICTURE_LIMIT:
        return None, None
    hidden = _ESCAPED.sub(lambda match: "\ue000" * len(match.group()), line)
    bold = _BOLD.search(hidden)
    if bold is None:
        text = plain(line)
        looks = len(text) < 150 and (_CREDIT_LABEL.match(line) or _COPYRIGHT.search(text) or _ends_with_agency(text))
        return (None, text) if looks and not _SENTENCE_END.search(text) else (None, None)
    caption, credit = plain(line[: bold.start()]), plain(line[bold.start() :].replace("****", "", 1))
    after = _BOLD.split(hidden[bold.end() :], maxsplit=1)
    if not _is_credit(caption, credit, after[1] if len(after) > 1 else None):
        return None, None
    return caption or None, credit or None


def _is_credit(caption: str, credit: str, after: str | None) -> bool:
    """A bold word in a first paragraph is no credit: nothing but a source may follow the bold."""
    if after is None or len(credit) > 200:
        return False
    if after.strip() and after.strip()[0] not in "/|,·-–—(©":
        return False
    if not caption:
        return bool(credit) and len(credit) < 100 and not _SENTENCE_END.search(credit) and not credit.endswith(":")
    return True


def _ends_with_agency(text: str) -> bool:
    before, slash, last = text.rpartition("/")
    return bool(slash) and len(before) < 100 and bylines.is_agency(last.strip())


# -------------------------------------------------------------- front matter


def _front_facts(text: str) -> Facts:
    """The keys of a YAML front matter that say what the head of an article says."""
    values = {
        match[1].lower(): match[2].strip().strip("\"'") for match in map(_KEY_VALUE.match, text.split("\n")) if match
    }
    title = plain(values.get("title", "")) or None
    author = values.get("author") or values.get("authors") or values.get("byline") or ""
    date = values.get("date") or values.get("published") or values.get("published_at") or ""
    byline = bylines.parse(author.strip("[]")) if author.strip("[] ") else None
    facts = Facts(title=title, published=dates.parse(date) if date else None)
    if byline is None:
        return facts
    return replace(facts, byline=byline.text, authors=byline.authors, agency=byline.agency)
