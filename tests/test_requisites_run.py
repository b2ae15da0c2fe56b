"""A run archives what its pages need to be seen; the WARCs tell of it again, and the ledger does not change by it."""

from __future__ import annotations

import os
import signal
import sqlite3
from typing import Any

import pytest
from cli import Cli, until

from scraper.archiver import Collection, layout, records
from scraper.model import Location
from scraper.state import StateReader

ROW = (
    "purpose, href, final_href, started_at, ended_at, captured_at, state, reason, until, detail, tries, status, mime, "
    "collection, warc, visit_offset, visit_length, page_warc, page_offset, page_length, entity_sha256, held, text_path"
)
CSS = {"Content-Type": "text/css"}


@pytest.fixture
def web(cli: Cli) -> Cli:
    """A site with two pages that share a style sheet and a picture; requisites are captured."""
    cli.capture.clear()
    site = cli.site
    site.reply("/s.css", headers=CSS, body=b"p { background: url(bg.png) }")
    for path in ("/bg.png", "/0.png", "/copy.png"):
        site.reply(path, headers={"Content-Type": "image/png"}, body=b"picture" + path[:2].encode())
    head = b"<link rel=stylesheet href=/s.css><link rel=icon href=/0.png><p>Some words of an article.</p>"
    for name in ("one", "two"):
        site.reply(f"/{name}", headers={"Content-Type": "text/html"}, body=head + name.encode())
    return cli


def rows(cli: Cli, sql: str) -> list[tuple[Any, ...]]:
    database = sqlite3.connect(cli.archive / "state.sqlite3")
    try:
        return database.execute(sql).fetchall()
    finally:
        database.close()


def everything(cli: Cli) -> list[list[tuple[Any, ...]]]:
    """What the state says of visits and of which page each requisite is, whatever their numbers."""
    return [
        rows(cli, f"SELECT {ROW} FROM visits ORDER BY warc, visit_offset"),
        rows(cli, "SELECT r.visit_offset, p.visit_offset FROM visits r JOIN visits p ON p.id = r.of_visit ORDER BY 1"),
        rows(
            cli,
            "SELECT p.visit_offset, r.visit_offset FROM uses u JOIN visits p ON p.id = u.page "
            "JOIN visits r ON r.id = u.requisite ORDER BY 1, 2",
        ),
        rows(cli, "SELECT * FROM segments"),
    ]


def needed(cli: Cli, page: str) -> dict[str, str]:
    """What the state says that a page needs: path -> state."""
    with StateReader.open_for_reading(cli.archive) as state:
        (visit,) = (row["id"] for row in state.visits() if row["href"].endswith(page))
        return {row["href"].removeprefix("http://site.test"): row["state"] for row in state.requisites(visit)}


def test_each_page_knows_what_it_needs_though_a_run_fetches_it_once(web: Cli) -> None:
    web.citing(web.site.url("/one"), web.site.url("/two"))
    assert web.run("run").returncode == 0
    expected = {"/s.css": "captured", "/bg.png": "captured", "/0.png": "captured"}
    assert needed(web, "/one") == needed(web, "/two") == expected
    assert sorted(web.site.paths()) == ["/0.png", "/bg.png", "/one", "/s.css", "/two"]
    assert web.run("check").returncode == 0


def test_the_state_made_again_from_the_warcs_is_the_same(web: Cli) -> None:
    web.citing(web.site.url("/one"), web.site.url("/two"))
    web.run("run")
    before = everything(web)
    assert before[1] and before[2]
    assert web.run("rebuild").returncode == 0
    assert everything(web) == before
    (web.archive / "state.sqlite3").unlink()
    assert web.run("rebuild").returncode == 0
    assert everything(web) == before


def test_the_records_of_a_requisite_name_its_page(web: Cli) -> None:
    web.run("fetch", web.site.url("/one"))
    (path,) = layout.Layout(web.archive, "main").closed_warcs()
    found = {
        (record.type, record.header("WARC-Target-URI")): record
        for _, record in records.read_all(path)
        if record.type in ("response", "metadata")
    }
    page, sheet = (found["response", web.site.url(name)] for name in ("/one", "/s.css"))
    assert sheet.all("WARC-Concurrent-To") == [page.id]
    said = found["metadata", web.site.url("/s.css")].block.decode()
    assert "purpose: requisite\r\n" in said
    assert f"via: {web.site.url('/one')}\r\n" in said


def test_requisites_are_no_captures_of_cited_pages(web: Cli) -> None:
    web.citing(web.site.url("/one"))
    web.run("run")
    assert rows(web, "SELECT href FROM targets") == [(web.site.url("/one"),)]
    assert [line["url"] for line in web.lines("export", "--format", "jsonl")] == [web.site.url("/one")]
    pages = (web.archive / "collections/main/pages/pages.jsonl").read_text().splitlines()
    assert [line for line in pages[1:] if "/one" not in line] == []
    assert web.ledger() == {web.site.url("/one"): "captured"}


