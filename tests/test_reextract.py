"""Extraction again: from the archive alone, in the order of the WARCs, told before it is kept."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import brotlicffi  # type: ignore[import-untyped]
import foreign
import pytest
from cli import ENVIRONMENT, Cli, until
from hypothesis import given
from hypothesis import strategies as st
from server import Site

from scraper.model import Location, SiteRules
from scraper.pipeline.comparing import Change, Comparison, Verdict, changed_words, compared
from scraper.pipeline.making import rules_digest
from scraper.state import StateReader

MANY = 24  # pages: more than a batch
NO_NETWORK = """
import socket
def refused(*_, **__):
    raise RuntimeError("the network was touched")
socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = socket.socket.bind = refused
socket.getaddrinfo = socket.create_connection = socket.gethostbyname = refused
"""
NEWER = """
import scraper.extractor as extractor
before = extractor.extract
def extract(*arguments, **options):
    from dataclasses import replace
    article = before(*arguments, **options)
    return replace(article, title=(article.title or "") + " (better)", section="News")
extractor.VERSION, extractor.extract = "2", extract
"""
FAILING = """
import os, scraper.extractor as extractor
before = extractor.extract
def extract(body, url, **options):
    if "b.test" in url:
        {how}
    return before(body, url, **options)
extractor.VERSION, extractor.extract = "2", extract
"""


def page(title: str, text: str) -> bytes:
    sentences = (f"{text} {number}. A sentence follows that makes it long enough." for number in range(6))
    paragraphs = "".join(f"<p>{sentence}</p>" for sentence in sentences)
    html = f"<!doctype html><html><head><title>{title}</title></head><body><article><h1>{title}</h1>{paragraphs}"
    return f"{html}</article></body></html>".encode()


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two archives which runs have made: `few` of three pages, and `many`."""
    folder = tmp_path_factory.mktemp("archives")
    site = Site()
    site.open(tmp_path_factory.mktemp("served"))
    site.reply("/fire", body=page("Siberia burns", "Volunteers fight the taiga fires"), host="a.test")
    site.reply("/law", body=page("A new law", "The parliament has voted"), host="b.test")
    site.reply("/same", body=page("A new law", "The parliament has voted"), host="c.test")
    for n in range(MANY):
        site.reply(f"/{n}", body=page(f"Page {n}", f"The text number {n} is its own"))
    pages = ("http://a.test/fire", "http://b.test/law", "http://c.test/same")
    for name, cited in (("few", pages), ("many", [f"http://a.test/{n}" for n in range(MANY)])):
        cli = Cli(folder / name, site)
        cli.folder.mkdir()
        cli.citing(*cited)
        assert cli.run("run").returncode == 0
    site.close()
    return folder


@pytest.fixture
def archived(archives: Path, cli: Cli) -> Cli:
    shutil.copytree(archives / "few", cli.folder, dirs_exist_ok=True)
    return cli


