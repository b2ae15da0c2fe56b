"""The verbs that work on documents and the archive alone: no network."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from scraper.cli.options import Common, common_options

if TYPE_CHECKING:
    from scraper.archiver import Problem
    from scraper.pipeline import Repaired
    from scraper.report import Ledger, Shown


@click.command(short_help="List every URL of documents; no network.")
@click.argument("documents", metavar="DOCUMENT...", nargs=-1, required=True)
@common_options
def urls(documents: tuple[str, ...], common: Common) -> int:
    """List every URL of documents: line, role, normal form, and whether it would be fetched."""
    from scraper import pipeline, printable
    from scraper.urls import surt

    listing = pipeline.list_urls(documents, common.settings())
    for item in listing.rows:
        if common.as_json:
            common.console.record({**item, "surt": surt(item["target"]) if item["target"] else None})
        else:
            mark = "fetch" if item["fetch"] else f"excluded({item['excluded']})"
            place = printable.line(f"{item['document']}:{item['line']}")
            common.console.result(f"{mark:<20} {item['role']:<9} {place}  {item['target'] or item['url']}")
    for sentence in listing.troubles:
        common.console.error(sentence)
    for place in listing.without_url:
        common.console.info(f"{place}: cites no URL")
    return 2 if listing.troubles else 0


@click.command(short_help="Print what is held of a URL, and where it lies.")
@click.argument("url", metavar="URL")
@common_options
def show(url: str, common: Common) -> int:
    """Print what is held of a URL: cleaned text, fields, and where the capture lies."""
    from scraper import report
    from scraper.state import StateReader

    root = common.root(common.settings())
    with StateReader.open_for_reading(root) as state:
        shown = report.show(state, root, url)
    if common.as_json:
        common.console.record(report.as_fields(shown))
    else:
        common.console.result(_shown_for_people(shown, str(root)))
    return 0


def _shown_for_people(shown: Shown, root: str) -> str:
    parts = [shown.markdown.rstrip(), ""] if shown.markdown else []
    parts += [f"{name:<12} {value}" for name, value in _facts(shown, root)]
    return "\n".join(parts)


def _facts(shown: Shown, root: str) -> list[tuple[str, Any]]:
    from scraper import report

    rows: list[tuple[str, Any]] = [("url", shown.href)]
    rows += [(name, f"{value}   ({source})" if source else value) for name, value, source in report.fields(shown)]
    if capture := shown.capture:
        warc = f"{root}/collections/{capture['collection']}/archive/{capture['page_warc']}"
        rows += [
            (
                "captured",
                f"{capture['captured_at'][:19]}Z  status {capture['status']}  {capture['mime'] or ''}".rstrip(),
            ),
            ("final url", capture["final_href"]),
            ("warc", f"{warc}  offset {capture['page_offset']}  length {capture['page_length']}"),
        ]
        if capture["text_path"]:
            rows.append(("text", f"{root}/collections/{capture['collection']}/{capture['text_path']}.md and .json"))
        elif capture["text_path"] is None:
            rows.append(("text", f"waiting: `scraper extract {shlex.quote(capture['final_href'])}` makes it"))
    if any(shown.requisites.values()):
        rows.append(("requisites", ", ".join(f"{count} {said}" for said, count in shown.requisites.items())))
    last = shown.last_visit
    detail = f": {last['detail']}" if last.get("detail") else ""
    rows.append(
        ("last visit", f"{last['started_at'][:19]}Z  {last['outcome']}{detail}" if "started_at" in last else "none")
    )
    rows += [("cited by", f"{row['path']}:{row['line']} ({row['role']})") for row in shown.cited_by]
    return rows


@click.command(short_help="Print the ledger: where every citation stands.")
@common_options
def status(common: Common) -> int:
    """Print the ledger: every citation in exactly one state, and the sums.

    With --verbose every citation is listed, with --json each is a line and the sums are the last.
    """
    from scraper import report
    from scraper.cli.console import Level
    from scraper.state import StateReader

    root = common.root(common.settings())
    with StateReader.open_for_reading(root) as state:
        ledger = report.ledger(state)
        every = common.as_json or common.console.level is Level.VERBOSE
        for row in report.citations(state):
            if common.as_json:
                common.console.record(row)
            elif every or row["state"] in ("failed", "dead", "deferred"):
                note = f"  (held since {row['captured_at'][:10]})" if row["captured_at"] else ""
                common.console.result(f"{row['shown']:<26} {row['href'] or row['url']}{note}")
        down = list(report.hosts_down(state, datetime.now(UTC)))
    if common.as_json:
        common.console.record({"ledger": ledger.as_fields(), "hosts_down": [asdict(one) for one in down]})
    else:
        for one in down:
            until = f"until {one.until:%Y-%m-%d %H:%M:%S} UTC"
            common.console.result(
                f"{'host down':<26} {one.host}   {one.failures} failures in a row; left alone {until}"
            )
        common.console.result(_ledger_for_people(ledger))
    return 0 if ledger.agrees else 5


def _ledger_for_people(ledger: Ledger) -> str:
    lines = []
    for state, count in ledger.by_state.items():
        reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(ledger.by_reason[state].items()) if reason)
        lines.append(f"{state:<10} {count:>7}" + (f"   {reasons}" if reasons else ""))
    proof = "the sums agree" if ledger.agrees else "THE SUMS DO NOT AGREE: run `scraper check`"
    lines.append(f"{'citations':<10} {ledger.citations:>7}   {proof}")
    lines.append(f"{ledger.documents} documents, {ledger.targets} targets, {ledger.captures_held} of them held")
    if ledger.texts_waiting:
        lines.append(f"texts waiting: {ledger.texts_waiting}   `scraper extract --all --if-older` makes them")
    return "\n".join(lines)


@click.command(short_help="Prove that the archive is whole.")
@click.option("--repair", "repairing", is_flag=True, help="Mend what is found; damaged bytes go to quarantine/.")
@common_options
def check(repairing: bool, common: Common) -> int:
    """Prove that the archive is whole: every record, digest, checksum, index line, state row and text.

    With --repair what is derived is made again, whole records stay, and damaged bytes are moved to quarantine/: nothing
    is deleted. It ends with 5 where something archived was lost and is due again.
    """
    from scraper import pipeline

    if repairing:
        return _repair(common)
    settings = common.settings()
    found = 0
    for problem in pipeline.check(common.root(settings)):
        found += 1
        if common.as_json:
            common.console.record(_problem_fields(problem))
        else:
            common.console.result(str(problem))
    common.console.info("the archive is whole" if not found else f"{found} problems")
    return 5 if found else 0


def _repair(common: Common) -> int:
    from scraper import pipeline
    from scraper.cli.visit import listening, stoppable

    def tell(sentence: str) -> None:
        if common.as_json:
            common.console.record({"repaired": sentence})
        else:
            common.console.result(sentence)

    settings = common.settings()
    with stoppable(common.console) as stop, listening(common) as listener:
        repaired = pipeline.repair(common.root(settings), settings, listener, stop, tell)
    if stop.signal_number is not None:
        return 128 + stop.signal_number
    for problem in repaired.left:
        if common.as_json:
            common.console.record(_problem_fields(problem))
        else:
            common.console.result(f"left as it is: {problem}")
    for line in _lost_pages(repaired, common.as_json):
        if common.as_json:
            common.console.record({"due_again": line})
        else:
            common.console.result(line)
    common.console.info("the archive was whole" if not repaired.done else f"{repaired.done} things were mended")
    return repaired.exit_code


def _lost_pages(repaired: Repaired, bare: bool) -> list[str]:
    """Every page that is due again by its URL; for people under a line that counts them."""
    lost = repaired.due_again
    if bare or not lost:
        return lost if bare or not repaired.is_loss else ["what was lost makes no page due again"]
    said = "1 page was lost and is due again:" if len(lost) == 1 else f"{len(lost)} pages were lost and are due again:"
    return [f"{said} {lost[0]}"] if len(lost) == 1 else [said, *(f"  {href}" for href in lost)]


def _problem_fields(problem: Problem) -> dict[str, Any]:
    return {
        "kind": str(problem.kind),
        "path": str(problem.path),
        "offset": problem.offset,
        "what": problem.what,
        "advice": problem.advice,
        "problem": str(problem),
    }


@click.command(short_help="Make index, state and text again from the WARCs.")
@common_options
def rebuild(common: Common) -> int:
    """Make index, state and text again from the WARCs alone."""
    from scraper import pipeline
    from scraper.cli.visit import listening, stoppable

    settings = common.settings()
    with stoppable(common.console) as stop, listening(common) as listener:
        visits = pipeline.rebuild(common.root(settings), settings, listener, stop)
    if stop.signal_number is not None:
        return 128 + stop.signal_number
    common.console.info(f"{visits} visits read from the WARCs")
    return 0
