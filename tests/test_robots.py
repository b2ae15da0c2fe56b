"""robots.txt: RFC 9309 to the letter, and cheap whatever the file holds."""

from __future__ import annotations

import gzip
import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fetching import captures, fetch, fetch_all
from hypothesis import given
from hypothesis import strategies as st
from server import Site

from scraper.fetcher import Fetched, robots
from scraper.model import Capture, HostMemory, Purpose, State

HOSTILE_CPU_SECONDS = 0.1


def allowed(text: str | bytes, path: str, product: str = "FooBot") -> bool:
    return robots.parse(text.encode() if isinstance(text, str) else text, product).allows(path)


GROUPS = """
allow: /foo/bar/

user-agent: FooBot
disallow: /
allow: /x/
user-agent: BarBot
disallow: /
allow: /y/


allow: /w/
user-agent: BazBot

user-agent: FooBot
allow: /z/
disallow: /
"""


@pytest.mark.parametrize(
    ("product", "path", "expected"),
    [
        ("FooBot", "/x/b", True),
        ("FooBot", "/z/d", True),
        ("FooBot", "/y/c", False),
        ("BarBot", "/y/c", True),
        ("BarBot", "/w/a", True),
        ("BarBot", "/z/d", False),
        ("BazBot", "/z/d", True),
        ("FooBot", "/foo/bar/", False),
        ("BarBot", "/foo/bar/", False),
        ("BazBot", "/foo/bar/", False),
        ("QuxBot", "/anything", True),
    ],
)
def test_groups_of_one_agent_are_merged_and_rules_outside_groups_ignored(
    product: str, path: str, expected: bool
) -> None:
    assert allowed(GROUPS, path, product) is expected


@pytest.mark.parametrize(
    ("rules", "path", "expected"),
    [
        ("disallow: /x/page.html|allow: /x/", "/x/page.html", False),
        ("allow: /x/page.html|disallow: /x/", "/x/page.html", True),
        ("allow: /x/page.html|disallow: /x/", "/x/", False),
        ("disallow:|allow:", "/x", True),
        ("disallow: /|allow: /", "/x", True),
        ("disallow: /x|allow: /x/", "/x", False),
        ("disallow: /x|allow: /x/", "/x/", True),
        ("allow: /page|disallow: /*.html", "/page.html", False),
        ("allow: /x/page.|disallow: /*.html", "/x/page.html", True),
        ("allow: /page|disallow: /*.htm", "/page.htm", False),
        ("allow: /$|disallow: /", "/", True),
        ("allow: /$|disallow: /", "/page.html", False),
        ("disallow: /X/", "/x/y", True),
        ("disallow: /foo/bar$", "/foo/bar", False),
        ("disallow: /foo/bar$", "/foo/bar/", True),
        ("disallow: /foo/quz#qux", "/foo/quz", False),
        ("# disallow: /", "/foo", True),
        ("disallow: /|allow: /fish*", "/fishheads/yummy.html", True),
        ("disallow: /|allow: /fish*", "/catfish", False),
        ("disallow: /|allow: /*.php$", "/folder/filename.php", True),
        ("disallow: /|allow: /*.php$", "/filename.php?parameters", False),
        ("disallow: /|allow: /*.php$", "/a.php.b.php", True),
        ("disallow: /|allow: /fish*.php", "/fishheads/catfish.php?x", True),
        ("disallow: /|allow: /fish*.php", "/Fish.PHP", False),
        ("disallow: /a*b*c$", "/a-b-c-c", False),
        ("disallow: /a*bc$", "/abcb", True),
        ("disallow: /a*a$", "/a", True),
        ("disallow: *", "/any", False),
        ("disallow: *.gif$", "/x/y.gif", False),
        ("disallow: /**//*$", "/a//b", False),
        ("disallow /x", "/x", False),
        ("disalow: /x", "/x", False),
        ("unknown: /x", "/x", True),
        ("disallow: /", "/robots.txt", True),
    ],
)
def test_the_longest_match_decides_and_allow_wins_ties(rules: str, path: str, expected: bool) -> None:
    assert allowed("user-agent: FooBot\n" + rules.replace("|", "\n"), path) is expected


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/foo/bar?qux=taz&baz=http://foo.bar?tar&par", "/foo/bar?qux=taz&baz=http://foo.bar?tar&par", True),
        ("/foo/bar/ツ", "/foo/bar/%E3%83%84", True),
        ("/foo/bar/%E3%83%84", "/foo/bar/%e3%83%84", True),
        ("/foo/bar/%62%61%7A", "/foo/bar/baz", True),
        ("/foo/bar/baz", "/foo/bar/%62%61%7A", True),
        ("/a%2Fb", "/a/b", False),
        ("/a%3cd.html", "/a%3Cd.html", True),
        ("/file-with-a-%2A.html", "/file-with-a-*.html", True),
        ("/file-with-a-%2A.html", "/file-with-a-b.html", False),
        ("/price$list", "/price$list", True),
        ("/price%24", "/price$", True),
        ("/~user", "/%7euser", True),
        ("/a b", "/a%20b", True),
        ("/a|b{c}", "/a|b%7Bc%7D", True),
        ("/q?u=https://e.test/", "/q?u=https%3A%2F%2Fe.test%2F", True),
        ("/q?u=https%3a%2f%2fe.test", "/q?u=https://e.test", True),
        ("/q?u=a%26b", "/q?u=a&b", False),
        ("/%3Fq", "/?q", False),
    ],
)
def test_octets_are_compared_in_one_encoding(pattern: str, path: str, expected: bool) -> None:
    assert allowed(f"user-agent: FooBot\ndisallow: /\nallow: {pattern}\n", path) is expected


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-be", "utf-16-le"])
def test_a_file_that_an_editor_made_utf_16_is_obeyed(coding: str) -> None:
    mark = {"utf-16-be": b"\xfe\xff", "utf-16-le": b"\xff\xfe"}.get(coding, b"")
    assert allowed(mark + "User-agent: *\r\nDisallow: /ü\r\n".encode(coding), "/%C3%BC") is False


