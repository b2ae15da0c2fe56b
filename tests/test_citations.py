"""What a document cites, in which role, and which of it would be fetched."""

from __future__ import annotations

import contextlib
import re
import string
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from scraper.citations import Unreadable, read_document, selected
from scraper.model import Role

SEED = Path(__file__).parent.parent / "config" / "documents" / "000_b5dde23a3ed5c483.txt"
SEED_URL = (
    "https://www.themoscowtimes.com/2019/09/09/"
    "france-says-eu-and-russia-must-rebuild-trust-but-too-early-to-end-sanctions-a67209"
)


def test_the_seed_document_names_exactly_its_original():
    document = read_document(SEED.read_bytes(), SEED.name)
    assert [(citation.url, citation.role, citation.line) for citation in document.citations] == [
        (SEED_URL, Role.ORIGINAL, 37)
    ]
    assert [excluded for _, excluded in selected(document)] == [None]


def urls_of(text: str, name: str = "a.txt") -> list[str]:
    return [citation.url for citation in read_document(text.encode(), name).citations]


def roles_of(text: str, name: str = "a.txt") -> list[tuple[str, str]]:
    return [(citation.url, str(citation.role)) for citation in read_document(text.encode(), name).citations]


@pytest.mark.parametrize(
    "text, url",
    [
        ("See http://a.com/b.", "http://a.com/b"),
        ("See http://a.com/b, and", "http://a.com/b"),
        ("Really http://a.com/b?!", "http://a.com/b"),
        ("(see http://a.com/b)", "http://a.com/b"),
        ("(see http://a.com/b).", "http://a.com/b"),
        ("[http://a.com/b]; {http://a.com/b}:", "http://a.com/b"),
        ('He said "http://a.com/b".', "http://a.com/b"),
        ("He said 'http://a.com/b', then", "http://a.com/b"),
        ("«http://a.com/b» “http://a.com/b” ‘http://a.com/b’", "http://a.com/b"),
        ("see **http://a.com/b** and *http://a.com/b*", "http://a.com/b"),
        ("see __http://a.com/b__ and _http://a.com/b_.", "http://a.com/b"),
        ("see `http://a.com/b`", "http://a.com/b"),
        ("*see http://a.com/b*", "http://a.com/b"),
        ("https://en.wikipedia.org/wiki/Bridge_(structure) is", "https://en.wikipedia.org/wiki/Bridge_(structure)"),
        ("(https://en.wikipedia.org/wiki/Bridge_(structure))", "https://en.wikipedia.org/wiki/Bridge_(structure)"),
        ("请看http://a.com/b，然后", "http://a.com/b"),
        ("请看http://a.com/路径。", "http://a.com/路径"),
        ("（http://a.com/b）と「http://a.com/b」", "http://a.com/b"),
        ("http://a.com/b、http://a.com/b；", "http://a.com/b"),
        ("http://пример.рф/путь, то", "http://пример.рф/путь"),
        ("go to http://a.com/b?x[]=1&y={z}.", "http://a.com/b?x[]=1&y={z}"),
        ("[url]http://a.com/b[/url] [url=http://a.com/b]text[/url]", "http://a.com/b"),
        (r"\url{http://a.com/b} and \href{http://a.com/b}{text}", "http://a.com/b"),
        ("| http://a.com/b | x |\n|http://a.com/b|x|", "http://a.com/b"),
        ("&lt;http://a.com/b&gt; and href=&quot;http://a.com/b&quot;", "http://a.com/b"),
        ("seehttp://a.com/b", "http://a.com/b"),
        ("x <http://a.com/\n  b>", "http://a.com/b"),
        ("> x <http://a.com/\n> b>", "http://a.com/b"),
        ("<URL:http://a.com/b>", "http://a.com/b"),
        ("[x](http://a.com/b)", "http://a.com/b"),
        ('[x](http://a.com/b "a title (really)")', "http://a.com/b"),
        ("[x](<http://a.com/b>)", "http://a.com/b"),
        ("[x](http://a.com/b_(c))", "http://a.com/b_(c)"),
        (r"[x](http://a.com/b\_\(c)", "http://a.com/b_(c"),
        ("[x](http://a.com/b?c=1&amp;d=2)", "http://a.com/b?c=1&d=2"),
        ("![x](http://a.com/b.png)", "http://a.com/b.png"),
        ("[http://a.com/b](http://a.com/b)", "http://a.com/b"),
        ("[http://a.com/ve…](http://a.com/very/long)", "http://a.com/very/long"),
        ("[x][1] here\n\n[1]: http://a.com/b 'title'", "http://a.com/b"),
        ("[x][] here\n\n[X]: <http://a.com/b>", "http://a.com/b"),
        ("[x] here\n\n[x]:\n  http://a.com/b", "http://a.com/b"),
        ("[x](http://a.com/lo\nng)", "http://a.com/long"),
        ('<a href="http://a.com/b?c=1&amp;d=2">x</a> text', "http://a.com/b?c=1&d=2"),
        ("hxxp://a[.]com/b", "http://a.com/b"),
        ("hxxps[://]a[.]b[.]com/c.", "https://a.b.com/c"),
        ("http://a(.)com/b and http[:]//a.com/b", "http://a.com/b"),
        ("the host evil-a[.]example[.]com was", "http://evil-a.example.com"),
        ("www.a.com/b, and", "http://www.a.com/b"),
        ("http://user:secret@a.com/b", "http://a.com/b"),
        ("http://[2001:db8::1]:8080/b.", "http://[2001:db8::1]:8080/b"),
        ("https://web.archive.org/web/2019/http://a.com/b", "https://web.archive.org/web/2019/http://a.com/b"),
    ],
)
def test_an_address_ends_where_its_sentence_goes_on(text: str, url: str):
    assert set(urls_of("A text.\n\n" + text + "\n")) == {url}


