"""The whole job as cron runs it."""

from __future__ import annotations

import json
import random
import resource
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import pytest
from cli import Cli, until

from scraper import archiver

PAGE = """<!doctype html><html lang="en"><head><title>{0} - Site</title>
<meta property="og:type" content="article"></head><body><article><h1>{0}</h1>
<p>This is the first paragraph of the page, long enough to be taken for a real one.</p>
<p>This is the second paragraph of the page, which also says something at some length.</p>
<p>And a third one, so that nobody can doubt that all of this is an article's text.</p>
</article></body></html>"""
HTML = {"Content-Type": "text/html; charset=utf-8"}


def page(cli: Cli, path: str, title: str = "A title", **answer: object) -> str:
    cli.site.reply(path, headers={**HTML, **answer.pop("headers", {})}, body=PAGE.format(title).encode(), **answer)  # type: ignore[arg-type]
    return cli.site.url(path)


def test_a_run_fetches_what_is_cited_and_the_next_run_fetches_nothing(cli: Cli) -> None:
    urls = [page(cli, f"/{number}", f"Title {number}") for number in range(5)]
    cli.citing(*urls)
    first = cli.run("run")
    assert (first.returncode, first.stdout, first.stderr) == (0, "", "")
    asked = len(cli.site.log)
    second = cli.run("run")
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert len(cli.site.log) == asked
    assert cli.ledger() == dict.fromkeys(urls, "captured")
    assert cli.run("check").returncode == 0


def test_one_url_in_many_documents_and_the_same_bytes_elsewhere_are_fetched_once(cli: Cli) -> None:
    url = page(cli, "/once")
    cli.citing(url, name="a.txt")
    cli.citing(url, name="copy-of-a.txt")
    cli.citing(url, url + "#part", name="b.txt")
    assert cli.run("run").returncode == 0
    assert cli.site.paths() == ["/once"]
    sums = cli.lines("status")[-1]["ledger"]
    assert (sums["documents"], sums["citations"], sums["by_state"]["captured"]) == (3, 4, 4)


def test_new_trouble_is_told_once_and_ends_with_3_then_it_is_known(cli: Cli) -> None:
    good, gone = page(cli, "/good"), cli.site.url("/gone")
    cli.citing(good, gone)
    first = cli.run("run")
    assert first.returncode == 3
    (line,) = first.stderr.splitlines()
    assert json.loads(line)["message"] == f"dead(404) {gone}: site.test answered 404 Said so"
    cli.make_due()
    again = cli.run("run")
    assert (again.returncode, again.stderr) == (0, "")
    assert cli.site.paths().count("/gone") == 2


def test_a_site_that_nobody_can_reach_ends_with_4(cli: Cli) -> None:
    cli.settings["resolve"] = ("closed.test:80=127.0.0.1:1",)
    cli.citing("http://closed.test/page")
    ended = cli.run("run")
    assert ended.returncode == 4
    assert "failed(refused) http://closed.test/page" in ended.stderr


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("empty.txt", b"", "empty"),
        ("binary.txt", b"\x7fELF\0\0\0\1\2\3" * 50, "binary"),
        ("torn.txt.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\3abc", "gzip"),
    ],
)
def test_a_document_that_cannot_be_read_is_named_and_the_others_are_done(
    cli: Cli, name: str, data: bytes, words: str
) -> None:
    url = page(cli, "/good")
    cli.citing(url)
    cli.document(data, name)
    ended = cli.run("run")
    assert ended.returncode == 2
    assert name in ended.stderr
    assert words in ended.stderr.lower()
    assert "Traceback" not in ended.stderr
    assert cli.ledger() == {url: "captured"}
    again = cli.run("run")
    assert (again.returncode, again.stderr) == (0, "")


def test_a_missing_document_ends_with_2_and_the_way_out(cli: Cli) -> None:
    ended = cli.run("run", "nowhere.txt")
    assert ended.returncode == 2
    assert "nowhere.txt: no such file or folder; name a file, a folder, a glob or - for standard input" in ended.stderr


def test_documents_come_from_files_folders_globs_and_standard_input(cli: Cli) -> None:
    urls = [page(cli, f"/{name}") for name in "abcd"]
    a = cli.citing(urls[0], name="a.txt")
    cli.citing(urls[1], name="b.md")
    (cli.folder / "more").mkdir()
    (cli.folder / "more" / "c.txt").write_text(f"Source: {urls[2]}\n")
    ended = cli.run("run", a, "documents/*.md", "more", "-", input=f"Original url: {urls[3]}\n")
    assert ended.returncode == 0
    assert cli.ledger() == dict.fromkeys(urls, "captured")


