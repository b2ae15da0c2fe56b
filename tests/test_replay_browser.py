"""The pages for a person in a real browser, without scripts: walked by mouse and by keyboard, on a desk and a phone."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import foreign
import pytest
import replay_archive as made
from browser import Chromium
from cli import ENVIRONMENT
from replaying import Server, served

from scraper.replay.holdings import Holdings

DESK = {"width": 1200, "height": 800}
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("browsed") / "archive"
    made.build(root)
    return root


@pytest.fixture(scope="module")
def server(archive: Path) -> Iterator[Server]:
    with served(archive) as started:
        yield started


@pytest.fixture(scope="module")
def views(archive: Path) -> list[str]:
    when = Holdings(archive).captures("demo", made.MOSCOW)[-1].timestamp
    tabs = [f"/-/capture/demo/{when}/{tab}/{made.MOSCOW}" for tab in ("text", "fields", "headers", "raw")]
    return [
        *("/", "/-/search?q=cranes", f"/-/captures/demo/{made.HARBOUR}", "/-/document/none"),
        *(*tabs, f"/-/capture/demo/{made.HISTORY[1]}/changes/{made.HARBOUR}"),
        f"/-/capture/demo/20260304100000/text/{made.HOSTILE}",
        "/demo/https://never.example.org/a/rather/long/address/which/nobody/has/ever/captured",
    ]


def test_a_word_leads_from_home_to_the_capture_and_its_text(browser: Chromium, server: Server) -> None:
    with browser.page(java_script_enabled=False, viewport=DESK) as page:
        page.goto(server.base)
        page.get_by_role("searchbox").fill("sanctions Kremlin")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("heading", name="France Says EU").get_by_role("link").click()
        bar = page.get_by_role("navigation", name="About this archived page")
        assert made.MOSCOW in page.url
        assert bar.get_by_role("link", name="000_b5dde23a3ed5c483.txt:37").is_visible()
        bar.get_by_role("link", name="Text", exact=True).click()
        assert "/text/" in page.url
        assert "Our divisions hurt our shared interests" in page.get_by_role("article").inner_text()
    assert browser.trap.caught == []


def test_a_document_leads_to_the_capture_and_its_text(browser: Chromium, server: Server) -> None:
    with browser.page(java_script_enabled=False, viewport=DESK) as page:
        page.goto(server.base)
        page.locator(".document h3 a", has_text="A Comet Nobody").click()
        assert "forty-centimetre reflector" in page.locator(".citation .reading").inner_text()
        page.locator(".citation h3 a").click()
        assert "/demo/" in page.url and "observatory.example.com" in page.url
        page.get_by_role("navigation", name="About this archived page").get_by_role("link", name="Text").click()
        assert page.locator("h1").inner_text() == "A Comet Nobody Had Ordered"
        page.get_by_role("link", name="comet-notes.txt:23").click()
        assert page.url.endswith("#L23")


def test_a_walk_needs_only_the_keyboard(browser: Chromium, server: Server) -> None:
    with browser.page(viewport=DESK) as page:
        page.goto(server.base)
        page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="Skip to the content")
        assert skip.evaluate("node => node === document.activeElement && node.getBoundingClientRect().top >= 0")
        page.keyboard.press("Tab")  # the brand
        page.keyboard.press("Tab")  # the search box
        page.keyboard.type("mayor")
        page.keyboard.press("Enter")
        page.wait_for_url("**/-/search?q=mayor")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")  # the skip link
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert (page.evaluate("document.activeElement.textContent"), outline) == ("Three cranes stay", "solid")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/{made.HARBOUR}")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.shadowRoot.activeElement.textContent") == "Archive"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_phone_and_reads_in_light_and_dark(
    browser: Chromium, server: Server, views: list[str], scheme: str
) -> None:
    for path in views:
        with browser.page(viewport=PHONE, color_scheme=scheme) as page:
            page.goto(server.base + path)
            assert page.evaluate("document.scrollingElement.scrollWidth") <= 360, path
            pale = page.evaluate(PALE)
            assert pale == [], path
            assert page.locator("h1").count() == 1 and page.title().endswith(" · scraper archive"), path
            assert page.evaluate("document.documentElement.lang") == "en"


def test_the_bar_leaves_the_top_of_the_page_free_and_the_pages_styles_do_not_reach_it(
    browser: Chromium, server: Server
) -> None:
    with browser.page(viewport=DESK, java_script_enabled=False) as page:
        page.goto(f"{server.base}/demo/{made.HISTORY[1]}/{made.HARBOUR}")
        bar = page.get_by_role("navigation", name="About this archived page").bounding_box()
        heading = page.get_by_role("heading", name="Three cranes stay").bounding_box()
        assert bar is not None and heading is not None
        assert (bar["x"], bar["y"], bar["width"]) == (0, 0, 1200)
        assert heading["y"] >= bar["y"] + bar["height"]


STYLES = {
    "flex": "body{display:flex;align-items:center;justify-content:center;min-height:100vh}",
    "column": "body{display:flex;flex-direction:column;justify-content:center;min-height:100vh;margin:0}",
    "grid": "body{display:grid;grid-template-columns:200px 1fr 200px;place-items:center}",
    "columns": "body{columns:3}",
    "margin": "body{margin:40px auto;width:600px;position:relative}",
    "small": "html{font-size:62.5%}",
    "big": "html{font-size:40px;letter-spacing:9px}",
    "fixed": "h1{position:fixed;top:0;left:0;right:0;z-index:9999;background:red}",
    "absolute": "h1{position:absolute;top:0;left:0}",
    "hidden": "*{margin:0!important;visibility:hidden}h1{visibility:visible}",
    "none": "scraper-bar,body>:first-child{display:none!important;opacity:0!important;position:absolute!important;"
    "left:-9999px!important;height:0!important;transform:scale(0)!important;clip-path:inset(50%)!important}",
    "reset": "html{margin:0!important;position:static!important}",
    "rtl": "html{direction:rtl;writing-mode:horizontal-tb}",
}
BELOW = """() => {
  const bar = document.querySelector('scraper-bar'), box = bar.getBoundingClientRect();
  const hit = document.elementFromPoint(box.width / 2, box.height / 2);
  return [box.x, box.y, box.width, hit === bar, document.querySelector('h1').getBoundingClientRect().top >= box.bottom];
}"""


@pytest.fixture(scope="module")
def styled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("styled")
    tall = "<p>Many words</p>" * 90
    pages = {name: f"<!doctype html><style>{css}</style><body><h1>Top</h1>{tall}" for name, css in STYLES.items()}
    records = [
        foreign.record(foreign.http(page.encode()), f"https://styled.example/{name}") for name, page in pages.items()
    ]
    crawl = folder / "crawl.warc.gz"
    crawl.write_bytes(foreign.members([foreign.info(), *records]))
    done = subprocess.run(
        [sys.executable, "-m", "scraper", "import", "--archive", str(folder / "archive"), str(crawl)],
        env=ENVIRONMENT,
        timeout=60,
    )
    assert done.returncode == 0
    with served(folder / "archive") as started:
        yield started


@pytest.mark.parametrize("name", STYLES)
def test_the_bar_is_seen_whatever_the_page_does_with_its_body(browser: Chromium, styled: Server, name: str) -> None:
    for size in (DESK, PHONE):
        with browser.page(viewport=size, java_script_enabled=False) as page:
            page.goto(f"{styled.base}/imported/20190909120300/https://styled.example/{name}")
            x, y, width, is_hit, is_below = page.evaluate(BELOW)
            assert (x, y, width, is_hit) == (0, 0, page.evaluate("document.documentElement.clientWidth"), True)
            assert is_below or name == "fixed"


def test_the_bar_leaves_with_the_top_of_the_page_and_comes_back_for_the_keyboard(
    browser: Chromium, styled: Server
) -> None:
    with browser.page(viewport=DESK) as page:
        page.goto(f"{styled.base}/imported/20190909120300/https://styled.example/fixed")
        page.mouse.wheel(0, 600)
        bottom = "document.querySelector('scraper-bar').shadowRoot.querySelector('nav').getBoundingClientRect().bottom"
        assert happens(lambda: page.evaluate(bottom) <= 0)
        page.keyboard.press("Tab")
        assert happens(lambda: page.evaluate(bottom) == 44)


def happens(condition: Callable[[], bool]) -> bool:
    """Whether it comes true in time. The sandbox allows no script, so that the page cannot tell by itself."""
    deadline = time.monotonic() + 20
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_hostile_words_run_nothing(browser: Chromium, server: Server) -> None:
    with browser.page(viewport=DESK) as page:
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        for tab in ("text", "fields", "headers", "raw", "changes"):
            page.goto(f"{server.base}/-/capture/demo/20260304100000/{tab}/{made.HOSTILE}")
            assert page.title() != "owned" and page.locator("main script, main img").count() == 0
        page.goto(server.base)
        assert page.get_by_role("link", name="<script>document.title").first.is_visible()
    assert dialogs == [] and browser.trap.caught == []


# Every visible text with less contrast to what lies behind it than WCAG 2.2, 1.4.3 wants (AA: 4.5, large text 3).
PALE = """() => {
  const light = c => { const v = c.map(x => x / 255).map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const behind = node => { for (; node; node = node.parentElement) {
    const c = parts(getComputedStyle(node).backgroundColor); if (c.length < 4 || c[3] > 0.99) return c.slice(0, 3); }
    return [255, 255, 255]; };
  const found = [];
  for (const node of document.querySelectorAll('body *')) {
    const own = [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim());
    if (!own || !node.getClientRects().length || node.closest('svg')) continue;
    const style = getComputedStyle(node), a = light(parts(style.color).slice(0, 3)), b = light(behind(node));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = parseFloat(style.fontSize) >= 24;
    if (ratio < (large ? 3 : 4.5)) found.push(`${node.className || node.tagName}: ${ratio.toFixed(2)}`);
  }
  return found;
}"""
