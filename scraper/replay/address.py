"""The addresses of the replay server: which capture a request names. Pure.

`/COLLECTION/URL` · `/COLLECTION/TIMESTAMP[MODIFIER]/URL`, the archived URL verbatim with its query string.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from scraper import urls
from scraper.errors import UsageError

RAW = "id_"
PAGE = ""  # rewritten, with the bar
MODIFIERS = frozenset({PAGE, RAW, "mp_", "im_", "cs_", "js_", "if_", "oe_"})

_TIMED = re.compile(r"(\d{1,20})([a-z]{2}_)?/(.*)\Z", re.DOTALL)
_DIGITS = re.compile(r"[0-9]{4,14}")
_SCHEME = re.compile(r"(?i)(https?):/{0,9}(?!/)")
_ENCODED_SCHEME = re.compile(r"(?i)https?(?:%3a|:)%2f")
_OTHER_SCHEME = re.compile(r"(?i)[a-z][a-z0-9+.-]{0,20}:(?!\d)")


@dataclass(frozen=True, slots=True)
class Address:
    """What is asked for. `timestamp` is empty for a TimeGate, else 4 to 14 digits; `href` is in normal form."""

    collection: str
    timestamp: str
    modifier: str
    href: str

    def path(self) -> str:
        """The path on this server, the archived URL verbatim."""
        timed = f"{self.timestamp}{self.modifier}/" if self.timestamp else ""
        return f"/{quote(self.collection, safe='')}/{timed}{self.href}"

    def of(self, timestamp: str, href: str) -> Address:
        """Another capture, to be shown the same way."""
        return replace(self, timestamp=timestamp, href=href)


def parse(collection: str, rest: str) -> Address:
    """Read what follows `/COLLECTION/`, query string included; raises `UsageError`."""
    timed = _TIMED.match(rest)
    if timed is None:
        return Address(collection, "", PAGE, archived_url(rest))
    digits, modifier, url = timed[1], timed[2] or PAGE, timed[3]
    if modifier not in MODIFIERS:
        known = ", ".join(sorted(MODIFIERS - {PAGE}))
        raise UsageError(f"{modifier}: there is no such modifier; there are {known}")
    span(digits)
    return Address(collection, digits, modifier, archived_url(url))


def archived_url(text: str) -> str:
    """The URL that a path names, in normal form: slashes may be merged, the scheme left out, or all be %-encoded."""
    if _ENCODED_SCHEME.match(text):
        text = unquote(text, errors="surrogateescape")
    found = _SCHEME.match(text)
    if found:
        text = f"{found[1]}://{text[found.end() :]}"
    elif _OTHER_SCHEME.match(text):
        raise UsageError(f"{urls.bare(text[:200])}: only http and https are archived")
    else:
        text = f"http://{text}"
    try:
        return urls.target(text).href
    except (urls.NotATarget, UnicodeError) as error:
        shown = urls.bare(text[:200])
        raise UsageError(f"{shown}: this is not a web address; write it as https://host/path") from error


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, as 14 digits both ends: `2019` is from its first second to its last."""

    first: str
    last: str

    @property
    def start(self) -> datetime:
        return datetime.strptime(self.first, "%Y%m%d%H%M%S").replace(tzinfo=UTC)

    @property
    def end(self) -> datetime:
        return datetime.strptime(self.last, "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def instant(digits: str) -> datetime:
    """The first second of the time which 4 to 14 digits name. Raises `UsageError`."""
    return span(digits).start


def at(moment: datetime) -> Span:
    """One instant, to the second."""
    digits = f"{moment.astimezone(UTC):%Y%m%d%H%M%S}".rjust(14, "0")
    return Span(digits, digits)


def span(digits: str) -> Span:
    """The time which 4 to 14 digits name. Raises `UsageError` for what no clock and no calendar shows."""
    if not _DIGITS.fullmatch(digits):
        raise UsageError(f"{digits[:40]}: a time has 4 to 14 digits: YYYYMMDDhhmmss, or the first of them")
    last = _filled(digits, "99991231235959")
    if len(digits) < 8 and int(last[4:6]) in range(1, 13) and int(last[:4]):
        last = f"{last[:6]}{calendar.monthrange(int(last[:4]), int(last[4:6]))[1]}{last[8:]}"
    found = Span(_filled(digits, "00000101000000"), last)
    try:
        _ = found.start, found.end
    except ValueError as error:
        raise UsageError(f"{digits}: there is no such date and time") from error
    return found


def _filled(digits: str, rest: str) -> str:
    """The digits, and of another time what they leave open; half a month or day becomes the first or last it can be."""
    if len(digits) in (5, 7, 9):
        most = {5: "92", 7: "991", 9: "993"}[len(digits)]
        low = "1" if digits[-1] == "0" and len(digits) < 9 else "0"
        high = (most + "9999")[int(digits[-1])] if digits[-1] in "0123" else "9"
        digits += low if rest.startswith("0") else high
    return digits + rest[len(digits) :]
