"""`scraper extract`: texts made again from the archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from scraper.cli.options import Common, common_options
from scraper.cli.visit import listening, stoppable

if TYPE_CHECKING:
    from scraper.pipeline.comparing import Comparison
    from scraper.pipeline.reextract import Again, Report


@click.command(short_help="Make texts again from the archive; no network.")
@click.argument("urls", metavar="[URL]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every capture of every collection.")
@click.option("--if-older", is_flag=True, help="Only texts made by an older extractor or under other site rules.")
@click.option("--diff", is_flag=True, help="Say what would change, field by field; nothing is written.")
@click.option("--prune", is_flag=True, help="Afterwards delete the texts of older versions.")
@common_options
def extract(urls: tuple[str, ...], everything: bool, if_older: bool, diff: bool, prune: bool, common: Common) -> int:
    """Make texts again from the captures in the archive, and those that wait; not one request is sent.

    What was there before stays beside the new text, named by its version, until --prune. A run that was stopped goes
    on with --if-older. Look at --diff before you keep the work of a new version: alone it writes nothing.
    """
    from scraper.errors import UsageError
    from scraper.pipeline import reextract

    if bool(urls) == everything:
        raise UsageError("name the URLs whose captures are to be extracted again, or --all (and not both)")
    if diff and prune:
        raise UsageError("--diff writes nothing, so there is nothing to --prune")
    settings = common.settings()
    choice = reextract.Choice(urls, if_older, diff, prune)
    with stoppable(common.console) as stop, listening(common) as listener:
        report = reextract.extract(
            common.root(settings), settings, choice, listener, stop.requested, lambda again: _tell(again, common)
        )
    _summary(report, common)
    if stop.signal_number is not None:
        return 128 + stop.signal_number
    report.raise_bugs()
    return 5 if report.failures or report.by_done.get(reextract.Done.DAMAGED) else 0


def _tell(again: Again, common: Common) -> None:
    from scraper.pipeline.reextract import Done

    if again.done is Done.DAMAGED:
        warc = again.job.page.warc
        common.console.trouble(f"{again.job.final_href}: its record in {warc} cannot be read; its text stays")
    if common.as_json and again.changes:
        fields = {
            change.name: {"verdict": str(change.verdict), "was": change.was, "now": change.now}
            for change in again.changes
        }
        captured_at = f"{again.job.captured_at:%Y-%m-%dT%H:%M:%SZ}"
        common.console.record({"url": again.job.final_href, "captured_at": captured_at, "fields": fields})


def _summary(report: Report, common: Common) -> None:
    for failure in report.failures:
        why = f"the extractor failed on it: {type(failure.bug).__name__}" if failure.bug else "the process died on it"
        common.console.error(f"{failure.label}: {why}; its text stays")
    comparison = report.comparison
    counts = {str(done): count for done, count in report.by_done.items()}
    if comparison.captures and common.as_json:
        fields = {name: {str(key): n for key, n in counted.items()} for name, counted in comparison.counts.items()}
        common.console.record({"captures": comparison.captures, "fields": fields})
    elif comparison.captures:
        common.console.result(_table(comparison))
    elif common.as_json:
        common.console.record({"captures": report.captures, **counts, "pruned": report.pruned})
    shown = ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"
    common.console.info(f"{sum(counts.values())} of {report.captures} captures extracted: {shown}")


def _table(comparison: Comparison) -> str:
    verdicts = ("equal", "changed", "gained", "lost")
    lines = [f"{'field':<13}" + "".join(f"{verdict:>9}" for verdict in verdicts)]
    for name, counted in comparison.counts.items():
        by_name = {str(verdict): count for verdict, count in counted.items()}
        lines.append(f"{name:<13}" + "".join(f"{by_name.get(verdict, 0):>9}" for verdict in verdicts))
    lines.append(f"{comparison.captures} captures compared; nothing was written")
    for example in comparison.examples:
        change = example.change
        lines += ["", f"{change.name} {change.verdict}: {example.url} ({example.captured_at[:10]})"]
        lines += [f"  - {change.was}"] if change.was else []
        lines += [f"  + {change.now}"] if change.now else []
    return "\n".join(lines)
