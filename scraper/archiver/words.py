"""Words as the full-text index knows them: parted, folded, asked for, and marked in a text. Pure.

The index gets words that are folded here, so what is found and what is marked never disagree. Scripts that put no space
between words (Chinese, Japanese, Thai …) and Korean are kept as overlapping pairs of characters, as other engines do:
any piece of a run is then found as a phrase.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

# Raised when words are parted or folded in another way: an index of another version is made again.
VERSION = 1

Parts = tuple[tuple[str, bool], ...]

_LONGEST_WORD = 64
_LONGEST_QUERY = 1000
_MOST_TERMS = 32
# Marks which belong to the letter before them, and scripts which cannot be read without theirs.
_MARKS = (
    r"\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    r"\u0900-\u0963\u0966-\u0dff\u0f00-\u0f03\u0f18-\u0f39\u0f71-\u0fbc\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff"
    r"\u0e30-\u0e4e\u0eb0-\u0ece\u102b-\u103e\u1056-\u109d\u17b4-\u17d3\u3099\u309a"
)
_UNSPACED = (
    r"\u0e01-\u0e4e\u0e80-\u0ece\u1000-\u109f\u1100-\u11ff\u1780-\u17d3\u3005-\u3007\u3041-\u309f\u30a1-\u30ff"
    r"\u3105-\u312f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f"
    r"\U00020000-\U000323af"
)
_WORD = re.compile(rf"[^\W_]+(?:[{_MARKS}]+[^\W_]*)*")
_RUN = re.compile(rf"[{_UNSPACED}]+|[^{_UNSPACED}]+")
_HAS_UNSPACED = re.compile(rf"[{_UNSPACED}]")
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_ASCII_BLANKS = {number: " " for number in range(128) if not chr(number).isalnum()}
_OVERLONG = re.compile(rf"([a-z0-9]{{{_LONGEST_WORD}}})[a-z0-9]+")
# Accents, Hebrew points and Arabic vowel signs, which readers leave out when they search.
_LEFT_OUT = re.compile(r"[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670]")
# Short и and у are letters of their own; ё is not to those who type е.
_CYRILLIC_BREVE = re.compile("([иу])\u0306")
_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»「」『』", '"'))
_TERM = re.compile(r'(-?)(?:"([^"]*)"?|([^\s"]+))(\*?)')


class Word(NamedTuple):
    """A word of a text: where it stands, and its folded form. `is_last` ends a run of an unspaced script."""

    start: int
    end: int
    form: str
    is_pair: bool = False
    is_last: bool = False


@lru_cache(maxsize=1 << 16)
def fold(word: str) -> str:
    """A word without case, width and accents: `Žižek` and `ZIZEK` are one, `Straße` and `strasse` too."""
    if word.isascii():
        return word.lower()[:_LONGEST_WORD]
    plain = unicodedata.normalize("NFKD", word.casefold())
    plain = _LEFT_OUT.sub("", _CYRILLIC_BREVE.sub("\\1\ue000", plain)).replace("\ue000", "\u0306")
    return unicodedata.normalize("NFC", plain).casefold()[:_LONGEST_WORD]


def words(text: str, start: int = 0) -> Iterator[Word]:
    """The words of a text in order, from an offset on."""
    if text.isascii():
        for match in _ASCII_WORD.finditer(text.lower(), start):
            yield Word(match.start(), match.end(), match[0][:_LONGEST_WORD])
        return
    for match in _WORD.finditer(text, start):
        word = match[0]
        if word.isascii() or not _HAS_UNSPACED.search(word):
            if form := fold(word):
                yield Word(match.start(), match.end(), form)
            continue
        for run in _RUN.finditer(word):
            yield from _of_run(run[0], match.start() + run.start())


def _of_run(run: str, at: int) -> Iterator[Word]:
    if not _HAS_UNSPACED.match(run):
        yield Word(at, at + len(run), fold(run) or run)
        return
    last = len(run) - 1
    for number in range(last):
        yield Word(at + number, at + number + 2, fold(run[number : number + 2]), is_pair=True)
    yield Word(at + last, at + last + 1, fold(run[last]), is_last=True)


def indexed(text: str) -> str:
    """A text as the index gets it: folded words, parted by blanks. Of a long text the words are never held singly."""
    if text.isascii():
        return _OVERLONG.sub(r"\1", text.lower().translate(_ASCII_BLANKS))
    return " ".join(" ".join(word.form for word in words(line)) for line in text.splitlines())


# ------------------------------------------------------------------- queries


@dataclass(frozen=True, slots=True)
class Term:
    """A word or phrase that is asked for: its folded words, the last perhaps only begun."""

    forms: tuple[str, ...]
    is_prefix: bool

    def expression(self) -> str:
        """In FTS5's language; the forms hold no quotes."""
        return f'"{" ".join(self.forms)}"' + ("*" if self.is_prefix else "")


@dataclass(frozen=True, slots=True)
class Query:
    """What a person typed, understood: every wanted term must be there, no unwanted one may."""

    wanted: tuple[Term, ...]
    unwanted: tuple[Term, ...] = ()

    def expression(self, *, in_title: bool = False) -> str:
        """In FTS5's language; empty when nothing is wanted. With `in_title` all that is wanted stands in the title."""
        wanted = " AND ".join(term.expression() for term in self.wanted)
        if not wanted:
            return ""
        found = f"{{title}} : ({wanted})" if in_title else f"({wanted})"
        return f"({found}) NOT ({' OR '.join(term.expression() for term in self.unwanted)})" if self.unwanted else found


