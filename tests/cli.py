"""The command line as a user has it: a process of its own, with settings that pin the test server's hosts."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from server import Site

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("SCRAPER_")}


@dataclass
class Cli:
    """A folder with a settings file, documents and an archive, and the verbs run in it."""

    folder: Path
    site: Site
    settings: dict[str, Any] = field(default_factory=dict)
    capture: dict[str, Any] = field(default_factory=lambda: {"requisites": "none"})

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    def document(self, text: str | bytes, name: str = "document.txt") -> str:
        """Write a document below the folder; gives its path."""
        path = self.folder / "documents" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    def citing(self, *urls: str, name: str = "document.txt") -> str:
        """A document that cites some pages as its originals."""
        return self.document("".join(f"Original url: <{url}>\n\n" for url in urls), name)

    def command(self, *arguments: str) -> list[str]:
        """The whole command line of a verb, on this folder's settings and archive."""
        fetch = msgspec.to_builtins(self.site.settings(**self.settings))
        lines = [f"{key} = {json.dumps(value)}" for key, value in fetch.items()]
        config = self.folder / "scraper.toml"
        text = '[documents]\npaths = ["documents"]\n[warc]\nsync_seconds = 0.05\n[fetch]\n' + "\n".join(lines)
        text += "\n[capture]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in self.capture.items())
        config.write_text(text + "\n")
        verb, *rest = arguments
        common = ["--config", str(config), "--archive", str(self.archive)]
        return [sys.executable, "-m", "scraper", verb, *common, *rest]

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a verb to its end."""
        return subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=120, env=ENVIRONMENT,
            cwd=self.folder, **options,
        )  # fmt: skip

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start a verb."""
        return subprocess.Popen(
            self.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
            cwd=self.folder, **options,
        )  # fmt: skip

    def lines(self, *arguments: str) -> list[dict[str, Any]]:
        """The JSON lines of a verb."""
        return [json.loads(line) for line in self.run(*arguments, "--json").stdout.splitlines()]

    def ledger(self) -> dict[str, str]:
        """URL -> state, of every citation."""
        return {row["url"]: row["shown"] for row in self.lines("status") if "url" in row}

    def make_due(self) -> None:
        """Let a day pass for what comes back with growing distance: the clock is the one thing no server can stage."""
        database = sqlite3.connect(self.archive / "state.sqlite3")
        database.execute("UPDATE targets SET due_at = '2000-01-01T00:00:00.000000Z' WHERE due_at IS NOT NULL")
        database.execute("UPDATE hosts SET not_before = NULL")
        database.commit()
        database.close()


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something that another process does."""
    import time

    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
