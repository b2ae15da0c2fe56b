"""A real browser: headless Chromium, driven by Playwright, for which every live address leads into a trap."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

# The browser must not speak for itself: no updates, no look-ups at its maker's.
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


@dataclass
class Trap:
    """A listener to which every address but loopback leads: whatever connects to it was a live request."""

    caught: list[bytes] = field(default_factory=list)
    port: int = 0

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(1)
                try:
                    self.caught.append(connection.recv(4096))
                except OSError:
                    self.caught.append(b"")


@dataclass
class Chromium:
    """The browser of a test session and its trap."""

    browser: Browser
    trap: Trap

    @contextmanager
    def page(self, **options: object) -> Iterator[Page]:
        """A page in a context of its own; `options` are those of Playwright's `new_context`."""
        context: BrowserContext = self.browser.new_context(**options)  # type: ignore[arg-type]
        try:
            yield context.new_page()
        finally:
            context.close()


def executable() -> str:
    """Chromium's path; skips the test, saying so, where there is none."""
    found = os.environ.get("SCRAPER_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        pytest.skip("Chromium is not installed (Debian: apt install chromium), or name it in SCRAPER_TEST_CHROMIUM")
    return found


@contextmanager
def chromium() -> Iterator[Chromium]:
    """Start the browser; every name but localhost leads to the trap, but its maker's, which it calls by itself."""
    trap = Trap()
    path = executable()
    trap.open()
    own = ", ".join(f"MAP *.{name} ~NOTFOUND" for name in ("google.com", "googleapis.com", "gvt1.com", "gstatic.com"))
    rules = f"{own}, MAP * 127.0.0.1:{trap.port}, EXCLUDE 127.0.0.1, EXCLUDE localhost"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*QUIET, f"--host-resolver-rules={rules}"])
        try:
            yield Chromium(browser, trap)
        finally:
            browser.close()
            trap.close()
