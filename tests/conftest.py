"""Fixtures that several suites share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Chromium, chromium
from cli import Cli
from server import Site


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A raw-socket web server on loopback for any host name, plain and TLS."""
    served = Site()
    served.open(Path(tmp_path_factory.mktemp("site")))
    yield served
    served.close()


@pytest.fixture
def cli(site: Site, tmp_path: Path) -> Cli:
    """The command line in a folder of its own, with the test server's hosts pinned."""
    return Cli(tmp_path, site)


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    """Headless Chromium for one suite; pages get contexts of their own.

    While it runs, Playwright's loop does, and nobody else can start one in this thread.
    """
    with chromium() as started:
        yield started
