"""The pages for a person, as HTML over HTTP: what each must say, and what it must never do."""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import foreign
import pytest
import replay_archive as made
from factories import make_capture, make_collection, make_exchange
from replaying import Server, served
from selectolax.lexbor import LexborHTMLParser

from scraper import pipeline
from scraper.replay import missing
from scraper.replay.holdings import Holdings
from scraper.replay.ui import bar, difference, plot, queries
from scraper.replay.ui.difference import Mark
from scraper.settings import Settings
from scraper.state import StateReader
from scraper.state.schema import APPLICATION_ID, MIGRATIONS


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pages") / "archive"
    made.build(root)
    return root


@pytest.fixture(scope="module")
def server(archive: Path) -> Iterator[Server]:
    with served(archive) as started:
        yield started


def tree(server: Server, path: str, status: int = 200) -> LexborHTMLParser:
    reply = server.follow(path)
    assert reply.status == status, reply.text
    assert "script" not in reply.headers["content-security-policy"]
    assert reply.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
    return LexborHTMLParser(reply.text)


def text(page: LexborHTMLParser, selector: str) -> str:
    node = page.css_first(selector)
    assert node is not None, selector
    return " ".join(node.text().split())


def links(page: LexborHTMLParser, selector: str = "a") -> dict[str, str]:
    return {" ".join(node.text().split()): node.attributes["href"] or "" for node in page.css(selector)}


def test_home_counts_every_citation_in_its_state(server: Server) -> None:
    page = tree(server, "/")
    assert text(page, ".counts") == "captured8 dead1 excluded6"


def test_home_lists_documents_with_where_each_citation_stands(server: Server) -> None:
    page = tree(server, "/")
    last = page.css(".document")[-1]
    assert [" ".join(node.text().split()) for node in last.css("li")] == [
        "captured https://rundschau.example.net/wissen/moor",
        "dead 404 https://bulletin.example.net/2018/reading-room-closes",
        "excluded robots https://members.example.org/minutes/2020-02",
        "captured https://data.example.com/reports/tide-tables-2021.pdf",
        "excluded scheme ftp://files.example.org/charts/1897.zip",
        "excluded address http://192.168.17.4/scans/index.html",
    ]


def test_the_plot_says_in_words_and_in_a_table_what_it_shows(server: Server) -> None:
    page = tree(server, "/")
    assert text(page, "#plot-title") == "Captures and failures by month"
    assert text(page, "#plot-desc").startswith("2024-05 to ")
    rows = [" ".join(cell.text() for cell in row.css("th, td")) for row in page.css(".plot tbody tr")]
    assert rows[:4] == ["2024-05 1 0", "2025-01 1 0", "2026-02 1 0", "2026-03 1 1"]


def test_a_search_marks_the_words_and_leads_to_the_capture(server: Server) -> None:
    page = tree(server, "/-/search?q=cranes+mayor")
    assert links(page, ".hits h2 a") == {"Three cranes stay": f"/demo/{made.HISTORY[1]}/{made.HARBOUR}"}
    assert "cranes" in [node.text().lower() for node in page.css(".hits mark")]


def test_a_search_for_an_address_leads_to_its_captures(server: Server) -> None:
    reply = server.ask(f"/-/search?q={made.HARBOUR}")
    assert (reply.status, reply.headers["location"]) == (302, f"/-/captures/demo/{made.HARBOUR}")


def test_a_search_that_finds_nothing_says_so(server: Server) -> None:
    assert "No text has this word" in text(tree(server, "/-/search?q=zebra"), "main")


def test_an_archive_without_an_index_says_how_to_make_one(archive: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(archive, tmp_path / "copy"))
    for path in copy.rglob("search.sqlite3"):
        path.unlink()
    with served(copy) as server:
        assert "`scraper rebuild` makes it" in text(tree(server, "/-/search?q=cranes"), "main")


