"""Captures for other programs: as rows, or as one file that plays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from scraper.cli.options import Common, common_options

if TYPE_CHECKING:
    from scraper.exchange import Choice
    from scraper.state import StateReader


@click.command(short_help="Write captures as JSON Lines, CSV or WACZ.")
@click.argument("urls", metavar="[URL]...", nargs=-1)
@click.option("--format", "form", type=click.Choice(["jsonl", "csv", "wacz"]), required=True, help="What is written.")
@click.option("--output", metavar="FILE", help="Where to write (default: standard output).")
@click.option("--document", metavar="DOC", help="Only what this document cites: its file, or digits of its sha256.")
@common_options
def export(urls: tuple[str, ...], form: str, output: str | None, document: str | None, common: Common) -> int:
    """Write captures: of all pages, of some URLs, or of what a document cites.

    As jsonl and csv one row per capture (url, final_url, time, status, outcome, title, ..., text). As wacz the
    exchanges themselves, with redirects, page requisites and text, in one file that ReplayWeb.page plays.
    """
    from scraper import exchange
    from scraper.state import StateReader

    if urls and document is not None:
        raise click.UsageError("name URLs or a --document, not both")
    root = common.root(common.settings())
    with StateReader.open_for_reading(root) as state:
        choice = _choice(state, urls, document)
        if form == "wacz":
            return _wacz(state, root, choice, output, common)
        visits = state.visits() if choice is None else choice.of_pages
        count = exchange.write(exchange.rows(visits, root), form, output)
    common.console.info(f"{count} captures exported")
    return 0


def _choice(state: StateReader, urls: tuple[str, ...], document: str | None) -> Choice | None:
    from scraper import exchange

    if document is not None:
        return exchange.by_document(state, document)
    return exchange.by_urls(state, urls) if urls else None


def _wacz(state: StateReader, root: Path, choice: Choice | None, output: str | None, common: Common) -> int:
    from scraper import archiver, exchange

    if choice is None:
        contents = exchange.whole(state, root, archiver.collections(root))
    else:
        part = exchange.part(state, root, choice)
        contents = part.contents
        for sentence in part.unresolved:
            common.console.trouble(sentence)
    written = exchange.write_wacz(contents, Path(output) if output is not None else None)
    common.console.info(f"{written.captures} captures, {written.pages} pages: {written.size} bytes")
    return 0
