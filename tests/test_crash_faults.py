"""Bad disks, bad clocks and signals: a run says what is wrong, and the next one goes on where it was."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cli import ENVIRONMENT, Cli, until
from server import Connection, Seen
from test_run import HTML, PAGE, page

from scraper import pipeline
from scraper.state import StateReader


def large(cli: Cli, count: int, kib: int = 300) -> list[str]:
    """Pages that cannot be packed."""
    for number in range(count):
        cli.site.reply(f"/{number}", headers={"Content-Type": "image/png"}, body=os.urandom(kib * 1024))
    return [cli.site.url(f"/{number}") for number in range(count)]


def faults(cli: Cli) -> list[str]:
    return [str(problem) for problem in pipeline.check(cli.archive)]


def held_up(cli: Cli, path: str = "/waits") -> str:
    """A page whose answer never comes."""

    def wait(connection: Connection, seen: Seen) -> None:
        connection.socket.recv(1)

    cli.site.behave(path, wait)
    return cli.site.url(path)


# ----------------------------------------------------------------------- disk


@pytest.fixture
def small_disk(cli: Cli) -> Iterator[Cli]:
    """An archive on a disk of its own, of two megabytes."""
    cli.archive.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(cli.archive)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("nothing may be mounted here")
    yield cli
    subprocess.run(["umount", "-l", str(cli.archive)], check=True)


def remounted(cli: Cli, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(cli.archive)], check=True)


def test_a_full_disk_ends_a_run_with_74_and_the_next_one_goes_on(small_disk: Cli) -> None:
    cli = small_disk
    urls = large(cli, 12)
    cli.citing(*urls)
    ended = cli.run("run")
    assert ended.returncode == 74
    assert "free or mount the disk" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert cli.run("run").returncode == 74
    remounted(cli, "size=64m")
    assert cli.run("run").returncode == 0
    assert cli.ledger() == dict.fromkeys(urls, "captured")
    assert faults(cli) == []


def test_an_archive_that_may_not_be_written_ends_a_run_with_74_and_can_be_read(small_disk: Cli) -> None:
    cli = small_disk
    url, other = page(cli, "/a", "Read me"), page(cli, "/b")
    cli.citing(url)
    assert cli.run("run").returncode == 0
    cli.citing(url, other)
    remounted(cli, "ro")
    ended = cli.run("run")
    assert ended.returncode == 74
    assert "Read-only file system" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "# Read me" in cli.run("show", url).stdout
    assert cli.run("check").returncode == 0
    assert cli.site.paths() == ["/a"]


@pytest.mark.parametrize("kib", [8, 700])
def test_files_that_cannot_grow_end_a_run_with_74_and_the_next_one_goes_on(cli: Cli, kib: int) -> None:
    urls = large(cli, 4)
    cli.citing(*urls)
    command = " ".join(f"'{part}'" for part in cli.command("run"))
    script = f"ulimit -f {kib}; exec {command}"  # of bash in units of 1024 bytes
    ended = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=120, cwd=cli.folder, env=ENVIRONMENT
    )
    assert ended.returncode == 74
    assert "Traceback" not in ended.stderr
    assert cli.run("run").returncode == 0
    assert cli.ledger() == dict.fromkeys(urls, "captured")
    assert faults(cli) == []


# --------------------------------------------------------------------- damage


def killed_while_waiting(cli: Cli, *urls: str, until_texts: int = 0) -> Path:
    """A run that archived some pages and was killed; gives the file that it left open."""
    waits = held_up(cli)
    cli.citing(*urls, waits)
    running = cli.start("run")
    until(lambda: _committed(cli) >= len(urls) and _texts(cli) >= until_texts)
    running.kill()
    running.communicate(timeout=60)
    cli.site.reply("/waits", headers=HTML, body=PAGE.format("Here").encode())
    (path,) = (cli.archive / "collections/main/archive").glob("*.open")
    return path


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "killed before the state knew it"])
def test_a_text_whose_capture_was_lost_does_not_stay_as_if_it_had_one(cli: Cli, is_known: bool) -> None:
    url = page(cli, "/a", "Lost")
    path = killed_while_waiting(cli, url, until_texts=1)
    with StateReader.open_for_reading(cli.archive) as state:
        (visit,) = state.visits()
    if not is_known:
        with closing(sqlite3.connect(cli.archive / "state.sqlite3")) as db, db:
            db.execute("UPDATE visits SET text_path = NULL, title = NULL")
        pages = cli.archive / "collections/main/pages/pages.jsonl"
        if pages.exists():  # it comes after the state's commit, and so may the kill have
            pages.write_text(pages.read_text().splitlines(keepends=True)[0])
    data = bytearray(path.read_bytes())
    data[visit["page_offset"] + 60] ^= 4
    path.write_bytes(data)
    page(cli, "/a", "Found again")
    assert "what was lost is due again" in cli.run("run").stderr
    folder = cli.archive / "collections/main"
    assert (folder / "quarantine" / f"{visit['text_path']}.md").read_text().startswith("# Lost")
    # Within the same second the capture that took its place has the same name.
    assert not [file for file in (folder / "text").rglob("*.md") if file.read_text().startswith("# Lost")]
    assert "# Found again" in cli.run("show", url).stdout
    assert faults(cli) == []


def _texts(cli: Cli) -> int:
    with StateReader.open_for_reading(cli.archive) as state:
        return state.count_texts("main")


def _committed(cli: Cli) -> int:
    if not list(cli.archive.glob("collections/main/archive/*.open")):
        return 0  # the state is there before the first record
    with StateReader.open_for_reading(cli.archive) as state:
        return sum(1 for _ in state.visits())


@pytest.mark.parametrize("share", [0.2, 0.9])
def test_a_damaged_open_file_costs_what_was_damaged_and_no_more(cli: Cli, share: float) -> None:
    urls = [page(cli, f"/{number}", f"Title {number}") for number in range(6)]
    path = killed_while_waiting(cli, *urls)
    data = bytearray(path.read_bytes())
    data[int(len(data) * share)] ^= 4
    path.write_bytes(data)
    asked = len(cli.site.log)
    ended = cli.run("run")
    assert ended.returncode == 0
    assert "what was lost is due again" in ended.stderr
    assert cli.run("run").returncode == 0
    assert set(cli.ledger().values()) == {"captured"}
    again = [seen.path for seen in cli.site.log[asked:] if seen.path not in ("/waits", "/robots.txt")]
    assert len(again) <= 1
    # Whether a text was made before the kill, and is there too, is a matter of time.
    assert len(list((cli.archive / "collections/main/quarantine").glob("*.damaged"))) == 1
    assert faults(cli) == []


def test_a_state_that_was_damaged_remembers_hosts_from_the_warcs(cli: Cli) -> None:
    cli.site.reply("/robots.txt", body=b"User-agent: *\nDisallow: /private\n")
    cli.site.reply("/busy", "busy.test", status=503, headers={"Retry-After": "9999"})
    cli.site.reply("/gone", "odd.test", status=404, headers={"Retry-After": "9999"})
    cli.settings["max_tries"] = 1
    cli.citing(page(cli, "/a"), cli.site.url("/busy", "busy.test"), cli.site.url("/gone", "odd.test"))
    cli.run("run")
    state = cli.archive / "state.sqlite3"

    def hosts() -> list[tuple[object, ...]]:
        database = sqlite3.connect(state)
        rows = database.execute(
            "SELECT host, failures, robots_status, robots_body, robots_schemes, slowdown, substr(not_before, 1, 18) "
            "FROM hosts ORDER BY host"
        ).fetchall()
        database.close()
        return rows

    before = hosts()
    assert len(before) == 3
    state.write_bytes(b"damaged" * 999)
    asked = len(cli.site.log)
    assert cli.run("run").returncode == 0
    assert hosts() == before
    assert len(cli.site.log) == asked


def test_damage_anywhere_in_the_state_stops_no_later_run(cli: Cli) -> None:
    urls = [page(cli, f"/{number}", f"Title {number}") for number in range(3)]
    cli.citing(*urls)
    cli.run("run")
    state = cli.archive / "state.sqlite3"
    whole = state.read_bytes()
    for start in range(0, len(whole), len(whole) // 3):
        state.write_bytes(whole[:start] + os.urandom(2048) + whole[start + 2048 :])
        first, second = cli.run("run"), cli.run("run")
        assert "Traceback" not in first.stderr + second.stderr
        assert first.returncode in (0, 5)
        assert second.returncode == 0, second.stderr
        state.write_bytes(whole)


def test_a_damaged_index_stops_no_run_and_is_named(cli: Cli) -> None:
    first, second = page(cli, "/a", "One"), page(cli, "/b", "Two")
    cli.citing(first)
    cli.run("run")
    (path,) = (cli.archive / "collections/main/indexes").iterdir()
    path.write_bytes(path.read_bytes()[:-30] + os.urandom(30))
    cli.citing(first, second)
    assert cli.run("run").returncode == 0
    assert path.name in cli.run("check").stdout
    path.unlink()
    assert cli.run("check").returncode == 5
    assert cli.run("rebuild").returncode == 0
    assert faults(cli) == []


# ---------------------------------------------------------------------- clock

SET_BACK = """
import datetime
real = datetime.datetime
class Earlier(real):
    @classmethod
    def now(cls, zone=None):
        moment = real.now(zone) - datetime.timedelta(days=1)
        return cls(*moment.timetuple()[:6], moment.microsecond, moment.tzinfo)
