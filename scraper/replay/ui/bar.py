"""The slim bar above an archived page: when it was captured, who cites it, and the ways on."""

from __future__ import annotations

from scraper.archiver import IndexEntry
from scraper.errors import IntegrityError
from scraper.replay.holdings import Holdings, Memento
from scraper.replay.ui import captures, queries
from scraper.replay.ui.rendering import environment

TABS = ("page", "text", "fields", "headers", "raw", "changes")


def tabs_of(holdings: Holdings) -> tuple[str, ...]:
    """The views of a capture, by name."""
    return (*TABS, "player") if holdings.plays else TABS


def bar(holdings: Holdings, collection: str, entry: IndexEntry, url: str) -> str:
    """The bar as an HTML fragment in a shadow root of its own, so that the page's styles do not reach it.

    `url` is the archived address that was asked for; `entry` the capture which is shown for it.
    """
    where = captures.around(holdings.history(entry.url), Memento(collection, entry))
    citing, count = _citing(holdings, url)
    # A page that said it was gone must not look like one that was kept.
    status = entry.status if entry.status and entry.status.isdigit() and entry.status >= "400" else ""
    values = {"where": where, "citing": citing, "citing_count": count, "tabs": tabs_of(holdings), "status": status}
    return environment().get_template("bar.html").render(values)


def _citing(holdings: Holdings, url: str) -> tuple[queries.Citing | None, int]:
    try:
        with holdings.state() as state:
            found, count = queries.citing(state, url, 1) if state else ([], 0)
    except IntegrityError:
        return None, 0  # the home page tells of a damaged state; the page as it was is there all the same
    return (found[0] if found else None), count