def test_a_sentence_that_begins_like_a_rule_is_none() -> None:
    text = "User-agent: FooBot\nUser agent policy of ours\nAllow me / to explain\nDisallow: /\n"
    assert allowed(text, "/x") is False


def test_invalid_utf_8_in_a_pattern_is_matched_octet_by_octet() -> None:
    assert allowed(b"user-agent: *\ndisallow: /caf\xe9\n", "/caf%E9") is False


@pytest.mark.parametrize(
    ("agent", "product", "named"),
    [
        ("FooBot", "foobot", True),
        ("FOOBOT", "FooBot", True),
        ("FooBot/2.1", "FooBot", True),
        ("FooBot and more", "FooBot", True),
        ("Foo", "FooBot", False),
        ("FooBot-News", "FooBot", False),
        ("FooBotNews", "FooBot", False),
        ("*", "FooBot", True),
        ("* # all", "FooBot", True),
        ("*FooBot", "FooBot", False),
        ("FooBot2", "FooBot", False),
        ("FooBot_", "FooBot", False),
        ("FooBoté", "FooBot", False),
        ("FooBot2", "Foo", False),
        ("FooBot;x", "FooBot", True),
    ],
)
def test_the_product_token_must_be_the_very_one(agent: str, product: str, named: bool) -> None:
    assert allowed(f"user-agent: {agent}\ndisallow: /\n", "/x", product) is not named


def test_a_group_of_our_own_silences_the_stars_even_when_empty() -> None:
    assert allowed("user-agent: *\ndisallow: /\n\nuser-agent: FooBot\n", "/x") is True
    assert allowed("user-agent: FooBot\nuser-agent: *\ndisallow: /\n", "/x", "Other") is False


def test_unknown_lines_between_agents_do_not_part_a_group() -> None:
    text = (
        "user-agent: FooBot\nsitemap: https://x.test/s.xml\nHost: x\ncrawl-delay: 2\nuser-agent: BarBot\ndisallow: /\n"
    )
    assert allowed(text, "/x") is False
    assert allowed(text, "/x", "BarBot") is False


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\r\n"])
@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\xef\xbb", b""])
def test_line_ends_and_byte_order_marks_are_read_like_any(end: str, mark: bytes) -> None:
    text = end.join(["User-Agent: FooBot", "Allow: /some/path", "", "Disallow: /"])
    assert allowed(mark + text.encode(), "/x") is False
    assert allowed(mark + text.encode(), "/some/path/y") is True


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5.0),
        ("0.5", 0.5),
        ("-1", None),
        ("soon", None),
        ("nan", None),
        ("1e999", None),
        ("1,5", 1.5),
        (".5", 0.5),
        ("10 seconds", 10.0),
        ("3s", 3.0),
        ("5 # five", 5.0),
        ("1 2", None),
        ("٣", None),
        ("", None),
    ],
)
def test_crawl_delay_is_a_number_of_seconds(value: str, seconds: float | None) -> None:
    assert robots.parse(f"user-agent: *\ncrawl-delay: {value}\n".encode(), "FooBot").crawl_delay_seconds == seconds