@pytest.mark.parametrize(
    "text",
    [
        "[x](#) and [y](#top) and [z]()",
        "the http:// prefix, http://... and www. alone",
        "[x](relative/path.html) and me@www.example.com",
        "a[.]b",
        "[^1]: a footnote",
    ],
)
def test_what_names_no_page_gives_nothing(text: str):
    assert urls_of("A text.\n\n" + text + "\n") == []


def test_two_addresses_parted_by_a_comma_are_two():
    assert urls_of("x http://a.com/b,http://c.com/d y") == ["http://a.com/b", "http://c.com/d"]
    assert urls_of("x http://a.com/?b=1,http://c.com/d y") == ["http://a.com/?b=1,http://c.com/d"]


URL_CHARACTERS = string.ascii_letters + string.digits + "-._~:/?#@!$&'*+,;=%"
paths = st.text(URL_CHARACTERS, max_size=40).map(lambda text: f"https://example.com/{text}z")
CONTEXTS = (
    *("<{}>", "[text](<{}>)", '[text](<{}> "title")', "[a]: <{}>", "[a]: {}", "[text]({})"),
    *("Look at {} now", '("{}")', "«{}»", "`{}`", "Original url:\n\n<{}>", "- {}\n- x", "(see {}).", "{}."),
)


@example("https://example.com//@z", "<{}>")
@example("https://example.com/a://b@z", "{}.")
@given(paths, st.sampled_from(CONTEXTS))
def test_an_address_comes_out_whole_and_exact_from_every_context(url: str, context: str):
    assume(not re.search(r"[,;]h(tt|xx)ps?://|&(amp|lt|gt|quot|apos|nbsp|#)", url))
    assert url in urls_of("A text.\n\n" + context.format(url) + "\n")


@given(st.text(max_size=300), st.sampled_from(["a.txt", "a.md", "a.html", "a.csv", "a.lst", "a.url", ""]))
def test_no_text_makes_the_reader_fail(text: str, name: str):
    with contextlib.suppress(Unreadable):
        assert all(found.line >= 1 for found in read_document(text.encode("utf-8", "replace"), name).citations)


@given(
    st.lists(st.sampled_from([*"[]()<>*_`\\!&;:#|'\" \n", "http://a.b/c", "www.a.b", "[.]", "Source:"])).map("".join)
)
def test_no_heap_of_marks_makes_the_reader_fail(text: str):
    with contextlib.suppress(Unreadable):
        for citation in read_document(text.encode(), "a.md").citations:
            assert citation.target is not None or citation.refusal in ("scheme", "malformed")


@pytest.mark.parametrize(
    "marker",
    [
        *("Original url:", "Original URL:", "ORIGINAL URL :", "original_url:", "Original article:", "Original link:"),
        *("Source:", "Source url:", "**Source:**", "**Source**:", "*Source*:", "- Source:", "> Source:", "## Source:"),
        *(
            "Quelle:",
            "Fuente:",
            "Fonte:",
            "Источник:",
            "Оригинал:",
            "原文链接：",
            "出典：",
            "출처:",
            "المصدر:",
            "Source :",
        ),
        *("Originally published at:", "Read the original article at", "This article was originally published on"),
        *("Originally published at", "Read the full story here:", "Retrieved from", "1. Source:", "Source (English):"),
    ],
)
def test_a_marker_names_the_original_on_its_line_and_on_a_later_one(marker: str):
    other = "Cited: http://b.com/other.\n\n"
    wanted = [("http://b.com/other", "cited"), ("http://a.com/x", "original")]
    assert roles_of(f"{other}{marker} http://a.com/x\n") == wanted
    assert roles_of(f"{other}{marker} [a page](http://a.com/x)\n") == wanted
    assert roles_of(f"{other}{marker}\n\n\n<http://a.com/x>\n") == wanted


