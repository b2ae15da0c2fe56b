"""Processes that make texts: they start slim, leave signals to their parent, and go when it is gone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection


def new_pool(workers: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    with signals_held():  # the first one starts Python's tracker of semaphores, which would die of a hang-up
        return ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)


@contextmanager
def signals_held() -> Iterator[None]:
    """A worker inherits the mask: a Ctrl-C, which goes to the whole group, must not hit it while it starts."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker() -> None:
    # The parent alone decides what to stop; when it is gone, so are its workers.
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    # A worker holds both ends of its queue, so it would outlive a killed parent for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