def test_a_document_without_any_url_is_no_trouble(cli: Cli) -> None:
    place = cli.document("Only words.\n")
    ended = cli.run("run", "--verbose")
    assert ended.returncode == 0
    assert f"{place}: cites no URL" in ended.stderr


def test_an_archive_that_cannot_be_written_ends_with_74(cli: Cli) -> None:
    cli.citing(page(cli, "/a"))
    cli.archive.write_text("a file where the folder should be")
    ended = cli.run("run")
    assert ended.returncode == 74
    assert str(cli.archive) in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_disk_that_fills_up_ends_with_74_and_the_next_run_loses_and_repeats_nothing(cli: Cli) -> None:
    first, second = page(cli, "/small"), cli.site.url("/large")
    # Less than would wait in a temporary file, and nothing that could be packed.
    cli.site.reply("/large", headers={"Content-Type": "image/png"}, body=random.Random(1).randbytes(900_000))
    cli.settings["delay_seconds"] = 0.3
    cli.citing(first, second)

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    ended = cli.run("run", preexec_fn=small_disk)
    assert ended.returncode == 74
    assert "cannot be" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert cli.run("run").returncode == 0
    assert cli.ledger() == {first: "captured", second: "captured"}
    assert cli.run("check").returncode == 0
    assert cli.site.paths().count("/small") == 1


def test_a_second_run_ends_at_once_with_75_and_one_line(cli: Cli) -> None:
    cli.citing(page(cli, "/a"))
    with archiver.Lock(cli.archive):
        ended = cli.run("run")
    assert ended.returncode == 75
    assert len(ended.stderr.splitlines()) == 1
    assert cli.site.log == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_first_signal_stops_cleanly_and_the_next_run_does_the_rest(
    cli: Cli, number: signal.Signals, code: int
) -> None:
    urls = [page(cli, f"/{index}") for index in range(6)]
    cli.settings["delay_seconds"] = 0.5
    cli.citing(*urls)
    running = cli.start("run")
    until(lambda: len(cli.site.paths()) >= 2)
    running.send_signal(number)
    _, errors = running.communicate(timeout=60)
    assert (running.returncode, errors) == (code, "")
    assert "pending" in cli.ledger().values()
    assert cli.run("check").returncode == 0
    cli.settings["delay_seconds"] = 0.0
    assert cli.run("run").returncode == 0
    assert cli.ledger() == dict.fromkeys(urls, "captured")
    assert max(cli.site.paths().count(f"/{index}") for index in range(6)) == 1


def test_the_second_signal_ends_at_once(cli: Cli) -> None:
    cli.site.reply("/slow", delay=30.0)
    cli.citing(cli.site.url("/slow"))
    running = cli.start("run")
    until(lambda: "/slow" in cli.site.paths())
    running.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=60)
    assert running.returncode == 143
    assert (cli.archive / "state.sqlite3-wal").exists()  # nothing was closed: it did not wait for the first stop


@pytest.mark.parametrize("after", [1, 3, 6, 9])
def test_a_killed_run_and_another_one_end_with_the_same_ledger(cli: Cli, after: int) -> None:
    urls = [page(cli, f"/{index}", f"Title {index}") for index in range(10)]
    cli.settings["delay_seconds"] = 0.05
    cli.citing(*urls, cli.site.url("/gone"))
    running = cli.start("run")
    until(lambda: len(cli.site.paths()) > after)
    running.kill()
    running.communicate(timeout=60)
    cli.settings["delay_seconds"] = 0.0
    assert cli.run("run").returncode in (0, 3)
    assert cli.ledger() == {**dict.fromkeys(urls, "captured"), cli.site.url("/gone"): "dead(404)"}
    assert cli.run("check").stdout == ""
    asked = cli.site.paths()
    assert sum(asked.count(path) - 1 for path in set(asked)) <= 1  # at most what was in flight
    texts = list(cli.archive.glob("collections/main/text/site.test/*/*.md"))
    assert len(texts) == 10


def test_a_dry_run_says_what_would_be_fetched_and_touches_nothing(cli: Cli) -> None:
    urls = [page(cli, "/a"), page(cli, "/b")]
    cli.settings["delay_seconds"] = 60.0
    cli.citing(*urls)
    ended = cli.run("run", "--dry-run")
    assert ended.returncode == 0
    assert [line.split()[1] for line in ended.stdout.splitlines()] == urls
    first, second = (line.split()[0] for line in ended.stdout.splitlines())
    assert first < second
    assert cli.site.log == []
    assert not cli.archive.exists()