@given(pattern=st.text("/ab*$", max_size=9), path=st.text("/ab$", max_size=12))
def test_patterns_match_as_the_regular_expression_they_stand_for(pattern: str, path: str) -> None:
    closed = pattern.endswith("$")
    body = pattern[:-1] if closed else pattern
    expression = "".join(".*" if char == "*" else re.escape(char) for char in "/" + body) + ("$" if closed else "")
    text = f"user-agent: *\ndisallow: /{pattern}\n"
    assert allowed(text, "/" + path) is (re.match(expression, "/" + path) is None)


@given(st.binary(max_size=300))
def test_no_bytes_are_too_odd_to_be_read(body: bytes) -> None:
    assert robots.parse(b"user-agent: *\n" + body, "FooBot").allows("/robots.txt") is True


def test_what_follows_500_kib_is_not_read() -> None:
    text = b"user-agent: *\n" + b"#" * (500 * 1024) + b"\ndisallow: /\n"
    assert allowed(text, "/x") is True


@pytest.mark.parametrize(
    "text",
    [
        b"user-agent: *\ndisallow: /" + b"*a" * 100_000 + b"$\n",
        b"user-agent: *\ndisallow: /" + b"*" * 400_000 + b"b\n",
        b"user-agent: *\n" + b"disallow: *a*a*a*b\n" * 26_000,
        b"user-agent: *\n" + b"".join(b"disallow: /*%x*b\n" % number for number in range(24_000)),
        b"user-agent: x\n" * 36_000,
        b"\n" * 500_000,
        b"\t" * 500_000,
        b"<html>" + b"<p>disallow</p>\n" * 30_000,
        b"disallow " * 55_000,
        b"user-agent:" + b" " * 500_000,
        bytes(500_000),
    ],
    ids=["pieces", "stars", "same", "many", "agents", "lines", "tabs", "html", "one line", "blanks", "zeros"],
)
def test_a_hostile_file_costs_next_to_nothing(text: bytes) -> None:
    started = time.process_time()
    robots.parse(text, "FooBot").allows("/" + "a" * 2000)
    # Tenfold room: this is a bound for machines that are busy, not a measurement.
    assert time.process_time() - started < 10 * HOSTILE_CPU_SECONDS


def test_a_packed_bomb_is_unpacked_to_500_kib_at_most() -> None:
    assert len(robots.beginning(gzip.compress(bytes(50 * 2**20)), "gzip")) == robots.CAP_BYTES + 1


# ------------------------------------------------------------- on the network


def robots_captures(kept: list[Fetched]) -> list[Capture]:
    return [one.capture for one in kept if one.capture.purpose is Purpose.ROBOTS]


def test_robots_txt_comes_first_and_once_and_is_kept(site: Site) -> None:
    sent = site.reply("/robots.txt", body=b"User-agent: scraper\nDisallow: /secret\n")
    for number in range(4):
        site.reply(f"/{number}", body=b"x")
    pages = [site.url(f"/{number}") for number in range(4)]
    kept = fetch_all(site.settings(), [*pages, site.url("/secret/page")])
    assert site.paths(robots=True) == ["/robots.txt", "/0", "/1", "/2", "/3"]
    assert kept[0].capture.purpose is Purpose.ROBOTS
    assert kept[0].capture.page.received == sent
    assert str(captures(kept)[site.url("/secret/page")].outcome) == "excluded(robots)"
    assert "robots.txt" in captures(kept)[site.url("/secret/page")].detail


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_a_robots_txt_that_is_refused_or_missing_allows_everything(site: Site, status: int) -> None:
    site.reply("/robots.txt", status=status, body=b"User-agent: *\nDisallow: /\n")
    site.reply("/page", body=b"x")
    assert fetch(site.settings(), site.url("/page")).outcome.state is State.CAPTURED