def test_an_archive_of_warcs_alone_is_shown(archive: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(archive, tmp_path / "copy"))
    (copy / "state.sqlite3").unlink()
    with served(copy) as server:
        home = text(tree(server, "/"), "main")
        assert "This archive has no state file" in home and "demo" in home
        assert "4 captures" in text(tree(server, f"/-/captures/demo/{made.HARBOUR}"), "h1")
        tree(server, f"/-/capture/demo/{made.HISTORY[1]}/text/{made.HARBOUR}")
        tree(server, f"/-/capture/demo/{made.HISTORY[1]}/changes/{made.HARBOUR}")


def of_document(server: Server, name: str) -> str:
    page = tree(server, "/")
    found = [node for node in page.css(".document") if name in (node.css_first(".address") or node).text()]
    return links(found[0], "h3 a").popitem()[1]  # type: ignore[arg-type]


def test_a_document_stands_beside_its_citations(server: Server) -> None:
    page = tree(server, of_document(server, "comet-notes.txt"))
    assert text(page, "h1") == "A Comet Nobody Had Ordered"
    line = page.css_first("#L23")
    assert line is not None and "a-comet-nobody-had-ordered" in line.text()
    assert links(page, "#L23 a.to") == {"citation": "#c0"}
    assert "forty-centimetre reflector" in text(page, ".citation .reading")


def test_a_document_that_changed_since_is_not_shown_as_the_one_that_was_cited_from(
    archive: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(archive, tmp_path / "copy"))
    other = tmp_path / "comet-notes.txt"
    other.write_text("something else")
    with sqlite3.connect(copy / "state.sqlite3") as db:
        db.execute("UPDATE places SET path = ? WHERE path LIKE '%comet-notes.txt'", (str(other),))
    with served(copy) as server:
        page = text(tree(server, of_document(server, "comet-notes.txt")), ".own")
    assert "changed since it was read" in page and "something else" not in page
    assert "On the night of the seventh of March" in page


def test_captures_are_listed_by_year_with_what_failed(server: Server) -> None:
    page = tree(server, f"/-/captures/demo/{made.HARBOUR}")
    assert [node.text() for node in page.css("section h2")][:3] == ["2026", "2025", "2024"]
    rows = [" ".join(row.text().split()) for row in page.css(".of-captures tbody tr")]
    assert rows[1].startswith("2026-02-02 12:00:00 unchanged revisit")
    assert "failed http 503" in text(page, "section[aria-labelledby=tries]")


def test_captures_of_one_year_can_be_asked_for(server: Server) -> None:
    page = tree(server, f"/-/captures/demo/2025/{made.HARBOUR}")
    assert next(node.text() for node in page.css("section h2")) == "2025"
    assert len(page.css(".of-captures tbody tr")) == 1


def test_an_address_that_was_never_captured_says_when_it_was_tried(server: Server) -> None:
    page = tree(server, "/-/captures/demo/https://never.example.org/", 404)
    assert text(page, "h1") == "Never captured"


def test_an_address_keeps_its_own_query_string(server: Server) -> None:
    page = tree(server, f"/-/capture/demo/20260304100000/headers/{made.HOSTILE}")
    assert text(page, ".head .address") == "https://evil.example.org/?q=%22%3E%3Cb%3E&x=%27y%27"
    assert "GET /?q=%22%3E%3Cb%3E&x=%27y%27 HTTP/1.1" in text(page, "pre")


def test_the_text_is_shown_in_its_blocks(server: Server) -> None:
    page = tree(server, f"/-/capture/demo/{made.HISTORY[1]}/text/{made.HARBOUR}")
    assert text(page, ".reading table") == "CraneBuiltNorth1911"
    assert [node.text() for node in page.css(".reading ul li")] == [
        "the first crane, which is red",
        "the second crane, which is not",
    ]
    assert "tar on them" in text(page, ".reading blockquote")
    assert links(page, ".walk a")["Older: 2024-05-04 03:02"].endswith(f"{made.HISTORY[0]}/text/{made.HARBOUR}")


