"""Captures made by hand: what a fetcher would hand over, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from scraper import message, urls
from scraper.archiver import Collection
from scraper.model import Capture, Exchange, Outcome, State, Truncation

START = datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=UTC)


def make_exchange(
    url: str = "http://example.com/",
    body: bytes = b"<p>hello</p>",
    *,
    head: bytes | None = None,
    status: int = 200,
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "text/html"),),
    at: datetime = START,
    truncated: Truncation | None = None,
    request: bytes | None = None,
) -> Exchange:
    """An exchange; `head` (with its empty line) stands instead of the one made from status and headers."""
    target = urls.target(url)
    if head is None:
        lines = [f"HTTP/1.1 {status} Reason", *(f"{name}: {value}" for name, value in headers)]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    parsed = message.parse_head(head + body)
    return Exchange(
        target=target,
        started_at=at,
        seconds=0.25,
        request=f"GET {target.path} HTTP/1.1\r\nHost: {target.host}\r\n\r\n".encode() if request is None else request,
        answer=head + body,
        head_length=parsed.length if parsed else 0,
        status=parsed.status if parsed else 0,
        reason=parsed.reason if parsed else "",
        headers=parsed.headers if parsed else (),
        peer_ip="192.0.2.7",
        protocol=("http/1.1",),
        truncated=truncated,
    )


def chunked(body: bytes, size: int = 5) -> bytes:
    """A body in chunked coding."""
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def make_capture(*exchanges: Exchange, outcome: Outcome | None = None, url: str | None = None) -> Capture:
    """A visit made of exchanges; the outcome is CAPTURED unless said."""
    first = exchanges[0] if exchanges else None
    target = urls.target(url) if url else first.target if first else urls.target("http://example.com/")
    started = first.started_at if first else START
    return Capture(
        target=target,
        final=exchanges[-1].target if exchanges else target,
        started_at=started,
        ended_at=started + timedelta(seconds=2),
        outcome=outcome or Outcome(State.CAPTURED),
        tries=1,
        exchanges=exchanges,
    )


def ticking(start: datetime = START) -> Iterator[datetime]:
    """Instants a minute apart."""
    while True:
        yield start
        start += timedelta(minutes=1)


def make_collection(root: Path, *, segment_bytes: int = 1 << 30, name: str = "main") -> Collection:
    """A collection whose clock stands at START."""
    return Collection(root, name, info={"software": "scraper/test"}, segment_bytes=segment_bytes, now=lambda: START)
