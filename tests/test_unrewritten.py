"""What is not rewritten, in a real browser: it becomes no document that opens connections or leads to the live web.

A policy forbids what a frame would load, and yet Chromium opens a connection for it; links it does not forbid at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from browser import Chromium
from factories import make_capture, make_collection, make_exchange
from playwright.sync_api import Error, Page
from replaying import Server, served

TIMESTAMP = "20260504030201"
BASE = "https://hostile.example/a/"
EVIL = "https://evil.example/"
XHTML = "http://www.w3.org/1999/xhtml"
SVG = "http://www.w3.org/2000/svg"
PARTS = {
    "iframe": f'<{{h}}iframe src="{EVIL}"></{{h}}iframe>',
    "frameset": f'<{{h}}frameset><{{h}}frame src="{EVIL}"/></{{h}}frameset>',
    "object": f'<{{h}}object data="{EVIL}"></{{h}}object><{{h}}embed src="{EVIL}"/>',
    "hints": f'<{{h}}link rel="preconnect" href="{EVIL}"/><{{h}}link rel="dns-prefetch" href="{EVIL}"/>',
}
REFRESH = f'<{{h}}meta http-equiv="refresh" content="0;url={EVIL}"/>'
EVERYTHING = "".join(PARTS.values())
LINK = f'<{{h}}a id="j" href="{EVIL}" style="position:fixed;inset:0">click</{{h}}a>'
SVG_LINK = f'<a xmlns="{SVG}" href="{EVIL}"><rect width="800" height="600" fill="red"/></a>'
TYPES = {
    "svg": "image/svg+xml",
    "xml": "application/xml",
    "xhtml": "application/xhtml+xml",
    "html": "text/html",
    "mixed": "multipart/x-mixed-replace; boundary=b",
    "mail": "message/rfc822",
    "untyped": "",
    "json": "application/json, text/html",
    "m3u8": "application/vnd.apple.mpegurl",
}
PLAYLIST = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{EVIL}segment.ts\n#EXT-X-ENDLIST\n"


def written(kind: str, markup: str) -> str:
    """The same markup as a document of some type."""
    if kind == "svg":
        return f'<svg xmlns="{SVG}" xmlns:h="{XHTML}">{markup.replace("{h}", "h:")}{SVG_LINK}</svg>'
    if kind in ("xml", "xhtml"):
        return f'<html xmlns="{XHTML}"><body>{markup.replace("{h}", "")}</body></html>'
    page = f"<!doctype html><html>{markup.replace('{h}', '')}"
    if kind == "mixed":
        return f"--b\r\nContent-Type: text/html\r\nContent-Location: {BASE}\r\n\r\n{page}\r\n--b--\r\n"
    if kind == "mail":
        return f"MIME-Version: 1.0\r\nContent-Type: text/html\r\nContent-Location: {BASE}\r\n\r\n{page}"
    return PLAYLIST if kind == "m3u8" else page


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("unrewritten") / "archive"
    with closing(make_collection(root)) as collection:

        def add(name: str, text: str, media_type: str = "text/html") -> None:
            exchange = make_exchange(BASE + name, text.encode(), headers=(("Content-Type", media_type),))
            collection.append(make_capture(exchange))

        for kind, media_type in TYPES.items():
            add(f"all.{kind}", written(kind, EVERYTHING + LINK), media_type)
            add(f"frameset.{kind}", written(kind, PARTS["frameset"]), media_type)
            add(f"refresh.{kind}", written(kind, REFRESH), media_type)
            add(f"link.{kind}", written(kind, LINK), media_type)
            add(f"framed-{kind}.html", f"<p>An article<iframe src=all.{kind} width=800 height=600></iframe>")
            add(f"video-{kind}.html", f"<p>A film<video autoplay muted src=all.{kind}></video><img src=all.{kind}>")
    with served(root) as started:
        yield started


def address(name: str, modifier: str = "") -> str:
    return f"/main/{TIMESTAMP}{modifier}/{BASE}{name}"


def click(shown: Page) -> None:
    """Where a person could, below the bar: the links fill the window."""
    shown.mouse.click(60, 200)
    shown.wait_for_timeout(60)


def opened(shown: Page, address: str) -> bool:
    """Open an address; what is downloaded instead of shown is no document."""
    for _ in range(3):
        try:
            shown.goto(address)
        except Error as error:
            if "Download is starting" in str(error):
                return False
            assert "interrupted by another navigation" in str(error)  # the last click's
        else:
            return True
    return False


def visit(server: Server, shown: Page, path: str) -> None:
    """Open an address, wait, click."""
    if opened(shown, server.base + path):
        shown.wait_for_timeout(80)
        click(shown)
        assert shown.url.startswith(server.base), f"{path} led to {shown.url}"


VISITED = [("all", ""), ("all", "id_"), ("all", "im_"), ("frameset", "id_")]


@pytest.mark.parametrize("kind", TYPES)
def test_unrewritten_markup_opens_no_connection_and_leads_nowhere(server: Server, browser: Chromium, kind: str) -> None:
    browser.trap.caught.clear()
    with browser.page(java_script_enabled=True) as shown:
        for name, modifier in VISITED:
            visit(server, shown, address(f"{name}.{kind}", modifier))
        visit(server, shown, address(f"framed-{kind}.html"))
        visit(server, shown, address(f"video-{kind}.html"))
        visit(server, shown, address(f"refresh.{kind}", "id_"))
    assert browser.trap.caught == []


def test_a_picture_seen_in_a_page_does_not_come_back_from_the_browsers_memory_as_a_document(
    server: Server, browser: Chromium
) -> None:
    browser.trap.caught.clear()
    with browser.page(java_script_enabled=True) as shown:
        shown.goto(server.base + address("video-svg.html"))
        visit(server, shown, address("all.svg", "im_"))
        assert "<iframe" not in shown.content()
        visit(server, shown, address("all.svg", "id_"))
        shown.go_back()
        shown.go_back()
    assert browser.trap.caught == []


def test_the_bytes_as_they_came_are_text_in_a_browser(server: Server, browser: Chromium) -> None:
    browser.trap.caught.clear()
    with browser.page(java_script_enabled=True) as shown:
        for kind in ("html", "svg", "xml"):
            shown.goto(f"{server.base}/-/capture/main/{TIMESTAMP}/raw/{BASE}link.{kind}")
            shown.get_by_role("link", name="The bytes as they came").click()
            shown.wait_for_url(server.base + address(f"link.{kind}", "id_"))
            assert f'href="{EVIL}"' in shown.locator("body").inner_text()  # its source, to be read
            click(shown)
            assert shown.url == server.base + address(f"link.{kind}", "id_")
    assert browser.trap.caught == []


def test_a_picture_that_is_opened_by_itself_is_shown_in_a_page_with_the_bar(server: Server, browser: Chromium) -> None:
    with browser.page(java_script_enabled=True) as shown:
        shown.goto(server.base + address("link.svg"))
        assert shown.evaluate("document.querySelector('img').naturalWidth") > 0
        assert shown.evaluate("document.contentType") == "text/html"
        assert shown.evaluate("document.querySelectorAll('a[href*=evil]').length") == 0