def test_the_text_of_an_unchanged_page_is_that_of_the_capture_it_refers_to(server: Server) -> None:
    page = tree(server, f"/-/capture/demo/{made.HISTORY[2]}/text/{made.HARBOUR}")
    assert "found the page unchanged. The text is that of the capture of 2025-01-10 09:00" in text(page, ".view")
    assert "the mayor's sister" in text(page, ".reading")


def test_each_field_names_its_source(server: Server, archive: Path) -> None:
    when = Holdings(archive).captures("demo", made.MOSCOW)[-1].timestamp
    page = tree(server, f"/-/capture/demo/{when}/fields/{made.MOSCOW}")
    rows = [[cell.text() for cell in row.css("th, td")] for row in page.css(".fields tbody tr")]
    assert ["byline", "Reuters", "byline", "By Reuters"] in rows
    assert ["published", "2019-09-09", "json-ld", "the same"] in rows


def test_raw_bytes_that_are_no_text_are_hexadecimal(server: Server, archive: Path) -> None:
    url = "https://data.example.com/reports/tide-tables-2021.pdf"
    when = Holdings(archive).captures("demo", url)[-1].timestamp
    page = tree(server, f"/-/capture/demo/{when}/raw/{url}")
    assert text(page, "pre").startswith("00000000 25 50 44 46")
    assert links(page)["The bytes as they came"] == f"/demo/{when}id_/{url}"


def test_changes_are_marked_by_words(server: Server) -> None:
    page = tree(server, f"/-/capture/demo/{made.HISTORY[1]}/changes/{made.HARBOUR}")
    assert [node.text() for node in page.css(".diff del")] == ["Monday", "fourteen", "nine"]
    assert [node.text() for node in page.css(".diff ins")] == [
        *("Tuesday", "fifteen", "eight"),
        "The painter has been found: she is the mayor's sister.",
    ]


@pytest.mark.parametrize(
    ("timestamp", "sentence"),
    [(made.HISTORY[0], "There is no earlier capture"), (made.HISTORY[2], "Nothing changed since")],
)
def test_no_changes_are_said_in_words(server: Server, timestamp: str, sentence: str) -> None:
    assert sentence in text(tree(server, f"/-/capture/demo/{timestamp}/changes/{made.HARBOUR}"), ".view")


def test_a_capture_whose_file_is_gone_is_a_page_that_says_so(archive: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(archive, tmp_path / "copy"))
    for path in copy.glob("collections/demo/archive/*"):
        path.unlink()
    with served(copy) as server:
        page = tree(server, f"/-/capture/demo/{made.HISTORY[1]}/raw/{made.HARBOUR}", 500)
        assert "this WARC is missing; put it back" in text(page, "main")
        assert "mayor's sister" in text(tree(server, f"/-/capture/demo/{made.HISTORY[1]}/text/{made.HARBOUR}"), "main")


def test_half_a_character_in_a_text_does_not_stop_the_page(archive: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(archive, tmp_path / "copy"))
    path = next(copy.glob(f"collections/demo/text/news.example.org/2025/{made.HISTORY[1]}*.json"))
    path.write_text(path.read_text(encoding="utf-8").replace("Three cranes stay", "Three \\ud800 stay"))
    with served(copy) as server:
        assert text(tree(server, f"/-/capture/demo/{made.HISTORY[1]}/text/{made.HARBOUR}"), "h1") == "Three ? stay"


@pytest.mark.parametrize("tab", ["text", "fields", "headers", "raw", "changes"])
def test_hostile_words_stay_words(server: Server, tab: str) -> None:
    reply = server.ask(f"/-/capture/demo/20260304100000/{tab}/{made.HOSTILE}")
    page = LexborHTMLParser(server.follow(f"/-/capture/demo/20260304100000/{tab}/{made.HOSTILE}").text)
    assert reply.status in (200, 302)
    assert page.css("script") == [] and page.css("img") == []
    assert all((node.attributes["href"] or "").startswith(("/", "#")) for node in page.css("a"))


