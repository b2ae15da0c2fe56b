"""A signal may come in any phase of a run: it ends cleanly, says so by its exit code, and the next one does the rest.

The process sends the signal to itself on entering a function that belongs to the phase, or a server holds its answer
until it was sent: nothing depends on time.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli import ENVIRONMENT, Cli, until
from damage import change_state
from factories import START, make_capture, make_collection, make_exchange
from server import Connection, Seen, Site
from test_crash_faults import CODES, heard
from test_run import HTML, PAGE

from scraper import pipeline
from scraper.model import Outcome, State

WRAPPER = Path(__file__).parent / "signalled.py"
PAGES = [f"/{name}" for name in "abcd"]
STOP = "scraper.fetcher.fetcher:Fetcher.stop"

# Where a run enters each of its phases, and how often it did before: a file that was left open is closed as well.
PHASES = {
    "the archive is opened": ("scraper.pipeline.session:Mender.opened_state", 0),
    "a file left open is closed": ("scraper.archiver.recovery:seal", 0),
    "its visits are adopted": ("scraper.pipeline.mending:Adoption.take", 0),
    "documents are read": ("scraper.citations:read_document", 0),
    "citations are noted": ("scraper.state.file:StateFile.add_document", 0),
    "waiting texts are handed out": ("scraper.pipeline.run:Run.make_missing_texts", 0),
    "a visit is appended": ("scraper.archiver.collection:Collection.append", 0),
    "a group is made durable": ("scraper.archiver.segment:Segment.sync", 0),
    "a group is committed": ("scraper.state.file:StateFile.commit", 0),
    "a text is made": ("scraper.pipeline.making:drawn", 0),
    "a text is noted": ("scraper.pipeline.run:Run.text_made", 0),
    "search is caught up": ("scraper.archiver.search:SearchIndex.add", 0),
    "search is closed": ("scraper.archiver.search:SearchIndex.close", 0),
    "the WARC is sealed": ("scraper.archiver.segment:seal", 0),
    "its index is written": ("scraper.archiver.segment:write_index", 1),
    "it gets its name": ("scraper.archiver.segment:rename_anew", 1),
    "indexes are merged": ("scraper.archiver.index:merge_files", 0),
    "the state is closed": ("scraper.state.file:StateFile.close", 0),
}
# Python's `os.kill` has the handler run before it returns. Where that ends the phase, the second one comes later.
SECOND = dict.fromkeys(("documents are read", "citations are noted"), ("scraper.state.file:StateFile.roll_back", 0))
FEW = (
    "a file left open is closed",
    "documents are read",
    "a text is made",
    "its index is written",
    "indexes are merged",
)


def staged(cli: Cli, *stages: tuple[str, int, int]) -> list[str]:
    """The command line of a run that sends itself signals."""
    _, _, _, *arguments = cli.command("run")  # the interpreter, -m, scraper
    return [sys.executable, str(WRAPPER), json.dumps(stages), *arguments]


def started(cli: Cli, command: list[str], **environment: str) -> subprocess.Popen[str]:
    """A process in a session of its own, by which its children are known."""
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cli.folder,
        env={**ENVIRONMENT, **environment}, preexec_fn=heard, start_new_session=True,
    )  # fmt: skip


def said_at_end(running: subprocess.Popen[str]) -> str:
    """What it said on both streams; all of its processes are gone then."""
    said = "".join(running.communicate(timeout=60))
    until(lambda: not list(alive(running.pid)))
    return said


def alive(session: int) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, _, its_session = (entry / "stat").read_text().rpartition(") ")[2].split()[:4]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(its_session) == session and state != "Z":
                yield int(entry.name)


def faults(cli: Cli) -> list[str]:
    return [str(problem) for problem in pipeline.check(cli.archive)] if cli.archive.exists() else []


def serve(site: Site) -> list[str]:
    for path in PAGES:
        site.reply(path, headers=HTML, body=PAGE.format(f"Page {path}").encode())
    return [site.url(path) for path in PAGES]


def assert_completed(cli: Cli, urls: list[str]) -> None:
    """The next run does what is left, and asks for nothing twice."""
    ended = cli.run("run")
    assert (ended.returncode, ended.stderr.count("Traceback")) == (0, 0), ended.stderr
    assert cli.ledger() == dict.fromkeys(urls, "captured")
    assert faults(cli) == []


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An archive with work for every phase: a file left open, indexes that are about too many, no search index."""
    folder = tmp_path_factory.mktemp("left")
    site = Site()
    site.open(folder)
    cli = Cli(folder, site)
    cli.citing(*serve(site)[:1])
    assert cli.run("run").returncode == 0
    collection = make_collection(cli.archive)
    for number in range(15):
        gone = make_exchange(f"http://{number}.example/", status=404, at=START)
        collection.append(make_capture(gone, outcome=Outcome(State.DEAD, "404")))
        collection.close()
    cli.citing(*serve(site)[:2])
    killed = started(cli, staged(cli, ("scraper.pipeline.run:row_of", 0, signal.SIGKILL)))
    said_at_end(killed)
    assert killed.returncode == -signal.SIGKILL
    (cli.archive / "collections/main/search.sqlite3").unlink(missing_ok=True)
    yield cli.archive
    site.close()


def cases(names: tuple[str, ...] | None) -> list[tuple[str, signal.Signals, int]]:
    """Phases with signals and how many come; of a few, each with one of the signals and every second with two."""
    numbers = list(CODES)
    if names is None:
        return [(name, number, times) for name in PHASES for number in numbers for times in (1, 2)]
    return [(name, numbers[at % 3], 1 + at % 2) for at, name in enumerate(names)]


