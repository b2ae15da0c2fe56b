"""What politeness leaves in the state: the next run, started by cron, goes on where the last one ended."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

from cli import Cli


def of_host(cli: Cli, host: str = "site.test") -> dict[str, Any]:
    """What the state remembers of a host."""
    with closing(sqlite3.connect(cli.archive / "state.sqlite3")) as db:
        db.row_factory = sqlite3.Row
        return dict(db.execute("SELECT * FROM hosts WHERE host = ?", (host,)).fetchone())


def rest_is_over(cli: Cli) -> None:
    """Let the time pass for which a host is left alone."""
    past = (datetime.now(UTC) - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    with closing(sqlite3.connect(cli.archive / "state.sqlite3")) as db:
        db.execute("UPDATE hosts SET not_before = ?", (past,))
        db.execute("UPDATE targets SET due_at = ? WHERE due_at IS NOT NULL", (past,))
        db.commit()


def test_a_dead_host_is_shown_in_status_and_the_next_runs_hardly_ask_it(cli: Cli) -> None:
    cli.settings = {"max_tries": 2}
    for number in range(8):
        cli.site.reply(f"/{number}", status=500)
    cli.citing(*(cli.site.url(f"/{number}") for number in range(8)))
    assert cli.run("run").returncode == 3
    assert len(cli.site.log) == 1 + 3 * 2
    status = cli.run("status").stdout
    assert "failed           3   http 500 3" in status
    assert "deferred         5   host down 5" in status

    assert cli.run("run").returncode == 0
    assert len(cli.site.log) == 7
    assert of_host(cli)["failures"] == 3

    rest_is_over(cli)
    cli.run("run")
    assert len(cli.site.log) == 8
    assert of_host(cli)["failures"] == 4

    rest_is_over(cli)
    for number in range(8):
        cli.site.reply(f"/{number}", body=b"back again")
    assert cli.run("run").returncode == 0
    assert set(cli.ledger().values()) == {"captured"}
    assert of_host(cli)["failures"] == 0
    assert cli.run("check").returncode == 0


def test_a_host_that_goes_down_is_said_once_with_what_is_put_off_and_until_when(cli: Cli) -> None:
    def warnings(*names: str) -> list[str]:
        said = [json.loads(line)["message"] for line in cli.run("run", *names).stderr.splitlines()]
        return [message for message in said if " is down " in message]

    for number in range(8):
        cli.site.reply(f"/{number}", status=500)
    cli.settings = {"max_tries": 1}
    cli.citing(*(cli.site.url(f"/{number}") for number in range(8)), cli.site.url("/good", host="b.test"))
    cli.site.reply("/good", host="b.test", body=b"x")
    (said,) = warnings()
    until = datetime.strptime(of_host(cli)["not_before"], "%Y-%m-%dT%H:%M:%S.%f%z")
    assert until > datetime.now(UTC) + timedelta(minutes=25)
    shown = f"{until:%Y-%m-%d %H:%M:%S} UTC"
    what = "down after 3 failures in a row (http 500); its 5 other URLs are put off until"
    assert said == f"site.test is {what} {shown}"
    line = f"host down                  site.test   3 failures in a row; left alone until {shown}"
    for flags in ((), ("--verbose",)):
        assert [row for row in cli.run("status", *flags).stdout.splitlines() if "in a row" in row] == [line]
    assert [(down["host"], down["failures"]) for down in cli.lines("status")[-1]["hosts_down"]] == [("site.test", 3)]
    # While it rests, also when it is cited anew, and when it is found to be down still: it was said.
    assert warnings() == []
    cli.citing(cli.site.url("/9"), name="new.txt")
    assert warnings() == []
    rest_is_over(cli)
    assert "in a row" not in cli.run("status").stdout
    assert warnings() == []
    assert of_host(cli)["failures"] == 4
    # It comes back, and goes down a second time: that is news.
    rest_is_over(cli)
    for number in range(10):
        cli.site.reply(f"/{number}", body=b"back %d" % number)
    assert warnings() == []
    assert set(cli.ledger().values()) == {"captured"}
    cli.citing(*(cli.site.url(f"/gone/{number}") for number in range(4)), name="gone.txt")
    for number in range(4):
        cli.site.behave(f"/gone/{number}", lambda connection, _seen: connection.reset())
    (said,) = warnings()
    assert said.startswith("site.test is down after 3 failures in a row (reset); its other URL is put off until ")


def test_a_host_that_was_slowed_down_is_still_slow_in_the_next_run(cli: Cli) -> None:
    cli.settings = {"delay_seconds": 0.2, "robots": "ignore"}
    cli.site.replies("/0", [{"status": 429}, {"status": 503}, {"body": b"x"}])
    cli.site.reply("/1", body=b"y")
    cli.site.reply("/2", body=b"z")
    cli.citing(cli.site.url("/0"), name="one.txt")
    assert cli.run("run").returncode == 0
    assert of_host(cli)["slowdown"] == 3.6
    cli.citing(cli.site.url("/1"), cli.site.url("/2"), name="two.txt")
    assert cli.run("run").returncode == 0
    first, second = cli.site.seen("/1")[0], cli.site.seen("/2")[0]
    earlier, later = sorted((first, second), key=lambda seen: seen.at)
    assert later.at - earlier.answered_at >= 0.2 * 3.24
