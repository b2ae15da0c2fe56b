"""After a crash nothing is lost, nothing torn stays, and `check` finds every fault."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from factories import START, make_capture, make_collection, make_exchange

from scraper.archiver import (
    Collection,
    Kept,
    Lock,
    Recovery,
    Told,
    check,
    index,
    rebuild_index,
    recorded,
    recover,
    untold,
)
from scraper.archiver.members import scan
from scraper.errors import ArchiveUnwritable, IntegrityError
from scraper.model import Held, Location, Outcome, State

TESTS = Path(__file__).parent


def folder(root: Path, name: str) -> Path:
    return root / "collections/main" / name


def crashed(root: Path, *urls: str) -> tuple[Collection, list[Kept]]:
    """An archive whose writer synced and then died."""
    collection = make_collection(root)
    kept = [collection.append(make_capture(make_exchange(url, url.encode() * 30))) for url in urls]
    collection.sync()
    collection.abandon()
    return collection, kept


def problems(root: Path, rows: tuple[Location, ...] = ()) -> list[str]:
    return [str(problem) for problem in check(root, "main", rows)]


def open_file(root: Path) -> Path:
    (path,) = folder(root, "archive").glob("*.open")
    return path


def closed_file(root: Path) -> Path:
    (path,) = folder(root, "archive").glob("*.warc.gz")
    return path


def adopted_after(root: Path, marks: dict[str, int]) -> tuple[list[Told], Recovery]:
    """What a start brings into a state that knows this much."""
    recovery = recover(root, "main", marks)
    marks = {warc: end for warc, end in marks.items() if warc not in recovery.reread}
    return list(untold(root, "main", marks)), recovery


# ------------------------------------------------------------------- recovery


def test_a_file_left_open_is_closed_and_what_no_row_tells_of_is_adopted(tmp_path: Path) -> None:
    _, (first, second) = crashed(tmp_path, "http://a.example/", "http://b.example/")

    adopted, recovery = adopted_after(tmp_path, {first.warc: first.end})

    assert [visit.kept for visit in adopted] == [second]
    assert recovery == Recovery()
    assert closed_file(tmp_path).name == first.warc
    assert problems(tmp_path, (*first.locations, *second.locations)) == []
    assert adopted_after(tmp_path, {first.warc: second.end})[0] == []


def test_without_any_mark_every_visit_is_adopted(tmp_path: Path) -> None:
    _, kept = crashed(tmp_path, "http://a.example/", "http://b.example/")
    assert [visit.kept for visit in adopted_after(tmp_path, {})[0]] == kept


def test_a_visit_synced_into_a_closed_file_but_not_committed_is_adopted(tmp_path: Path) -> None:
    collection = make_collection(tmp_path)
    first = collection.append(make_capture(make_exchange("http://a.example/")))
    second = collection.append(make_capture(make_exchange("http://b.example/")))
    collection.close()
    adopted, _ = adopted_after(tmp_path, {first.warc: first.end})
    assert [visit.kept for visit in adopted] == [second]


def test_wherever_the_last_visit_is_torn_no_byte_is_lost_and_whole_records_stay(tmp_path: Path) -> None:
    _, (first, last) = crashed(tmp_path / "whole", "http://a.example/", "http://b.example/")
    data = open_file(tmp_path / "whole").read_bytes()
    response, request, metadata = last.locations
    around = [at + step for at in (response.offset, request.offset) for step in (0, 1, 9, 10, 200)]
    for cut in (*around, *range(metadata.offset - 9, len(data) + 1)):
        root = tmp_path / "torn"
        shutil.copytree(tmp_path / "whole", root)
        os.truncate(open_file(root), cut)

        adopted, recovery = adopted_after(root, {first.warc: first.end})

        whole = max(at for at in (first.end, request.offset, metadata.offset, last.end) if at <= cut)
        assert closed_file(root).read_bytes() == data[:whole]
        assert b"".join(path.read_bytes() for path in recovery.quarantined) == data[whole:cut]
        assert len(recovery.quarantined) == (whole < cut)
        assert len(adopted) == (whole > first.end)
        if adopted:
            assert adopted[0].kept.page == response
            assert adopted[0].outcome.state is (State.CAPTURED if whole == last.end else State.PENDING)
        shutil.rmtree(root)


def test_a_recovered_archive_reads_clean(tmp_path: Path) -> None:
    _, (first, last) = crashed(tmp_path, "http://a.example/", "http://b.example/")
    os.truncate(open_file(tmp_path), last.visit.offset + 7)
    ((visit,), _) = adopted_after(tmp_path, {first.warc: first.end})
    assert problems(tmp_path, (*first.locations, *visit.kept.locations)) == []
    assert [entry.location for entry in make_collection(tmp_path).find("http://b.example/")] == [visit.kept.page]


@pytest.mark.parametrize("status", [200, 301, 404, 503])
@pytest.mark.parametrize("path", ["page", "robots.txt"])
def test_an_exchange_whose_visit_was_cut_off_decides_nothing_and_stays_as_evidence(
    tmp_path: Path, status: int, path: str
) -> None:
    collection = make_collection(tmp_path)
    page = make_exchange(f"http://a.example/{path}", status=status)
    kept = collection.append(make_capture(page))
    collection.abandon()
    os.truncate(open_file(tmp_path), kept.visit.offset)
    ((visit,), _) = adopted_after(tmp_path, {})
    assert visit.outcome == Outcome(State.PENDING, "interrupted")
    assert (visit.purpose, visit.status, visit.kept.held) == (path.removesuffix(".txt"), status, None)
    assert [entry.location for entry in make_collection(tmp_path).find(page.target.href)] == [kept.page]


def test_a_revisit_whose_visit_was_cut_off_does_not_count_as_unchanged(tmp_path: Path) -> None:
    collection = make_collection(tmp_path)
    first = collection.append(make_capture(make_exchange(headers=(("ETag", "x"),))))
    later = make_capture(make_exchange(status=304, body=b""), outcome=Outcome(State.UNCHANGED))
    kept = collection.append(later, held=first.held)
    collection.abandon()
    os.truncate(open_file(tmp_path), kept.visit.offset)
    assert [visit.outcome.state for visit in adopted_after(tmp_path, {})[0]] == [State.CAPTURED, State.PENDING]
    assert problems(tmp_path) == []


def test_a_crash_between_index_and_name_is_no_loss(tmp_path: Path) -> None:
    collection = make_collection(tmp_path)
    kept = collection.append(make_capture(make_exchange()))
    collection.close()
    closed_file(tmp_path).rename(folder(tmp_path, "archive") / (kept.warc + ".open"))
    assert adopted_after(tmp_path, {kept.warc: kept.end})[0] == []
    assert problems(tmp_path, kept.locations) == []


def test_an_empty_file_goes_to_quarantine_under_its_name(tmp_path: Path) -> None:
    folder(tmp_path, "archive").mkdir(parents=True)
    (folder(tmp_path, "archive") / "main-20260101000000-00000.warc.gz.open").touch()
    (moved,) = recover(tmp_path, "main", {}).quarantined
    assert moved.read_bytes() == b""
    assert list(folder(tmp_path, "archive").iterdir()) == []


def flipped(path: Path, offset: int) -> bytes:
    """Flip a bit of a file; gives what it holds then."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)
    return bytes(data)