def test_no_page_of_ours_has_a_script_or_an_outer_address(server: Server) -> None:
    for path in ("/", "/-/search?q=cranes", f"/-/captures/demo/{made.HARBOUR}", of_document(server, "harbour.md")):
        reply = server.ask(path)
        assert "<script" not in reply.text and " style=" not in reply.text
        page = LexborHTMLParser(reply.text)
        addresses = [node.attributes.get(name) for name in ("href", "src", "action") for node in page.css(f"[{name}]")]
        assert addresses and all(address and address.startswith(("/", "#")) for address in addresses)


@pytest.mark.parametrize(
    "path",
    [
        *("/-/document/0000", "/-/document/..%2f..%2fetc%2fpasswd", "/-/static/..%2fmount.py", "/-/static/x.css"),
        *("/-/captures/none/https://e.org/", "/-/captures/demo/javascript:alert(1)", "/-/captures/demo/"),
        f"/-/capture/demo/20250110090000/nothing/{made.HARBOUR}",
        f"/-/capture/demo/99999999999999/text/{made.HARBOUR}",
        f"/-/capture/demo/0/text/{made.HARBOUR}",
        "/-/capture/demo/20250110/text/https://never.example.org/",
    ],
)
def test_an_address_of_nothing_is_a_page_that_says_so(server: Server, path: str) -> None:
    reply = server.follow(path)
    assert reply.status == 404
    assert "<h1>" in reply.text and "Traceback" not in reply.text


def test_a_page_number_beyond_the_last_is_the_last(server: Server) -> None:
    for page in ("999999", "0", "-1", "x", "9" * 400):
        assert server.ask(f"/?page={page}").status == 200


def test_the_bar_of_a_page_that_said_it_was_gone_shows_its_status(tmp_path: Path) -> None:
    collection = make_collection(tmp_path)
    gone, kept = "http://e.example/gone", "http://e.example/kept"
    collection.append(make_capture(make_exchange(gone, status=404)))
    collection.append(make_capture(make_exchange(kept)))
    collection.close()
    holdings = Holdings(tmp_path)
    shown = {href: bar(holdings, "main", holdings.history(href)[0].entry, href) for href in (gone, kept)}
    assert "answered </span>404</span>" in shown[gone]
    assert "answered" not in shown[kept]


def test_a_capture_that_two_imported_files_hold_counts_once(tmp_path: Path) -> None:
    records = [foreign.info(), foreign.record(foreign.http(foreign.page()), "http://e.example/twice")]
    (tmp_path / "one.warc.gz").write_bytes(foreign.members(records))
    (tmp_path / "two.warc").write_bytes(b"".join(records))
    files = [str(tmp_path / name) for name in ("one.warc.gz", "two.warc")]
    list(pipeline.import_files(tmp_path / "archive", Settings(), files, False, pipeline.Listener(), pipeline.Stop()))
    holdings = Holdings(tmp_path / "archive")
    assert len(holdings.captures("imported", "http://e.example/twice")) == 2
    assert len(holdings.history("http://e.example/twice")) == 1
    for entry in holdings.captures("imported", "http://e.example/twice"):
        assert "1 of 1" in bar(holdings, "imported", entry, entry.url)


