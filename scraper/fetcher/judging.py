"""What an answer means for its visit: it leads on, or the visit ends with an outcome."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from scraper import message, printable, urls
from scraper.fetcher import politeness, redirects, retry
from scraper.fetcher.wire import Reply
from scraper.model import Exchange, Outcome, Purpose, State, Target, Visit
from scraper.settings import MIB, FetchSettings

# Deflate cannot pack more than 1032 to 1: smaller answers need no unpacking to be known harmless.
_BEST_DEFLATE_RATIO = 1032


class Over(Exception):
    """The visit ends here, with this outcome."""

    def __init__(self, state: State, reason: str, detail: str = "", until: datetime | None = None) -> None:
        super().__init__(detail)
        self.outcome = Outcome(state, reason, until)
        self.detail = printable.line(urls.without_userinfo(detail))


def following(reply: Reply, at: Target, purpose: Purpose, seen: set[str]) -> Target | None:
    """The address that an answer from `at` leads to; None when the visit ends with it. Raises `Over`."""
    if reply.exchange is None or reply.fault is not None:
        return None
    found = redirects.location(reply.exchange)
    soft = found is None
    if soft and purpose is Purpose.PAGE:
        found = redirects.refresh(reply.exchange)
    if found is None:
        return None
    try:
        target = urls.target(found, at.href)
    except urls.NotATarget as error:
        if soft:
            return None
        bad_scheme = error.refusal == "scheme"
        state, reason = (State.EXCLUDED, "scheme") if bad_scheme else (State.FAILED, "redirects")
        raise Over(state, reason, f"it redirects to {error.args[0]}") from error
    if target.href not in seen:
        return target
    if soft:  # a page that only loads itself again is the page
        return None
    raise Over(State.FAILED, "redirects", f"its redirects run in a circle at {target.href}")


def ending(reply: Reply, at: Target, visit: Visit, settings: FetchSettings, now: datetime) -> Over:
    """The end of a visit whose last answer this is."""
    fault, status = reply.fault, reply.status
    if fault is not None:
        state = State.EXCLUDED if fault.reason == "address" else State.FAILED
        return Over(state, fault.reason, fault.detail)
    assert reply.exchange is not None
    said = f"{at.host} answered {status} {reply.exchange.reason}".rstrip()
    if status == 304 and visit.held is not None and visit.held.asked_href == at.href:
        return Over(State.UNCHANGED, "")
    until = politeness.hold_until(reply.exchange, now)
    longest = timedelta(seconds=settings.longest_wait_seconds)
    if until is not None and until - now > longest and retry.deserves_retry(reply):
        # The last try counts as the others: a long `Retry-After` is a date for a later run, not a failure.
        return Over(State.DEFERRED, "held", f"{said}; not before {until:%Y-%m-%d %H:%M:%S} UTC", until)
    if status in (404, 410):
        return Over(State.DEAD, str(status), said)
    if not 200 <= status < 300:
        return Over(State.FAILED, f"http {status}", said)
    return Over(State.CAPTURED, "")


async def defused(end: Over, exchange: Exchange, settings: FetchSettings, one_at_a_time: asyncio.Lock) -> Over:
    """The end of a visit, another one where its answer is larger, unpacked, than allowed.

    What takes long is done in a thread, one by one: the deadlines of others run, and their hosts' speed is measured.
    """
    cap_bytes = settings.max_decoded_mib * MIB
    is_one = _is_bomb_by_size(exchange, cap_bytes)
    if is_one is None:
        async with one_at_a_time:
            is_one = await asyncio.to_thread(is_bomb, exchange, cap_bytes)
    if not is_one:
        return end
    detail = f"unpacked, the answer is larger than {settings.max_decoded_mib} MiB"
    return Over(State.FAILED, "too large", detail)


def is_bomb(exchange: Exchange, cap_bytes: int) -> bool:
    """Whether an answer, unpacked, is larger than allowed."""
    by_size = _is_bomb_by_size(exchange, cap_bytes)
    if by_size is not None:
        return by_size
    return message.is_larger(message.entity(exchange.received), message.codings(exchange.headers), cap_bytes)


def _is_bomb_by_size(exchange: Exchange, cap_bytes: int) -> bool | None:
    """The same where it can be told at once; None where only unpacking tells."""
    codings = message.codings(exchange.headers)
    packed_bytes = len(exchange.answer) - exchange.head_length
    if not codings:
        return packed_bytes > cap_bytes
    if "," not in codings and packed_bytes * _BEST_DEFLATE_RATIO <= cap_bytes:
        return False
    return None
