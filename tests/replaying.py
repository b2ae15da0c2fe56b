"""The replay server as a user has it: `scraper replay` as a process of its own, over an archive made by a test."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cli import ENVIRONMENT


@dataclass(frozen=True)
class Reply:
    """What came back; the names of `headers` are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")

    @property
    def links(self) -> dict[str, str]:
        """rel -> target, of the Link header."""
        parts = self.headers.get("link", "").split(", <")
        split = [part.lstrip("<").partition(">; ") for part in parts if part]
        return {rest.split('"')[1]: target for target, _, rest in split}


@dataclass
class Server:
    """A running server: `base` is its address without the last slash."""

    base: str
    process: subprocess.Popen[str] = field(repr=False)

    @property
    def port(self) -> int:
        return int(self.base.rpartition(":")[2])

    def ask(self, path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Reply:
        """One request with the path as it stands: nothing is normalised, followed or decoded."""
        path = path.removeprefix(self.base)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection._validate_path = lambda _path: None  # type: ignore[attr-defined,method-assign]
            connection.request(method, path, headers=dict(headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def follow(self, path: str) -> Reply:
        """One request and the redirects after it, which must all stay on this server."""
        for _ in range(10):
            reply = self.ask(path)
            if reply.status not in (301, 302, 303, 307, 308):
                return reply
            path = reply.headers["location"]
            assert path.startswith((self.base, "/")), path
        raise AssertionError(f"too many redirects: {path}")


@contextmanager
def served(archive: Path, *options: str) -> Iterator[Server]:
    """`scraper replay --port 0` on an archive; ended by its process id."""
    command = [sys.executable, "-m", "scraper", "replay", "--archive", str(archive), "--port", "0", *options]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=ENVIRONMENT)
        assert process.stdout is not None
        try:
            address = urlsplit(process.stdout.readline().strip().rpartition(" ")[2])
            if address.netloc:
                yield Server(f"http://{address.netloc}", process)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)
            log.seek(0)
            said = log.read()
        assert address.netloc, f"the server did not start: {said}"
        assert "Traceback" not in said, said
