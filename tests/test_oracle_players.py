"""Other people's players show what we archive: ReplayWeb.page plays our WACZ, pywb serves our archive in place.

ReplayWeb.page is AGPL: its files are no part of this project. `SCRAPER_TEST_ORACLES=1` fetches its npm package once
into the user's cache; `SCRAPER_TEST_PLAYER` names a folder that has its `ui.js` and `sw.js` already.
"""

from __future__ import annotations

import http.server
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from browser import Chromium
from cli import ENVIRONMENT
from factories import make_capture, make_collection, make_exchange
from playwright.sync_api import Frame, Page
from test_oracles import oracle_folder, oracles, wait_for  # noqa: F401

from scraper.demo.show import SEED
from scraper.settings import packaged_config

PACKAGE = "replaywebpage@2"
WACZ = ["wacz>=0.5", "setuptools<81"]
SEED_URL = (
    "https://www.themoscowtimes.com/2019/09/09/"
    "france-says-eu-and-russia-must-rebuild-trust-but-too-early-to-end-sanctions-a67209"
)
HEADING = "France Says EU and Russia Must Rebuild Trust But Too Early to End Sanctions"
OF_OUR_PAGES = "Search titles and texts"
SECONDS = 60_000


def beside(name: str) -> Path:
    """A folder beside pywb's environment, for another oracle."""
    return oracle_folder().parent / name


@pytest.fixture(scope="session")
def player_files() -> Path:
    """A folder with ReplayWeb.page's `ui.js` and `sw.js`."""
    if named := os.environ.get("SCRAPER_TEST_PLAYER"):
        return Path(named)
    folder = beside("replaywebpage")
    if not (folder / "package" / "sw.js").is_file():
        if os.environ.get("SCRAPER_TEST_ORACLES") != "1":
            pytest.skip("no ReplayWeb.page at hand; SCRAPER_TEST_ORACLES=1 fetches it, SCRAPER_TEST_PLAYER names it")
        fetch_player(folder)
    return folder / "package"