def patched(cli: Cli, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a verb in processes which begin with some code, the workers too."""
    folder = cli.folder / "patches"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(code)
    environment = {**ENVIRONMENT, "PYTHONPATH": str(folder)}
    return subprocess.run(
        cli.command(*arguments), capture_output=True, text=True, timeout=120, env=environment, cwd=cli.folder
    )


def files(cli: Cli) -> dict[str, bytes]:
    folder = cli.archive / "collections" / "main" / "text"
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.*")) if path.is_file()}


def everything(cli: Cli) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(cli.archive.rglob("*")) if path.is_file()}


def text_of(cli: Cli, host: str) -> dict[str, Any]:
    (name,) = (name for name in files(cli) if name.startswith(host) and name.endswith(".json") and ".v" not in name)
    fields: dict[str, Any] = json.loads(files(cli)[name])
    return fields


def test_the_same_version_gives_the_same_bytes_without_one_request(archived: Cli, site: Site) -> None:
    before, asked = files(archived), len(site.log)
    assert len(before) == 6
    for file in list((archived.archive / "collections" / "main" / "text").rglob("*.json")):
        file.write_text("{}")
    done = patched(archived, NO_NETWORK, "extract", "--all", "--verbose")
    assert done.returncode == 0, done.stderr
    assert files(archived) == before
    assert "3 of 3 captures extracted: 3 written" in done.stderr
    assert len(site.log) == asked
    assert "RuntimeError" in patched(archived, NO_NETWORK, "fetch", "http://a.test/fire").stderr
    again = patched(archived, NO_NETWORK, "extract", "--all", "--verbose")
    assert "3 of 3 captures extracted: 3 same" in again.stderr


def test_a_text_names_extractor_rules_and_the_record_it_came_from(archived: Cli) -> None:
    fields = text_of(archived, "a.test")
    assert (fields["extractor"], fields["rules"]) == ("1", None)
    with StateReader.open_for_reading(archived.archive) as state:
        (job,) = state.text_captures(["http://a.test/fire"])
    assert Location(**{"warc": fields["warc"].pop("file"), **fields["warc"]}) == job.page
    digests = [rules_digest([SiteRules(("a.test",), title=title)]) for title in ("h1", "h1", "h2")]
    assert digests[0] == digests[1] != digests[2]


def test_a_newer_version_keeps_the_older_text_beside_it_until_prune(archived: Cli) -> None:
    before = files(archived)
    done = patched(archived, NEWER, "extract", "--all", "--if-older", "--verbose")
    assert "3 written" in done.stderr
    after = files(archived)
    assert len(after) == 12
    kept = {name.replace(".v1.", "."): data for name, data in after.items() if ".v1." in name}
    assert kept == before
    fields = text_of(archived, "a.test")
    assert (fields["extractor"], fields["article"]["title"]) == ("2", "Siberia burns (better)")
    pages = (archived.archive / "collections" / "main" / "pages" / "pages.jsonl").read_text()
    assert pages.count("(better)") == 3
    assert [row["url"] for row in archived.lines("search", "siberia better")] == ["http://a.test/fire"]
    assert archived.lines("show", "http://a.test/fire")[0]["title"] == "Siberia burns (better)"
    assert "3 current" in patched(archived, NEWER, "extract", "--all", "--if-older", "--verbose").stderr
    assert archived.run("check").stdout == ""
    pruned = patched(archived, NEWER, "extract", "--all", "--if-older", "--prune")
    assert pruned.returncode == 0
    assert sorted(files(archived)) == sorted(before)
    # An older extractor leaves alone what a newer one has made.
    assert "3 current" in archived.run("extract", "--all", "--if-older", "--verbose").stderr


def test_other_site_rules_make_only_the_texts_of_their_host_again(archived: Cli) -> None:
    rules = archived.folder / "sites"
    rules.mkdir()
    (rules / "a.test.toml").write_text('hosts = ["a.test"]\ntitle = "p"\n')
    arguments = ("extract", "--all", "--if-older", "--verbose", "--set", f"sites={rules}")
    assert "2 current, 1 written" in archived.run(*arguments).stderr
    fields = text_of(archived, "a.test")
    assert fields["article"]["title"].startswith("Volunteers fight")
    assert len(fields["rules"]) == 64
    assert len([name for name in files(archived) if ".v1." in name]) == 2
    assert "3 current" in archived.run(*arguments).stderr


def test_a_comparison_tells_every_field_and_writes_nothing(archived: Cli) -> None:
    before = everything(archived)
    done = patched(archived, NEWER, "extract", "--all", "--diff", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows[-1]["captures"] == 3
    assert rows[-1]["fields"]["title"] == {"changed": 3}
    assert rows[-1]["fields"]["section"] == {"gained": 3}
    assert rows[-1]["fields"]["text"] == {"equal": 3}
    told = {row["url"]: row["fields"] for row in rows[:-1]}
    assert told["http://a.test/fire"]["title"] == {
        "verdict": "changed",
        "was": "Siberia burns",
        "now": "Siberia burns (better)",
    }
    shown = patched(archived, NEWER, "extract", "--all", "--diff").stdout
    assert "title                0        3        0        0" in shown
    assert "  - Siberia burns\n  + Siberia burns (better)" in shown
    assert everything(archived) == before


def test_only_the_named_urls_are_extracted_and_an_unknown_one_is_refused(archived: Cli) -> None:
    assert "1 of 1 captures" in patched(archived, NEWER, "extract", "http://a.test/fire", "--verbose").stderr
    assert [text_of(archived, host)["extractor"] for host in ("a.test", "b.test")] == ["2", "1"]
    unknown = archived.run("extract", "http://a.test/other")
    assert unknown.returncode == 2
    assert "no capture of it can have a text" in unknown.stderr
    assert archived.run("extract").returncode == 2
    assert archived.run("extract", "--all", "--diff", "--prune").returncode == 2


def test_a_bug_on_one_page_is_loud_but_only_after_the_others_were_done(archived: Cli) -> None:
    done = patched(archived, FAILING.format(how='raise ZeroDivisionError("a bug")'), "extract", "--all")
    assert done.returncode == 1
    assert "ZeroDivisionError: a bug" in done.stderr
    assert "http://b.test/law: the extractor failed on it" in done.stderr
    assert [text_of(archived, host)["extractor"] for host in ("a.test", "b.test", "c.test")] == ["2", "1", "2"]


def test_a_page_that_kills_its_process_costs_only_its_own_text(archived: Cli) -> None:
    done = patched(archived, FAILING.format(how="os._exit(9)"), "extract", "--all")
    assert done.returncode == 5
    assert "http://b.test/law: the process died on it; its text stays" in done.stderr
    assert [text_of(archived, host)["extractor"] for host in ("a.test", "b.test", "c.test")] == ["2", "1", "2"]


def test_a_record_that_is_damaged_keeps_its_text(archived: Cli) -> None:
    before = text_of(archived, "a.test")
    with StateReader.open_for_reading(archived.archive) as state:
        (job,) = state.text_captures(["http://a.test/fire"])
    (warc,) = (archived.archive / "collections" / "main" / "archive").glob("*.warc.gz")
    with warc.open("r+b") as file:
        file.seek(job.page.offset + job.page.length // 2)
        file.write(b"damage")
    done = patched(archived, NEWER, "extract", "--all")
    assert done.returncode == 5
    assert "http://a.test/fire: its record in" in done.stderr
    assert text_of(archived, "a.test") == before


def test_the_captures_of_other_tools_are_extracted_again_from_their_files(cli: Cli) -> None:
    records = [
        foreign.info(),
        foreign.record(foreign.http(foreign.page()), "http://a.test/plain"),
        foreign.record(
            foreign.http(brotlicffi.compress(foreign.page("Beavers return")), "Content-Encoding: br"),
            "http://a.test/packed",
        ),
        foreign.record(
            foreign.http(foreign.page("Storks return"), "transfer-encoding: chunked", status="HTTP/2 200"),
            "<http://a.test/unchunked>",
        ),
    ]
    (cli.folder / "members.warc.gz").write_bytes(foreign.members(records))
    (cli.folder / "plain.warc").write_bytes(
        foreign.record(foreign.http(foreign.page("Cranes return")), "http://b.test/")
    )
    assert cli.run("import", "members.warc.gz", "plain.warc").returncode == 0
    folder = cli.archive / "collections" / "imported"
    before = {path: path.read_bytes() for path in (folder / "text").rglob("*.*") if path.is_file()}
    assert len(before) == 8
    same = patched(cli, NO_NETWORK, "extract", "--all", "--verbose")
    assert "4 of 4 captures extracted: 4 same" in same.stderr
    warcs = {path: path.read_bytes() for path in (folder / "archive").iterdir()}
    done = patched(cli, NO_NETWORK + NEWER, "extract", "--all", "--verbose")
    assert "4 of 4 captures extracted: 4 written" in done.stderr
    assert {path: path.read_bytes() for path in (folder / "archive").iterdir()} == warcs
    titles = {json.loads(path.read_bytes())["article"]["title"] for path in before if path.suffix == ".json"}
    assert titles == {f"{animals} return (better)" for animals in ("Otters", "Beavers", "Storks", "Cranes")}
    assert [row["url"] for row in cli.lines("search", "beavers better")] == ["http://a.test/packed"]


def test_captures_that_share_a_text_are_one_job_and_the_first_of_them_gives_it(cli: Cli) -> None:
    moved = foreign.record(
        foreign.http(b"", "Location: /b", status="HTTP/1.1 301 Moved"), "http://a.test/a", at="2019-09-09T12:02:59Z"
    )
    goal = foreign.record(foreign.http(foreign.page()), "http://a.test/b")
    (cli.folder / "one.warc.gz").write_bytes(foreign.members([moved, goal]))
    (cli.folder / "two.warc").write_bytes(goal)
    assert cli.run("import", "one.warc.gz", "two.warc").returncode == 0
    first = min(path.name for path in (cli.archive / "collections/imported/archive").glob("*.warc*[zc]"))
    assert cli.run("rebuild").returncode == 0
    rebuilt = {name: data for name, data in everything(cli).items() if "/text/" in name}
    for _ in range(2):
        done = cli.run("extract", "--all", "--verbose")
        assert (done.returncode, "1 of 1 captures extracted: 1 same" in done.stderr) == (0, True)
    assert {name: data for name, data in everything(cli).items() if "/text/" in name} == rebuilt
    (text,) = (json.loads(data) for name, data in rebuilt.items() if name.endswith(".json"))
    assert text["warc"]["file"] == first
    with StateReader.open_for_reading(cli.archive) as state:
        rows = [(row["href"], row["text_path"] is not None, row["title"]) for row in state.visits()]
    assert rows == [(href, True, "Otters return") for href in ("http://a.test/a", "http://a.test/b", "http://a.test/b")]


WORKER = """
import sys, scraper.__main__, scraper.pipeline.making, scraper.pipeline.reextract, scraper.pipeline.workers
print(*sys.modules)
"""


def test_a_worker_that_makes_texts_loads_no_network_and_no_command_line() -> None:
    done = subprocess.run([sys.executable, "-c", WORKER], capture_output=True, text=True, timeout=120, check=True)
    loaded = set(done.stdout.split())
    assert "scraper.pipeline.reextract" in loaded
    assert loaded & {"httpx", "httpcore", "asyncio", "ssl", "click", "scraper.pipeline.verbs"} == set()


SLOW = NEWER.replace(
    "    from dataclasses import replace\n", "    import time; time.sleep(0.5)\n    from dataclasses import replace\n"
)


def started_slowly(cli: Cli) -> subprocess.Popen[str]:
    """An extraction with half a second a page, which has just written its first text."""
    folder = cli.folder / "patches"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SLOW)
    process = subprocess.Popen(
        cli.command("extract", "--all"), stderr=subprocess.PIPE, text=True, cwd=cli.folder,
        env={**ENVIRONMENT, "PYTHONPATH": str(folder)}, start_new_session=True,
    )  # fmt: skip
    until(lambda: any(name.endswith(".v1.json") for name in files(cli)))
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_workers_wrote_and_told_nobody_is_found_after_the_next_run(archived: Cli, number: signal.Signals) -> None:
    process = started_slowly(archived)
    os.killpg(process.pid, number)
    process.communicate(timeout=60)
    written = len([name for name in files(archived) if name.endswith(".v1.json")])
    assert written > 0
    assert archived.lines("search", "better") == []
    assert archived.run("run").returncode == 0
    assert len(archived.lines("search", "better")) == written


def test_a_list_of_pages_that_is_missing_is_told_and_made_again(archived: Cli) -> None:
    pages: Path = archived.archive / "collections" / "main" / "pages" / "pages.jsonl"
    before: bytes = pages.read_bytes()
    pages.unlink()
    pages.parent.rmdir()
    done = archived.run("check")
    assert (done.returncode, "pages.jsonl: this list of pages is missing" in done.stdout) == (5, True)
    assert archived.run("extract", "--all", "--if-older").returncode == 0
    assert pages.read_bytes() == before
    assert archived.run("check").stdout == ""


def test_extraction_makes_a_search_index_that_is_missing(archived: Cli) -> None:
    (archived.archive / "collections" / "main" / "search.sqlite3").unlink()
    assert archived.run("extract", "http://a.test/fire").returncode == 0
    assert len(archived.lines("search", "sentence")) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_cleanly_and_the_next_one_goes_on(archives: Path, cli: Cli, number: signal.Signals) -> None:
    shutil.copytree(archives / "many", cli.folder, dirs_exist_ok=True)
    process = started_slowly(cli)
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Traceback" not in said
    done = len([name for name in files(cli) if name.endswith(".v1.json")])
    assert 0 < done < MANY
    assert patched(cli, NEWER, "extract", "--all", "--if-older").returncode == 0
    assert len([name for name in files(cli) if name.endswith(".v1.json")]) == MANY
    assert len(cli.lines("search", "better", "--limit", "100")) == MANY
    assert cli.run("check").stdout == ""


def test_the_changed_words_of_a_text_are_told() -> None:
    assert changed_words("the quick brown fox", "the slow brown fox") == ("quick", "slow")
    assert changed_words("a b c", "a b c d") == ("", "d")
    assert changed_words("one x two y three", "one two three") == ("x … y", "")


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_equal_texts_and_only_those_have_no_changed_words(old: list[str], new: list[str]) -> None:
    assert (changed_words(" ".join(old), " ".join(new)) == ("", "")) == (old == new)


def test_a_field_is_equal_changed_gained_or_lost() -> None:
    before: dict[str, Any] = {
        "title": "Old",
        "byline": None,
        "section": "News",
        "authors": [],
        "published": {"iso": "2019"},
    }
    after = {"title": "New", "byline": "A. B.", "section": "", "authors": None, "published": {"iso": "2019"}}
    assert compared(before, after) == (
        Change("title", Verdict.CHANGED, "Old", "New"),
        Change("byline", Verdict.GAINED, "", "A. B."),
        Change("section", Verdict.LOST, "News", ""),
    )
    comparison = Comparison()
    comparison.add("https://a.example/", "2019-09-09T00:00:00Z", compared(before, after))
    assert {name: dict(counts) for name, counts in comparison.counts.items() if Verdict.EQUAL not in counts} == {
        "title": {Verdict.CHANGED: 1},
        "byline": {Verdict.GAINED: 1},
        "section": {Verdict.LOST: 1},
    }
