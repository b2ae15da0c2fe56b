"""Captures and failures over time as a small picture (inline SVG) and as a table. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

WIDTH, HEIGHT, BASE = 600, 96, 80
MOST_BARS = 62
_DAYS_OF_A_WEEK = 7


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time from its first day up to the next one's first."""

    start: date
    end: date
    label: str


@dataclass(frozen=True, slots=True)
class Count:
    """What happened within a span."""

    span: Span
    captured: int
    failed: int


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: where it stands, and the heights of its two parts in the units of the picture."""

    x: float
    width: float
    captured: float
    failed: float
    count: Count


def spans(first: date, last: date) -> tuple[str, list[Span]]:
    """Days, weeks, months or years that cover a time with at most 62 of them; and what they are."""
    days = (last - first).days + 1
    if days <= MOST_BARS:
        return "day", _stepped(first, last, 1)
    if days <= MOST_BARS * _DAYS_OF_A_WEEK:
        return "week", _stepped(first - timedelta(first.weekday()), last, _DAYS_OF_A_WEEK)
    if days <= (MOST_BARS - 2) * 30:
        return "month", _months(first, last)
    return "year", _years(first, last)


def _stepped(first: date, last: date, step: int) -> list[Span]:
    starts = [first + timedelta(n) for n in range(0, (last - first).days + 1, step)]
    return [Span(start, start + min(timedelta(step), date.max - start), start.isoformat()) for start in starts]


def _months(first: date, last: date) -> list[Span]:
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    starts = [date(n // 12, n % 12 + 1, 1) for n in numbers]
    ends = [*starts[1:], _next_year(last) if last.month == 12 else date(last.year, last.month + 1, 1)]
    return [Span(start, end, f"{start:%Y-%m}") for start, end in zip(starts, ends, strict=True)]


def _years(first: date, last: date) -> list[Span]:
    # What a wrong clock wrote must not make thousands of bars.
    years = range(max(first.year, last.year - MOST_BARS + 1), last.year + 1)
    starts = [date(year, 1, 1) for year in years]
    return [Span(start, _next_year(start), f"{start.year:04}") for start in starts]


def _next_year(day: date) -> date:
    """The first day of the next year; the calendar ends with 9999, which a forged record may say."""
    return date.max if day.year == date.max.year else date(day.year + 1, 1, 1)


def bars(counts: Sequence[Count]) -> list[Bar]:
    """The bars side by side, the highest as high as the picture."""
    highest = max((count.captured + count.failed for count in counts), default=0) or 1
    step = WIDTH / max(len(counts), 12)
    return [
        Bar(
            x=round(number * step + step * 0.1, 1),
            width=round(step * 0.8, 1),
            captured=_height(count.captured, highest),
            failed=_height(count.failed, highest),
            count=count,
        )
        for number, count in enumerate(counts)
    ]


def _height(count: int, highest: int) -> float:
    # What happened once must be seen beside what happened a thousand times.
    return max(1.5, round((BASE - 8) * count / highest, 1)) if count else 0.0