def test_the_bar_names_time_and_document_and_leads_on(archive: Path) -> None:
    holdings = Holdings(archive)
    entry = holdings.captures("demo", made.HARBOUR)[1]
    fragment = bar(holdings, "demo", entry, made.HARBOUR)
    assert '<template shadowrootmode="open">' in fragment and "<script" not in fragment
    assert "2025-01-10 09:00" in fragment and "2 of 4" in fragment
    found = LexborHTMLParser(fragment.replace("<template", "<div").replace("</template", "</div"))
    addresses = links(found)
    assert addresses["Older capture"] == f"/demo/{made.HISTORY[0]}/{made.HARBOUR}"
    assert addresses["Newer capture"] == f"/demo/{made.HISTORY[2]}/{made.HARBOUR}"
    assert all(node.attributes.get("target") == "_top" for node in found.css("a"))
    moscow = holdings.captures("demo", made.MOSCOW)[-1]
    assert "000_b5dde23a3ed5c483.txt:37" in bar(holdings, "demo", moscow, made.MOSCOW)


def test_no_question_about_a_page_or_a_document_reads_a_whole_table(archive: Path) -> None:
    plans: list[str] = []
    with StateReader.open_for_reading(archive) as state:
        ask = state.query

        def explained(sql: str, values: Sequence[object] = ()) -> Iterator[sqlite3.Row]:
            plans.extend(row["detail"] for row in ask(f"EXPLAIN QUERY PLAN {sql}", values))
            return ask(sql, values)

        state.query = explained  # type: ignore[method-assign]
        queries.citing(state, made.MOSCOW, 3)
        state.tries(made.HARBOUR, 50)
        state.tries(made.HARBOUR, 50, "demo")
        queries.leads_to(state, made.HARBOUR)
        queries.requisites(state, "demo", made.MOSCOW, "2026-01-01T00:00:00")
        queries.document(state, "0" * 64)
        queries.citations(state, 1, 10)
        queries.newest(state, 8)
    # What is no table: an inner SELECT of one row.
    scans = [plan for plan in plans if plan.startswith("SCAN") and plan not in ("SCAN CONSTANT ROW", "SCAN page")]
    # The newest captures are the end of an index, read until there are enough.
    assert set(scans) <= {"SCAN visits USING INDEX visits_by_time"}
    assert any("visits_by_final_href" in plan for plan in plans)


# ---------------------------------------------------------------- several collections

ONLY_IMPORTED = "https://news.example.org/otters"


