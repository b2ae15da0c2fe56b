from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scraper import report, urls
from scraper.errors import ConfigError, IntegrityError
from scraper.model import Citation, Document, Facts, Held, HostMemory, Location, Outcome, Purpose, Role, State
from scraper.state import FILE_NAME, StateFile, VisitRow
from scraper.state.schema import APPLICATION_ID, MIGRATIONS

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "https://example.org/a"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFile]:
    with StateFile.open(tmp_path) as opened:
        yield opened


def document(*hrefs: str, text: str = "") -> Document:
    digest = hashlib.sha256((text + "|".join(hrefs)).encode()).hexdigest()
    cited = tuple(Citation(href, Role.ORIGINAL, line, urls.target(href)) for line, href in enumerate(hrefs, start=1))
    return Document(digest, "text", "utf-8", Facts(), cited)


def add(state: StateFile, found: Document, *places: str) -> None:
    state.add_document(found, "{}", [(citation, None) for citation in found.citations], "rules")
    for place in places:
        state.place(place, found.digest)


def visit(
    outcome: Outcome, at: datetime = NOON, href: str = URL, offset: int = 0, held: Held | None = None
) -> VisitRow:
    good = outcome.state is State.CAPTURED
    return VisitRow(
        href, href, at, at, outcome, 1, "", Purpose.PAGE, "main", Location("a.warc.gz", offset, 10), at,
        page=Location("a.warc.gz", offset, 5) if good else None, held=held,
    )  # fmt: skip


def due(state: StateFile, found: Document, at: datetime, recheck: timedelta | None = None) -> list[str]:
    return [state.visit_of(number, "main").target.href for number in state.due([found.digest], at, recheck)]


def test_one_url_in_many_documents_is_one_target_and_the_same_bytes_elsewhere_cite_again(state: StateFile) -> None:
    first, second = document(URL, text="one"), document(URL, text="two")
    add(state, first, "/a.txt", "/copy-of-a.txt")
    add(state, second, "/b.txt")
    ledger = report.ledger(state)
    assert (ledger.documents, ledger.citations, ledger.targets) == (3, 3, 1)
    assert len(state.due([first.digest, second.digest], NOON, None)) == 1
    assert state.visit_of(1, "main").via == tuple(sorted((first.digest, second.digest)))


def test_every_citation_is_in_one_state_and_the_sums_agree(state: StateFile) -> None:
    found = document(URL, "https://example.org/b", "https://example.org/c")
    add(state, found, "/a.txt")
    state.record(visit(Outcome(State.CAPTURED)))
    state.record(visit(Outcome(State.DEAD, "404"), href="https://example.org/b", offset=20))
    ledger = report.ledger(state)
    assert ledger.agrees
    assert {name: count for name, count in ledger.by_state.items() if count} == {"captured": 1, "dead": 1, "pending": 1}
    assert ledger.by_reason["dead"] == {"404": 1}


def test_failures_come_back_after_1_2_4_and_at_most_30_days(state: StateFile) -> None:
    found = document(URL)
    add(state, found, "/a.txt")
    at = NOON
    for number, days in enumerate((1, 2, 4, 8, 16, 30, 30)):
        state.record(visit(Outcome(State.FAILED, "timeout"), at, offset=number))
        assert due(state, found, at + timedelta(days=days) - timedelta(seconds=1)) == []
        at += timedelta(days=days)
        assert due(state, found, at) == [URL]


def test_a_success_lets_the_next_failure_come_back_after_one_day(state: StateFile) -> None:
    found = document(URL)
    add(state, found, "/a.txt")
    state.record(visit(Outcome(State.FAILED, "timeout"), NOON, offset=1))
    state.record(visit(Outcome(State.CAPTURED), NOON + timedelta(days=1), offset=2))
    state.record(visit(Outcome(State.DEAD, "404"), NOON + timedelta(days=9), offset=3))
    assert due(state, found, NOON + timedelta(days=10)) == [URL]


def test_a_deferred_target_is_due_when_its_time_has_come(state: StateFile) -> None:
    found = document(URL)
    add(state, found, "/a.txt")
    state.record(visit(Outcome(State.DEFERRED, "held", NOON + timedelta(hours=2))))
    assert due(state, found, NOON + timedelta(hours=1)) == []
    assert due(state, found, NOON + timedelta(hours=2)) == [URL]


def test_a_captured_target_is_due_only_when_recheck_says_so(state: StateFile) -> None:
    found = document(URL)
    add(state, found, "/a.txt")
    state.record(visit(Outcome(State.CAPTURED)))
    later = NOON + timedelta(days=31)
    assert due(state, found, later) == []
    assert due(state, found, later, timedelta(days=30)) == [URL]
    assert due(state, found, later, timedelta(days=40)) == []


