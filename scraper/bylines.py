"""Bylines: who wrote it, and which news agency it came from. Pure.

Shared by the documents (`By A and B, Reuters`) and by the pages they were made from, so that both read alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Byline:
    """A byline without its "By"; `authors` are the persons (or groups) in it, `agency` is as written."""

    text: str
    authors: tuple[str, ...] = ()
    agency: str | None = None


# As written, a leading "The " aside. Short ones are matched with their capitals: "pa" and "sid" are also words.
_AGENCIES = frozenset(
    {
        *("Reuters", "Associated Press", "AP", "Agence France-Presse", "Agence France Presse", "AFP", "Bloomberg"),
        *("Bloomberg News", "dpa", "DPA", "Deutsche Presse-Agentur", "TASS", "ТАСС", "Interfax", "Интерфакс"),
        *("RIA Novosti", "РИА Новости", "Xinhua", "新华社", "ANSA", "EFE", "Europa Press", "PA", "PA Media"),
        *("Press Association", "UPI", "United Press International", "Kyodo", "Kyodo News", "共同通信", "Jiji Press"),
        *("時事通信", "Yonhap", "연합뉴스", "APA", "ANI", "PTI", "Press Trust of India", "IANS", "AAP", "Belga", "ANP"),
        *("Australian Associated Press", "Canadian Press", "Anadolu", "Anadolu Agency", "Anadolu Ajansı", "AA", "NTB"),
        *("Ritzau", "Lusa", "MTI", "PAP", "ČTK", "CTK", "Ukrinform", "Укрінформ", "KNA", "epd", "SID", "Agerpres"),
        *("Tanjug", "Hina", "Bernama", "Antara", "News Agency of Nigeria", "Keystone-SDA", "SDA", "Newsflash", "SWNS"),
        *("Cover Media", "Bang Showbiz", "CNW", "CNS", "Xinhua News Agency", "News Service of Florida", "STT", "TT"),
    }
)
_AGENCY_KEYS = frozenset(name if len(name) < 5 else name.casefold() for name in _AGENCIES)

_PREFIX = re.compile(
    r"(?:\s*(?:(?:(?:view all posts|all posts|posts|written|posted|published|reported|submitted|authored|story"
    r"|words|article|report|reporting|review"
    r"|opinion|analysis|text and photos|texto) by)\b:?|by\b:?|by:|authors?:|von\b|by/|par\b|por\b|di\b"
    r"|da\b(?=\s[A-ZÀ-Þ])|door\b|av\b|af\b"
    r"|autor(?:in|es|a|zy)?:|auteurs?\s?:|autore:|ein artikel von|eine analyse von|ein kommentar von|redacción:"
    r"|texto:|text:|tekst:|foto:"
    r"|автор(?:ы|и)?\s?:|текст\s?:|oleh\b:?|yazan:|haber:|作者\s?[:：]|文[/／]|記者\s?|记者\s?[:：]?|撰文\s?[:：/]))\s*",
    re.IGNORECASE,
)
_SPLIT = re.compile(
    r"\s?(?:[,;/|•·、，；]|\s(?:and|und|et|y|och|og|en|ja|и|та|ve|dan|with|avec|mit|con)\s|\s?&\s?|\s[–—-]\s)\s?"
)
_CUT = re.compile(
    r"\s+(?:in|for|at|from|aus|für|à|à l'|pour|special to|is an?|is the|was|has)\s.*$"
    r"|\s*\((?!.*\)\s*\w).{0,80}$|\s*\b(?:published|updated|posted|last modified|aktualisiert|publié|publicado)\b.*$",
    re.IGNORECASE,
)
_ROLE = re.compile(
    r"(?i)\b(?:editors?|reporters?|writers?|correspondents?|columnists?|contributors?|contributing|journalists?"
    r"|staff|analyst"
    r"|bureau|newsroom|desk|intern|photographers?|producers?|anchor|admin|administrator|webmaster|redaktion"
    r"|redakteur(?:in)?"
    r"|rédaction|redacción|redacao|redação|redazione|redactie|redaktør|редакция|редактор|корреспондент|journaliste"
    r"|periodista"
    r"|professor|director|president|ceo|founder|senior|chief|freelancer?|press release|news team|web team|online|team"
    r"|specialist|manager|officer|researcher|fellow|lecturer|university|guest|author|unknown|anonymous|none|null"
    r"|default)\b"
)
_BRACKETED_AGENCY = re.compile(r"\s\(([^()]{2,40})\)")
_DEGREE = re.compile(
    r"(?i)^(?:ph\.?\s?d|m\.?d|m\.?a|b\.?a|mba|jd|esq|rn|cfa|cpa|dds|m\.?sc|b\.?sc|md|do|pharmd|lcsw|rd)\.?$"
)
# Words of buttons and labels that stand beside names; matched whole.
_LABELS = frozenset(
    {
        *(
            "share",
            "tweet",
            "facebook",
            "twitter",
            "x",
            "linkedin",
            "whatsapp",
            "email",
            "e-mail",
            "mail",
            "print",
            "link",
        ),
        *(
            "follow",
            "follow us",
            "follow me",
            "subscribe",
            "comments",
            "comment",
            "last",
            "stand",
            "sponsored",
            "text size",
        ),
        *("small", "medium", "large", "video", "photo", "photos", "news", "opinion", "view all posts", "more", "save"),
        *("bio", "profile", "website", "contact", "istockphoto", "getty images", "shutterstock", "live", "listen"),
    }
)
_ADDRESS = re.compile(r"\b(?:https?://|www\.)[^\s,;|]*|[^\s@,;|]{1,64}@[^\s,;|]{1,200}")
_BUTTON = re.compile(
    r"(?i)(?:share|tweet|send|post|pin|print|read|view|see|click|sign|log|min|watch)\s(?:on|by|this|to|via|it|more|in|all|here|read)\b"
)
_LONGEST_PART = 1000  # characters of a byline in which a name is looked for
_GLUE = frozenset({"and", "und", "et", "y", "by", "von", "par", "por", "with", "the", "and by"})
_SUFFIX = re.compile(r"(?i)^(?:jr|sr|ii|iii|iv)\.?$")
_TITLE = re.compile(r"(?i)^(?:dr|mr|mrs|ms|prof)\.?\s+(?=\S)")
_NO_NAME = re.compile(r"[@#<>{}=\\]|https?:|www\.|\.(?:com|org|net|co|de|fr|ru)\b|\d", re.IGNORECASE)


def parse(text: str) -> Byline:
    """Read a byline such as `By Jane Doe and John Roe in Paris, Reuters`."""
    whole = strip_prefix(" ".join(_ADDRESS.sub(" ", text).split()))
    authors: list[str] = []
    agency = None
    for part in _parts(whole):
        if is_agency(part):
            agency = agency or part.removeprefix("The ").removeprefix("the ")
        elif (name := person(part)) and name.casefold() not in {author.casefold() for author in authors}:
            authors.append(name)
    return Byline(whole, tuple(authors), agency)


def compose(authors: Iterable[str], agency: str | None) -> str | None:
    """The byline that `parse` reads back: `A, B and C, Reuters`."""
    names = list(authors)
    line = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)
    return ", ".join(filter(None, (line, agency))) or None


def strip_prefix(text: str) -> str:
    """Cut "By", "Von", "Автор:" and the like off the start, also when said twice."""
    for _ in range(3):
        match = _PREFIX.match(text)
        if not match or not text[match.end() :].strip():
            break
        text = text[match.end() :]
    return text.strip(" \t:|·•,-–—")


def is_agency(name: str) -> bool:
    """Is this the name of a news agency?"""
    bare = re.sub(r"^[Tt]he\s|^\(|\)$|\svia\s.*$|\sstaff$|\s기자(?:\s.*)?$", "", _folded(name).strip(" .,()"))
    return bare in _AGENCY_KEYS or (len(bare) >= 5 and bare.casefold() in _AGENCY_KEYS)


def person(text: str) -> str | None:
    """A part of a byline as a name: degrees, places and addresses cut; None when no name is left or it is a role."""
    name = _CUT.sub("", _TITLE.sub("", strip_prefix(_folded(text)))).strip(" .,:;|-–—*\"“”'‘’()[]")
    if not 2 <= len(name) <= 60 or _NO_NAME.search(name) or _DEGREE.match(name):
        return None
    words = name.split()
    if len(words) > 6 or is_agency(name) or not any(char.isalpha() for char in name):
        return None
    if _ROLE.search(name) or name.casefold() in _LABELS | _GLUE or _BUTTON.match(name):
        return None
    # "by staff": in scripts with capitals a name has one somewhere.
    return None if name.islower() and name.isascii() and len(words) > 3 else name


def _folded(part: str) -> str:
    """One line of bounded length: a run of blanks, or a page in the place of a name, would cost its square."""
    return " ".join(part[:_LONGEST_PART].split())


def _parts(text: str) -> list[str]:
    parts: list[str] = []
    for part in _SPLIT.split(_BRACKETED_AGENCY.sub(r", \1", text)):
        if parts and _SUFFIX.match(part):
            parts[-1] = f"{parts[-1]}, {part}"
        elif part and part.casefold() not in _GLUE:
            parts.append(part)
    return parts
