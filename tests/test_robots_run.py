"""robots.txt end to end: what one `scraper run` makes of every answer that a server can give to it."""

from __future__ import annotations

import gzip
import itertools
import json
import sqlite3
import time

import pytest
from cli import ENVIRONMENT, Cli
from fetching import captures, fetch_all
from memory import measured
from server import Connection, Seen, Site

from scraper import urls
from scraper.fetcher import permission

RULES = b"User-agent: *\nDisallow: /no\n"
SHUT_ALL = b"User-agent: *\nDisallow: /\n"
OBEYED = ("captured", "excluded(robots)")
FREE = ("captured", "captured")
UNREACHABLE = ("failed(robots unreachable)", "failed(robots unreachable)")

# Kept as they came, with one object for each pattern, these would take 5 MB each.
HOSTILE = 40
MOST_MB = 300

# Host -> (the answer to /robots.txt, the states of /page and of /no/page).
ANSWERS: dict[str, tuple[dict[str, object], tuple[str, str]]] = {
    "s200": ({"body": RULES}, OBEYED),
    "s204": ({"status": 204}, FREE),
    **{f"s{status}": ({"status": status, "body": SHUT_ALL}, FREE) for status in (400, 401, 403, 404, 410, 429, 451)},
    **{f"s{status}": ({"status": status, "body": b""}, UNREACHABLE) for status in (500, 502, 503)},
    "empty": ({"body": b""}, FREE),
    "html": ({"body": b"<!doctype html><p>Disallow: /</p>", "headers": {"Content-Type": "text/html"}}, FREE),
    "mislabelled": ({"body": RULES, "headers": {"Content-Type": "text/html"}}, OBEYED),
    "garbage": ({"body": bytes(range(256)) * 40}, FREE),
    "gzipped": ({"body": gzip.compress(RULES), "headers": {"Content-Encoding": "gzip"}}, OBEYED),
    "chunked": ({"chunks": [RULES[:9], RULES[9:]]}, OBEYED),
    "utf16": ({"body": RULES.decode().encode("utf-16")}, OBEYED),
    "bom-cr": ({"body": b"\xef\xbb\xbf" + RULES.replace(b"\n", b"\r")}, OBEYED),
    "nothing-forbidden": ({"body": b"User-agent: *\nDisallow:\n"}, FREE),
    "ours": ({"body": SHUT_ALL + b"User-agent: Scraper\nDisallow: /no\nCrawl-delay: 0.2\n"}, OBEYED),
    "others": ({"body": b"User-agent: scraperbot\nDisallow: /\n"}, FREE),
    "torn": ({"raw": b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n" + RULES, "close": True}, UNREACHABLE),
    "slow": ({"body": RULES, "delay": 4.0}, UNREACHABLE),
}  # fmt: skip


def test_every_answer_to_robots_txt_means_what_the_rfc_says(cli: Cli) -> None:
    site, expected = cli.site, {}
    cli.settings = {"max_tries": 1, "deadline_seconds": 2.0, "parallel_hosts": 32}
    for case, (answer, states) in ANSWERS.items():
        host = f"{case}.test"
        site.reply("/robots.txt", host=host, **answer)
        for path, state in zip(("/page", "/no/page"), states, strict=True):
            site.reply(path, host=host, body=b"<p>page")
            expected[site.url(path, host=host)] = state
    site.behave("/robots.txt", lambda connection, _seen: connection.reset(), host="reset.test")
    expected[site.url("/page", host="reset.test")] = "failed(reset)"
    cli.citing(*expected)
    cli.run("run")
    found = cli.ledger()
    # What is cut off or late is called what it was; that nothing is asked but the robots.txt is what counts.
    for case in ("slow", "torn", "reset"):
        assert site.paths() and not [
            seen for seen in site.log if seen.host == f"{case}.test" and seen.path != "/robots.txt"
        ]
        for url in [url for url in found if f"//{case}.test/" in url]:
            assert found.pop(url).startswith("failed(")
            del expected[url]
    assert found == expected
    # Each robots.txt was asked for once, and is archived like any page.
    assert len(site.seen("/robots.txt")) == len(ANSWERS) + 1
    shown = cli.run("show", site.url("/robots.txt", host="s200.test")).stdout
    assert "captured" in shown
    assert cli.run("check").returncode == 0


def test_redirects_are_followed_to_the_fifth_also_to_another_host(cli: Cli) -> None:
    site = cli.site
    for host, hops in (("five.test", 5), ("six.test", 6)):
        for hop in range(hops):
            path = f"/r{hop}" if hop else "/robots.txt"
            site.reply(path, host=host, status=301, headers={"Location": site.url(f"/r{hop + 1}", host=host)})
        site.reply(f"/r{hops}", host=host, body=SHUT_ALL)
        site.reply("/page", host=host, body=b"x")
    site.reply("/robots.txt", host="away.test", status=302, headers={"Location": site.url("/rules", host="there.test")})
    site.reply("/rules", host="there.test", body=SHUT_ALL)
    site.reply("/page", host="away.test", body=b"x")
    urls = [site.url("/page", host=host) for host in ("five.test", "six.test", "away.test")]
    cli.citing(*urls)
    cli.run("run")
    # RFC 9309, 2.3.1.2: more than five may be taken for a file that is unavailable, which allows all.
    assert cli.ledger() == dict(zip(urls, ["excluded(robots)", "captured", "excluded(robots)"], strict=True))


def test_each_scheme_has_a_robots_txt_of_its_own(cli: Cli) -> None:
    site = cli.site

    def by_scheme(connection: Connection, seen: Seen) -> None:
        body = SHUT_ALL if seen.tls else RULES
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    site.behave("/robots.txt", by_scheme)
    site.reply("/page", body=b"x")
    plain, secure = site.url("/page"), site.url("/page", scheme="https")
    cli.citing(plain, secure)
    cli.run("run")
    assert cli.ledger() == {plain: "captured", secure: "excluded(robots)"}
    assert len(site.seen("/robots.txt")) == 2


@pytest.mark.parametrize(("hours", "states"), [(23, OBEYED), (25, UNREACHABLE)])
def test_the_last_good_copy_serves_a_day_and_no_longer(cli: Cli, hours: int, states: tuple[str, str]) -> None:
    site = cli.site
    cli.settings = {"max_tries": 1, "robots_hours": 1}
    site.replies("/robots.txt", [{"body": RULES}, {"status": 503}])
    site.reply("/first", body=b"x")
    cli.citing(site.url("/first"), name="a.txt")
    assert cli.run("run").returncode == 0
    database = sqlite3.connect(cli.archive / "state.sqlite3")
    then = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() - 3600 * hours))
    changed = database.execute("UPDATE hosts SET robots_at = ? WHERE robots_at IS NOT NULL", (then,)).rowcount
    database.commit()
    database.close()
    assert changed == 1
    for path in ("/page", "/no/page"):
        site.reply(path, body=b"x")
    cli.citing(site.url("/page"), site.url("/no/page"), name="b.txt")
    cli.run("run")
    ledger = cli.ledger()
    assert (ledger[site.url("/page")], ledger[site.url("/no/page")]) == states
    assert len(site.seen("/robots.txt")) == 2


