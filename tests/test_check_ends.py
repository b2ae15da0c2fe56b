"""However a visit ends, `check` finds its archive whole: the answers on its way are of other addresses than its end."""

from __future__ import annotations

from cli import Cli


def test_an_archive_of_visits_that_ended_on_their_way_is_whole(cli: Cli) -> None:
    site = cli.site
    ends = {
        "/to-no-host": "http://nohost.invalid/x",  # no such name
        "/to-nobody": "http://site.test:8080/x",  # refused, for nobody listens there
        "/to-inside": "http://10.0.0.1/x",  # not public
        "/to-a-port": "http://a.test:25/x",  # not a port of the web
        "/to-forbidden": site.url("/x", "b.test"),  # robots.txt
        "/to-held": site.url("/x", "c.test"),  # Retry-After
        "/to-elsewhere": "ftp://d.test/x",  # not of the web
        "/to-itself": site.url("/to-itself"),
    }
    site.reply("/robots.txt", "b.test", body=b"User-agent: *\nDisallow: /\n")
    site.reply("/x", "c.test", status=503, headers={"Retry-After": "3600"})
    for path, end in ends.items():
        site.reply(path, status=302, headers={"Location": end}, body=b"on the way")
    cli.settings |= {"max_tries": 1, "connect_seconds": 2.0, "resolve": ("site.test:8080=127.0.0.1:9",)}
    cli.citing(*map(site.url, ends))
    assert cli.run("run").returncode == 3
    states = cli.ledger()
    assert len(states) == len(ends)
    assert not any(shown.startswith(("captured", "pending")) for shown in states.values())
    done = cli.run("check")
    assert (done.stdout, done.returncode) == ("", 0)
    assert cli.run("check", "--repair").returncode == 0
    assert cli.ledger() == states