def test_a_payload_that_is_held_becomes_a_revisit(web: Cli) -> None:
    web.site.reply("/0.png", headers={"Content-Type": "image/png"}, body=b"the same picture")
    web.site.reply("/copy.png", headers={"Content-Type": "image/png"}, body=b"the same picture")
    html = b"<img src=/0.png><img src=/copy.png><link rel=icon href=/0.png>"
    web.site.reply("/one", headers={"Content-Type": "text/html"}, body=html)
    web.run("fetch", web.site.url("/one"))
    kinds = {}
    for warc, offset, length, href in rows(
        web, "SELECT page_warc, page_offset, page_length, href FROM visits WHERE purpose = 'requisite'"
    ):
        collection = Collection(web.archive, "main")
        kinds[href.removeprefix("http://site.test")] = collection.record(Location(warc, offset, length)).type
        assert collection.load(Location(warc, offset, length)).body == b"the same picture"
    assert sorted(kinds.values()) == ["response", "revisit"]


def test_failures_of_all_kinds_leave_the_articles_outcome_alone(web: Cli) -> None:
    html = b"<img src=/gone.png><img src=/reset.png><img src=http://127.0.0.1/x.png><img src=http://no.invalid/x.png>"
    web.site.reply("/one", headers={"Content-Type": "text/html"}, body=html)
    web.site.behave("/reset.png", lambda connection, _: connection.reset())
    web.citing(web.site.url("/one"))
    ended = web.run("run")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert web.ledger() == {web.site.url("/one"): "captured"}
    states = dict(rows(web, "SELECT href, state FROM visits WHERE purpose = 'requisite'"))
    assert states[web.site.url("/gone.png")] == "dead"
    assert states[web.site.url("/reset.png")] == "failed"
    assert states["http://127.0.0.1/x.png"] == "excluded"


def test_an_unchanged_page_is_seen_with_what_was_captured_with_it(web: Cli) -> None:
    url = web.site.url("/one")
    web.run("fetch", url)
    asked = len(web.site.log)
    web.run("fetch", url)
    assert [seen.path for seen in web.site.log[asked:]] == ["/one"]
    with StateReader.open_for_reading(web.archive) as state:
        first, last = (row["id"] for row in state.visits())
        assert state.requisites(last) == state.requisites(first) != []


def test_run_fetch_and_show_tell_how_many_there_are_and_a_good_night_is_silent(web: Cli) -> None:
    html = b"<img src=/0.png><img src=/gone.png><link rel=icon href=/0.png>"
    web.site.reply("/two", headers={"Content-Type": "text/html"}, body=html)
    web.citing(web.site.url("/one"))
    silent = web.run("run")
    assert (silent.stdout, silent.stderr) == ("", "")
    web.citing(web.site.url("/one"), web.site.url("/two"))
    (line,) = web.lines("run", "--json")
    assert line == {"due": 1, "visits": 1, "captured": 1, "requisites": {"captured": 1, "missing": 1}}
    assert "requisites: 0 captured, 0 missing" not in (said := web.run("run", "--verbose").stderr), said
    fetched = web.run("fetch", "--verbose", web.site.url("/two"), "--archive", str(web.archive.with_name("other")))
    assert "requisites: 1 captured, 1 missing" in fetched.stderr
    shown = web.run("show", web.site.url("/two")).stdout
    assert "requisites   1 captured, 1 missing" in shown
    (fields,) = web.lines("show", "--json", web.site.url("/one"))
    assert fields["requisites"] == {"captured": 3, "missing": 0}


def test_none_is_none(web: Cli) -> None:
    web.capture["requisites"] = "none"
    web.run("fetch", web.site.url("/one"))
    assert web.site.paths() == ["/one"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_ends_in_the_middle_of_a_burst_leaves_a_good_page(web: Cli, number: signal.Signals) -> None:
    html = b"<p>Some words of an article.</p>" + b"".join(b"<img src=/slow%d.png>" % n for n in range(20))
    web.site.reply("/one", headers={"Content-Type": "text/html"}, body=html)
    for n in range(20):
        web.site.reply(f"/slow{n}.png", body=b"x", delay=0.2)
    web.citing(web.site.url("/one"))
    running = web.start("run")
    until(lambda: bool(web.site.seen("/slow4.png")))
    os.kill(running.pid, number)
    running.communicate(timeout=60)
    asked = len(web.site.log)
    assert web.run("run").returncode == 0
    assert len(web.site.log) == asked, "the page was safe"
    assert web.ledger() == {web.site.url("/one"): "captured"}
    assert "/slow0.png" in needed(web, "/one")
    assert rows(web, "SELECT count(*) FROM visits WHERE purpose = 'requisite' AND of_visit IS NULL") == [(0,)]
    assert web.run("check").returncode == 0
