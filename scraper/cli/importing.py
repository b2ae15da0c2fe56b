"""The verb that takes in what other tools captured."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from scraper.cli.options import Common, common_options

if TYPE_CHECKING:
    from scraper.pipeline import Imported


@click.command("import", short_help="Take in WARC and WACZ files of other tools.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--salvage", is_flag=True, help="Of a damaged file take the records that are whole.")
@common_options
def import_(files: tuple[str, ...], salvage: bool, common: Common) -> int:
    """Take in WARC and WACZ files of other tools: proved, copied unchanged, indexed, their pages made text.

    They lie in the collection `imported`, and count as captures of the URLs that documents cite. The same file twice
    changes nothing. A damaged file is refused, unless --salvage takes what is whole of it.
    """
    from scraper import pipeline
    from scraper.cli.visit import listening, stoppable

    settings = common.settings()
    worst = 0
    with stoppable(common.console) as stop, listening(common) as listener:
        for done in pipeline.import_files(common.root(settings), settings, files, salvage, listener, stop):
            _tell(common, done)
            worst = max(worst, done.exit_code)
    return 128 + stop.signal_number if stop.signal_number is not None else worst


def _tell(common: Common, done: Imported) -> None:
    if common.as_json:
        common.console.record(asdict(done))
    if done.error:
        common.console.error(done.error)
        return
    if not common.as_json:
        what = "imported before" if done.known else f"{done.captures} captures of pages"
        common.console.result(f"{done.file}: {what}, in {', '.join(done.warcs)}")
    for sentence in done.remarks:
        common.console.info(f"{done.file}: {sentence}")
    for sentence in done.unreadable:
        common.console.error(f"{done.file}: {sentence}")
    for sentence in done.left_out:
        common.console.error(f"{done.file}: left out: {sentence}")