def query(typed: str) -> Query:
    """Understand what a person typed: words, "phrases", -unwanted, beginnings*. Nothing is ever a wrong query.

    Operators of search languages are words like all others. What goes beyond a thousand characters or 32 terms is
    left out.
    """
    wanted: dict[Term, None] = {}
    unwanted: dict[Term, None] = {}
    for sign, phrase, word, star in _TERM.findall(typed[:_LONGEST_QUERY].translate(_QUOTES)):
        term = _term(phrase or word, bool(star) or word.endswith("*"))
        if term is not None and len(wanted) + len(unwanted) < _MOST_TERMS:
            (unwanted if sign else wanted)[term] = None
    return Query(tuple(wanted), tuple(unwanted))


def _term(text: str, is_prefix: bool) -> Term | None:
    found = list(words(text))
    if not found:
        return None
    if found[-1].is_last and len(found) > 1 and found[-2].is_pair:
        # The text may go on where the query ends: the pairs alone say it all.
        return Term(tuple(word.form for word in found[:-1]), is_prefix=False)
    return Term(tuple(word.form for word in found), is_prefix or found[-1].is_last)


# ------------------------------------------------------------------ snippets


_SNIPPET_CHARACTERS = 240
_BEFORE_CHARACTERS = 60
_MOST_FRAGMENTS = 2
_PARTED_CHARACTERS = 4000
_GAP = " … "


def marked(text: str, asked: Query) -> Parts:
    """A text as parts: those that match what was asked for are marked."""
    return _parts(text, _spans(text, 0, len(text), asked))


def snippet(text: str, asked: Query) -> Parts:
    """The places of a text that show best why it was found, at most two, marked; else how it begins."""
    starts: list[int] = []
    missing = list(asked.wanted)
    while missing and len(starts) < _MOST_FRAGMENTS:
        at = _first_place(text, missing[0])
        if at is not None:
            start = _window_start(text, at)
            starts.append(start)
            shown = text[start : _window_end(text, start)]
            missing = [term for term in missing[1:] if not _is_in(shown, term)]
        else:
            missing = missing[1:]
    parts: list[tuple[str, bool]] = []
    for start in sorted(starts) or [0]:
        end = _window_end(text, start)
        parts += [(_GAP, False)] if parts or start else []
        parts += _parts(text[start:end], _spans(text[start:end], 0, end - start, asked))
    last_end = _window_end(text, max(starts, default=0))
    return (*parts, (_GAP, False)) if last_end < len(text) else tuple(parts)


def _first_place(text: str, term: Term) -> int | None:
    """Where a term stands, as a phrase: the first place, or one that is quickly found."""
    start = _plain_place(text, term)
    if start is None and text.isascii():
        return None
    # Other forms of the words (with accents, say) are looked for in the beginning only: parting a text takes time.
    part = text if start is not None else text[:_PARTED_CHARACTERS]
    pending: list[Word] = []
    size = len(term.forms)
    for word in words(part, start or 0):
        pending = [*pending[-size + 1 :], word] if size > 1 else [word]
        if len(pending) == size and _agrees(pending, term):
            return pending[0].start
    return None


def _plain_place(text: str, term: Term) -> int | None:
    """Where the very words of a term stand; None when that is not known."""
    lowered = text.lower()
    if len(lowered) != len(text):
        return None
    if any(_HAS_UNSPACED.search(form) for form in term.forms):
        at = lowered.find(term.forms[0])
        return at if at >= 0 else None
    phrase = r"\W+".join(map(re.escape, term.forms))
    found = re.search(rf"(?<!\w){phrase}" + ("" if term.is_prefix else r"(?!\w)"), lowered)
    return found.start() if found else None


def _agrees(found: list[Word], term: Term) -> bool:
    *whole, last = term.forms
    if any(word.form != form for word, form in zip(found, whole, strict=False)):
        return False
    return found[-1].form.startswith(last) if term.is_prefix else found[-1].form == last


def _is_in(text: str, term: Term) -> bool:
    return _first_place(text, term) is not None


def _window_start(text: str, at: int) -> int:
    if at <= _BEFORE_CHARACTERS:
        return 0
    start = at - _BEFORE_CHARACTERS
    blank = max(text.find(" ", start, at), text.find("\n", start, at))
    return blank + 1 if blank >= 0 else start


def _window_end(text: str, start: int) -> int:
    end = start + _SNIPPET_CHARACTERS
    if end >= len(text):
        return len(text)
    blank = text.rfind(" ", end - _BEFORE_CHARACTERS, end)
    return blank if blank >= 0 else end


def _spans(text: str, start: int, end: int, asked: Query) -> list[tuple[int, int]]:
    """Where words stand that were asked for; what touches or overlaps is one."""
    forms = {form for term in asked.wanted for form in (term.forms[:-1] if term.is_prefix else term.forms)}
    beginnings = tuple(term.forms[-1] for term in asked.wanted if term.is_prefix)
    spans: list[tuple[int, int]] = []
    if text.isascii() and not beginnings:
        found = _ASCII_WORD.finditer(text.lower(), start, end)
        return [match.span() for match in found if match[0][:_LONGEST_WORD] in forms]
    for word in words(text[:end], start):
        if word.form not in forms and not (beginnings and word.form.startswith(beginnings)):
            continue
        first, last = word.start, word.end
        if word.is_pair and word.form not in forms:
            last -= 1  # only its first character was asked for
        if spans and first <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(last, spans[-1][1]))
        else:
            spans.append((first, last))
    return spans


def _parts(text: str, spans: list[tuple[int, int]]) -> Parts:
    parts: list[tuple[str, bool]] = []
    at = 0
    for start, end in spans:
        parts += [(text[at:start], False), (text[start:end], True)]
        at = end
    parts.append((text[at:], False))
    return tuple((" ".join(piece.split("\n")), is_marked) for piece, is_marked in parts if piece)
