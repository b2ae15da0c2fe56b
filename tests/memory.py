"""The peak memory of a command with all its children, as the kernel sees it."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Sequence
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


def measured(command: Sequence[str], **options: Any) -> Measured:
    """Run a command to its end and look at its tree of processes every 10 ms."""
    before = os.times()
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    peak, over = [0], threading.Event()
    looking = threading.Thread(target=_look, args=(running.pid, peak, over))
    looking.start()
    try:
        stdout, stderr = running.communicate(timeout=MOST_SECONDS)
    finally:
        running.kill()
        over.set()
        looking.join()
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return Measured(peak[0] / 1e6, spent, running.returncode, stdout, stderr)


def _look(pid: int, peak: list[int], over: threading.Event) -> None:
    while not over.is_set():
        peak[0] = max(peak[0], _tree_bytes(pid))
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