@pytest.mark.parametrize(
    "text",
    [
        "He named his source: http://a.com/x was it.",
        "Source code: http://a.com/x",
        "The original url: http://a.com/x",
        "Sources of this: http://a.com/x",
        "Source: the Times\n\nA long paragraph of a text that mentions http://a.com/x in passing.",
        "An open source\n\nhttp://a.com/x",
    ],
)
def test_the_words_of_a_marker_within_a_text_mark_nothing(text: str):
    assert roles_of(text) == [("http://a.com/x", "cited")]


def test_a_marker_may_be_the_text_of_the_link_itself():
    assert roles_of("Text.\n\n[Original article](http://a.com/x)\n") == [("http://a.com/x", "original")]


def test_a_marker_reaches_through_a_reference_link():
    text = "Text http://b.com/y\n\nSource: [the page][1]\n\nMore.\n\n[1]: http://a.com/x\n"
    assert roles_of(text) == [("http://b.com/y", "cited"), ("http://a.com/x", "original")]


@pytest.mark.parametrize("marker", ["**Related article:**", "Read also:", "See also", "Lire aussi :", "Читайте также:"])
def test_related_pages_have_their_own_role(marker: str):
    assert roles_of(f"Text\n\n{marker} [x](http://a.com/x)\n") == [("http://a.com/x", "related")]


def test_a_list_under_a_related_heading_is_related_to_its_end():
    text = "Text\n\n## Related articles\n\n- [a](http://a.com/1)\n- [b](http://a.com/2)\n\nAnd http://a.com/3\n"
    assert [role for _, role in roles_of(text)] == ["related", "related", "cited"]


def reasons(text: str, name: str = "a.txt") -> list[tuple[str, str | None]]:
    return [(one.url, why) for one, why in selected(read_document(text.encode(), name))]


def test_originals_are_fetched_and_the_rest_is_excluded_by_its_role():
    text = "See http://a.com/1\n\nRelated: http://a.com/2\n\nSource: http://a.com/3\n"
    assert reasons(text) == [("http://a.com/1", "role"), ("http://a.com/2", "role"), ("http://a.com/3", None)]


def test_a_document_without_original_has_all_it_cites_fetched():
    assert reasons("See http://a.com/1\n\nRelated: http://a.com/2\n") == [
        ("http://a.com/1", None),
        ("http://a.com/2", "role"),
    ]


def test_a_target_wanted_in_one_place_is_wanted_in_all():
    text = "See http://a.com/1#part\n\nSource: http://a.com/1\n"
    assert reasons(text) == [("http://a.com/1#part", None), ("http://a.com/1", None)]


def test_roles_can_be_chosen():
    document = read_document(b"See http://a.com/1\n\nSource: http://a.com/3\n", "a.txt")
    assert [why for _, why in selected(document, {Role.CITED})] == [None, "role"]


@pytest.mark.parametrize(
    "text, url, refusal",
    [
        ("<file:///etc/passwd>", "file:///etc/passwd", "scheme"),
        ("[x](javascript:alert(1))", "javascript:alert(1)", "scheme"),
        ("[x](data:text/html,hello)", "data:text/html,hello", "scheme"),
        ("<mailto:me@example.com>", "mailto:me@example.com", "scheme"),
        ("at ftp://a.com/b.", "ftp://a.com/b", "scheme"),
        ("git+https://a.com/b x", "git+https://a.com/b", "scheme"),
        ("<http://>", "http://", "malformed"),
        ("http://a.com:99999/ x", "http://a.com:99999/", "malformed"),
        ("[x](http://exa mple.com/)", "http://exa mple.com/", "malformed"),
        ("<http://[::1/>", "http://[::1/", "malformed"),
    ],
)
def test_what_cannot_be_fetched_is_listed_with_its_refusal(text: str, url: str, refusal: str):
    document = read_document(f"A text.\n\n{text}\n".encode(), "a.txt")
    assert [(one.url, one.refusal, one.target) for one in document.citations] == [(url, refusal, None)]
    assert [why for _, why in selected(document)] == [refusal]


def test_words_of_opaque_schemes_in_prose_are_no_addresses():
    assert urls_of("Note: javascript: is a scheme, data: too, and mailto:me is prose.") == []


def test_lines_count_from_one_in_the_document_as_it_lies_there():
    text = "\r\nOne\r\n\r\n<http://a.com/\r\n1> and\rhttp://a.com/2\n> q http://a.com/3\n"
    document = read_document(text.encode(), "a.txt")
    assert [(one.url, one.line) for one in document.citations] == [
        ("http://a.com/1", 4),
        ("http://a.com/2", 6),
        ("http://a.com/3", 7),
    ]