@pytest.mark.parametrize("status", [500, 503])
def test_a_robots_txt_that_fails_forbids_everything(site: Site, status: int) -> None:
    site.reply("/robots.txt", status=status)
    site.reply("/page", body=b"x")
    capture = fetch(site.settings(max_tries=2), site.url("/page"))
    assert str(capture.outcome) == "failed(robots unreachable)"
    assert site.paths() == []
    assert len(site.log) == 2


def test_a_robots_txt_is_followed_over_five_redirects(site: Site) -> None:
    for number in range(5):
        path = "/robots.txt" if number == 0 else f"/r{number}"
        site.reply(path, host="a.test", status=301, headers={"Location": f"http://a.test/r{number + 1}"})
    site.reply("/r5", host="a.test", body=b"User-agent: *\nDisallow: /\n")
    assert str(fetch(site.settings(), site.url("/page", host="a.test")).outcome) == "excluded(robots)"


def test_more_redirects_than_five_mean_no_rules(site: Site) -> None:
    for number in range(7):
        path = "/robots.txt" if number == 0 else f"/r{number}"
        site.reply(path, host="a.test", status=301, headers={"Location": f"http://a.test/r{number + 1}"})
    site.reply("/page", body=b"x")
    assert fetch(site.settings(), site.url("/page", host="a.test")).outcome.state is State.CAPTURED


def test_each_hop_of_a_redirect_asks_the_robots_txt_of_its_own_host(site: Site) -> None:
    site.reply("/robots.txt", host="b.test", body=b"User-agent: *\nDisallow: /private\n")
    site.reply("/", host="a.test", status=302, headers={"Location": site.url("/private", host="b.test")})
    capture = fetch(site.settings(), site.url("/", host="a.test"))
    assert str(capture.outcome) == "excluded(robots)"
    assert capture.final.href == "http://b.test/private"
    assert [(seen.host, seen.path) for seen in site.log] == [
        ("a.test", "/robots.txt"),
        ("a.test", "/"),
        ("b.test", "/robots.txt"),
    ]


def test_a_remembered_robots_txt_is_not_asked_for_again_within_a_day(site: Site) -> None:
    site.reply("/page", body=b"x")
    site.reply("/robots.txt", body=b"User-agent: *\nDisallow: /no\n")
    first = fetch_all(site.settings(), [site.url("/page")])
    memory = first[-1].hosts[0]
    assert memory.host == "site.test"
    assert memory.robots_body == b"User-agent: *\nDisallow: /no\n"
    again = fetch_all(site.settings(), [site.url("/page"), site.url("/no")], lambda host: memory)
    assert len(site.seen("/robots.txt")) == 1
    assert str(captures(again)[site.url("/no")].outcome) == "excluded(robots)"
    old = replace(memory, robots_at=datetime.now(UTC) - timedelta(hours=25))
    fetch_all(site.settings(), [site.url("/page")], lambda host: old)
    assert len(site.seen("/robots.txt")) == 2


def test_the_last_good_copy_serves_while_the_file_fails(site: Site) -> None:
    site.reply("/page", body=b"x")
    site.reply("/robots.txt", status=500)
    memory = HostMemory(
        "site.test",
        robots_at=datetime.now(UTC) - timedelta(hours=2),
        robots_status=200,
        robots_body=b"User-agent: *\nDisallow: /no\n",
    )
    settings = site.settings(robots_hours=1, max_tries=1)
    kept = captures(fetch_all(settings, [site.url("/page"), site.url("/no")], lambda host: memory))
    assert kept[site.url("/page")].outcome.state is State.CAPTURED
    assert str(kept[site.url("/no")].outcome) == "excluded(robots)"


def test_a_host_that_is_dead_is_called_dead_and_asked_once_for_all(site: Site) -> None:
    pages = [f"http://dead.test/{number}" for number in range(8)]
    settings = site.settings(resolve=("dead.test:80=127.0.0.1:1",))
    kept = captures(fetch_all(settings, pages))
    assert [str(capture.outcome) for capture in kept.values()].count("failed(refused)") == 3
    assert [capture.outcome.reason for capture in kept.values()].count("host down") == 5
    assert len(kept) == 8


def test_an_endless_robots_txt_is_read_to_500_kib(site: Site) -> None:
    text = b"User-agent: *\nDisallow: /no\n" + b"# and so on\n" * 200_000
    site.reply("/robots.txt", body=text)
    site.reply("/page", body=b"x")
    kept = fetch_all(site.settings(), [site.url("/page"), site.url("/no")])
    received_bytes = len(robots_captures(kept)[0].page.received)
    assert robots.CAP_BYTES < received_bytes < robots.CAP_BYTES + 256 * 1024
    assert captures(kept)[site.url("/page")].outcome.state is State.CAPTURED
    assert str(captures(kept)[site.url("/no")].outcome) == "excluded(robots)"