def test_damage_before_the_commit_mark_moves_no_record_and_loses_no_byte(tmp_path: Path) -> None:
    _, (first, last) = crashed(tmp_path, "http://a.example/", "http://b.example/")
    path = open_file(tmp_path)
    data = flipped(path, first.page.offset + 40)

    adopted, recovery = adopted_after(tmp_path, {last.warc: last.end})

    start, end = first.page.offset, first.page.offset + first.page.length
    closed = closed_file(tmp_path).read_bytes()
    assert (closed[:start], closed[end:]) == (data[:start], data[end:])
    assert [kept.read_bytes() for kept in recovery.quarantined] == [data[start:end]]
    assert recovery.reread == (first.warc,)
    (sentence,) = recovery.losses
    assert sentence.startswith(f"{path}: offset {start}: ")
    assert sentence.endswith("what was lost is due again")
    assert [str(visit.outcome.state) for visit in adopted] == ["pending", "captured"]
    assert adopted[1].kept == last
    assert problems(tmp_path) == []


@pytest.mark.parametrize("committed", [False, True])
def test_wherever_a_bit_is_flipped_in_an_open_file_all_whole_exchanges_are_adopted(
    tmp_path: Path, committed: bool
) -> None:
    urls = [f"http://{name}.example/" for name in "abc"]
    _, kept = crashed(tmp_path / "whole", *urls)
    size = open_file(tmp_path / "whole").stat().st_size
    marks = {kept[0].warc: kept[-1].end if committed else kept[0].end}
    for position in range(0, size, size // 40):
        root = tmp_path / "flipped"
        shutil.copytree(tmp_path / "whole", root)
        data = flipped(open_file(root), position)
        adopted, recovery = adopted_after(root, marks)
        found = {visit.kept.page: visit for visit in adopted}
        for visit in kept[0 if recovery.reread else 1 :]:
            whole = not any(at.offset <= position < at.offset + at.length for at in visit.locations)
            if whole and visit.end > marks[visit.warc] * (not recovery.reread):
                assert found[visit.page].outcome.state is State.CAPTURED, f"bit flipped at {position}"
        aside = b"".join(path.read_bytes() for path in recovery.quarantined)
        closed = closed_file(root).read_bytes()
        assert aside == b"" or aside in data
        # What differs from what was there is what was set aside: nothing else was touched.
        assert sum(a != b for a, b in zip(data, closed, strict=False)) <= len(aside)
        assert len(data) == len(closed) or data.endswith(aside)
        assert problems(root) == [], f"bit flipped at {position}"
        shutil.rmtree(root)


def test_a_file_that_is_shorter_than_its_commit_mark_says_what_was_lost(tmp_path: Path) -> None:
    _, (first, last) = crashed(tmp_path, "http://a.example/", "http://b.example/")
    path = open_file(tmp_path)
    os.truncate(path, first.end)
    adopted, recovery = adopted_after(tmp_path, {last.warc: last.end})
    assert [visit.kept for visit in adopted] == [first]
    assert recovery.reread == (last.warc,)
    assert recovery.losses[0].startswith(f"{path}: offset {first.end}: the file ends here")


def test_a_merge_that_was_cut_off_leaves_no_line_twice(tmp_path: Path) -> None:
    collection = make_collection(tmp_path, segment_bytes=1)
    for number in range(12):
        collection.append(make_capture(make_exchange(f"http://a.example/{number}")))
    collection.close()
    layout = collection.layout
    before = sorted(path.name for path in folder(tmp_path, "indexes").iterdir())
    index.merge_files(layout, index.index_files(layout)[:5])  # and then the power goes
    (folder(tmp_path, "indexes") / ".merged-000002.cdxj.tmp").write_bytes(b"half")
    recover(tmp_path, "main", {})
    after = sorted(path.name for path in folder(tmp_path, "indexes").iterdir())
    assert after == [*before[5:], "merged-000001.cdxj"]
    lines = [line for path in index.index_files(layout) for line in path.read_bytes().splitlines()]
    assert len(lines) == len(set(lines)) == 12
    assert problems(tmp_path) == []


def test_recovery_of_a_collection_that_is_not_there_finds_nothing(tmp_path: Path) -> None:
    assert adopted_after(tmp_path, {}) == ([], Recovery())
    assert list(tmp_path.iterdir()) == []


def test_two_torn_tails_of_one_name_are_both_kept(tmp_path: Path) -> None:
    for _ in range(2):
        folder(tmp_path, "archive").mkdir(parents=True, exist_ok=True)
        (folder(tmp_path, "archive") / "main-20260101000000-00000.warc.gz.open").write_bytes(b"torn")
        recover(tmp_path, "main", {})
    assert [path.read_bytes() for path in folder(tmp_path, "quarantine").iterdir()] == [b"torn", b"torn"]


def test_a_writer_that_is_killed_loses_nothing_it_had_synced(tmp_path: Path) -> None:
    script = f"""
        import sys; sys.path.insert(0, {str(TESTS)!r})
        from pathlib import Path
        from factories import make_capture, make_collection, make_exchange
        collection = make_collection(Path({str(tmp_path)!r}))
        for number in range(10**6):
            kept = collection.append(make_capture(make_exchange(f"http://a.example/{{number}}", b"x" * 5000)))
            collection.sync()
            print(kept.end, flush=True)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    ends = [int(process.stdout.readline()) for _ in range(20)]
    process.send_signal(signal.SIGKILL)
    ends += [int(line) for line in process.stdout.read().split()]
    process.wait()
    process.stdout.close()

    adopted, _ = adopted_after(tmp_path, {})

    assert [visit.kept.end for visit in adopted][: len(ends)] == ends
    assert len(adopted) - len(ends) in (0, 1)
    assert problems(tmp_path) == []


# ----------------------------------------------------------------------- disk


def limited(size: int, code: str, root: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a process whose files cannot grow past a size: the nearest to a full disk without being root."""
    script = f"""
        import resource, signal, sys; sys.path.insert(0, {str(TESTS)!r})
        from pathlib import Path
        from factories import make_capture, make_collection, make_exchange
        from scraper.archiver import *
        from scraper.errors import ArchiveUnwritable
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))
        root = Path({str(root)!r})
    """
    text = textwrap.dedent(script) + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)


