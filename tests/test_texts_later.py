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