def test_robots_can_be_ignored_by_the_settings(site: Site) -> None:
    site.reply("/robots.txt", body=b"User-agent: *\nDisallow: /\n")
    site.reply("/page", body=b"x")
    assert fetch(site.settings(robots="ignore"), site.url("/page")).outcome.state is State.CAPTURED
    assert site.paths(robots=True) == ["/page"]


def test_patterns_made_to_cost_time_forbid_instead() -> None:
    path = "/" + "a" * 16_000
    stars = b"User-agent: *\n" + b"".join(b"Allow: /*%x*b\n" % number for number in range(30_000))
    rules = robots.parse(stars, "scraper")
    begun = time.process_time()
    assert not rules.allows(path)
    assert time.process_time() - begun < 1  # ten times what is promised
    assert rules.allows("/" + "a" * 1000)
    assert robots.parse(b"User-agent: *\n" + b"Disallow: /x*y\n" * 1 + b"Allow: /a*\n", "scraper").allows(path)


SECRET = b"\nUser-agent: *\nDisallow: /secret\n"


def test_a_robots_txt_of_500_kib_is_read_to_its_last_line(site: Site) -> None:
    text = b"# filler\n" * 60_000
    site.reply("/robots.txt", body=text[: robots.CAP_BYTES - len(SECRET)] + SECRET)
    assert str(fetch(site.settings(), site.url("/secret")).outcome) == "excluded(robots)"


def test_a_line_that_goes_beyond_500_kib_is_not_read(site: Site) -> None:
    last = b"\nUser-agent: *\nDisallow: /secret\nAllow: /secret-but-not-this\n"
    filler = b"#" * (robots.CAP_BYTES - len(last) + len(b"-but-not-this\n"))
    site.reply("/robots.txt", body=filler + last)
    assert str(fetch(site.settings(), site.url("/secret")).outcome) == "excluded(robots)"
    assert robots.within_cap(b"a" * (robots.CAP_BYTES - 1) + b"\nb") == b"a" * (robots.CAP_BYTES - 1) + b"\n"
    assert robots.within_cap(b"a" * robots.CAP_BYTES + b"\nb") == b"a" * robots.CAP_BYTES
    assert robots.within_cap(b"a\r" + b"b" * robots.CAP_BYTES) == b"a\r"


def test_a_robots_txt_in_chunks_of_one_byte_is_read_to_its_end(site: Site) -> None:
    text = b"# x\n" * 25_000 + SECRET
    site.reply("/robots.txt", chunks=[text[at : at + 1] for at in range(len(text))])
    assert str(fetch(site.settings(), site.url("/secret")).outcome) == "excluded(robots)"


def test_a_packed_robots_txt_is_obeyed_however_large_it_is_unpacked(site: Site) -> None:
    packed = gzip.compress(SECRET + b"#" * (120 << 20), 1)
    site.reply("/robots.txt", body=packed, headers={"Content-Encoding": "gzip"})
    site.reply("/open", body=b"x")
    kept = captures(fetch_all(site.settings(), [site.url("/secret"), site.url("/open")]))
    assert [str(capture.outcome) for capture in kept.values()] == ["excluded(robots)", "captured"]


def test_a_robots_txt_cut_off_by_our_own_limits_forbids_all(site: Site) -> None:
    # 400,000 chunks of a byte are more than the wire takes; what comes after might forbid anything.
    chunks = [b"#"] * 400_000 + [SECRET]
    site.reply("/robots.txt", chunks=chunks)
    assert str(fetch(site.settings(), site.url("/open")).outcome) == "failed(robots unreachable)"


@pytest.mark.parametrize(("status", "outcome"), [(404, "captured"), (503, "failed(robots unreachable)")])
def test_an_error_page_is_no_robots_txt_however_long_it_is(site: Site, status: int, outcome: str) -> None:
    site.reply("/robots.txt", status=status, body=SECRET + b"#" * 3_000_000)
    site.reply("/secret", body=b"x")
    assert str(fetch(site.settings(max_tries=1), site.url("/secret")).outcome) == outcome
