from __future__ import annotations

import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scraper import urls


@pytest.mark.parametrize(
    ("written", "href"),
    [
        ("HTTP://Example.COM", "http://example.com/"),
        ("https://example.com:443/a/../b?x=1#part", "https://example.com/b?x=1"),
        ("https://user:secret@example.com/", "https://example.com/"),
        ("http://☃.net/é?ü=ä", "http://xn--n3h.net/%C3%A9?%C3%BC=%C3%A4"),
        ("  http:\\\\example.com\\a b", "http://example.com/a%20b"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http://[::1]:8080/", "http://[::1]:8080/"),
        ("http://example.com/?", "http://example.com/?"),
    ],
)
def test_a_target_is_the_whatwg_href_without_fragment_and_userinfo(written: str, href: str) -> None:
    assert urls.target(written).href == href


@pytest.mark.parametrize(
    ("written", "refusal"),
    [
        ("javascript:alert(1)", "scheme"),
        ("ftp://example.com/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("data:text/html,x", "scheme"),
        ("mailto:a@example.com", "scheme"),
        ("http://", "malformed"),
        ("http://exa mple.com/", "malformed"),
        ("http://example.com:99999/", "malformed"),
        ("", "malformed"),
        ("no url", "malformed"),
    ],
)
def test_what_cannot_be_fetched_says_why(written: str, refusal: str) -> None:
    with pytest.raises(urls.NotATarget) as refused:
        urls.target(written)
    assert refused.value.refusal == refusal


def test_a_refusal_never_repeats_a_password() -> None:
    with pytest.raises(urls.NotATarget) as refused:
        urls.target("ftp://me:secret@example.com/")
    assert "secret" not in str(refused.value)


@given(st.text(string.printable, max_size=60))
def test_a_normal_form_is_its_own_normal_form(text: str) -> None:
    try:
        once = urls.target("http://example.com/" + text)
    except urls.NotATarget:
        return
    assert urls.target(once.href) == once
    assert once.href == f"http://example.com{once.path}"


@pytest.mark.parametrize(
    ("href", "key"),
    [
        ("https://www.example.com/A/?b=2&a=1", "com,example)/a?a=1&b=2"),
        ("http://example.com:8080/", "com,example:8080)/"),
        ("https://news.example.co.uk/x/", "uk,co,example,news)/x"),
        ("http://127.0.0.1/", "1,0,0,127)/"),
        ("http://[2001:db8::1]:8080/x", "2001:db8::1:8080)/x"),
        ("http://example.com./%7Eme//a%2Fb/../c/", "com,example)/~me/a/c"),
        ("http://example.com/caf%C3%A9?%61=%2525", "com,example)/caf%c3%a9?a=%25"),
        ("http://example.com/x?b=1&&a", "com,example)/x?&a&b=1"),
        ("http://example.com/(S(abcdefghijklmnopqrstuvwx))/p.aspx", "com,example)/p.aspx"),
        ("http://example.com/x?b=1&PHPSESSID=0123456789abcdef0123456789abcdef", "com,example)/x?&b=1"),
    ],
)
def test_the_surt_key_sorts_hosts_from_the_right(href: str, key: str) -> None:
    assert urls.surt(href) == key


@pytest.mark.parametrize("piece", ["%25", "%2%35", "cfid=", "../", "/(" + "0" * 24 + ")"])
def test_the_surt_key_of_a_hostile_url_costs_little(piece: str) -> None:
    start = time.process_time()
    urls.surt("http://example.com/?" + piece * 40_000)
    urls.surt("http://example.com/" + piece * 40_000 + ".aspx")
    assert time.process_time() - start < 10


def test_the_registered_domain_follows_the_public_suffix_list() -> None:
    assert urls.registered_domain("a.b.example.co.uk") == "example.co.uk"
    assert urls.registered_domain("127.0.0.1") == "127.0.0.1"


def test_userinfo_is_cut_out_of_running_text() -> None:
    text = "see https://me:secret@example.com/x and mail@example.com"
    assert urls.without_userinfo(text) == "see https://example.com/x and mail@example.com"


def test_one_url_loses_its_own_userinfo_and_nothing_else() -> None:
    assert urls.bare("http://user:sec<ret word@example.com/x@y") == "http://example.com/x@y"
    assert urls.bare("user:secret@example.com/x") == "user:example.com/x"
    assert urls.bare("https://example.com//@z") == "https://example.com//@z"
    assert urls.bare("https://example.com/web/a://b@c/") == "https://example.com/web/a://b@c/"
    assert urls.bare("mailto:a@example.com") == "mailto:a@example.com"
    assert urls.without_userinfo("at //me:secret@example.com/x") == "at //example.com/x"


@settings(max_examples=500, deadline=None)
@given(
    start=st.sampled_from(["", "http://", "https://e.example/", "http://www2.e.example/a?", "https://e.example/x/?b&"]),
    rest=st.text(alphabet="htps:/w.123AZaz?&=#%()sid[]\\@-_ +;'~|^\"<>\t\né.aspxcf", max_size=60),
)
def test_the_short_way_to_a_surt_key_leads_where_the_long_one_does(start: str, rest: str) -> None:
    short = urls._surt_plain(start + rest)
    assert short in ("", urls._surt_any(start + rest))


def test_plain_addresses_take_the_short_way_and_odd_ones_do_not() -> None:
    assert urls._surt_plain("https://www.E.example/".lower() + "News/1?b=2&A=1") == "example,e)/news/1?a=1&b=2"
    odd = [
        "http://e.example/a%20b",
        "http://e.example//a",
        "http://e.example/./a",
        "http://e.example/?sid=1",
        "ftp://e",
    ]
    assert [urls._surt_plain(href) for href in odd] == [""] * 5
