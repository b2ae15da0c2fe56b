"""Archive now, extract later: `extract.at_once = false`."""

from __future__ import annotations

from cli import Cli
from test_run import page


def texts(cli: Cli) -> list[str]:
    return sorted(path.suffix for path in (cli.archive / "collections/main/text").rglob("*.*") if path.is_file())


def test_a_run_that_is_to_archive_alone_makes_no_text_and_the_next_one_makes_them_all(cli: Cli) -> None:
    urls = [page(cli, f"/{number}", f"Title {number}") for number in range(2)]
    cli.citing(*urls)
    first = cli.run("run", "--set", "extract.at_once=false")
    assert (first.returncode, first.stderr, texts(cli)) == (0, "", [])
    assert cli.ledger() == dict.fromkeys(urls, "captured")
    assert cli.run("check").returncode == 0
    asked = len(cli.site.log)
    assert cli.run("run").returncode == 0
    assert (len(cli.site.log), texts(cli)) == (asked, [".json", ".json", ".md", ".md"])


def test_a_url_that_is_named_is_shown_while_the_texts_of_runs_wait(cli: Cli) -> None:
    cli.citing(page(cli, "/later"))
    assert cli.run("run", "--set", "extract.at_once=false").returncode == 0
    shown = cli.run("fetch", page(cli, "/now", "Shown now"), "--set", "extract.at_once=false")
    assert shown.returncode == 0
    assert "# Shown now" in shown.stdout
    assert texts(cli) == [".json", ".md"]


def archived_alone(cli: Cli, *paths: str) -> list[str]:
    urls = [page(cli, path, f"Title of {path}") for path in paths]
    cli.citing(*urls)
    assert cli.run("run", "--set", "extract.at_once=false").returncode == 0
    assert texts(cli) == []
    return urls


def test_extract_makes_the_texts_that_wait_of_one_page_or_of_all(cli: Cli) -> None:
    first, _ = archived_alone(cli, "/a", "/b")
    asked = len(cli.site.log)
    assert cli.run("extract", first).returncode == 0
    assert texts(cli) == [".json", ".md"]
    assert "# Title of /a" in cli.run("show", first).stdout
    assert cli.lines("extract", "--all", "--if-older") == [{"captures": 2, "current": 1, "written": 1, "pruned": 0}]
    assert texts(cli) == [".json", ".json", ".md", ".md"]
    assert [hit["title"] for hit in cli.lines("search", "Title")] == ["Title of /b", "Title of /a"]
    assert cli.run("check").returncode == 0
    assert len(cli.site.log) == asked


def test_show_and_status_say_that_texts_wait_and_which_command_makes_them(cli: Cli) -> None:
    url, _ = archived_alone(cli, "/a", "/b")
    assert f"waiting: `scraper extract {url}` makes it" in cli.run("show", url).stdout
    assert cli.run("status").stdout.splitlines()[-1].startswith("texts waiting: 2 ")
    assert cli.lines("status")[-1]["ledger"]["texts_waiting"] == 2
    cli.run("extract", "--all")
    assert "waiting" not in cli.run("show", url).stdout + cli.run("status").stdout


def test_what_is_fetched_by_name_is_shown_even_if_it_is_unchanged_and_its_text_waited(cli: Cli) -> None:
    url, _ = archived_alone(cli, "/a", "/b")
    shown = cli.run("fetch", url, "--set", "extract.at_once=false")
    assert (shown.returncode, "# Title of /a" in shown.stdout) == (0, True)
    assert cli.ledger()[url] == "unchanged"
    assert texts(cli) == [".json", ".md"]
