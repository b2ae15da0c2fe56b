"""The command line under watch: a hook at the lowest seam there is notes every address that a process connects to.

The hook is Python's own audit event, raised by the C code of `socket.connect`: no library can go round it. The
resolver is replaced in the same process, for no test can own a public name.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli import ENVIRONMENT, Cli

HOOK = """
import itertools, json, os, socket, sys
folder = os.environ["WATCHED"]
log = os.open(os.path.join(folder, "connects"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
with open(os.path.join(folder, "names")) as file:
    names = {name: itertools.cycle(answers) for name, answers in json.load(file).items()}
real = socket.getaddrinfo

def watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        if isinstance(address, tuple):
            os.write(log, (json.dumps([event, address[0], address[1]]) + "\\n").encode())

def resolve(host, port, *rest, **kinds):
    name = host.decode() if isinstance(host, bytes) else host
    if name in names:
        os.write(log, (json.dumps(["look-up", name, port]) + "\\n").encode())
        found = []
        for address in next(names[name]):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            place = (address, port, 0, 0) if ":" in address else (address, port)
            found.append((family, socket.SOCK_STREAM, 6, "", place))
        return found
    if name.endswith((".test", ".example")):
        raise socket.gaierror(socket.EAI_NONAME, "no such name")
    return real(host, port, *rest, **kinds)

sys.addaudithook(watch)
socket.getaddrinfo = resolve
"""


@dataclass
class Watched:
    """What verbs connected to, when run here. `names` gives, for each name, its addresses look-up by look-up."""

    cli: Cli
    names: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.cli.folder / "watched"

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a verb to its end."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "sitecustomize.py").write_text(HOOK)
        (self.folder / "names").write_text(json.dumps(self.names))
        path = os.pathsep.join([str(self.folder), *filter(None, [ENVIRONMENT.get("PYTHONPATH")])])
        environ = {**ENVIRONMENT, **self.environ, "PYTHONPATH": path, "WATCHED": str(self.folder)}
        return subprocess.run(
            self.cli.command(*arguments), env=environ, capture_output=True, text=True, timeout=300,
            cwd=self.cli.folder, **options,
        )  # fmt: skip

    def noted(self) -> list[tuple[str, str, int]]:
        """Every event so far: its kind, the address or name, the port."""
        lines = (self.folder / "connects").read_text().splitlines()
        return [(kind, place, port) for kind, place, port in map(json.loads, lines)]

    def connected(self) -> set[tuple[str, int]]:
        """Every address that anything was sent to."""
        return {(place, port) for kind, place, port in self.noted() if kind != "look-up"}


@dataclass
class Trap:
    """Listeners on one port of the IPv4 and the IPv6 loopback, and whoever came to them."""

    port: int
    caught: list[object] = field(default_factory=list)


@contextmanager
def trap() -> Iterator[Trap]:
    """Open the listeners."""
    first = socket.create_server(("127.0.0.1", 0))
    opened = Trap(first.getsockname()[1])
    listeners = [first]
    if socket.has_ipv6:
        with suppress(OSError):  # this machine has no IPv6: the hook sees what would have been tried
            listeners.append(socket.create_server(("::1", opened.port), family=socket.AF_INET6))
    for listener in listeners:
        threading.Thread(target=_catch, args=(listener, opened.caught), daemon=True).start()
    try:
        yield opened
    finally:
        for listener in listeners:
            try:
                listener.shutdown(socket.SHUT_RDWR)
            finally:
                listener.close()


def _catch(listener: socket.socket, caught: list[object]) -> None:
    while True:
        try:
            connection, peer = listener.accept()
        except OSError:
            return
        caught.append(peer)
        connection.close()
