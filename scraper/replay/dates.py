"""The times a user or a program names, as a stretch of time. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from scraper.errors import UsageError
from scraper.replay import address
from scraper.replay.address import Span

_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?\Z")


def span_of(text: str) -> Span:
    """Read `2019`, `2019-09`, `2019-09-09`, an ISO 8601 time (UTC where it names no zone) or 4 to 14 digits.

    Raises `UsageError`.
    """
    text = text.strip()
    if found := _DATE.match(text):
        return address.span("".join(filter(None, found.groups())))
    if re.fullmatch(r"[0-9]{1,20}", text):
        return address.span(text)
    try:
        moment = datetime.fromisoformat(text)
        return address.at(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{text[:80]}: no date; write it as 2019-09-09, 2019-09-09T12:03:00Z or 20190909120300"
        ) from error