def test_a_robots_txt_of_two_gigabytes_is_left_at_500_kib(cli: Cli) -> None:
    site, sent = cli.site, [0]
    rest = b"# and so on\n" * 5000

    def endless(connection: Connection, _seen: Seen) -> None:
        connection.closing = True
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n" + RULES)
        while sent[0] < 2**31:
            connection.send(rest)
            sent[0] += len(rest)

    site.behave("/robots.txt", endless, host="endless.test")
    urls = {
        site.url("/page", host="endless.test"): "captured",
        site.url("/no/page", host="endless.test"): "excluded(robots)",
    }
    site.reply("/page", host="endless.test", body=b"x")
    cli.citing(*urls)
    cli.run("run")
    assert cli.ledger() == urls
    assert sent[0] < 2**26  # what socket buffers hold


def test_a_crawl_delay_below_a_second_is_kept_by_its_own_group_only(cli: Cli) -> None:
    site = cli.site
    body = b"User-agent: *\nCrawl-delay: 9\nDisallow: /x\n\nUser-agent: scraper\nDisallow: /x\nCrawl-delay: 0.4\n"
    site.reply("/robots.txt", body=body)
    urls = [site.url(f"/{number}") for number in range(3)]
    for number in range(3):
        site.reply(f"/{number}", body=json.dumps(number).encode())
    cli.citing(*urls)
    started = time.monotonic()
    cli.run("run")
    assert cli.ledger() == dict.fromkeys(urls, "captured")
    times = [(seen.at, seen.answered_at) for seen in site.log]
    assert all(later[0] - earlier[1] >= 0.4 for earlier, later in itertools.pairwise(times))
    assert time.monotonic() - started < 4 * 9