def test_on_a_full_disk_the_file_ends_with_its_last_whole_visit(tmp_path: Path) -> None:
    code = """
        collection = make_collection(root)
        kept = collection.append(make_capture(make_exchange("http://a.example/")))
        try:
            big = make_exchange("http://b.example/", bytes(range(256)) * 400, headers=(("Content-Type", "image/png"),))
            collection.append(make_capture(big))
        except ArchiveUnwritable as error:
            print(kept.end, error.exit_code, error)
        collection.abandon()
    """
    done = limited(50_000, code, tmp_path)
    end, exit_code, message = done.stdout.split(" ", 2)
    assert done.stderr == ""
    assert open_file(tmp_path).stat().st_size == int(end)
    assert exit_code == "74"
    assert message.startswith(f"{open_file(tmp_path)}: cannot be written: File too large")
    assert [visit.target.href for visit in recorded(tmp_path, "main")] == ["http://a.example/"]


def failing_once(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let a call of the system fail the first time and claim success from then on, as fsync does after an I/O error."""
    real, failures = getattr(os, name), iter([OSError(errno.EIO, "Input/output error")])

    def call(*arguments: object) -> object:
        for failure in failures:
            raise failure
        return real(*arguments)

    monkeypatch.setattr(os, name, call)


@pytest.mark.parametrize("call", ["fdatasync", "fsync", "writev"])
def test_after_an_error_of_the_disk_nothing_succeeds_any_more_and_nothing_is_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    collection = make_collection(tmp_path)
    first = collection.append(make_capture(make_exchange("http://a.example/")))
    failing_once(monkeypatch, call)
    with pytest.raises(ArchiveUnwritable, match="Input/output error"):
        collection.append(make_capture(make_exchange("http://b.example/")))
        collection.sync()
    for attempt in (collection.sync, collection.close, collection.sync, collection.close):
        with pytest.raises(ArchiveUnwritable, match="an earlier write failed"):
            attempt()
    with pytest.raises(ArchiveUnwritable, match="an earlier write failed"):
        collection.append(make_capture(make_exchange("http://c.example/")))
    collection.abandon()

    assert [path.name for path in folder(tmp_path, "archive").iterdir()] == [f"{first.warc}.open"]
    adopted, _ = adopted_after(tmp_path, {})
    assert [visit.target.host for visit in adopted] == ["a.example", "b.example"][: 1 if call == "writev" else 2]
    assert problems(tmp_path) == []


def test_a_rotation_that_failed_is_not_forgotten_by_the_next_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = make_collection(tmp_path, segment_bytes=1)
    collection.append(make_capture(make_exchange("http://a.example/")))
    failing_once(monkeypatch, "fdatasync")
    with pytest.raises(ArchiveUnwritable, match="Input/output error"):
        collection.append(make_capture(make_exchange("http://b.example/")))
    with pytest.raises(ArchiveUnwritable, match="an earlier write failed"):
        collection.sync()


def test_the_records_of_a_visit_are_written_in_one_call_so_that_a_kill_does_not_part_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = make_collection(tmp_path)
    collection.append(make_capture(make_exchange("http://a.example/")))
    real, calls = os.writev, []
    monkeypatch.setattr(os, "writev", lambda file, pieces: calls.append(len(pieces)) or real(file, pieces))
    monkeypatch.delattr(os, "write")
    collection.append(make_capture(make_exchange("http://b.example/"), make_exchange("http://b.example/2")))
    assert calls == [5]  # two responses with their requests, and the record that ends the visit


def test_a_torn_tail_that_could_not_be_cut_off_is_never_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = make_collection(tmp_path)
    collection.append(make_capture(make_exchange("http://a.example/")))
    real = os.writev

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        failing_once(disk, "ftruncate")
        disk.setattr(os, "writev", lambda file, pieces: real(file, [b"".join(pieces)[:9]]))
        disk.setattr(os, "write", full)
        with pytest.raises(ArchiveUnwritable):
            collection.append(make_capture(make_exchange("http://b.example/")))
    with pytest.raises(ArchiveUnwritable, match="an earlier write failed"):
        collection.close()
    collection.abandon()

    adopted, recovery = adopted_after(tmp_path, {})
    assert [visit.target.host for visit in adopted] == ["a.example"]
    assert [path.stat().st_size for path in recovery.quarantined] == [9]
    assert problems(tmp_path) == []


def test_an_archive_that_can_hold_nothing_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    code = """
        for attempt in (lambda: make_collection(root).append(make_capture(make_exchange())), Lock(root).__enter__):
            try:
                attempt()
            except ArchiveUnwritable as error:
                print(error)
    """
    done = limited(0, code, tmp_path)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 2
    assert all("cannot be written: File too large" in line for line in done.stdout.splitlines())
    assert list(folder(tmp_path, "archive").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArchiveUnwritable, match=r"file/below: cannot be written: Not a directory"):
        Lock(tmp_path / "file/below").__enter__()
    with pytest.raises(ArchiveUnwritable, match=r"cannot be written: Not a directory"):
        make_collection(tmp_path / "file").append(make_capture(make_exchange()))


def test_a_read_only_archive_is_named(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("permission bits do not bind root")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ArchiveUnwritable, match="Permission denied"):
            Lock(tmp_path).__enter__()
    finally:
        tmp_path.chmod(0o700)


# ---------------------------------------------------------------------- check


def sound(root: Path) -> list[Location]:
    """An archive with both kinds of revisit, closed; gives every record's place."""
    known: dict[str, Held] = {}
    collection = make_collection(root)
    first = collection.append(make_capture(make_exchange("http://a.example/", b"body " * 50)))
    known[first.entity_sha256] = first.held
    day = START + timedelta(days=1)
    second = collection.append(
        make_capture(make_exchange("http://a.example/", b"", status=304, at=day)), held=first.held
    )
    third = collection.append(make_capture(make_exchange("http://b.example/", b"body " * 50, at=day)), known=known.get)
    collection.close()
    return [location for kept in (first, second, third) for location in kept.locations]


def test_a_sound_archive_has_no_problem(tmp_path: Path) -> None:
    assert problems(tmp_path, tuple(sound(tmp_path))) == []


def test_every_flipped_bit_that_changes_a_record_is_found_without_the_seal(tmp_path: Path) -> None:
    sound(tmp_path)
    path = closed_file(tmp_path)
    data = path.read_bytes()
    whole = [member.data for member in scan(path)]
    (path.with_name(path.name + ".sha256")).unlink()  # without the seal: the records alone must tell
    for position in range(0, len(data), 5):
        flipped = bytearray(data)
        flipped[position] ^= 1 << (position % 8)
        path.write_bytes(flipped)
        found = [problem for problem in check(tmp_path, "main") if "checksum file is missing" not in problem.what]
        # What a gzip header says of time and system, and the bits that fill its last byte, carry nothing.
        assert found or [member.data for member in scan(path)] == whole, f"bit flipped at {position} went unseen"


def test_the_seal_tells_of_any_change(tmp_path: Path) -> None:
    sound(tmp_path)
    path = closed_file(tmp_path)
    data = bytearray(path.read_bytes())
    data[9] ^= 1  # the operating system in the first gzip header: no record is touched
    path.write_bytes(data)
    assert problems(tmp_path) == [
        f"{path}: the file is not what it was when it was closed; put the file back from a copy, or run"
        " `scraper check --repair`: it keeps what is damaged in quarantine/, and the pages are fetched again"
    ]


def test_a_seal_agrees_with_sha256sum(tmp_path: Path) -> None:
    sound(tmp_path)
    path = closed_file(tmp_path)
    expected = f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
    assert path.with_name(path.name + ".sha256").read_text() == expected


def test_two_records_in_one_member_are_found(tmp_path: Path) -> None:
    sound(tmp_path)
    path = closed_file(tmp_path)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())))
    assert any(
        "offset 0: the gzip member does not end where its one record ends" in line for line in problems(tmp_path)
    )


