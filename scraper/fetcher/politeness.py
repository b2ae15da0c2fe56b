"""When may a host be asked again? Pure: every function takes its clock as a value."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from scraper.model import Exchange, HostMemory
from scraper.settings import FetchSettings

# A server may hold its host, but not for ever: "Retry-After: 99999999999" is a fault, not a wish.
LONGEST_HOLD = timedelta(days=7)


def next_visit_at(memory: HostMemory | None, now: datetime) -> datetime:
    """The earliest time at which a host may be asked, as far as its memory knows."""
    if memory is None or memory.not_before is None:
        return now
    return max(now, memory.not_before)


def delay_seconds(settings: FetchSettings, crawl_delay_seconds: float | None, response_seconds: float) -> float:
    """The pause between the end of one answer and the next request to the same host."""
    crawl_delay = min(crawl_delay_seconds or 0.0, settings.crawl_delay_max_seconds)
    # The politeness of `delay_seconds = 0` is the user's word for "my own server": nothing is added to it.
    slowness = 2 * response_seconds if settings.delay_seconds > 0 else 0.0
    return max(settings.delay_seconds, crawl_delay, slowness)


def patience_seconds(settings: FetchSettings, crawl_delay_seconds: float | None, response_seconds: float) -> float:
    """How long a visit waits for its host in this run; a longer hold defers it to a later one."""
    return max(settings.longest_wait_seconds, delay_seconds(settings, crawl_delay_seconds, response_seconds))


def after_answer(memory: HostMemory, now: datetime, delay: float, hold: datetime | None) -> HostMemory:
    """The memory once a request has ended at `now`: the next one waits for the delay and for a `Retry-After`."""
    earliest = now + timedelta(seconds=delay)
    standing = memory.not_before
    times = [moment for moment in (earliest, hold, standing) if moment is not None]
    return replace(memory, not_before=max(times))


def hold_until(exchange: Exchange | None, now: datetime) -> datetime | None:
    """Until when an answer holds the whole host by its `Retry-After` (RFC 9110, 10.2.3); None if it does not.

    Of good answers the field means nothing.
    """
    if exchange is None or 200 <= exchange.status < 300 or exchange.status == 304:
        return None
    value = exchange.header("retry-after")
    return retry_after(value, now) if value else None


def retry_after(value: str, now: datetime) -> datetime | None:
    """Read `Retry-After`: seconds or an HTTP date. Garbage and the past give None, the far future is capped."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        # Longer numbers than this are beyond the cap whatever they say.
        seconds = int(value) if len(value) < 10 else 10**9
        until = now + min(timedelta(seconds=seconds), LONGEST_HOLD)
    else:
        try:
            until = parsedate_to_datetime(value[:64])
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        until = until.replace(tzinfo=UTC) if until.tzinfo is None else until
        try:
            until = min(until.astimezone(UTC), now + LONGEST_HOLD)
        except OverflowError:
            return None
    return until if until > now else None
