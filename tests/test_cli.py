"""What the verbs print, and what they never print."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from cli import ENVIRONMENT, Cli
from test_run import HTML, PAGE, page

from scraper import __version__

EVIL = "Evil \x1b]0;owned\x07\u202e title"


def test_fetch_prints_the_cleaned_text_and_nothing_else(cli: Cli) -> None:
    url = page(cli, "/a", "Read me")
    ended = cli.run("fetch", url)
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert lines[0] == "# Read me"
    assert lines[2].startswith("This is the first paragraph")
    assert lines[-1] == f"<{url}>"


def test_fetch_with_json_prints_one_line_of_fields_a_url(cli: Cli) -> None:
    urls = [page(cli, "/a", "One"), page(cli, "/b", "Two")]
    ended = cli.run("fetch", "--json", *urls)
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [(row["url"], row["title"], row["outcome"]) for row in rows] == [
        (urls[0], "One", "captured"),
        (urls[1], "Two", "captured"),
    ]


def test_fetch_ignores_that_nothing_is_due(cli: Cli) -> None:
    url = page(cli, "/a")
    cli.citing(url)
    cli.run("run")
    assert cli.run("fetch", url).returncode == 0
    assert cli.site.paths() == ["/a", "/a"]


def test_fetch_of_a_dead_page_ends_with_3_each_time(cli: Cli) -> None:
    url = cli.site.url("/gone")
    for _ in range(2):
        ended = cli.run("fetch", url)
        assert (ended.returncode, ended.stdout) == (3, "")
        assert "dead(404)" in ended.stderr


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("example.org/page", "write it as https://host/path"),
        ("ftp://example.org/", "only http and https are fetched"),
        ("file:///etc/passwd", "only http and https are fetched"),
        ("javascript:alert(1)", "only http and https are fetched"),
        ("https://me:secret@exa mple.org/", "not a web address"),
        ("", "not a web address"),
    ],
)
def test_fetch_refuses_what_is_no_web_address_and_says_how_to_write_it(cli: Cli, written: str, words: str) -> None:
    ended = cli.run("fetch", written)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "secret" not in ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr


def test_an_address_of_this_machine_is_refused_without_a_connection(cli: Cli) -> None:
    ended = cli.run("fetch", f"http://127.0.0.1:{cli.site.http_port}/", f"http://localhost:{cli.site.http_port}/")
    assert ended.returncode in (3, 4)
    assert "excluded(port)" in ended.stderr
    assert cli.run("fetch", "http://127.0.0.1/").returncode in (3, 4)
    assert cli.site.log == []


def test_a_password_in_a_url_is_never_sent_stored_or_printed(cli: Cli) -> None:
    page(cli, "/a")
    cli.document("Original url: <http://me:hunter2@site.test/a>\n")
    said = "".join(
        f"{ended.stdout}{ended.stderr}"
        for ended in (cli.run("urls", "documents"), cli.run("run", "--verbose"), cli.run("status", "--json"))
    )
    assert "hunter2" not in said
    assert "http://site.test/a" in said
    assert all(b"hunter2" not in seen.raw and seen.header("Authorization") is None for seen in cli.site.log)
    cli.run("export", "--format", "csv", "--output", str(cli.folder / "out.csv"))
    for path in [*cli.archive.rglob("*"), cli.folder / "out.csv"]:
        assert not path.is_file() or b"hunter2" not in path.read_bytes()


def test_urls_lists_every_url_with_role_line_and_what_would_be_fetched(cli: Cli) -> None:
    place = cli.document(
        "# Title\n\nSee [this](https://example.org/cited) and [lost](#).\n\n"
        "**Related article:** [That](https://example.org/related)\n\n"
        "Get ftp://example.org/file\n\nOriginal url:\n\n<https://example.org/original>\n",
        "a.md",
    )
    rows = cli.lines("urls", place)
    assert [(row["line"], row["role"], row["url"], row["fetch"], row["excluded"]) for row in rows] == [
        (3, "cited", "https://example.org/cited", False, "role"),
        (5, "related", "https://example.org/related", False, "role"),
        (7, "cited", "ftp://example.org/file", False, "scheme"),
        (11, "original", "https://example.org/original", True, None),
    ]
    shown = cli.run("urls", place).stdout
    assert f"fetch                original  {place}:11  https://example.org/original" in shown
    assert cli.site.log == []


def test_urls_marks_a_port_and_an_address_that_would_be_refused(cli: Cli) -> None:
    place = cli.document("http://10.0.0.1/\nhttps://example.org:25/\nhttps://example.org:8443/\n", "list.urls")
    assert [row["excluded"] for row in cli.lines("urls", place)] == ["address", "port", None]


def test_escapes_of_pages_and_urls_never_reach_the_terminal_raw(cli: Cli) -> None:
    cli.site.reply("/a", headers=HTML, body=PAGE.format(EVIL).encode())
    cli.site.reply("/b", headers={**HTML, "Location": "http://\x1b[31m/"}, status=302)
    urls = [cli.site.url("/a"), cli.site.url("/b")]
    cli.citing(*urls)
    said = ""
    for verb in (
        ["run", "--verbose"],
        ["show", urls[0]],
        ["status", "--verbose"],
        ["fetch", *urls],
        ["fetch", "x\x1b[0m"],
    ):
        ended = cli.run(*verb)
        said += ended.stdout + ended.stderr
    assert "title" in said
    assert not {"\x1b", "\x07", "\u202e"} & set(said)


def test_a_csv_cell_that_would_be_a_formula_is_defused(cli: Cli) -> None:
    url = page(cli, "/a", "=cmd|' /C calc'!A0")
    cli.citing(url)
    cli.run("run")
    (row,) = csv.DictReader(io.StringIO(cli.run("export", "--format", "csv").stdout))
    assert row["title"] == "'=cmd|' /C calc'!A0"
    assert (row["url"], row["status"], row["outcome"]) == (url, "200", "captured")
    (line,) = cli.lines("export", "--format", "jsonl")
    assert line["title"] == "=cmd|' /C calc'!A0"
    assert line["text"].count("\n\n") == 2


def test_an_export_that_cannot_be_written_ends_with_74(cli: Cli) -> None:
    cli.citing(page(cli, "/a"))
    cli.run("run")
    for output in ("/dev/full", str(cli.folder / "no" / "such" / "folder.csv")):
        ended = cli.run("export", "--format", "csv", "--output", output)
        assert ended.returncode == 74
        assert output in ended.stderr
        assert "Traceback" not in ended.stderr


def test_a_reader_that_goes_away_is_no_error(cli: Cli) -> None:
    cli.citing(*(page(cli, f"/{number}") for number in range(3)))
    cli.run("run")
    exporting = cli.start("export", "--format", "jsonl")
    assert exporting.stdout is not None
    exporting.stdout.close()
    assert exporting.stderr is not None
    assert (exporting.stderr.read(), exporting.wait(timeout=60)) == ("", 0)
    exporting.stderr.close()


def test_status_proves_the_sums(cli: Cli) -> None:
    cli.citing(page(cli, "/a"), cli.site.url("/gone"), "https://example.org:25/")
    cli.run("run")
    shown = cli.run("status")
    assert shown.returncode == 0
    assert "citations        3   the sums agree" in shown.stdout
    assert "dead(404)" in shown.stdout
    *rows, sums = cli.lines("status")
    assert sorted(row["shown"] for row in rows) == ["captured", "dead(404)", "excluded(port)"]
    assert sums["ledger"]["by_state"]["excluded"] == 1
    assert sums["ledger"]["agrees"] is True


def test_show_tells_fields_their_sources_and_where_the_capture_lies(cli: Cli) -> None:
    url = page(cli, "/a", "Read me")
    place = cli.citing(url)
    cli.run("run")
    shown = cli.run("show", "site.test/a").stdout
    assert "# Read me" in shown
    facts = {line.split(None, 1)[0]: line.split(None, 1)[1] for line in shown.splitlines() if " " * 3 in line}
    assert facts["title"].startswith("Read me   (")
    warc, offset = facts["warc"].split()[0], int(facts["warc"].split()[2])
    assert Path(warc).read_bytes()[offset : offset + 2] == b"\x1f\x8b"
    assert f"{place}:1 (original)" in shown


def test_a_url_never_met_is_said_plainly(cli: Cli) -> None:
    cli.citing(page(cli, "/a"))
    cli.run("run")
    ended = cli.run("show", "https://example.org/never")
    assert ended.returncode == 2
    assert "not in this archive; `scraper fetch` it" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--set", "fetch.delay=1"], "unknown key fetch.delay"),
        (["run", "--set", "fetch.max_tries=none"], "fetch.max_tries"),
        (["run", "--quiet", "--verbose"], "contradict"),
        (["frobnicate"], "No such command"),
        (["export"], "--format"),
        (["run", "--config", "nowhere.toml"], "no such settings file"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_says_what_would_be_right(
    cli: Cli, arguments: list[str], words: str
) -> None:
    command = [sys.executable, "-m", "scraper", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, cwd=cli.folder, timeout=60)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_no_verb_at_all_shows_the_help(cli: Cli) -> None:
    ended = subprocess.run([sys.executable, "-m", "scraper"], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "Commands:" in ended.stdout


def test_the_contact_of_the_environment_stands_in_the_user_agent(cli: Cli) -> None:
    url = page(cli, "/a")
    command = cli.command("fetch", url)
    environ = {**ENVIRONMENT, "SCRAPER_CONTACT": "keeper@example.org"}
    subprocess.run(command, env=environ, cwd=cli.folder, timeout=60, check=True, capture_output=True)
    assert cli.site.seen("/a")[0].header("User-Agent") == f"scraper/{__version__} (+keeper@example.org)"


def test_a_terminal_sees_progress_and_readable_lines(cli: Cli) -> None:
    cli.settings["delay_seconds"] = 1.0
    cli.citing(page(cli, "/a"), page(cli, "/b"), cli.site.url("/gone"))
    reader, writer = pty.openpty()
    running = subprocess.Popen(
        cli.command("run"), stderr=writer, stdout=subprocess.DEVNULL, env={**ENVIRONMENT, "TERM": "xterm"}
    )
    os.close(writer)
    seen = b""
    while True:
        try:
            seen += os.read(reader, 65536)
        except OSError:
            break
    os.close(reader)
    assert running.wait(timeout=60) == 3
    text = seen.decode()
    assert "/3" in text
    assert "waiting" in text
    assert "warning: dead(404) http://site.test/gone: site.test answered 404 Said so" in text
    assert "3 of 3 due pages visited: 2 captured, 1 dead" in text
