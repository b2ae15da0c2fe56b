"""Captures for other programs: as rows, or as one file that plays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from scraper.cli.options import Common, common_options

if TYPE_CHECKING:
    from scraper.state import StateReader


@click.command(short_help="Write captures as JSON Lines, CSV or WACZ.")
@click.option("--format", "form", type=click.Choice(["jsonl", "csv", "wacz"]), required=True, help="What is written.")
@click.option("--output", metavar="FILE", help="Where to write (default: standard output).")
@common_options
def export(form: str, output: str | None, common: Common) -> int:
    """Write one row per capture (url, final_url, time, status, outcome, title, ..., text), or a WACZ."""
    from scraper import exchange
    from scraper.state import StateReader

    root = common.root(common.settings())
    with StateReader.open_for_reading(root) as state:
        if form == "wacz":
            return _wacz(state, root, output, common)
        count = exchange.write(exchange.rows(state, root), form, output)
    common.console.info(f"{count} captures exported")
    return 0


def _wacz(state: StateReader, root: Path, output: str | None, common: Common) -> int:
    from scraper import archiver
    from scraper.exchange import packing, wacz

    contents = packing.whole(state, root, archiver.collections(root))
    written = wacz.write(contents, Path(output) if output is not None else None)
    common.console.info(f"{written.captures} captures, {written.pages} pages: {written.size} bytes")
    return 0