def assert_ends_cleanly(cli: Cli, left: Path, phase: str, number: signal.Signals, times: int) -> None:
    shutil.copytree(left, cli.archive)
    urls = serve(cli.site)
    cli.citing(*urls)
    stages = [(*PHASES[phase], number), (*SECOND.get(phase, PHASES[phase]), number)][:times]
    running = started(cli, staged(cli, *stages))
    said = said_at_end(running)
    assert (running.returncode, "Traceback" in said) == (CODES[number], False), said
    if times == 1:
        assert faults(cli) == []
        assert not (cli.archive / "state.sqlite3-wal").exists()
    assert_completed(cli, urls)
    asked = cli.site.paths()
    assert len(asked) - len(set(asked)) <= (times == 2)  # what was in flight


@pytest.mark.parametrize(("phase", "number", "times"), cases(FEW))
def test_a_signal_ends_a_run_cleanly_and_a_second_one_loses_nothing(
    cli: Cli, left: Path, phase: str, number: signal.Signals, times: int
) -> None:
    assert_ends_cleanly(cli, left, phase, number, times)


@pytest.mark.long
@pytest.mark.parametrize(("phase", "number", "times"), cases(None))
def test_a_signal_in_any_phase_ends_a_run_cleanly_and_a_second_one_loses_nothing(
    cli: Cli, left: Path, phase: str, number: signal.Signals, times: int
) -> None:
    assert_ends_cleanly(cli, left, phase, number, times)


# -------------------------------------------------------------------- workers


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("number", list(CODES))
def test_a_signal_while_workers_make_texts_ends_them_and_the_next_run_makes_the_texts(
    cli: Cli, number: signal.Signals, times: int
) -> None:
    urls = serve(cli.site)
    cli.citing(*urls)
    assert cli.run("run", "--set", "extract.at_once=false").returncode == 0
    workers = cli.folder / "workers"
    workers.mkdir()
    again = ("scraper.pipeline.texts:Texts.abandon", 0, number)
    running = started(cli, staged(cli, *[again][: times - 1]), STAGED_WORKERS=str(workers))
    until(lambda: any(workers.iterdir()))
    os.killpg(running.pid, number)  # as a terminal does: all hear it, and one decides
    said = said_at_end(running)
    assert (running.returncode, "Traceback" in said) == (CODES[number], False), said
    assert faults(cli) == []
    assert_completed(cli, urls)
    assert len(list((cli.archive / "collections/main/text").rglob("*.md"))) == len(urls)


# --------------------------------------------------------- what a server holds


def assert_ends_while_a_server_holds(cli: Cli, held: str, number: signal.Signals, times: int) -> None:
    """The signal comes while the server has a request and does not answer; the second one when the first is heard."""

    def wait(connection: Connection, seen: Seen) -> None:
        connection.socket.recv(1)

    cli.capture["requisites"] = "page"
    urls = serve(cli.site)
    cli.site.reply("/a", headers=HTML, body=b"<p>A page with a picture.</p><img src=/a.png>")
    cli.site.behave(held, wait)
    cli.citing(*urls)
    running = started(cli, staged(cli, *[(STOP, 0, number)][: times - 1]))
    until(lambda: bool(cli.site.seen(held)))
    running.send_signal(number)
    said = said_at_end(running)
    assert (running.returncode, "Traceback" in said) == (CODES[number], False), said
    if times == 1:
        assert faults(cli) == []
    cli.site.reply("/robots.txt", status=404)
    cli.site.reply("/a.png", headers={"Content-Type": "image/png"}, body=b"a picture")
    cli.site.reply("/b", headers=HTML, body=PAGE.format("B").encode())
    cli.make_due()
    assert_completed(cli, urls)
    asked = cli.site.paths(robots=True)
    assert {path for path in asked if asked.count(path) > 1} <= {held, "/favicon.ico"}


@pytest.mark.parametrize(
    ("held", "number"),
    [("/robots.txt", signal.SIGHUP), ("/b", signal.SIGINT), ("/a.png", signal.SIGTERM)],
)
def test_a_second_signal_does_not_wait_for_a_server_and_loses_nothing(
    cli: Cli, held: str, number: signal.Signals
) -> None:
    assert_ends_while_a_server_holds(cli, held, number, 2)


@pytest.mark.long
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("number", list(CODES))
@pytest.mark.parametrize("held", ["/robots.txt", "/b", "/a.png"])
def test_a_signal_while_a_server_holds_its_answer_ends_a_run_cleanly(
    cli: Cli, held: str, number: signal.Signals, times: int
) -> None:
    assert_ends_while_a_server_holds(cli, held, number, times)


def test_a_text_that_a_stopped_worker_wrote_in_part_is_no_fault_and_made_by_the_next_run(cli: Cli) -> None:
    urls = serve(cli.site)
    cli.citing(*urls)
    cli.run("run")
    texts = cli.archive / "collections/main/text"
    made = sorted(texts.rglob("*.md"))
    change_state(cli.archive, "UPDATE visits SET text_path = NULL, title = NULL WHERE text_path > ''")
    (texts.parent / "pages/pages.jsonl").unlink()
    (texts.parent / "search.sqlite3").unlink()
    for path in made:
        path.with_suffix(".json").unlink()
    half = made[0].with_name(f".{made[0].stem}.json.tmp")
    half.touch()
    assert faults(cli) == []
    assert_completed(cli, urls)
    assert not half.exists()
    assert sorted(texts.rglob("*.md")) == made
