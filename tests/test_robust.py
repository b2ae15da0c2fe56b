"""What must not stop the archive: bad records, a failing extractor, readers, moved documents, changed settings."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cli import ENVIRONMENT, Cli, until
from test_run import HTML, PAGE, page

from scraper.state import StateFile, StateReader

# An extractor that ends its process, or raises, on some pages: no page of ours does that to the real one.
FAILING = """
import os
import scraper.extractor as extractor
real = extractor.extract
def extract(html, url, **rest):
    if "/kills" in url:
        os.kill(os.getpid(), 9)
    if "/raises" in url:
        raise TypeError("a bug")
    return real(html, url, **rest)
extractor.extract = extract
"""


def failing_extractor(cli: Cli) -> dict[str, str]:
    folder = cli.folder / "failing"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(FAILING)
    path = os.pathsep.join([str(folder), *filter(None, [ENVIRONMENT.get("PYTHONPATH")])])
    return {**ENVIRONMENT, "PYTHONPATH": path}


def run_failing(cli: Cli, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        cli.command(*arguments), env=failing_extractor(cli), capture_output=True, text=True, timeout=120, cwd=cli.folder
    )


def test_a_page_that_kills_the_extractor_stops_one_run_at_most(cli: Cli) -> None:
    kills, good = page(cli, "/kills"), page(cli, "/good")
    cli.citing(kills)
    assert run_failing(cli, "run").returncode == -9
    cli.citing(kills, good)
    assert run_failing(cli, "run").returncode == 0
    assert cli.ledger() == {kills: "captured", good: "captured"}
    assert "the extractor's process died on it" in cli.run("show", kills).stdout
    assert "# A title" in cli.run("show", good).stdout


def test_a_bug_of_the_extractor_is_loud_once_and_all_else_is_done(cli: Cli) -> None:
    urls = [page(cli, f"/{name}") for name in ("raises", "a", "b")]
    cli.citing(*urls)
    first = run_failing(cli, "run")
    assert first.returncode == 1
    assert "TypeError: a bug" in first.stderr
    assert cli.ledger() == dict.fromkeys(urls, "captured")
    assert run_failing(cli, "run").returncode == 0
    assert "the extractor failed on it: TypeError" in cli.run("show", urls[0]).stdout
    assert cli.run("rebuild").returncode == 0
    assert "# A title" in cli.run("show", urls[0]).stdout


def test_a_damaged_original_does_not_stop_rebuild_or_later_runs(cli: Cli) -> None:
    first, second = page(cli, "/a", "Same"), page(cli, "/b", "Same")
    cli.settings["delay_seconds"] = 0.2
    cli.citing(first, second)
    cli.run("run")
    rows = cli.lines("export", "--format", "jsonl")
    warc = cli.archive / "collections/main/archive" / rows[0]["warc"]
    data = bytearray(warc.read_bytes())
    data[rows[0]["offset"] + 40] ^= 255
    warc.write_bytes(data)
    ended = cli.run("rebuild")
    assert ended.returncode == 5
    assert f"offset {rows[0]['offset']}" in ended.stderr
    third = page(cli, "/c", "New")
    cli.citing(first, second, third)
    assert cli.run("run").returncode == 0
    assert cli.ledger() == dict.fromkeys((first, second, third), "captured")
    assert cli.site.paths() == ["/a", "/b", "/a", "/b", "/c"]
    assert all("# " in cli.run("show", url).stdout for url in (first, second, third))


def test_a_coding_that_cannot_be_read_is_said(cli: Cli) -> None:
    cli.site.reply("/br", headers={**HTML, "Content-Encoding": "compress"}, body=b"\x1f\x9dhello")
    cli.citing(cli.site.url("/br"))
    assert cli.run("run").returncode == 0
    assert "its content coding cannot be read: compress" in cli.run("show", cli.site.url("/br")).stdout


def test_a_stop_is_heard_while_a_document_is_waited_for(cli: Cli) -> None:
    running = cli.start("run", "-", stdin=subprocess.PIPE)
    until(lambda: (cli.archive / "state.sqlite3").exists())
    time.sleep(0.3)
    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=60) == 143  # it would wait for ever
    for stream in (running.stdin, running.stdout, running.stderr):
        assert stream is not None
        stream.close()


def test_a_reader_sees_one_snapshot_and_does_not_end_the_run_that_writes(tmp_path: Path) -> None:
    StateFile.open(tmp_path).close()
    writer = StateFile.open(tmp_path)
    with StateReader.open_for_reading(tmp_path) as reader:
        assert list(reader.visits()) == []
        writer.target_id("https://example.org/")
        writer.commit()
        assert next(reader.query("SELECT count(*) FROM targets"))[0] == 0
        writer.close()
    with StateReader.open_for_reading(tmp_path) as reader:
        assert next(reader.query("SELECT count(*) FROM targets"))[0] == 1


@pytest.mark.parametrize(("data", "words"), [(b"", "there is no state here"), (None, "another program's database")])
def test_an_empty_or_foreign_state_file_is_named(cli: Cli, data: bytes | None, words: str) -> None:
    cli.archive.mkdir()
    state = cli.archive / "state.sqlite3"
    if data is None:
        database = sqlite3.connect(state)
        database.execute("CREATE TABLE recipes (cake TEXT)")
        database.close()
    else:
        state.write_bytes(data)
    ended = cli.run("status")
    assert ended.returncode == 5
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_document_that_moves_cites_once_and_its_captures_stay(cli: Cli) -> None:
    url = page(cli, "/a")
    place = Path(cli.citing(url, name="old.txt"))
    cli.run("run")
    place.rename(place.with_name("new.txt"))
    assert cli.run("run").returncode == 0
    ledger = cli.lines("status")[-1]["ledger"]
    assert (ledger["documents"], ledger["citations"], ledger["captures_held"]) == (1, 1, 1)
    assert cli.site.paths() == ["/a"]


def test_what_the_settings_excluded_is_fetched_when_they_allow_it(cli: Cli) -> None:
    port = cli.site.http_port
    cli.site.reply("/a", status=302, headers={"Location": f"http://site.test:{port}/b"})
    page(cli, "/b")
    url = cli.site.url("/a")
    cli.citing(url)
    cli.run("run")
    assert cli.ledger() == {url: "excluded(port)"}
    cli.settings["resolve"] = (f"site.test:{port}=127.0.0.1:{port}",)
    assert cli.run("run").returncode == 0
    assert cli.ledger() == {url: "captured"}


def test_a_page_that_fails_again_after_it_was_deferred_is_no_new_trouble(cli: Cli) -> None:
    cli.settings["max_tries"] = 1
    answers = [{"status": 500}, {"status": 503, "headers": {"Retry-After": "9999"}}, {"status": 500}]
    cli.site.replies("/a", answers)
    cli.citing(cli.site.url("/a"))
    codes = []
    for _ in answers:
        codes.append(cli.run("run").returncode)
        cli.make_due()
    assert codes == [3, 0, 0]
    assert cli.site.paths() == ["/a"] * 3


def test_a_page_that_robots_forbid_is_no_sign_of_being_offline(cli: Cli) -> None:
    cli.site.reply("/robots.txt", body=b"User-agent: *\nDisallow: /\n")
    ended = cli.run("fetch", page(cli, "/a"))
    assert ended.returncode == 3
    assert "excluded(robots)" in ended.stderr


def test_a_server_that_wants_to_be_left_alone_is_left_alone_after_the_state_was_lost(cli: Cli) -> None:
    cli.site.reply("/a", status=503, headers={"Retry-After": "9999"})
    first, second = cli.site.url("/a"), page(cli, "/b")
    cli.citing(first)
    cli.run("run")
    (cli.archive / "state.sqlite3").unlink()
    cli.citing(first, second)
    cli.run("run")
    assert [state.partition("(")[0] for state in cli.ledger().values()] == ["deferred", "deferred"]
    assert cli.site.paths() == ["/a"]


def test_a_dry_run_knows_a_crawl_delay_that_was_met(cli: Cli) -> None:
    cli.site.reply("/robots.txt", body=b"User-agent: *\nCrawl-delay: 2\n")
    cli.citing(page(cli, "/a"))
    cli.run("run")
    cli.make_due()
    cli.citing(page(cli, "/b"), page(cli, "/c"))
    planned = cli.run("run", "--dry-run", "--json").stdout.splitlines()
    first, second = (datetime.fromisoformat(json.loads(line)["at"]) for line in planned)
    assert second - first == timedelta(seconds=2)


def test_export_keeps_control_characters_from_the_terminal(cli: Cli) -> None:
    body = PAGE.format("Evil \x1b[31m \x9b0m \u202e title").encode()
    cli.site.reply("/a", headers=HTML, body=body)
    cli.citing(cli.site.url("/a"))
    cli.run("run")
    for form in ("jsonl", "csv"):
        said = cli.run("export", "--format", form).stdout
        assert "Evil" in said
        assert not {"\x1b", "\x9b", "\u202e"} & set(said)


@pytest.mark.parametrize("verb", [["status"], ["urls", "documents"], ["export", "--format", "csv"]])
def test_a_full_standard_output_ends_with_74(cli: Cli, verb: list[str]) -> None:
    cli.citing(page(cli, "/a"))
    cli.run("run")
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            cli.command(*verb), stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, cwd=cli.folder
        )
    assert ended.returncode == 74
    assert "standard output" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_older_state_put_back_is_named_by_check_and_mended_by_a_run(cli: Cli) -> None:
    first, second = page(cli, "/a", "One"), page(cli, "/b", "Two")
    cli.citing(first)
    cli.run("run")
    old = (cli.archive / "state.sqlite3").read_bytes()
    cli.citing(first, second)
    cli.run("run")
    (cli.archive / "state.sqlite3").write_bytes(old)
    ended = cli.run("check")
    assert ended.returncode == 5
    assert "the next `scraper run` adopts them" in ended.stdout
    assert cli.run("run").returncode == 0
    assert cli.site.paths() == ["/a", "/b"]
    assert cli.run("check").returncode == 0


def test_rebuild_refuses_a_folder_that_is_not_there(cli: Cli) -> None:
    ended = cli.run("rebuild")
    assert ended.returncode == 2
    assert "there is no archive here" in ended.stderr
    assert not cli.archive.exists()


def test_the_list_of_pages_holds_each_page_once_after_a_kill_and_after_rebuild(cli: Cli) -> None:
    urls = [page(cli, f"/{number}", f"Title {number}") for number in range(6)]
    cli.settings["delay_seconds"] = 0.1
    cli.citing(*urls)
    running = cli.start("run")
    until(lambda: len(cli.site.paths()) >= 4)
    running.kill()
    running.communicate(timeout=60)

    def listed() -> list[str]:
        lines = (cli.archive / "collections/main/pages/pages.jsonl").read_text().splitlines()
        return sorted(json.loads(line)["url"] for line in lines[1:])

    assert cli.run("run").returncode == 0
    assert listed() == urls
    assert cli.run("rebuild").returncode == 0
    assert listed() == urls


def test_a_log_that_cannot_be_written_does_not_stop_the_job(cli: Cli) -> None:
    urls = [page(cli, "/a"), page(cli, "/b"), cli.site.url("/gone")]
    cli.citing(*urls)
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(cli.command("run", "--verbose"), stderr=full, timeout=60, cwd=cli.folder)
    assert ended.returncode == 3
    assert list(cli.ledger().values()) == ["captured", "captured", "dead(404)"]


def test_closed_streams_are_no_bug(cli: Cli) -> None:
    cli.citing(page(cli, "/a"))
    quoted = " ".join(f"'{part}'" for part in cli.command("run"))
    assert subprocess.run(["sh", "-c", f"exec {quoted} 2>&-"], timeout=60, cwd=cli.folder).returncode == 0
    quoted = " ".join(f"'{part}'" for part in cli.command("status"))
    ended = subprocess.run(["sh", "-c", f"exec {quoted} >&-"], stderr=subprocess.PIPE, text=True, timeout=60)
    assert ended.returncode == 74
    assert "Traceback" not in ended.stderr
    quoted = " ".join(f"'{part}'" for part in cli.command("urls", "-"))
    ended = subprocess.run(["sh", "-c", f"exec {quoted} <&-"], stderr=subprocess.PIPE, text=True, timeout=60)
    assert ended.returncode == 2
    assert "standard input is closed" in ended.stderr


def test_a_pipe_in_a_folder_is_not_waited_for(cli: Cli) -> None:
    url = page(cli, "/a")
    cli.citing(url)
    os.mkfifo(cli.folder / "documents" / "pipe.txt")
    assert cli.run("run").returncode == 0
    assert cli.ledger() == {url: "captured"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["urls", ""], "an empty name is no document"),
        (["urls", "~nosuchuser/x"], "cannot be looked up"),
        (["urls", "a" * 300], "cannot be looked up"),
        (["status", "--archive", ""], "has no name"),
        (["status", "--archive", "~nosuchuser/x"], "home directory"),
        (["status", "--archive", "nowhere"], "there is no archive here"),
        (["run", "http://bob:s3cret@example.org/x"], "to archive a URL, use `scraper fetch`"),
    ],
)
def test_a_name_behind_which_there_is_nothing_ends_with_2(cli: Cli, arguments: list[str], words: str) -> None:
    ended = cli.run(*arguments)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "s3cret" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_url_of_absurd_length_is_listed_and_never_fetched(cli: Cli) -> None:
    cli.document(f"Original url: <http://site.test/{'x' * 20_000}>\n")
    assert cli.run("run").returncode == 0
    assert list(cli.ledger().values()) == ["excluded(malformed)"]
    assert cli.site.log == []
