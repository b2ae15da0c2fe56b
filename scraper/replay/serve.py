"""Serving an archive on this machine's own address, until a signal comes."""

from __future__ import annotations

import errno
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from scraper.errors import UsageError
from scraper.replay.app import application
from scraper.replay.holdings import Holdings

if TYPE_CHECKING:
    from scraper.replay.player import Player

LOOPBACK = "127.0.0.1"


class _Server(uvicorn.Server):
    """uvicorn, with its signals in our hands: it would raise them again, and so end with a signal's own code."""

    stopped_by = 0

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        def stop(number: int, _frame: FrameType | None) -> None:
            self.force_exit = self.should_exit
            self.should_exit, self.stopped_by = True, number

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(root: Path, port: int, announce: Callable[[str], None], *, player: Player | None = None) -> int:
    """Serve until SIGINT or SIGTERM, and give its number. `announce` gets the address once it is listening.

    Port 0 is any free one. Raises `UsageError` when the port cannot be had.
    """
    app = application(Holdings(root, plays=player is not None), player=player)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        interface="asgi3",
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    with _listening(port) as listener:
        announce(f"http://{LOOPBACK}:{listener.getsockname()[1]}/")
        server.run(sockets=[listener])
    return server.stopped_by


def _listening(port: int) -> socket.socket:
    # With the protocol named: asyncio sets TCP_NODELAY only then, and without it each answer waits 40 ms for an ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        why = "is in use" if getattr(error, "errno", 0) == errno.EADDRINUSE else f"cannot be used ({error})"
        raise UsageError(f"port {port} {why}; name another with --port, or 0 for any that is free") from error
    return listener