datetime.datetime = Earlier
"""


def test_a_clock_that_was_set_back_a_day_orders_nothing_anew_and_holds_nobody(cli: Cli) -> None:
    first, second = page(cli, "/a", "One"), page(cli, "/b", "Two")
    cli.settings["delay_seconds"] = 0.1
    cli.citing(first)
    cli.run("run")
    (cli.folder / "sitecustomize.py").write_text(SET_BACK)
    cli.citing(first, second)
    environment = {**ENVIRONMENT, "PYTHONPATH": str(cli.folder)}
    ended = subprocess.run(
        cli.command("run"), capture_output=True, text=True, timeout=120, env=environment, cwd=cli.folder
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    with StateReader.open_for_reading(cli.archive) as state:
        old, new = state.visits()
    assert (old["href"], new["href"]) == (first, second)
    assert new["captured_at"] < old["captured_at"]
    assert old["warc"] < new["warc"]
    assert cli.ledger() == {first: "captured", second: "captured"}
    assert faults(cli) == []


# -------------------------------------------------------------------- signals

CODES = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129}


def heard() -> None:
    """In a child: a test runner in the background ignores what we send."""
    for number in CODES:
        signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)


@pytest.mark.parametrize("number", list(CODES))
def test_a_signal_while_pages_are_fetched_ends_the_run_cleanly(cli: Cli, number: signal.Signals) -> None:
    urls = [page(cli, f"/{number}", f"Title {number}") for number in range(4)]
    cli.settings["delay_seconds"] = 0.2
    cli.citing(*urls)
    running = cli.start("run", preexec_fn=heard)
    until(lambda: any(seen.path == "/1" for seen in cli.site.log))
    running.send_signal(number)
    said = running.communicate(timeout=60)[1]
    assert running.returncode == CODES[number]
    assert "Traceback" not in said
    assert faults(cli) == []
    assert not (cli.archive / "state.sqlite3-wal").exists()
    assert cli.run("run").returncode == 0
    assert cli.site.paths() == [f"/{number}" for number in range(4)]


@pytest.mark.parametrize("phase", ["robots", "waiting", "in flight"])
def test_a_signal_in_every_phase_of_fetching_loses_nothing_and_a_second_one_is_faster(cli: Cli, phase: str) -> None:
    first = page(cli, "/first")
    if phase == "robots":
        held_up(cli, "/robots.txt")
    elif phase == "waiting":
        cli.settings["delay_seconds"] = 60.0
    other = held_up(cli, "/second")
    cli.citing(first, other)
    awaited = {"robots": "/robots.txt", "waiting": "/robots.txt", "in flight": "/second"}[phase]
    running = cli.start("run", preexec_fn=heard)
    until(lambda: any(seen.path == awaited for seen in cli.site.log))
    running.send_signal(signal.SIGTERM)
    if phase == "in flight":
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(timeout=1.0)  # what is in flight gets its time
        running.send_signal(signal.SIGTERM)
    running.communicate(timeout=60)
    assert running.returncode == 143
    cli.settings["delay_seconds"] = 0.0
    cli.site.reply("/robots.txt", status=404)
    cli.site.reply("/second", headers=HTML, body=PAGE.format("Second").encode())
    cli.make_due()
    assert cli.run("run").returncode == 0
    assert cli.ledger() == {first: "captured", other: "captured"}
    assert len(cli.site.seen("/first")) == 1
    assert faults(cli) == []


def test_a_signal_during_a_rebuild_changes_nothing_that_cannot_be_done_again(cli: Cli) -> None:
    urls = [page(cli, f"/{number}", f"Title {number}") for number in range(8)]
    cli.citing(*urls)
    cli.run("run")
    running = cli.start("rebuild", preexec_fn=heard)
    until(lambda: (cli.archive / "state.sqlite3-wal").exists() or running.poll() is not None)
    running.send_signal(signal.SIGTERM)
    said = running.communicate(timeout=60)[1]
    assert running.returncode in (143, 0)
    assert "Traceback" not in said
    assert cli.run("run").returncode == 0
    assert cli.ledger() == dict.fromkeys(urls, "captured")
    assert faults(cli) == []


def test_of_two_runs_at_once_the_second_ends_with_75_and_disturbs_nobody(cli: Cli) -> None:
    url = page(cli, "/a")
    waits = held_up(cli)
    cli.citing(url, waits)
    running = cli.start("run")
    until(lambda: any(seen.path == "/waits" for seen in cli.site.log))
    for verb in (["run"], ["rebuild"], ["fetch", url], ["extract", "--all"]):
        ended = cli.run(*verb)
        assert ended.returncode == 75
        assert json.loads(ended.stderr.splitlines()[-1])["message"].endswith("wait for it to end")
    running.kill()
    running.communicate(timeout=60)
    assert len(cli.site.seen("/a")) == 1
