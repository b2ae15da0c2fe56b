"""The verbs that go out to the network, or would."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from scraper.cli.console import Console, Progress
from scraper.cli.options import Common, common_options

if TYPE_CHECKING:
    from scraper.pipeline import HostDown, Listener, Stop, Summary, VisitResult
    from scraper.settings import Settings


@click.command(short_help="Fetch what documents cite and is due (cron's command).")
@click.argument("documents", metavar="[DOCUMENT]...", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Say what would be fetched and when; no network, nothing written.")
@common_options
def run(documents: tuple[str, ...], dry_run: bool, common: Common) -> int:
    """Fetch what the documents cite and is due: cron's command.

    DOCUMENTs are files, folders, globs or - (standard input); without any, those of the settings.
    """
    from scraper.pipeline import verbs

    settings = common.settings()
    root = common.root(settings)
    console = common.console
    if dry_run:
        return _dry_run(common, documents)
    _remind_of_contact(console, settings)
    with stoppable(console) as stop, listening(common) as listener:
        summary = verbs.run(root, settings, documents, listener, stop)
    if summary.ingested is not None:
        for _, sentence, is_new in summary.ingested.troubles:
            (console.trouble if is_new else console.detail)(sentence)
        for place in summary.ingested.without_url:
            console.info(f"{place}: cites no URL; nothing to fetch")
    _say_summary(console, summary, common)
    return summary.exit_code


@click.command(short_help="Archive URLs now and print their cleaned text.")
@click.argument("urls", metavar="URL...", nargs=-1, required=True)
@common_options
def fetch(urls: tuple[str, ...], common: Common) -> int:
    """Archive URLs now, due or not, and print their cleaned text."""
    from scraper import pipeline

    settings = common.settings()
    root = common.root(settings)
    targets = pipeline.targets_of(urls)
    _remind_of_contact(common.console, settings)
    with stoppable(common.console) as stop, listening(common) as listener:
        summary = pipeline.fetch(root, settings, targets, listener, stop)
    if said := _requisites_sentence(summary):
        common.console.info(said)
    _print_fetched(common, root, [target.href for target in targets])
    return summary.exit_code_of_all


@click.command(short_help="Do the whole job offline, on a stand-in web.")
@common_options
def demo(common: Common) -> int:
    """Do the whole job offline, on a stand-in web on loopback."""
    from scraper import demo as stand_in

    archive = Path(common.archive).expanduser() if common.archive else None
    with stoppable(common.console) as stop:
        return stand_in.run(common.settings(), archive, common.console.result, stop)


# -------------------------------------------------------------------- helpers


@contextmanager
def stoppable(console: Console) -> Iterator[Stop]:
    """The first SIGTERM or SIGINT asks for a clean stop; the second ends the process at once."""
    from scraper.pipeline import Stop

    stop = Stop()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if stop.requested():
            os._exit(128 + number)
        stop.request(number)

    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` ignores it, and means it
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stop.requested():
        console.info("stopped; what is left is due at the next run")


@contextmanager
def listening(common: Common) -> Iterator[Listener]:
    """Tell of each visit as the log level wants it; on a terminal, with a progress bar."""
    from scraper.pipeline import Listener

    console = common.console

    def on_visit(result: VisitResult) -> None:
        sentence = visit_sentence(result)
        fields = {"url": result.target.href, "outcome": str(result.outcome)}
        if result.new_trouble:
            console.trouble(sentence, **fields)
        else:
            console.detail(sentence, **fields)

    def on_host_down(down: HostDown) -> None:
        console.trouble(host_down_sentence(down), host=down.host, until=down.until, put_off=down.put_off)

    told = Listener(visit=on_visit, host_down=on_host_down, note=console.info, trouble=console.trouble)
    if not console.wants_progress:
        yield told
        return
    with Progress(console) as bar:
        yield replace(told, progress=bar.show)


def _remind_of_contact(console: Console, settings: Settings) -> None:
    if not settings.contact:
        console.info("no contact is set: give sites a way to reach you, in `contact` or SCRAPER_CONTACT")


def visit_sentence(result: VisitResult) -> str:
    """`failed(timeout) https://…: the server did not answer within 60 s`."""
    redirected = f" -> {result.final.href}" if result.final.href != result.target.href else ""
    detail = f": {result.detail}" if result.detail else ""
    return f"{result.outcome} {result.target.href}{redirected}{detail}"


def host_down_sentence(down: HostDown) -> str:
    """`HOST is down after 3 failures in a row (dns); its 5 other URLs are put off until …`."""
    until = f"until {down.until:%Y-%m-%d %H:%M:%S} UTC" if down.until else "for now"
    others = {0: "it is left alone", 1: "its other URL is put off"}
    what = others.get(down.put_off, f"its {down.put_off} other URLs are put off")
    return f"{down.host} is down after {down.failures} failures in a row ({down.reason}); {what} {until}"


def _say_summary(console: Console, summary: Summary, common: Common) -> None:
    counts = {str(state): count for state, count in summary.tally.by_state.items()}
    if common.as_json:
        requisites = {"requisites": {"captured": summary.tally.requisites, "missing": summary.tally.missing}}
        console.record({"due": summary.due, "visits": summary.tally.visits, **counts, **requisites})
    shown = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    shown = shown or ("none" if summary.due else "nothing was due")
    said = f"{summary.tally.visits} of {summary.due} due pages visited: {shown}"
    console.info("; ".join(filter(None, [said, _requisites_sentence(summary)])))


def _requisites_sentence(summary: Summary) -> str:
    """What the pages need to be seen, in numbers; empty where none was asked for."""
    captured, missing = summary.tally.requisites, summary.tally.missing
    return f"requisites: {captured} captured, {missing} missing" if captured or missing else ""


def _print_fetched(common: Common, root: Path, hrefs: list[str]) -> None:
    from scraper import report
    from scraper.state import StateReader

    console = common.console
    with StateReader.open_for_reading(root) as state:
        for href in dict.fromkeys(hrefs):
            shown = report.show(state, root, href)
            if common.as_json:
                console.record(report.as_fields(shown))
            elif shown.is_good and shown.markdown is not None:
                console.result(shown.markdown.rstrip())
            else:
                console.error(f"{href}: {shown.last_visit['outcome']} {shown.last_visit.get('detail', '')}".rstrip())


def _dry_run(common: Common, documents: tuple[str, ...]) -> int:
    from scraper.pipeline import verbs

    settings = common.settings()
    plan = verbs.plan(common.root(settings), settings, documents)
    for item in plan.visits:
        if common.as_json:
            common.console.record({"url": item.href, "at": item.at, "host": item.host})
        else:
            common.console.result(f"{item.at:%Y-%m-%dT%H:%M:%SZ}  {item.href}")
    for _, sentence, _is_new in plan.troubles:
        common.console.trouble(sentence)
    common.console.info(f"{len(plan.visits)} pages are due; {plan.later} are to be tried again later")
    return 2 if plan.troubles else 0