@pytest.fixture(scope="module")
def both(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive with what another tool had captured, before, between and after our own visits."""
    folder = tmp_path_factory.mktemp("both")
    copy = Path(shutil.copytree(archive, folder / "archive"))
    visits = (
        ("Friday", "2015-02-03T04:05:06Z"),
        ("Sunday", "2015-08-09T10:11:12Z"),
        ("Monday", "2025-06-07T08:09:10Z"),
    )
    harbour = [
        foreign.record(foreign.http(made.harbour_page(day, "ten to nine")), made.HARBOUR, at=at) for day, at in visits
    ]
    otters = [foreign.record(foreign.http(foreign.page()), url) for url in (ONLY_IMPORTED, made.MOSCOW)]
    crawl = folder / "crawl.warc.gz"
    crawl.write_bytes(foreign.members([foreign.info(), *harbour, *otters]))
    list(pipeline.import_files(copy, Settings(), [str(crawl)], False, pipeline.Listener(), pipeline.Stop()))
    return copy


@pytest.fixture(scope="module")
def mixed(both: Path) -> Iterator[Server]:
    with served(both) as started:
        yield started


@pytest.mark.parametrize("path", ["", "2015/", "20190909/", "mp_"])
def test_a_page_held_by_another_collection_is_named_where_it_is_missing(mixed: Server, path: str) -> None:
    path = "2015mp_/" if path == "mp_" else path
    page = tree(mixed, f"/demo/{path}{ONLY_IMPORTED}", 404)
    assert text(page, "h1") == "Not in this collection"
    assert links(page)["imported: 2019-09-09 12:03 UTC"] == f"/imported/20190909120300/{ONLY_IMPORTED}"
    assert "never tried" not in text(page, "main")
    assert "Otters return" in mixed.ask(f"/imported/20190909120300/{ONLY_IMPORTED}").text


def test_the_nearest_capture_of_the_other_collection_is_named(mixed: Server) -> None:
    near = tree(mixed, "/imported/20200101/https://evil.example.org/?q=%22%3E%3Cb%3E&x=%27y%27", 404)
    assert list(links(near, "section a")) == ["demo: 2026-03-04 10:00 UTC", "All captures of this address"]


def test_a_missing_picture_stays_a_placeholder(mixed: Server) -> None:
    reply = mixed.ask(f"/demo/2015im_/{ONLY_IMPORTED}")
    assert (reply.status, reply.headers["content-type"]) == (404, "image/svg+xml")


def test_a_url_has_one_history_over_all_collections(mixed: Server) -> None:
    for name in ("demo", "imported"):
        page = tree(mixed, f"/-/captures/{name}/{made.HARBOUR}")
        assert text(page, "h1") == "7 captures"
        assert [node.text() for node in page.css("section h2")][:4] == ["2026", "2025", "2024", "2015"]
        rows = [" ".join(row.text().split()) for row in page.css(".of-captures tbody tr")]
        assert [row.split()[0] for row in rows if " imported " in row] == ["2025-06-07", "2015-08-09", "2015-02-03"]
        assert "failed http 503" in text(page, "section[aria-labelledby=tries]")


def test_older_and_newer_lead_over_all_collections(mixed: Server) -> None:
    page = tree(mixed, f"/-/capture/imported/20250607080910/text/{made.HARBOUR}")
    walk = links(page, ".walk a")
    assert walk == {
        "Older: 2025-01-10 09:00": f"/-/capture/demo/20250110090000/text/{made.HARBOUR}",
        "5 of 7 captures": f"/-/captures/imported/{made.HARBOUR}",
        "Newer: 2026-02-02 12:00": f"/-/capture/demo/20260202120000/text/{made.HARBOUR}",
    }
    bar = mixed.ask(f"/demo/{made.HISTORY[1]}/{made.HARBOUR}").text
    assert f'href="/imported/20250607080910/{made.HARBOUR}"' in bar and "4 of 7" in bar


def test_changes_are_those_since_the_capture_before_it_in_any_collection(mixed: Server) -> None:
    page = tree(mixed, f"/-/capture/demo/{made.HISTORY[0]}/changes/{made.HARBOUR}")
    assert [node.text() for node in page.css(".diff del")] == ["Sunday", "ten"]
    assert [node.text() for node in page.css(".diff ins")] == ["Monday", "fourteen"]
    before = links(page, ".view a")["the text of 2015-08-09 10:11"]
    assert before == f"/-/capture/imported/20150809101112/text/{made.HARBOUR}"


def test_a_document_counts_the_captures_as_the_page_that_lists_them(mixed: Server) -> None:
    found = links(tree(mixed, of_document(mixed, "000_b5dde23a3ed5c483.txt")), ".citation a")
    assert "2 captures" in found
    assert text(tree(mixed, found["2 captures"]), "h1") == "2 captures"


@pytest.mark.parametrize("time", ["2015", "201502", "2015020", "201508", "2016", "2014", "20150809101112"])
def test_part_of_a_date_means_the_same_capture_on_every_page(mixed: Server, time: str) -> None:
    page = mixed.follow(f"/imported/{time}/{made.HARBOUR}").headers["memento-datetime"]
    tab = tree(mixed, f"/-/capture/imported/{time}/text/{made.HARBOUR}").css_first(".head time")
    assert tab is not None
    assert datetime.fromisoformat(tab.attributes["datetime"] or "") == parsedate_to_datetime(page)


def test_timegate_and_timemap_stay_within_their_collection(mixed: Server) -> None:
    found = mixed.ask(f"/demo/timemap/link/{made.HARBOUR}").text
    assert found.count("memento") == 4 and "/imported/" not in found


# ---------------------------------------------------------------- what the state knows

DEAD = "https://bulletin.example.net/2018/reading-room-closes"


def test_a_page_that_is_gone_leads_to_what_it_answered(server: Server) -> None:
    for page in (tree(server, "/"), tree(server, of_document(server, "reading"))):
        reply = server.follow(next(href for href in links(page).values() if href.endswith(DEAD)))
        assert reply.status == 404
        assert "<scraper-bar>" in reply.text and "memento-datetime" in reply.headers


def test_requisites_that_an_earlier_page_of_the_run_had_brought_are_listed(archive: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(archive, tmp_path / "copy"))
    with sqlite3.connect(copy / "state.sqlite3") as db:
        requisite, of_visit, href = db.execute(
            "SELECT id, of_visit, href FROM visits WHERE purpose = 'requisite' ORDER BY id LIMIT 1"
        ).fetchone()
        visit, url, at = db.execute(
            "SELECT id, final_href, captured_at FROM visits WHERE purpose = 'page' AND state = 'captured' AND id <> ?",
            (of_visit,),
        ).fetchone()
        db.execute("INSERT INTO uses (page, requisite) VALUES (?, ?)", (visit, requisite))
    stamp = "".join(filter(str.isdigit, at))[:14]
    with served(copy) as server:
        page = tree(server, f"/-/capture/demo/{stamp}/fields/{url}")
        assert href in text(page, "section[aria-labelledby=requisites]")


def test_only_visits_of_a_page_that_came_to_nothing_are_tries(archive: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(archive, tmp_path / "copy"))
    with sqlite3.connect(copy / "state.sqlite3") as db:
        db.execute("UPDATE visits SET final_href = 'https://never.example.org/'")
    holdings = Holdings(copy)
    assert len(missing.attempts(holdings, "demo", "https://never.example.org/")) == 3
    assert missing.attempts(holdings, "imported", "https://never.example.org/") == []


def made_older(path: Path) -> None:
    """The state as the first release of the schema had it."""
    before, path_of_new = sqlite3.connect(path), path.with_suffix(".older")
    with closing(before), closing(sqlite3.connect(path_of_new)) as db:
        db.executescript(MIGRATIONS[0])
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            names = ", ".join(row[1] for row in db.execute(f"PRAGMA table_info({table})"))
            rows = before.execute(f"SELECT {names} FROM {table}").fetchall()
            db.executemany(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * (names.count(',') + 1))})", rows)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA user_version = 1")
        db.commit()
    path_of_new.replace(path)


def test_an_older_scrapers_state_is_brought_up_once_for_all_views(archive: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(archive, tmp_path / "copy"))
    made_older(copy / "state.sqlite3")
    before = (copy / "state.sqlite3").read_bytes()
    holdings = Holdings(copy)
    readers: list[object] = []

    def view() -> None:
        with holdings.state() as state:
            assert state is not None
            readers.append(state)
            assert queries.document_count(state) > 3

    view()
    for thread in [threading.Thread(target=view) for _ in range(8)]:
        thread.start()
        thread.join()
    assert len(readers) == 9 and len(set(map(id, readers))) == 1
    assert (copy / "state.sqlite3").read_bytes() == before
    with sqlite3.connect(copy / "state.sqlite3") as db:
        db.execute("DELETE FROM places")
    with holdings.state() as state:
        assert state is not None and queries.document_count(state) == 0


def test_a_state_of_today_is_read_anew_at_each_view(archive: Path) -> None:
    holdings = Holdings(archive)
    with holdings.state() as first, holdings.state() as second:
        assert first is not second


@pytest.mark.parametrize("tab", ["text", "fields", "headers", "raw", "changes"])
def test_every_tab_has_the_same_heading(server: Server, tab: str) -> None:
    page = tree(server, f"/-/capture/demo/{made.HISTORY[1]}/{tab}/{made.HARBOUR}")
    assert (text(page, "h1"), text(page, ".head .address")) == ("Three cranes stay", made.HARBOUR)


# ---------------------------------------------------------------- pure pieces


def shown(before: list[str], after: list[str]) -> str:
    signs = {Mark.SAME: "{}", Mark.DELETED: "[-{}-]", Mark.INSERTED: "[+{}+]"}
    return "\n".join(
        "".join(signs[piece.mark].format(piece.text) for piece in paragraph.pieces)
        for paragraph in difference.paragraphs(before, after)
    )


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (["a b c"], ["a b c"], "a b c"),
        (["a b c"], ["a x c"], "a [-b-][+x+] c"),
        (["the old man left"], ["the new woman left"], "the [-old man-][+new woman+] left"),
        (["one", "two", "three"], ["one", "three"], "one\n[-two-]\nthree"),
        (["one", "three"], ["one", "two", "three"], "one\n[+two+]\nthree"),
        ([], ["new"], "[+new+]"),
        (["old"], [], "[-old-]"),
        ([], [], ""),
        (["港の古い塔"], ["港の新しい塔"], "港の[-古-][+新し+]い塔"),
    ],
)
def test_a_difference_reads_as_a_person_would_mark_it(before: list[str], after: list[str], expected: str) -> None:
    assert shown(before, after) == expected


@pytest.mark.parametrize("seed", range(20))
def test_a_difference_gives_back_both_texts(seed: int) -> None:
    dice = random.Random(seed)
    words = ["the", "cat", "sat", "on", "a", "mat", "and", "ran"]
    sizes = [[dice.randint(1, 30) for _ in range(dice.randint(0, 6))] for _ in range(2)]
    before, after = ([" ".join(dice.choices(words, k=size)) for size in text] for text in sizes)
    pieces = [piece for paragraph in difference.paragraphs(before, after) for piece in paragraph.pieces]
    old = "".join(piece.text for piece in pieces if piece.mark is not Mark.INSERTED)
    new = "".join(piece.text for piece in pieces if piece.mark is not Mark.DELETED)
    assert re.sub(r"\s", "", old) == re.sub(r"\s", "", "".join(before))
    assert re.sub(r"\s", "", new) == re.sub(r"\s", "", "".join(after))


def test_a_difference_of_huge_unlike_texts_is_bounded() -> None:
    before = [" ".join("ab"[(n * n // 7) % 2] for n in range(60_000))]
    after = [" ".join("ab"[(n * n // 11) % 2] for n in range(60_000))]
    budget = difference._Budget(difference.STEPS)
    list(difference._pieces(difference._tokens(before), difference._tokens(after), budget))
    assert budget.left > -3 * 120_000


@pytest.mark.parametrize(
    ("first", "last", "kind", "count"),
    [
        (date(2026, 1, 1), date(2026, 1, 1), "day", 1),
        (date(2026, 1, 1), date(2026, 2, 28), "day", 59),
        (date(2026, 1, 1), date(2026, 12, 31), "week", 53),
        (date(2023, 11, 5), date(2026, 1, 2), "month", 27),
        (date(1996, 1, 1), date(2026, 1, 1), "year", 31),
        (date(1, 1, 1), date(2026, 1, 1), "year", 62),
        (date(2026, 12, 1), date(2026, 12, 31), "day", 31),
    ],
)
def test_the_plot_has_few_enough_bars_whatever_the_time(first: date, last: date, kind: str, count: int) -> None:
    found, spans = plot.spans(first, last)
    assert (found, len(spans)) == (kind, count)
    assert spans[-1].start <= last < spans[-1].end


@pytest.mark.parametrize("first", [date(9999, 12, 1), date(9999, 1, 1), date(9995, 1, 1), date(2026, 1, 1)])
def test_a_forged_record_at_the_end_of_the_calendar_does_not_hide_the_plot(first: date) -> None:
    _, spans = plot.spans(first, date(9999, 12, 31))
    assert spans[-1].start <= spans[-1].end == date.max