def test_a_fault_in_the_middle_does_not_hide_what_follows(tmp_path: Path) -> None:
    places = sound(tmp_path)
    path = closed_file(tmp_path)
    data = bytearray(path.read_bytes())
    for place in (places[0], places[-1]):
        data[place.offset + place.length // 2] ^= 1
    path.write_bytes(data)
    offsets = {problem.offset for problem in check(tmp_path, "main", places) if problem.path == path}
    assert offsets == {None, places[0].offset, places[-1].offset}


def test_a_row_that_points_at_no_whole_record_is_found(tmp_path: Path) -> None:
    first, *_ = sound(tmp_path)
    rows = (first, Location(first.warc, first.offset + 1, first.length), Location("lost.warc.gz", 5, 6))
    found = problems(tmp_path, rows)
    assert len(found) == 2
    assert f"offset {first.offset + 1}: the state knows a record of {first.length} bytes that is not here" in found[0]
    assert "lost.warc.gz: the file is missing, only 1 rows of the state of it are there" in found[1]


def test_a_revisit_of_what_is_not_here_is_found(tmp_path: Path) -> None:
    collection = make_collection(tmp_path)
    lost = Held("http://lost.example/", START, "sha1:" + "A" * 32, "0" * 64)
    held = replace(lost, validators_href="http://example.com/")
    kept = collection.append(make_capture(make_exchange(status=304, body=b"")), held=held)
    collection.close()
    (line,) = problems(tmp_path)
    assert f"offset {kept.page.offset}: the revisit refers to a capture of http://lost.example/ that is not" in line
    with pytest.raises(IntegrityError, match=r"refers to a capture of http://lost\.example/"):
        collection.load(kept.page)


def test_a_missing_file_is_told_by_its_seal_and_its_index(tmp_path: Path) -> None:
    place, *_ = sound(tmp_path)
    closed_file(tmp_path).unlink()
    (found,) = problems(tmp_path)
    assert "the file is missing, only the checksum, 3 lines of the index of it are there" in found
    with pytest.raises(IntegrityError, match="this WARC is missing"):
        make_collection(tmp_path).load(place)


# -------------------------------------------------------------------- rebuild


def test_the_index_is_made_again_from_the_warcs_alone(tmp_path: Path) -> None:
    sound(tmp_path)
    before = {path.name: path.read_bytes() for path in folder(tmp_path, "indexes").iterdir()}
    shutil.rmtree(folder(tmp_path, "indexes"))
    assert any("missing from the index" in line for line in problems(tmp_path))
    assert rebuild_index(tmp_path, "main") == 3
    assert {path.name: path.read_bytes() for path in folder(tmp_path, "indexes").iterdir()} == before
    assert problems(tmp_path) == []


def flip(path: Path, place: Location) -> None:
    data = bytearray(path.read_bytes())
    data[place.offset + place.length // 2] ^= 1
    path.write_bytes(data)


def test_a_damaged_record_stops_a_rebuild_or_is_told_and_passed_over(tmp_path: Path) -> None:
    places = sound(tmp_path)
    path = closed_file(tmp_path)
    flip(path, places[0])  # the first response; its request and metadata record stay whole
    with pytest.raises(IntegrityError, match=rf"{path}: offset {places[0].offset}: .*run `scraper check`"):
        rebuild_index(tmp_path, "main")
    with pytest.raises(IntegrityError, match=rf"{path}: offset {places[0].offset}: "):
        list(recorded(tmp_path, "main"))

    told: list[str] = []
    assert rebuild_index(tmp_path, "main", told.append) == 2
    visits = list(recorded(tmp_path, "main", told.append))
    assert [visit.kept.page for visit in visits] == [None, places[3], places[6]]
    assert len(told) == 2
    assert all(sentence.startswith(f"{path}: offset {places[0].offset}: ") for sentence in told)


def test_whatever_refers_to_a_damaged_page_is_due_again(tmp_path: Path) -> None:
    places = sound(tmp_path)
    collection = make_collection(tmp_path)
    collection.append(make_capture(make_exchange("http://c.example/", b"its own")))
    collection.close()
    assert [str(visit.outcome) for visit in recorded(tmp_path, "main")] == ["captured", "unchanged", *["captured"] * 2]
    flip(tmp_path / "collections/main/archive" / places[0].warc, places[0])

    visits = list(recorded(tmp_path, "main", lambda _: None))
    damaged = Outcome(State.PENDING, "damaged")
    assert visits[0].outcome == damaged
    assert [visit.outcome.state for visit in visits] == [*[State.PENDING] * 3, State.CAPTURED]
    assert [visit.kept.held is None for visit in visits] == [True, True, True, False]


def test_a_rebuild_makes_a_missing_checksum_and_never_changes_one(tmp_path: Path) -> None:
    sound(tmp_path)
    seal = closed_file(tmp_path).with_name(closed_file(tmp_path).name + ".sha256")
    right = seal.read_bytes()
    seal.unlink()
    rebuild_index(tmp_path, "main")
    assert seal.read_bytes() == right
    seal.write_text("0" * 64 + f"  {closed_file(tmp_path).name}\n")
    rebuild_index(tmp_path, "main")
    assert seal.read_text().startswith("0" * 64)


def test_a_damaged_index_is_named_with_what_to_do(tmp_path: Path) -> None:
    sound(tmp_path)
    (path,) = folder(tmp_path, "indexes").iterdir()
    for damage in (b"\0" * 500, path.read_bytes()[:-40], b"com,example)/ 2026 {}\n"):
        path.write_bytes(damage)
        with pytest.raises(IntegrityError, match=rf"{path}: this index is damaged; run `scraper rebuild`"):
            for url in ("http://a.example/", "http://b.example/"):
                make_collection(tmp_path).find(url)
        assert any("this index is damaged" in line for line in problems(tmp_path))
    rebuild_index(tmp_path, "main")
    assert problems(tmp_path) == []
