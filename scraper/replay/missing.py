"""What is answered for a URL that was never captured: when it was tried, and how that ended."""

from __future__ import annotations

from scraper.errors import IntegrityError
from scraper.replay import answers, policy
from scraper.replay.address import Address
from scraper.replay.answers import Answer
from scraper.replay.holdings import Holdings

_TOLD = 20


def answer(holdings: Holdings, origin: str, named: Address) -> Answer:
    """A 404: a placeholder where a page embeds the URL, else a page that tells of the visits."""
    held_out = policy.archived(origin, named.collection)
    if stand_in := answers.placeholder(named.modifier, named.href, held_out):
        return stand_in
    shown = answers.text(named.href)
    tries = attempts(holdings, named.collection, named.href)
    items = "\n".join(f"<li>{answers.text(line)}</li>" for line in tries)
    told = f"<p>It was tried:</p><ul>\n{items}\n</ul>" if tries else "<p>It was never tried.</p>"
    collection = answers.text(named.collection)
    onward = '<p><a href="/">To the archive</a></p>'
    body = f"<p>The collection “{collection}” holds no capture of {shown}.</p>\n{told}\n{onward}"
    return answers.page(404, "Never captured", body)


def attempts(holdings: Holdings, collection: str, href: str) -> list[str]:
    """The visits of a URL that brought nothing, newest first, each as a sentence."""
    try:
        with holdings.state() as state:
            if state is None:
                return []
            rows = state.query(
                "SELECT started_at, state, reason, detail FROM visits WHERE collection = ?1 AND id IN"
                " (SELECT id FROM visits WHERE href = ?2 UNION SELECT id FROM visits WHERE final_href = ?2)"
                f" ORDER BY id DESC LIMIT {_TOLD}",
                (collection, href),
            )
            return [_sentence(*row) for row in rows]
    except IntegrityError:
        return []  # a damaged state: what the WARCs hold is shown all the same


def _sentence(started_at: str, state: str, reason: str, detail: str) -> str:
    outcome = f"{state}({reason})" if reason else state
    return f"{started_at[:19].replace('T', ' ')} UTC: {outcome}" + (f": {detail}" if detail else "")
