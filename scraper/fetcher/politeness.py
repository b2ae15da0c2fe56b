"""When may a host be asked again? Pure: every function takes its clock as a value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from scraper.model import Exchange, HostMemory
from scraper.settings import FetchSettings

# A server may hold its host, but not for ever: "Retry-After: 99999999999" is a fault, not a wish.
LONGEST_HOLD = timedelta(days=7)

# So many visits in a row come to nothing, then a host is taken for down and left alone.
FAILURES_IN_A_ROW = 3
# The reason of an outcome: of a host that was taken for down, nothing is asked for a while.
HOST_DOWN = "host down"
_FIRST_REST_SECONDS = 30 * 60.0
# Less than a day: a run every night asks once every night.
_LONGEST_REST_SECONDS = 20 * 3600.0

_ASKS_FOR_LESS = frozenset({429, 503})
_SLOWER = 2.0
_GENTLY = 0.9  # back to its own delay from the slowest in 33 good answers
_SLOWEST = 32.0
_LONGEST_SLOWED_SECONDS = 60.0

# Upwards only, so that requests of many runs started by the same clock do not come in step.
JITTER = 0.1


def next_visit_at(memory: HostMemory | None, now: datetime) -> datetime:
    """The earliest time at which a host may be asked, as far as its memory knows.

    It is never further off than it was when it was promised, even if the clock has been set back since.
    """
    if memory is None or memory.not_before is None:
        return now
    longest = memory.not_before - memory.noted_at if memory.noted_at is not None else LONGEST_HOLD
    return max(now, min(memory.not_before, now + longest))


def delay_seconds(
    settings: FetchSettings, crawl_delay_seconds: float | None, response_seconds: float, slowdown: float = 1.0
) -> float:
    """The pause between the end of one answer and the next request to the same host."""
    crawl_delay = min(crawl_delay_seconds or 0.0, settings.crawl_delay_max_seconds)
    if settings.delay_seconds <= 0:
        # The politeness of `delay_seconds = 0` is the user's word for "my own server": nothing is added to it.
        return crawl_delay
    delay = max(settings.delay_seconds, crawl_delay, 2 * response_seconds)
    return max(delay, min(delay * slowdown, _LONGEST_SLOWED_SECONDS))


def patience_seconds(settings: FetchSettings, delay: float) -> float:
    """How long a visit waits for its host in this run; a longer hold defers it to a later one."""
    return max(settings.longest_wait_seconds, delay)


def jittered(delay: float, chance: float) -> float:
    """A delay made longer by chance, a number from 0 to 1."""
    return delay * (1.0 + JITTER * chance)


def slowdown_after(slowdown: float, status: int, failed: bool) -> float:
    """How many times its delay a host is given from now on: 429 and 503 slow it down at once, good answers undo that.

    Other failures say nothing of the pace.
    """
    if status in _ASKS_FOR_LESS:
        return min(slowdown * _SLOWER, _SLOWEST)
    return slowdown if failed else max(1.0, slowdown * _GENTLY)


def rest_seconds(failures: int) -> float:
    """How long a host is left alone after so many failures in a row: it doubles, up to 20 hours."""
    beyond = failures - FAILURES_IN_A_ROW
    if beyond < 0:
        return 0.0
    return min(_FIRST_REST_SECONDS * 2.0 ** min(beyond, 16), _LONGEST_REST_SECONDS)


def is_doubtful(memory: HostMemory) -> bool:
    """Whether a host has been taken for down, and nothing good has come from it since."""
    return memory.failures >= FAILURES_IN_A_ROW


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