def test_a_later_failure_never_hides_the_newest_good_capture(state: StateFile) -> None:
    found = document(URL)
    add(state, found, "/a.txt")
    held = Held(URL, NOON, "sha1:X", "ab", '"etag"', None)
    good, _ = state.record(visit(Outcome(State.CAPTURED), held=held))
    state.record(visit(Outcome(State.FAILED, "timeout"), NOON + timedelta(days=1), offset=2))
    row = state.target(URL)
    assert row is not None
    assert (str(row.outcome), row.good_visit) == ("failed(timeout)", good)
    assert state.visit_of(1, "main").held == held
    assert report.ledger(state).captures_held == 1


def test_a_clock_set_back_does_not_hide_the_last_visit(state: StateFile) -> None:
    add(state, document(URL), "/a.txt")
    state.record(visit(Outcome(State.FAILED, "timeout"), NOON, offset=1))
    state.record(visit(Outcome(State.CAPTURED), NOON - timedelta(days=1), offset=2))
    row = state.target(URL)
    assert row is not None
    assert (str(row.outcome), row.good_visit) == ("captured", 2)


def test_a_visit_recorded_twice_counts_once(state: StateFile) -> None:
    add(state, document(URL), "/a.txt")
    first, _ = state.record(visit(Outcome(State.FAILED, "timeout")))
    again, _ = state.record(visit(Outcome(State.FAILED, "timeout")))
    assert (first, again) == (1, 0)
    assert len(list(state.visits())) == 1


def test_marks_tell_how_far_each_warc_is_committed(state: StateFile) -> None:
    state.record(visit(Outcome(State.CAPTURED), offset=40))
    state.record(visit(Outcome(State.CAPTURED), offset=10))
    assert state.marks("main") == {"a.warc.gz": 50}
    assert state.marks("other") == {}
    state.forget_warc("main", "a.warc.gz")
    assert state.marks("main") == {}


def test_host_memory_comes_back_as_it_was(state: StateFile) -> None:
    memory = HostMemory("example.org", NOON, 0.25, 2, NOON, 200, b"User-agent: *\n", "https", 2.5, NOON)
    state.remember(memory)
    assert state.memory("example.org") == memory
    assert state.memory("example.net") is None


def test_hosts_of_an_older_scrapers_state_are_not_slowed_down(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / FILE_NAME)
    db.executescript("".join(MIGRATIONS[:2]))
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute("PRAGMA user_version = 2")
    hosts = "INSERT INTO hosts VALUES ('example.org', '2024-01-01T12:00:00.000000Z', 0.25, 2, NULL, 200, x'', 'https')"
    db.execute(hosts)
    db.commit()
    db.close()
    with StateFile.open(tmp_path) as state:
        memory = state.memory("example.org")
    noon = datetime(2024, 1, 1, 12, tzinfo=UTC)
    assert memory == HostMemory("example.org", noon, 0.25, 2, None, 200, b"", "https", slowdown=1.0, noted_at=None)


def test_what_was_not_committed_is_not_there_after_a_crash(tmp_path: Path) -> None:
    state = StateFile.open(tmp_path)
    add(state, document(URL), "/a.txt")
    state.commit()
    state.record(visit(Outcome(State.CAPTURED)))
    state.abandon()
    with StateFile.open_for_reading(tmp_path) as again:
        assert report.ledger(again).by_state["pending"] == 1


def test_a_clean_end_leaves_one_file_that_can_be_read_alone(tmp_path: Path) -> None:
    state = StateFile.open(tmp_path)
    add(state, document(URL), "/a.txt")
    state.close()
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    with StateFile.open_for_reading(tmp_path) as again:
        assert report.ledger(again).citations == 1
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_newer_schema_is_refused_with_the_way_out(tmp_path: Path) -> None:
    StateFile.open(tmp_path).close()
    db = sqlite3.connect(tmp_path / FILE_NAME)
    db.execute("PRAGMA user_version = 999")
    db.close()
    for opening in (StateFile.open, StateFile.open_for_reading):
        with pytest.raises(ConfigError, match=r"made by a newer scraper \(schema 999, .*upgrade scraper"):
            opening(tmp_path)


def test_a_damaged_state_file_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is not a database, it only looks like a file" * 100)
    for opening in (StateFile.open, StateFile.open_for_reading):
        with pytest.raises(IntegrityError, match=r"state\.sqlite3: the state file is damaged .*scraper run` makes"):
            opening(tmp_path)


def test_no_state_at_all_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="there is no state here"):
        StateFile.open_for_reading(tmp_path)


def test_a_trouble_is_new_once(state: StateFile) -> None:
    assert state.note_trouble("/a.txt", "empty")
    assert not state.note_trouble("/a.txt", "empty")
    assert state.note_trouble("/a.txt", "binary")


def test_what_was_learnt_of_hosts_is_committed_with_the_visits_that_taught_it(state: StateFile) -> None:
    memory = HostMemory("example.org", not_before=NOON + timedelta(hours=1))
    state.record(visit(Outcome(State.FAILED, "http 429")))
    state.remember(memory)
    state.commit()
    with StateFile.open_for_reading(state.path.parent) as reading:
        assert [row[0] for row in reading.query("SELECT host FROM hosts")] == ["example.org"]
    state.remember(replace(memory, failures=3))
    state.roll_back()
    assert state.memory("example.org") == memory
