"""An archive to look at: the demonstration's, and pages with a history, a failure and hostile words."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from factories import make_capture, make_exchange

from scraper import demo, pipeline
from scraper.archiver import Collection
from scraper.archiver.visits import Known
from scraper.model import Held, Outcome, State
from scraper.settings import Settings

MOSCOW = (
    "https://www.themoscowtimes.com/2019/09/09/"
    "france-says-eu-and-russia-must-rebuild-trust-but-too-early-to-end-sanctions-a67209"
)
HARBOUR = "https://news.example.org/harbour"
HOSTILE = "https://evil.example.org/?q=%22%3E<b>&x='y'"
HISTORY = ("20240504030201", "20250110090000", "20260202120000")

_WORDS = (
    "The harbour council met on {day} to speak about the three old cranes on the northern quay.",
    "They were built before the war and have not moved since the ferry was taken off its winter timetable.",
    "A majority of {votes} wants to keep them, and to paint them in the colour they had when they were new.",
    "Nobody on the council would say what the paint will cost, or who is going to climb up with the brush.",
    "The port company owns the ground below the cranes, and it has asked for a guarantee.",
    "Visitors come to see them all the same, most of all in the first warm weeks of the year.",
)


def harbour_page(day: str, votes: str, more: str = "") -> bytes:
    paragraphs = "".join(f"<p>{text.format(day=day, votes=votes)}</p>" for text in _WORDS)
    table = "<table><tr><th>Crane</th><th>Built</th></tr><tr><td>North</td><td>1911</td></tr></table>"
    quote = "<blockquote><p>You could always find your clothes again by the smell of tar on them.</p></blockquote>"
    page = (
        "<!doctype html><html lang=en><head><title>Cranes stay</title></head><body><article><h1>Three cranes stay</h1>"
        f"<p class=byline>By Ada Lindqvist</p>{paragraphs}<h2>What they weigh</h2>{table}{quote}"
        f"<ul><li>the first crane, which is red</li><li>the second crane, which is not</li></ul>{more}"
        "</article></body></html>"
    )
    return page.encode()


HOSTILE_PAGE = (
    b"<!doctype html><html><head><title>&lt;script&gt;document.title='owned'&lt;/script&gt;</title></head><body>"
    b"<article><h1>&lt;script&gt;document.title='owned'&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;</h1>"
    b"<p>&lt;/main&gt;&lt;/pre&gt;&lt;script&gt;document.title='owned'&lt;/script&gt; A long enough paragraph of "
    b"words so that it may count as the text of an article, which nobody wants to read twice in one day.</p>"
    b"<p>Another paragraph which says much the same in other words, for an article has more than a single one.</p>"
    b"</article></body></html>"
)


def build(root: Path) -> None:
    """Make the archive in a process of its own: the browser's driver keeps an event loop running in this one."""
    done = subprocess.run([sys.executable, __file__, str(root)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def _build(root: Path) -> None:
    settings = Settings(collection="demo")
    assert demo.run(settings, root, lambda _line: None) == 0
    collection = Collection(root, "demo", info={"software": "scraper/test"}, now=lambda: _at("20260401000000"))
    pages = [
        harbour_page("Monday", "fourteen to nine"),
        harbour_page("Tuesday", "fifteen to eight", "<p>The painter has been found: she is the mayor's sister.</p>"),
    ]
    held = _append(collection, pages[0], HISTORY[0])
    held = _append(collection, pages[1], HISTORY[1])
    _append(collection, pages[1], HISTORY[2], held)
    failed = make_exchange(HARBOUR, b"busy", status=503, at=_at("20260303100000"))
    collection.append(make_capture(failed, outcome=Outcome(State.FAILED, "http 503")))
    collection.append(make_capture(make_exchange(HOSTILE, HOSTILE_PAGE, at=_at("20260304100000"))))
    collection.sync()
    collection.close()
    pipeline.rebuild(root, settings, pipeline.Listener(), pipeline.Stop())


def _append(collection: Collection, body: bytes, timestamp: str, held: Held | None = None) -> Held | None:
    known: Known = lambda _sha256: held  # noqa: E731
    capture = make_capture(make_exchange(HARBOUR, body, at=_at(timestamp)))
    return collection.append(capture, held=held, known=known).held


def _at(timestamp: str) -> datetime:
    return datetime.strptime(timestamp, "%Y%m%d%H%M%S").replace(tzinfo=UTC)


if __name__ == "__main__":
    _build(Path(sys.argv[1]))
