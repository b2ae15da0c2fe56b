"""What a command costs: processor time and peak memory of every process that it starts."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_LOOK_SECONDS = 0.05


@dataclass(slots=True)
class Cost:
    """CPU-seconds, user and system, of a process and all below it; peak resident MB of it, and of the largest below."""

    cpu_seconds: float
    wall_seconds: float
    peak_mb: float
    worker_peak_mb: float
    status: int
    output: str = field(repr=False, default="")


def of(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> Cost:
    """Run it to its end. What its processes leave running is waited for too: nobody's work is left out.

    Python programs find their bytecode, as installed ones do: the first run leaves it beside `folder`.
    """
    environment = {name: value for name, value in (environment or os.environ).items() if "BYTECODE" not in name}
    environment.setdefault("PYTHONPYCACHEPREFIX", str(folder.parent / "bytecode"))
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    spared = _children(os.getpid())  # the server
    start = time.perf_counter()
    output = folder / "output.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, env=environment
        )
    peaks: dict[int, float] = {}
    cpu_seconds, status, wall_seconds = 0.0, -1, 0.0
    while True:
        for child in _below(os.getpid(), spared):
            peaks[child] = max(peaks.get(child, 0.0), _peak_mb(child))
        if wall_seconds == 0.0:
            ended, code, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                cpu_seconds += usage.ru_utime + usage.ru_stime
                status, wall_seconds = os.waitstatus_to_exitcode(code), time.perf_counter() - start
                process.returncode = status
        else:
            left = _children(os.getpid()) - spared
            if not left:
                break
            for orphan in left:
                with contextlib.suppress(ChildProcessError):
                    ended, _, usage = os.wait4(orphan, os.WNOHANG)
                    cpu_seconds += (usage.ru_utime + usage.ru_stime) if ended else 0.0
        time.sleep(_LOOK_SECONDS)
    own = peaks.pop(process.pid, 0.0)
    return Cost(cpu_seconds, wall_seconds, own, max(peaks.values(), default=0.0), status, output.read_text())


def _children(process: int) -> set[int]:
    return {child for child, parent in _parents().items() if parent == process}


def _below(process: int, spared: set[int]) -> set[int]:
    parents = _parents()
    found = {child for child, parent in parents.items() if parent == process} - spared
    new = found
    while new := {child for child, parent in parents.items() if parent in new} - found:
        found |= new
    return found


def _parents() -> dict[int, int]:
    """The parent of each process (proc(5))."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    return parents


def _peak_mb(process: int) -> float:
    """VmHWM: unlike ru_maxrss it starts anew with exec(2)."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0
