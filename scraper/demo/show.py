"""What `scraper demo` does and says."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from scraper import citations, pipeline, report
from scraper.demo.server import StandInWeb
from scraper.demo.web import Source, source, stand_in_pages
from scraper.errors import UsageError
from scraper.model import Facts
from scraper.pipeline import verbs
from scraper.settings import FetchSettings, Settings, packaged_config
from scraper.state import StateReader

COLLECTION = "demo"  # its name marks an archive as made by the demonstration
SEED = "000_b5dde23a3ed5c483.txt"
COMET = "comet-notes.txt"
DELAY_SECONDS = 0.2  # the stand-in web is our own: no host has to be spared, the order still shows
DIFFERENT = 5  # the exit code for a result that is not the expected one

Say = Callable[[str], None]


def run(settings: Settings, archive: Path | None, say: Say, stop: pipeline.Stop | None = None) -> int:
    """Do the whole job offline and tell of it; gives the exit code, 0 when everything came out as it has to.

    Of `settings` only the archive's folder, the contact, the site rules and the extractor's part count: what is
    fetched, and from where, belongs to the demonstration. `archive` defaults to `demo` below the settings' archive.

    Raises `UsageError` for an archive which holds anything else.
    """
    root = archive or Path(settings.archive).expanduser() / "demo"
    _refuse_real_archive(root)
    seed, comet = _source(seed_path()), _source(documents_folder() / COMET)
    pages = stand_in_pages(seed, comet)
    documents = [str(seed_path()), str(documents_folder())]
    say(f"A stand-in web of {len(pages.hosts)} hosts on this machine; no internet is needed.\nArchive: {root}\n")
    with StandInWeb(pages, pages.hosts) as web:
        listener = pipeline.Listener(visit=lambda visit: say(f"  {visit.outcome!s:<16} {visit.target.href}"))
        summary = verbs.run(root, _settings(settings, web), documents, listener, stop or pipeline.Stop())
    if summary.signal_number is not None:
        return summary.exit_code
    say(_requests_line(len(web.log), summary.due))
    with StateReader.open_for_reading(root) as state:
        ledger = ledger_lines(state)
        shown = report.show(state, root, seed.original)
    differences = [*ledger_differences(ledger), *facts_differences(seed.document.facts, shown.markdown)]
    say("The ledger: where every citation stands\n\n" + "\n".join(ledger) + "\n")
    say(f"One of the articles, as text\n\n{_indented(shown.markdown or '')}\n")
    say(_verdict(differences, seed.document.facts))
    say(_further(root, seed.original))
    return DIFFERENT if differences else 0


def seed_path() -> Path:
    """The first sample document, kept with the shipped settings."""
    return packaged_config() / "documents" / SEED


def documents_folder() -> Path:
    """The other sample documents, written for the demonstration."""
    return Path(__file__).parent / "documents"


def ledger_lines(state: StateReader) -> list[str]:
    """One line a citation of the sample documents: outcome, document and line, address."""
    ours = {str(path.absolute()) for path in (seed_path(), *documents_folder().iterdir())}
    return [_ledger_line(row) for row in report.citations(state) if row["path"] in ours]


def ledger_differences(ledger: list[str]) -> Iterator[str]:
    """What stands in the ledger and should not, and the other way round."""
    expected = (Path(__file__).parent / "ledger.txt").read_text(encoding="utf-8").splitlines()
    yield from (f"not expected: {line}" for line in ledger if line not in expected)
    yield from (f"missing: {line}" for line in expected if line not in ledger)


def facts_differences(document: Facts, markdown: str | None) -> Iterator[str]:
    """Where the text made from the page and the document that cites it say different things."""
    if markdown is None:
        yield "missing: the article's text"
        return
    page = citations.read_document(markdown.encode(), "article.md").facts
    for name in (field.name for field in fields(Facts)):
        # The document lost the addresses of related articles; the page has them.
        kept, found = (_titles(facts) if name == "related" else getattr(facts, name) for facts in (document, page))
        if kept != found:
            yield f"the article's {name} is {found!r}, the document says {kept!r}"


def _titles(facts: Facts) -> list[str]:
    return [link.title for link in facts.related]


def _refuse_real_archive(root: Path) -> None:
    others = {path.name for path in root.glob("collections/*")} - {COLLECTION}
    if others:
        found = ", ".join(sorted(others))
        raise UsageError(f"{root}: an archive of your own ({found}); name another folder for the demo with --archive")


def _settings(settings: Settings, web: StandInWeb) -> Settings:
    """The real job's settings, but for where the hosts are found and how long to wait."""
    fetch = FetchSettings(
        delay_seconds=DELAY_SECONDS, retry_base_seconds=DELAY_SECONDS, resolve=web.overrides, ca_file=web.ca_file
    )
    return Settings(
        contact=settings.contact,
        collection=COLLECTION,
        sites=settings.sites,
        extract=settings.extract,
        warc=settings.warc,
        fetch=fetch,
    )


def _source(path: Path) -> Source:
    return source(path.read_bytes(), path.name)


def _ledger_line(row: Mapping[str, Any]) -> str:
    outcome = f"{row['state']}({row['reason']})" if row["reason"] else row["state"]
    place = f"{Path(row['path']).name}:{row['line']}"
    return f"{outcome:<18} {place:<28} {row['url']}"


def _requests_line(requests: int, due: int) -> str:
    if not requests:
        return "Nothing was due and nothing was fetched: all of it is in the archive already.\n"
    return (
        f"\n{due} pages were due, and the stand-in web was asked {requests} times. "
        "Run it again: nothing is fetched twice.\n"
    )


def _verdict(differences: list[str], facts: Facts) -> str:
    if differences:
        return "This is not as it should be:\n" + "\n".join(f"  {line}" for line in differences)
    return (
        "As it should be: every citation stands where it has to, and the text made from the page agrees with the\n"
        "document that cites it in title, byline, date, picture line, related titles and "
        f"all {len(facts.paragraphs)} paragraphs."
    )


def _indented(text: str) -> str:
    return "\n".join(f"  | {line}" for line in text.splitlines())


def _further(root: Path, url: str) -> str:
    command, place = _command(), f"--archive {shlex.quote(str(root))}"
    return "\n".join(
        [
            "\nLook further:",
            f"  {command} replay {place}",
            f"  {command} status {place} --verbose",
            f"  {command} show {place} {shlex.quote(url)}",
            f"  {command} check {place}",
            f"  {command} export {place} --format csv",
        ]
    )


def _command() -> str:
    """The program as it can be typed here: by its name when the shell finds it, else by its path."""
    if shutil.which("scraper"):
        return "scraper"
    path = Path(sys.executable).with_name("scraper")
    return shlex.quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))
