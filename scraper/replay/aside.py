"""Rewriting that keeps nobody waiting: what is small is done at once, else in a thread, what is large in a process.

`python -m scraper.replay.aside` is that process: a task on standard input, the rewritten text on standard output.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from dataclasses import astuple, dataclass
from subprocess import PIPE

from scraper import decode
from scraper.replay import rewriting
from scraper.replay.rewriting import Place, TooLarge

LONGEST_SECONDS = 20
_AT_ONCE_BYTES = 128 * 1024  # some 50 ms
# Some 50 ms of an ordinary page, less than a process takes to start; of the worst a few seconds, in which a thread
# takes turns with all others. What is larger gets a process.
_IN_A_THREAD_BYTES = 4 * 1024 * 1024
_THREADS = 2
_PROCESSES = 2
_LARGEST_PROCESS_BYTES = 2 << 30
_WRITTEN, _REFUSED = b"+", b"-"


@dataclass(frozen=True, slots=True)
class Task:
    """A page or, with `bar` None, a style sheet that is to be rewritten."""

    body: bytes
    content_type: str
    place: Place
    bar: str | None


def rewritten(task: Task) -> bytes:
    """The text as UTF-8. Raises `TooLarge`."""
    text = decode.html(task.body, task.content_type).text
    if task.bar is None:
        return rewriting.stylesheet(text, task.place).encode("utf-8", "replace")
    return rewriting.page(text, task.place, task.bar).encode("utf-8", "replace")


class Desk:
    """Where tasks are done, so many at a time."""

    def __init__(self) -> None:
        self._threads = asyncio.Semaphore(_THREADS)
        self._processes = asyncio.Semaphore(_PROCESSES)

    async def rewritten(self, task: Task) -> bytes:
        """The text as UTF-8. Raises `TooLarge`, also when it takes too long or too much memory."""
        size = len(task.body)
        if size <= _AT_ONCE_BYTES:
            return rewritten(task)
        if size <= _IN_A_THREAD_BYTES:
            async with self._threads:
                return await asyncio.to_thread(rewritten, task)
        async with self._processes:
            return await _in_a_process(task)


async def _in_a_process(task: Task) -> bytes:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, stdin=PIPE, stdout=PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,  # Ctrl-C at a terminal is for the server, which ends this one
    )  # fmt: skip
    try:
        answer, _ = await asyncio.wait_for(process.communicate(_packed(task)), LONGEST_SECONDS)
    except TimeoutError as error:
        raise TooLarge(f"{task.place.url}: to rewrite it takes more than {LONGEST_SECONDS} seconds") from error
    finally:
        if process.returncode is None:
            process.kill()
    if answer.startswith(_WRITTEN):
        return answer[len(_WRITTEN) :]
    if answer.startswith(_REFUSED):
        raise TooLarge(answer[len(_REFUSED) :].decode("utf-8", "replace"))
    if process.returncode is not None and process.returncode < 0:
        raise TooLarge(f"{task.place.url}: the system stopped its rewriting (signal {-process.returncode})")
    raise RuntimeError(f"{task.place.url}: rewriting ended with {process.returncode}; its own message stands above")


def _packed(task: Task) -> bytes:
    return json.dumps([task.content_type, astuple(task.place), task.bar]).encode() + b"\n" + task.body


def _unpacked(data: bytes) -> Task:
    head, _, body = data.partition(b"\n")
    content_type, place, bar = json.loads(head)
    return Task(body, content_type, Place(*place), bar)


def _bounded() -> None:
    """Whatever becomes of the server: this process neither takes the machine's memory nor runs for ever."""
    with suppress(ImportError):  # there is no such module on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_LARGEST_PROCESS_BYTES, _LARGEST_PROCESS_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (2 * LONGEST_SECONDS, 2 * LONGEST_SECONDS))


def main() -> None:
    """Do the one task."""
    _bounded()
    try:
        task = _unpacked(sys.stdin.buffer.read())
        answer = _WRITTEN + rewritten(task)
    except TooLarge as reason:
        answer = _REFUSED + str(reason).encode("utf-8", "replace")
    except MemoryError:
        answer = _REFUSED + b"Rewritten it is too large for a browser"
    sys.stdout.buffer.write(answer)


if __name__ == "__main__":
    main()
