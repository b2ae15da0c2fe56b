"""Which failures deserve another try, and after how long: policies in tenacity's words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import tenacity

from scraper.fetcher.wire import Reply
from scraper.settings import FetchSettings

# RFC 9110, 15.5.9; RFC 8470, 5.2; RFC 6585, 4.
_ASK_AGAIN = frozenset({408, 425, 429})
_NOT_THE_HOSTS_FAULT = frozenset({"address", "too large"})
_LONGEST_BACKOFF_SECONDS = 60.0


def deserves_retry(reply: Reply) -> bool:
    """Whether the same request may end better in a while."""
    if reply.fault is not None:
        return reply.fault.transient
    return reply.status in _ASK_AGAIN or 500 <= reply.status < 600


def failed(reply: Reply) -> bool:
    """Whether an answer speaks against its host: none came, or it says that the server is in trouble.

    A file that is too large, or an address which we refuse, does not.
    """
    if reply.fault is not None:
        return reply.fault.reason not in _NOT_THE_HOSTS_FAULT
    return deserves_retry(reply)


async def persist(
    settings: FetchSettings,
    most_tries: int,
    sleep: Callable[[float], Awaitable[None]],
    attempt: Callable[[], Awaitable[Reply]],
) -> Reply:
    """Attempt until there is a reply which no other try could better, with waits as in `policy`; gives the last reply.

    The policy is made only when a first try has failed: most do not.
    """
    first = [await attempt()]
    if most_tries <= 1 or not deserves_retry(first[0]):
        return first[0]

    async def again() -> Reply:
        return first.pop() if first else await attempt()

    reply: Reply = await policy(settings, most_tries, sleep)(again)
    return reply


def policy(
    settings: FetchSettings, most_tries: int, sleep: Callable[[float], Awaitable[None]]
) -> tenacity.AsyncRetrying:
    """Full-jitter exponential waits, at most `most_tries` tries; the last reply is the result, whatever it is.

    `sleep` need not sleep: the scheduler's only notes when the next try may start, so that a waiting
    visit holds neither a worker nor its host.
    """
    return tenacity.AsyncRetrying(
        sleep=sleep,
        stop=tenacity.stop_after_attempt(most_tries),
        wait=tenacity.wait_random_exponential(multiplier=settings.retry_base_seconds, max=_LONGEST_BACKOFF_SECONDS),
        retry=tenacity.retry_if_result(deserves_retry),
        retry_error_callback=_last_reply,
    )


def _last_reply(state: tenacity.RetryCallState) -> Reply:
    assert state.outcome is not None  # tenacity calls this only after an attempt
    reply: Reply = state.outcome.result()
    return reply