def test_hundreds_of_hostile_robots_txt_fill_no_memory_and_are_all_obeyed(cli: Cli) -> None:
    site, expected = cli.site, {}
    lines = b"User-agent: *\nDisallow: /no\n" + b"".join(b"allow:/%x\n" % number for number in range(60_000))
    packed = gzip.compress(lines[: 500 * 1024], 9)
    for number in range(HOSTILE):
        host = f"h{number}.test"
        site.reply("/robots.txt", host=host, body=packed, headers={"Content-Encoding": "gzip"})
        for path in ("/no", "/1"):
            expected[site.url(path, host=host)] = "excluded(robots)" if "no" in path else "captured"
            site.reply(path, host=host, body=f"{host}{path}".encode())
    cli.citing(*expected)
    got = measured(cli.command("run"), env=ENVIRONMENT, cwd=cli.folder)
    print(f"{HOSTILE} hostile robots.txt: {got.peak_mb:.0f} MB, {got.cpu_seconds:.0f} s of processor")
    assert (got.returncode, got.stderr) == (0, "")
    assert got.peak_mb < MOST_MB
    assert cli.ledger() == expected
    assert len(site.seen("/robots.txt")) == HOSTILE


@pytest.mark.parametrize("largest", [0, 1 << 20], ids=["packed", "as objects"])
def test_rules_that_lost_their_room_are_obeyed_and_not_asked_for_again(
    site: Site, monkeypatch: pytest.MonkeyPatch, largest: int
) -> None:
    monkeypatch.setattr(permission, "_RULES_BUDGET_BYTES", 1)
    monkeypatch.setattr(permission, "_LARGEST_UNPACKED_BYTES", largest)
    rules = "User-agent: *\nDisallow: /no\nAllow: /no/but\nDisallow: /sn%C3%B6\nCrawl-delay: 0.3\n"
    site.reply("/robots.txt", body=rules.encode())
    expected = {}
    for path in ("/1", "/no", "/no/but", "/sn\N{LATIN SMALL LETTER O WITH DIAERESIS}", "/2"):
        for number in range(6):
            site.reply(path, host=f"h{number}.test", body=f"{number}{path}".encode())
            href = urls.target(site.url(path, host=f"h{number}.test")).href
            expected[href] = "excluded(robots)" if path in ("/no",) or "sn" in path else "captured"
    kept = captures(fetch_all(site.settings(), expected))
    assert {href: str(capture.outcome) for href, capture in kept.items()} == expected
    assert len(site.seen("/robots.txt")) == 6
    # Nor is the pace forgotten with them.
    for number in range(6):
        ours = [seen for seen in site.log if seen.host == f"h{number}.test"]
        assert all(later.at - earlier.answered_at >= 0.3 for earlier, later in itertools.pairwise(ours))