def fetch_player(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("ReplayWeb.page comes with npm, which is not on this machine; SCRAPER_TEST_PLAYER names its folder")
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([npm, "pack", PACKAGE, "--silent"], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"npm could not fetch ReplayWeb.page: {done.stderr.strip()[-300:]}")
    with tarfile.open(folder / done.stdout.split()[-1]) as package:
        package.extractall(folder, members=[member for member in package if member.name.endswith(("ui.js", "sw.js"))])


@pytest.fixture(scope="module")
def demonstrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's archive."""
    root = tmp_path_factory.mktemp("demonstrated") / "archive"
    scraper("demo", root)
    return root


@pytest.fixture(scope="module")
def wacz(demonstrated: Path) -> Path:
    """The WACZ of the sample document, as a user makes it."""
    output = demonstrated.parent / "cited.wacz"
    scraper("export", demonstrated, "--format", "wacz", "--document", str(packaged_config() / "documents" / SEED),
            "--output", str(output))  # fmt: skip
    return output


def scraper(verb: str, root: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "scraper", verb, "--archive", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=True).stdout


# -------------------------------------------------------------- what is seen


def archived_frame(page: Page) -> Frame:
    """The innermost frame, in which the archived page runs.

    On a page of somebody's own, ReplayWeb.page now and then misses the start of its service worker and stays empty: its
    reader loads the page again.
    """
    for _ in range(4):
        for _ in range(SECONDS // 400):
            for frame in page.frames:
                if frame.url.endswith(f"mp_/{SEED_URL}") and frame.query_selector("h1"):
                    return frame
            page.wait_for_timeout(100)
        page.reload()
    raise AssertionError(f"the page was not played; frames: {[frame.url for frame in page.frames]}")


def expect_as_it_was(frame: Frame) -> None:
    """The page with its heading, its picture and its style sheet."""
    assert frame.inner_text("h1").strip() == HEADING
    frame.wait_for_function("() => [...document.images].some((image) => image.naturalWidth > 0)", timeout=SECONDS)
    rules = (
        "() => [...document.styleSheets].map((sheet) => { try { return sheet.cssRules.length } catch { return 0 } })"
    )
    assert max(frame.evaluate(rules)) > 0


# ------------------------------------------------------- on a server for files


class Ranges(http.server.SimpleHTTPRequestHandler):
    """A server for files that answers range requests, as any place that hosts WACZ files does."""

    def do_GET(self) -> None:
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if not found or not path.is_file():
            super().do_GET()
            return
        data = path.read_bytes()
        first, last = found[1], found[2]
        start = int(first) if first else max(0, len(data) - int(last))
        end = min(int(last), len(data) - 1) if first and last else len(data) - 1
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{end}/{len(data)}")
        self.send_header("Content-Length", str(end - start + 1))
        self.end_headers()
        self.wfile.write(data[start : end + 1])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def hosted(folder: Path) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Ranges, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.oracle
def test_replayweb_page_plays_an_exported_wacz_from_any_web_server(
    browser: Chromium, player_files: Path, wacz: Path, tmp_path: Path
) -> None:
    for file in (wacz, player_files / "ui.js"):
        shutil.copy(file, tmp_path)
    (tmp_path / "replay").mkdir()
    shutil.copy(player_files / "sw.js", tmp_path / "replay")
    shutil.copy(player_files / "ui.js", tmp_path / "replay")
    (tmp_path / "index.html").write_text(
        '<!doctype html><script src="ui.js"></script><style>body{height:100vh;margin:0}</style>'
        f'<replay-web-page source="cited.wacz" url="{SEED_URL}" embed="replayonly"></replay-web-page>'
    )
    before = len(browser.trap.caught)
    with hosted(tmp_path) as address, browser.page() as page:
        page.goto(f"{address}/index.html")
        expect_as_it_was(archived_frame(page))
    assert browser.trap.caught[before:] == []


# ------------------------------------------------------------ in our own server


@contextmanager
def replayed(root: Path, *arguments: str) -> Iterator[str]:
    """`scraper replay` as a user starts it; gives its address."""
    command = [sys.executable, "-m", "scraper", "replay", "--archive", str(root), "--port", "0", *arguments]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert server.stdout is not None
    assert server.stderr is not None
    try:
        yield server.stdout.readline().split()[-1].rstrip("/")
    finally:
        server.terminate()
        said = server.communicate(timeout=60)[1]
        assert said == "", said


@pytest.mark.oracle
def test_the_player_tab_plays_a_capture_and_asks_nothing_of_the_live_web(
    browser: Chromium, player_files: Path, demonstrated: Path
) -> None:
    before = len(browser.trap.caught)
    with replayed(demonstrated, "--player", str(player_files)) as address, browser.page() as page:
        page.goto(f"{address}/demo/2019/{SEED_URL}")
        page.click("text=Player")
        assert urllib.parse.urlsplit(page.url).hostname == "localhost"
        expect_as_it_was(archived_frame(page))
        page.click("text=Back to the page without scripts")
        assert urllib.parse.urlsplit(page.url).hostname == "127.0.0.1"
        assert page.inner_text("h1").strip() == HEADING
    assert browser.trap.caught[before:] == []


@pytest.mark.oracle
def test_archived_scripts_run_in_the_player_and_reach_neither_the_live_web_nor_the_archives_pages(
    browser: Chromium, player_files: Path, tmp_path: Path
) -> None:
    hostile = """<h1>Hostile</h1><script>
      console.log('script ran');
      for (const act of [
        () => new WebSocket('ws://live.example/ws'),
        () => fetch('http://live.example/fetch'),
        () => navigator.sendBeacon('http://live.example/beacon', 'x'),
        () => open('http://live.example/open'),
        () => { new Image().src = 'http://live.example/image.png' },
        () => { document.body.appendChild(document.createElement('iframe')).src = 'http://live.example/frame' },
        () => {
          // `location` is the archived one here; a stack tells the true address.
          const here = new Error().stack.match(/http:..localhost:[0-9]+/)[0].replace('localhost', '127.0.0.1')
          console.log('asks ' + here)
          fetch(here + '/').then(answer => answer.text()).then(text => console.log('read ' + text))
        },
        () => { top.location = 'http://live.example/top' },
      ]) { try { act() } catch (refused) { console.log(String(refused)) } }
    </script><link rel=preconnect href=http://live.example/><link rel=dns-prefetch href=http://live.example/>"""
    collection = make_collection(tmp_path)
    collection.append(make_capture(make_exchange("http://hostile.example/", hostile.encode())))
    collection.close()
    before, said = len(browser.trap.caught), list[str]()
    with replayed(tmp_path, "--player", str(player_files)) as address, browser.page() as page:
        with page.expect_console_message(lambda message: message.text == "script ran", timeout=SECONDS):
            page.on("console", lambda message: said.append(message.text))
            page.goto(f"{address}/-/player/show/main/20260504030201/http://hostile.example/")
        page.wait_for_timeout(2000)  # for what must not happen
        with urllib.request.urlopen(f"{address}/") as home:
            assert OF_OUR_PAGES in home.read().decode()
        assert f"asks {address}" in said
        assert [message for message in said if OF_OUR_PAGES in message] == []
        assert urllib.parse.urlsplit(page.url).path.startswith("/-/player/show/")
        assert len(page.context.pages) == 1
    assert browser.trap.caught[before:] == []


# ------------------------------------------------------------------------ wacz


@pytest.fixture(scope="session")
def py_wacz() -> Path:
    """py-wacz, AGPL, in an environment of its own."""
    folder = beside("wacz")
    if not (folder / ".complete").exists():
        if os.environ.get("SCRAPER_TEST_ORACLES") != "1":
            pytest.skip("no py-wacz at hand; SCRAPER_TEST_ORACLES=1 makes an environment for it")
        for command in (
            [sys.executable, "-m", "venv", "--clear", folder],
            [folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *WACZ],
        ):
            done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                pytest.skip(f"no environment for py-wacz: {done.stderr.strip()[-300:]}")
        (folder / ".complete").touch()
    return folder / "bin" / "wacz"


@pytest.mark.oracle
@pytest.mark.parametrize("arguments", [[], [SEED_URL], ["--document", str(packaged_config() / "documents" / SEED)]])
def test_wacz_validate_accepts_every_form(
    demonstrated: Path, py_wacz: Path, tmp_path: Path, arguments: list[str]
) -> None:
    output = tmp_path / "out.wacz"
    scraper("export", demonstrated, "--format", "wacz", "--output", str(output), *arguments)
    done = subprocess.run([py_wacz, "validate", "-f", output], capture_output=True, text=True, check=False)
    assert (done.returncode, "Validation succeeded" in done.stdout) == (0, True)


# ------------------------------------------------------------------------ pywb


@pytest.fixture
def pywb(demonstrated: Path, oracles: Path, tmp_path: Path) -> Iterator[str]:  # noqa: F811
    """`wayback -d archive`; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (tmp_path / "log").open("wb") as log:
        command = [str(oracles / "wayback"), "-d", str(demonstrated), "--port", str(port), "--bind", "127.0.0.1"]
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_for(port, server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


@pytest.mark.oracle
def test_pywb_shows_the_page_with_its_picture_and_style_sheet_from_the_archive_in_place(
    browser: Chromium, pywb: str
) -> None:
    before = len(browser.trap.caught)
    with browser.page() as page:
        page.goto(f"{pywb}/demo/2019/{SEED_URL}")
        expect_as_it_was(archived_frame(page))
    assert browser.trap.caught[before:] == []
