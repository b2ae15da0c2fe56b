"""`scraper replay`: the archive in a browser, or one capture on standard output."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scraper.cli.console import writing_results
from scraper.cli.options import Common, common_options

if TYPE_CHECKING:
    from scraper.archiver import IndexEntry

# Not imported from the room that knows them: `--help` must not load it.
FORMS = ("page", "text", "json", "headers", "raw")


@click.command(short_help="Browse the archive, or print one capture; no network.")
@click.argument("url", metavar="[URL]", required=False)
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Where to listen; 0: any.")
@click.option("--player", metavar="DIR", help="The folder with ReplayWeb.page's files: adds a player with scripts.")
@click.option("--at", metavar="DATE", help="Of a URL: the capture nearest to this time (default: the newest).")
@click.option("--as", "form", type=click.Choice(FORMS), help="What to print of it (default: page).")
@common_options
def replay(url: str | None, port: int, player: str | None, at: str | None, form: str | None, common: Common) -> int:
    """Serve the archive to a browser on this machine; with a URL, print one capture of it.

    DATE is 2019, 2019-09, 2019-09-09, 2019-09-09T12:03:00Z, or up to 14 digits.
    """
    root = common.root(common.settings())
    if url is None and (at or form):
        raise click.UsageError("--at and --as are for one capture: name the URL")
    if url is not None and player:
        raise click.UsageError("--player belongs to the server: leave out the URL")
    if url is None:
        return _serve(root, port, Path(player).expanduser() if player else None, common)
    from scraper.replay import printing
    from scraper.replay.dates import span_of
    from scraper.replay.holdings import Holdings

    form = "json" if common.as_json else form or "page"
    data = printing.printed(Holdings(root), url, span_of(at) if at else None, form)
    if form == "text":
        common.console.result(data.decode("utf-8", "replace").rstrip("\n"))
        return 0
    with writing_results():
        # Bytes as they were, for a pipe. A terminal shows them at its user's own risk, as `cat` does.
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    return 0


def _serve(root: Path, port: int, folder: Path | None, common: Common) -> int:
    from scraper.errors import UsageError

    try:
        from scraper.replay.player import Player
        from scraper.replay.serve import serve
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn", "jinja2", "anyio"):
            raise
        raise UsageError(f"the server needs {error.name}: pip install 'scraper[web]'") from error

    def announce(address: str) -> None:
        if common.as_json:
            common.console.record({"address": address})
        else:
            common.console.result(f"The archive is at {address}")
        with writing_results():
            common.console.out.flush()

    from scraper import exchange

    def pack(collection: str, entry: IndexEntry, output: Path) -> None:
        exchange.pack(root, collection, entry, output)

    found = Player(folder, pack) if folder is not None else None
    return 128 + serve(root, port, announce, player=found)
