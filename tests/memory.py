"""The peak memory of a command with all its children, as the kernel sees it."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
LOOK_SECONDS = 0.01
MOST_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Measured:
    """An ended command: the most that it and its children held at once, the processor time of all, its output."""

    peak_mb: float
    cpu_seconds: float
    returncode: int
    stdout: str
    stderr: str


@dataclass(slots=True)
class Watched:
    """The most that a tree of processes has held so far."""

    peak_bytes: int = 0

    @property
    def peak_mb(self) -> float:
        return self.peak_bytes / 1e6


@contextmanager
def watched(pid: int) -> Iterator[Watched]:
    """Look at a process with all its children every 10 ms."""
    seen, over = Watched(), threading.Event()
    looking = threading.Thread(target=_look, args=(pid, seen, over))
    looking.start()
    try:
        yield seen
    finally:
        over.set()
        looking.join()


def measured(command: Sequence[str], **options: Any) -> Measured:
    """Run a command to its end and watch it."""
    before = os.times()
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8", "errors": "replace"}
    running = subprocess.Popen(command, **pipes, **options)
    with watched(running.pid) as seen:
        try:
            stdout, stderr = running.communicate(timeout=MOST_SECONDS)
        finally:
            running.kill()
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return Measured(seen.peak_mb, spent, running.returncode, stdout, stderr)


def _look(pid: int, seen: Watched, over: threading.Event) -> None:
    while not over.is_set():
        seen.peak_bytes = max(seen.peak_bytes, _tree_bytes(pid))
        time.sleep(LOOK_SECONDS)


def _tree_bytes(pid: int) -> int:
    """Resident memory of a process and all below it; what they share counts for each."""
    place = Path(f"/proc/{pid}")
    try:
        resident = int((place / "statm").read_text().split()[1]) * PAGE_BYTES
        children = [int(word) for task in place.glob("task/*/children") for word in task.read_text().split()]
    except (OSError, IndexError):
        return 0  # it has ended meanwhile
    return resident + sum(map(_tree_bytes, children))
