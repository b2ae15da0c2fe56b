"""Whatever a server does: the archive holds the wire's bytes, the outcome its word, the next page its own answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from chaos import (
    AFTER,
    CLOSE,
    FAILURES,
    LONG_LINE,
    MIB,
    OK,
    PAGES,
    POISON,
    RESET,
    SLOW,
    STALL,
    TWO_LENGTHS,
    Case,
    Chaos,
    chunked,
    numbered,
    sized,
)
from cli import Cli
from warcio.archiveiterator import ArchiveIterator

from scraper import message


@dataclass
class Kept:
    """What the WARCs hold of one address, as warcio reads it."""

    blocks: dict[str, list[bytes]] = field(default_factory=dict)  # by record type
    truncated: str | None = None
    facts: dict[str, str] = field(default_factory=dict)


@dataclass
class Score:
    """How many cases were judged, and how many of them were found as they must be; a scheme makes another case."""

    judged: int = 0
    right: int = 0

    def add(self, cases: tuple[Case, ...], wrong: set[str]) -> None:
        self.judged += len(cases)
        self.right += sum(case.name not in wrong for case in cases)


@pytest.fixture(scope="module")
def score() -> Iterator[Score]:
    """The score of all cases of this file, printed when they are through."""
    kept = Score()
    yield kept
    print(f"\nchaos: {kept.right} of {kept.judged} cases")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Any]:
    made: list[Chaos] = []

    def open_chaos(*cases: Case) -> tuple[Chaos, Cli]:
        chaos = Chaos({case.name.replace(".", "-"): case for case in cases})
        chaos.open(tmp_path)
        made.append(chaos)
        return chaos, Cli(tmp_path, chaos)  # type: ignore[arg-type]

    yield open_chaos
    for chaos in made:
        chaos.close()


def host_of(case: Case) -> str:
    return f"{case.name.replace('.', '-')}.test"


def kept_in(archive: Path) -> dict[str, Kept]:
    found: dict[str, Kept] = {}
    for path in sorted((archive / "collections/main/archive").glob("*.warc.gz")):
        with path.open("rb") as file:
            for record in ArchiveIterator(file, check_digests="raise"):
                record.content_stream().read()
            file.seek(0)
            # Not parsed: every block comes as it lies there.
            for record in ArchiveIterator(file, no_record_parse=True):
                headers = record.rec_headers
                kept = found.setdefault(headers.get_header("WARC-Target-URI") or "", Kept())
                block = record.content_stream().read()
                kept.blocks.setdefault(record.rec_type, []).append(block)
                if record.rec_type == "response":
                    kept.truncated = headers.get_header("WARC-Truncated")
                if record.rec_type == "metadata":
                    kept.facts = dict(line.split(": ", 1) for line in block.decode().splitlines())
    return found


def told(kept: Kept) -> str:
    reason = kept.facts.get("reason")
    return f"{kept.facts['outcome']}({reason})" if reason else kept.facts["outcome"]


def faults(case: Case, kept: Kept, asked: list[bytes]) -> list[str]:
    """What the archive holds otherwise than it must."""
    block = case.expected_block
    responses = kept.blocks.get("response", [])
    checks = {
        "outcome": (told(kept), case.outcome),
        "response": (responses, [] if block is None else [block]),
        "request": (kept.blocks.get("request", []), asked[:1]),
        "truncated": (kept.truncated, case.truncated),
    }
    if case.content is not None and responses:
        head = message.parse_head(responses[0])
        codings = head.header("content-encoding") if head else None
        checks["content"] = (message.content(message.entity(responses[0]), codings, 1 << 24), case.content)
    return [
        f"{case.name}: {what} is {found!r:.300}, not {due!r:.300}"
        for what, (found, due) in checks.items()
        if found != due
    ]


def judge(chaos: Chaos, cli: Cli, cases: tuple[Case, ...], scheme: str, score: Score) -> list[str]:
    """Run over all cases, each followed by a page of the same host; everything that is wrong."""
    cli.citing(*(f"{scheme}://{host_of(case)}/{path}" for case in cases for path in ("", "after")))
    done = cli.run("run")
    assert "Traceback" not in done.stderr, done.stderr
    kept = kept_in(cli.archive)
    found = []
    for case in cases:
        host = host_of(case)
        found += faults(case, kept[f"{scheme}://{host}/"], chaos.heard(host))
        after = kept[f"{scheme}://{host}/after"]
        if told(after) not in ("captured", "unchanged") or chaos.heard(host, "/after") != after.blocks["request"]:
            found.append(f"{case.name}: the next page came to {told(after)}")
        # The same bytes at a second address are a revisit, whose block is the head.
        answers = after.blocks.get("response", []) + after.blocks.get("revisit", [])
        if answers not in ([AFTER], [AFTER.removesuffix(b"after")]):
            found.append(f"{case.name}: the next page is {answers!r:.200}")
    score.add(cases, {fault.partition(":")[0] for fault in found})
    checked = cli.run("check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    return found


SCHEMES = pytest.mark.parametrize("scheme", ["http", "https"])


@SCHEMES
def test_every_odd_answer_is_a_page_as_it_was_sent(opened: Any, scheme: str, score: Score) -> None:
    chaos, cli = opened(*PAGES)
    assert judge(chaos, cli, PAGES, scheme, score) == []


@SCHEMES
def test_every_broken_answer_fails_with_its_word_and_its_bytes_are_kept(opened: Any, scheme: str, score: Score) -> None:
    chaos, cli = opened(*FAILURES)
    cli.settings = {"max_wire_mib": 1}
    assert judge(chaos, cli, FAILURES, scheme, score) == []


@SCHEMES
def test_every_slow_answer_ends_at_the_deadline_and_its_bytes_are_kept(opened: Any, scheme: str, score: Score) -> None:
    chaos, cli = opened(*SLOW)
    cli.settings = {"deadline_seconds": 2.0}
    assert judge(chaos, cli, SLOW, scheme, score) == []


CODED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"
UNASKED = numbered((
    Case("together", (sized() + POISON,), block=sized()),
    Case("right-after", (sized(), POISON), block=sized()),
    Case("between-two-requests", (sized(), 0.1, POISON), block=sized()),
    Case("in-two-parts", (sized() + POISON[:9], 0.1, POISON[9:]), block=sized()),
    Case("after-chunks", (CODED + chunked(), 0.1, POISON), block=CODED + chunked()),
    Case("a-single-line-end", (sized(), 0.1, b"\n"), block=sized()),
    Case("half-an-answer", (sized(), 0.1, HALF), block=sized()),
))  # fmt: skip


@SCHEMES
def test_bytes_nobody_asked_for_are_no_answer_to_the_next_request(opened: Any, scheme: str, score: Score) -> None:
    chaos, cli = opened(*UNASKED)
    cli.settings = {"delay_seconds": 0.5}
    assert judge(chaos, cli, UNASKED, scheme, score) == []
    for case in UNASKED:
        lines = {said.path: said.connection for said in chaos.log if said.host == host_of(case)}
        assert lines["/"] != lines["/after"], case.name


@SCHEMES
@pytest.mark.parametrize("end", [CLOSE, RESET])
def test_a_line_that_went_stale_is_replaced_once_and_unseen(opened: Any, scheme: str, end: str) -> None:
    class Once(dict[str, Case]):
        """The host closes its line at the first request for its page, and serves the second."""

        asked = 0

        def get(self, name: str, default: Any = None) -> Case:
            self.asked += 1
            return Case(name, (end,)) if self.asked == 1 else Case(name, (sized(),))

    case = Case("stale", ())
    chaos, cli = opened(case)
    chaos.cases = Once(chaos.cases)
    cli.citing(*(f"{scheme}://stale.test/{path}" for path in ("before", "")))
    cli.run("run")
    kept = kept_in(cli.archive)[f"{scheme}://stale.test/"]
    assert (told(kept), kept.facts["tries"]) == ("captured", "1")
    assert (kept.blocks["response"], len(kept.blocks["request"])) == ([sized()], 1)
    first, second = (said for said in chaos.log if said.path == "/" and not said.sent)
    assert first.connection != second.connection


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        (Case("icy", (b"ICY 200 OK\r\n\r\nmusic", CLOSE)), "does not answer in HTTP/1.1, but begins with 'ICY 200 OK"),
        (Case("alert", (b"\x15\x03\x01\x00\x02\x02\x50", CLOSE)), "does not speak HTTP here, but TLS"),
        (Case("cut", (OK + b"Content-Length: 9\r\n\r\nhalf", CLOSE)), "broke off in the middle of its answer"),
        (Case("gone", (CLOSE,)), "closed the connection without an answer"),
        (Case("slow", (STALL,)), "no whole answer within 1 s"),
        (Case("lengths", (TWO_LENGTHS, CLOSE)), "different lengths of its answer: '5, 6'"),
        (Case("chunks", (CODED + b"none\r\n", CLOSE)), "sends a chunk without a size: 'none"),
        (Case("head", (LONG_LINE, STALL)), "has a head of more than 512 KiB; the first part is kept"),
        (Case("large", (sized(body=bytes(2 * MIB)),)), "is larger than 1 MiB; the first part is kept"),
    ],
    ids=lambda value: value.name if isinstance(value, Case) else "",
)  # fmt: skip
def test_the_command_line_says_what_was_wrong(opened: Any, case: Case, sentence: str) -> None:
    _, cli = opened(case)
    cli.settings = {"deadline_seconds": 1.0, "max_wire_mib": 1}
    done = cli.run("fetch", f"http://{host_of(case)}/")
    assert done.returncode in (3, 4)
    assert sentence in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
