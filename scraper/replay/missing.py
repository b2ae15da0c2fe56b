"""What is answered for a URL of which a collection holds no capture: who holds one, and when it was tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scraper.errors import IntegrityError
from scraper.replay import address, policy
from scraper.replay.address import Address
from scraper.replay.holdings import Holdings, Memento

if TYPE_CHECKING:
    from scraper.replay.answers import Answer

_TOLD = 20


def answer(holdings: Holdings, origin: str, named: Address) -> Answer:
    """A 404: a placeholder where a page embeds the URL, else a page that tells of other collections and of visits."""
    from scraper.replay import answers, ui

    held_out = policy.archived(origin, named.collection)
    if stand_in := answers.placeholder(named.modifier, named.href, held_out):
        return stand_in
    elsewhere = _elsewhere(holdings, named)
    tries = attempts(holdings, named.collection, named.href)
    body = ui.missing(named.collection, named.href, elsewhere, tries)
    headers = [*policy.own(), (b"content-type", b"text/html; charset=utf-8")]
    return answers.Answer(404, headers, body.encode("utf-8", "replace"))


def _elsewhere(holdings: Holdings, named: Address) -> list[Memento]:
    """The captures of the URL that lie nearest in time in each of the other collections."""
    at = address.span(named.timestamp) if named.timestamp else None
    held = [(name, holdings.nearest(name, named.href, at)) for name in holdings.names if name != named.collection]
    return [Memento(name, entry) for name, entry in held if entry]


def attempts(holdings: Holdings, collection: str, href: str) -> list[str]:
    """The visits of a page that ended without a capture of it, newest first, each as a sentence."""
    try:
        with holdings.state() as state:
            return [_sentence(row) for row in state.tries(href, _TOLD, collection)] if state else []
    except IntegrityError:
        return []  # a damaged state: what the WARCs hold is shown all the same


def _sentence(row: dict[str, Any]) -> str:
    outcome = f"{row['state']}({row['reason']})" if row["reason"] else row["state"]
    told = f": {row['detail']}" if row["detail"] else ""
    return f"{row['started_at'][:19].replace('T', ' ')} UTC: {outcome}{told}"