def test_a_page_that_says_it_is_unchanged_is_a_revisit_and_stays_readable(cli: Cli) -> None:
    cli.site.replies(
        "/a",
        [
            {"headers": {**HTML, "ETag": '"one"'}, "body": PAGE.format("First").encode()},
            {"status": 304, "headers": {"ETag": '"one"'}},
        ],
    )
    url = cli.site.url("/a")
    cli.citing(url)
    cli.run("run")
    assert cli.run("run", "--set", "fetch.recheck=0s").returncode == 0
    assert cli.site.seen("/a")[1].header("If-None-Match") == '"one"'
    assert cli.ledger() == {url: "unchanged"}
    assert "# First" in cli.run("show", url).stdout
    assert cli.run("check").stdout == ""


def test_a_page_that_comes_back_the_same_is_unchanged_and_a_changed_one_is_captured_again(cli: Cli) -> None:
    old, new = PAGE.format("Old").encode(), PAGE.format("New").encode()
    cli.site.replies("/a", [{"headers": HTML, "body": body} for body in (old, old, new)])
    url = cli.site.url("/a")
    cli.citing(url)
    cli.run("run")
    cli.run("run", "--set", "fetch.recheck=0s")
    assert cli.ledger() == {url: "unchanged"}
    time.sleep(1.1)  # captures are named by the second
    cli.run("run", "--set", "fetch.recheck=0s")
    assert cli.ledger() == {url: "captured"}
    assert "# New" in cli.run("show", url).stdout
    outcomes = [row["outcome"] for row in cli.lines("export", "--format", "jsonl")]
    assert outcomes == ["captured", "unchanged", "captured"]


def test_the_same_payload_under_two_urls_is_stored_once_and_both_can_be_read(cli: Cli) -> None:
    urls = [page(cli, "/a", "Same"), page(cli, "/b", "Same")]
    cli.citing(*urls)
    assert cli.run("run").returncode == 0
    for url in urls:
        assert "# Same" in cli.run("show", url).stdout
    (warc,) = (cli.archive / "collections/main/archive").glob("*.warc.gz")
    indexed = (cli.archive / f"collections/main/indexes/{warc.name.removesuffix('.warc.gz')}.cdxj").read_text()
    assert indexed.count('"mime": "warc/revisit"') == 1
    assert cli.run("check").stdout == ""


def test_a_failure_does_not_hide_the_good_capture(cli: Cli) -> None:
    cli.site.replies("/a", [{"headers": HTML, "body": PAGE.format("Good").encode()}, {"status": 404}])
    url = cli.site.url("/a")
    cli.citing(url)
    cli.run("run")
    assert cli.run("run", "--set", "fetch.recheck=0s").returncode == 3
    assert cli.ledger() == {url: "dead(404)"}
    shown = cli.run("show", url).stdout
    assert "# Good" in shown
    assert "dead(404)" in shown


def test_a_cut_body_is_kept_as_evidence_and_failed(cli: Cli) -> None:
    cli.settings["max_tries"] = 1
    cli.site.reply("/cut", raw=b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this", close=True)
    url = cli.site.url("/cut")
    cli.citing(url)
    assert cli.run("run").returncode == 3
    assert cli.ledger() == {url: "failed(truncated)"}
    (entry,) = archiver.Collection(cli.archive, "main").find(url)
    assert archiver.Collection(cli.archive, "main").load(entry.location).body == b"only this"


def test_what_is_no_html_is_archived_and_said_so(cli: Cli) -> None:
    cli.site.reply("/a.pdf", headers={"Content-Type": "application/pdf"}, body=b"%PDF-1.4 ...")
    url = cli.site.url("/a.pdf")
    cli.citing(url)
    assert cli.run("run").returncode == 0
    assert "not HTML: application/pdf" in cli.run("show", url).stdout


@pytest.mark.parametrize(
    ("body", "words"),
    [(b"", "empty page"), (b"<div>" * 60_000 + b"x", "deep"), (b"<p>" + b"x" * 11_000_000, "larger than")],
)
def test_a_page_that_no_parser_should_see_is_archived_and_said_so(cli: Cli, body: bytes, words: str) -> None:
    cli.site.reply("/bad", headers=HTML, body=body)
    url = cli.site.url("/bad")
    cli.citing(url)
    assert cli.run("run").returncode == 0
    assert words in cli.run("show", url).stdout


def test_a_damaged_state_is_named_and_a_run_makes_it_again_from_the_warcs(cli: Cli) -> None:
    urls = [page(cli, "/a", "First"), cli.site.url("/gone")]
    cli.citing(*urls)
    cli.run("run")
    before = cli.lines("export", "--format", "jsonl")
    state = cli.archive / "state.sqlite3"
    state.write_bytes(b"garbage" * 1000)
    for verb in (["status"], ["check"]):
        ended = cli.run(*verb)
        assert ended.returncode == 5
        assert "the next `scraper run` makes it again" in ended.stderr + ended.stdout
        assert "Traceback" not in ended.stderr
    asked = len(cli.site.log)
    mended = cli.run("run")
    assert mended.returncode == 0
    assert "set aside as state.sqlite3.damaged-" in mended.stderr
    assert "documents and citations return as they are read again" in mended.stderr
    assert len(cli.site.log) == asked
    assert cli.ledger() == {urls[0]: "captured", urls[1]: "dead(404)"}
    assert cli.lines("export", "--format", "jsonl") == before
    assert [path.read_bytes() for path in cli.archive.glob("state.sqlite3.damaged-*")] == [b"garbage" * 1000]


def test_a_lost_state_is_made_again_and_nothing_is_fetched_twice(cli: Cli) -> None:
    urls = [page(cli, "/a", "First"), page(cli, "/b", "Second")]
    cli.citing(*urls)
    cli.run("run")
    asked = len(cli.site.log)
    (cli.archive / "state.sqlite3").unlink()
    assert cli.run("run").returncode == 0
    assert len(cli.site.log) == asked
    assert cli.ledger() == dict.fromkeys(urls, "captured")


def test_rebuild_makes_the_same_index_and_texts(cli: Cli) -> None:
    cli.citing(*(page(cli, f"/{number}", f"Title {number}") for number in range(4)))
    cli.run("run")

    def derived() -> dict[str, bytes]:
        collection = cli.archive / "collections/main"
        kept = [path for name in ("text", "indexes") for path in (collection / name).rglob("*") if path.is_file()]
        return {str(path.relative_to(collection)): path.read_bytes() for path in kept}

    before = derived()
    assert len(before) == 9
    shutil.rmtree(cli.archive / "collections/main/text")
    for path in (cli.archive / "collections/main/indexes").iterdir():
        path.write_text("damaged")
    assert cli.run("check").returncode == 5
    assert cli.run("rebuild").returncode == 0
    assert derived() == before
    assert cli.run("check").returncode == 0


def test_rebuild_goes_on_around_a_damaged_record_and_keeps_what_is_whole(cli: Cli) -> None:
    urls = [page(cli, f"/{number}", f"Title {number}") for number in range(4)]
    cli.citing(*urls)
    cli.run("run")
    row = next(row for row in cli.lines("export", "--format", "jsonl") if row["url"] == urls[1])
    warc = cli.archive / "collections/main/archive" / row["warc"]
    data = bytearray(warc.read_bytes())
    data[row["offset"] + 40] ^= 255
    warc.write_bytes(data)
    (cli.archive / "state.sqlite3").write_bytes(b"garbage" * 1000)
    ended = cli.run("rebuild")
    assert ended.returncode == 5
    assert f"offset {row['offset']}" in ended.stderr
    assert {row["url"] for row in cli.lines("export", "--format", "jsonl") if row["text"]} == {urls[0], *urls[2:]}
    assert cli.run("run").returncode == 0  # the documents are back, and what was lost is fetched again
    assert cli.ledger() == dict.fromkeys(urls, "captured")


def test_check_names_what_is_damaged(cli: Cli) -> None:
    cli.citing(page(cli, "/a"))
    cli.run("run")
    (warc,) = (cli.archive / "collections/main/archive").glob("*.warc.gz")
    data = bytearray(warc.read_bytes())
    data[len(data) // 2] ^= 1
    warc.write_bytes(data)
    ended = cli.run("check")
    assert ended.returncode == 5
    assert warc.name in ended.stdout


def test_a_read_only_archive_can_be_read(cli: Cli, tmp_path: Path) -> None:
    url = page(cli, "/a", "Read me")
    cli.citing(url)
    cli.run("run")
    before = sorted(str(path) for path in cli.archive.rglob("*"))
    for verb in (["status"], ["show", url], ["check"], ["export", "--format", "csv"]):
        assert cli.run(*verb).returncode == 0
    assert sorted(str(path) for path in cli.archive.rglob("*")) == before


def test_an_archive_of_a_newer_schema_is_refused(cli: Cli) -> None:
    cli.citing(page(cli, "/a"))
    cli.run("run")
    database = sqlite3.connect(cli.archive / "state.sqlite3")
    database.execute("PRAGMA user_version = 99")
    database.close()
    ended = cli.run("run")
    assert ended.returncode == 2
    assert "upgrade scraper" in ended.stderr
