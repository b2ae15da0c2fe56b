"""`scraper check --repair`: what is derived is made again, what is damaged is kept, and nothing is ever deleted."""

from __future__ import annotations

import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli import Cli
from damage import STATE, change_state, copy_of, kinds, repair, warcs
from damage import archive_to_damage as archive_to_damage
from damage import sound_archive as sound_archive

from scraper import pipeline
from scraper.archiver import Layout, Lock, records
from scraper.archiver.members import scan
from scraper.errors import ArchiveLocked

TESTS = Path(__file__).parent
SEED = 20260504
CASES, CASES_OF_ALL = 25, 1000
KILLS = 12


def parts(path: Path) -> dict[int, bytes]:
    """The members of a WARC by their offsets."""
    data = path.read_bytes()
    return {member.offset: data[member.offset : member.offset + member.length] for member in scan(path)}


def quarantined(root: Path) -> list[bytes]:
    return [path.read_bytes() for path in Layout(root, "main").quarantine.rglob("*") if path.is_file()]


def spoil(path: Path, start: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(data)


def evidence(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Layout(root, "main").warcs.iterdir())}


def assert_mended(root: Path) -> None:
    """A second check finds nothing, a second repair does nothing."""
    assert [str(problem) for problem in pipeline.check(root)] == []
    before = evidence(root)
    again, told = repair(root)
    assert (again.exit_code, again.done, told) == (0, 0, [])
    assert evidence(root) == before


def test_a_sound_archive_is_left_as_it_is(root: Path) -> None:
    assert_mended(root)


@pytest.mark.parametrize(
    "change",
    [
        lambda layout: [path.unlink() for path in layout.indexes.iterdir()],
        lambda layout: [path.write_bytes(path.read_bytes() * 2) for path in layout.indexes.iterdir()],
        lambda layout: [path.write_bytes(b"garbage\n") for path in layout.indexes.iterdir()],
        lambda layout: [path.unlink() for path in layout.warcs.glob("*.sha256")],
        lambda layout: [path.write_bytes(b"garbage") for path in layout.warcs.glob("*.sha256")],
        lambda layout: [path.unlink() for path in layout.text.rglob("*.json")],
        lambda layout: [path.write_bytes(b"{}") for path in layout.text.rglob("*.json")],
        lambda layout: [path.write_bytes(b"") for path in layout.text.rglob("*.md")],
        lambda layout: layout.pages.unlink(),
        lambda layout: layout.pages.write_bytes(b"garbage"),
        lambda layout: layout.search.write_bytes(b"garbage" * 1000),
        lambda layout: layout.search.unlink(),
        lambda layout: (layout.root / STATE).unlink(),
        lambda layout: (layout.root / STATE).write_bytes(b"garbage" * 1000),
        lambda layout: change_state(layout.root, "DELETE FROM visits WHERE id % 2"),
        lambda layout: change_state(layout.root, "DELETE FROM segments"),
    ],
)
def test_what_is_derived_is_made_again_and_nothing_is_lost(root: Path, change: Callable[[Layout], object]) -> None:
    layout = Layout(root, "main")
    warc_bytes = [path.read_bytes() for path in warcs(root)]
    texts = {path: path.read_bytes() for path in layout.text.rglob("*") if path.is_file()}
    change(layout)
    repaired, _ = repair(root)
    assert (repaired.exit_code, repaired.is_loss) == (0, False)
    assert_mended(root)
    assert [path.read_bytes() for path in warcs(root)] == warc_bytes
    assert {path: path.read_bytes() for path in layout.text.rglob("*") if path.is_file()} == texts


def test_damaged_bytes_are_kept_and_a_record_that_says_so_stands_in_their_place(root: Path) -> None:
    path = warcs(root)[0]
    before = parts(path)
    offset = list(before)[3]
    spoil(path, offset + 30, b"\0\0\0\0")
    damaged = path.read_bytes()[offset : offset + len(before[offset])]

    repaired, told = repair(root)

    assert repaired.exit_code == 5
    after = parts(path)
    assert list(after) == list(before)
    assert {at for at in before if after[at] != before[at]} == {offset}
    kept = Layout(root, "main").quarantine / f"{path.name}.{offset}.damaged"
    assert kept.read_bytes() == damaged
    ((_, filler), *_) = records.read_all(path, offset)
    assert filler.type == "metadata"
    assert filler.block.decode().splitlines() == [
        f"quarantined: {kept.name}",
        f"length: {len(damaged)}",
        f"sha256: {hashlib.sha256(damaged).hexdigest()}",
    ]
    assert any(f"damaged bytes at offset {offset} are kept in {kept}" in line for line in told)
    assert sum("all its other records are right, and it was sealed anew as it is now" in line for line in told) == 1
    assert_mended(root)


def test_what_lost_its_record_is_due_again_and_its_text_goes_to_quarantine(root: Path) -> None:
    (path, offset) = next(
        (path, member.offset)
        for path in warcs(root)
        for member, record in records.read_all(path)
        if record.type == "response" and record.header("WARC-Target-URI") == "http://b.example/"
    )
    text = next(Layout(root, "main").text.glob("b.example/*/*.json"))
    written = text.read_bytes()
    spoil(path, offset + 40, b"\0\0\0\0")
    repair(root)
    assert not text.exists()
    assert written in quarantined(root)
    assert target_state(root, "http://b.example/") == "pending"
    assert target_state(root, "http://a.example/new") == ""
    assert target_state(root, "http://a.example/old") == "captured"


def target_state(root: Path, href: str) -> str:
    from scraper.state import StateReader

    with StateReader.open_for_reading(root) as state:
        row = state.target(href)
        return str(row.outcome.state) if row else ""


def test_pages_that_refer_to_a_lost_one_are_due_again_too(root: Path) -> None:
    path = warcs(root)[0]
    offset = next(
        member.offset
        for member, record in records.read_all(path)
        if record.type == "response" and record.header("WARC-Target-URI") == "http://a.example/"
    )
    spoil(path, offset + 40, b"\0\0\0\0")
    assert repair(root)[0].due_again == ["http://a.example/", "http://d.example/"]
    assert target_state(root, "http://d.example/") == "pending"
    assert_mended(root)


@pytest.mark.parametrize("added", [b"\0", b"more", b"\x1f\x8b\x08\0torn"])
@pytest.mark.parametrize("at", [-1, 3])
def test_bytes_that_were_not_there_when_it_was_closed_are_moved_out(root: Path, added: bytes, at: int) -> None:
    path = warcs(root)[0]
    whole = path.read_bytes()
    place = len(whole) if at < 0 else list(parts(path))[at]
    path.write_bytes(whole[:place] + added + whole[place:])
    assert repair(root)[0].exit_code == 0
    assert path.read_bytes() == whole
    assert added in quarantined(root)
    assert_mended(root)


def test_a_member_that_is_there_twice_is_moved_out_once(root: Path) -> None:
    path = warcs(root)[0]
    whole = path.read_bytes()
    twice = list(parts(path).values())[2]
    path.write_bytes(whole + twice)
    assert repair(root)[0].exit_code == 0
    assert path.read_bytes() == whole
    assert twice in quarantined(root)
    assert_mended(root)


@pytest.mark.parametrize("count", [0, 1, 30])
def test_of_a_file_cut_off_the_whole_records_stay(root: Path, count: int) -> None:
    path = warcs(root)[0]
    members = parts(path)
    last = list(members)[-2]
    os.truncate(path, last + count)
    repaired, _ = repair(root)
    assert repaired.exit_code == 5
    assert parts(path) == {at: data for at, data in members.items() if at < last}
    assert not count or members[last][:count] in quarantined(root)
    assert_mended(root)


def test_where_every_record_is_right_the_file_is_sealed_anew_and_the_old_seal_kept(root: Path) -> None:
    path = warcs(root)[0]
    seal = path.with_name(path.name + ".sha256")
    old = seal.read_bytes()
    spoil(path, 4, b"\1")  # the time in the first gzip header, which no checksum of gzip covers
    (problem,) = pipeline.check(root)
    assert problem.advice == "no record is lost: `scraper check --repair` seals it anew"
    repaired, told = repair(root)
    assert (repaired.exit_code, repaired.due_again) == (0, [])
    assert told[0].startswith(f"{path}: each of its records is right, so it was sealed anew; the old checksum")
    assert old in quarantined(root)
    assert seal.read_text() == f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
    assert_mended(root)


def test_a_lost_file_is_given_up_and_its_pages_are_due_again(root: Path) -> None:
    warcs(root)[0].unlink()
    assert repair(root)[0].exit_code == 5
    assert_mended(root)


def test_a_file_of_which_nothing_is_whole_moves_as_it_is(root: Path) -> None:
    path = warcs(root)[1]
    path.write_bytes(b"\xff" * 5000)
    assert repair(root)[0].exit_code == 5
    assert not path.exists()
    assert b"\xff" * 5000 in quarantined(root)
    assert_mended(root)


def test_a_lost_first_record_is_filled_and_the_others_stay(root: Path) -> None:
    path = warcs(root)[0]
    before = parts(path)
    spoil(path, 20, b"\0\0\0\0\0\0")
    repair(root)
    assert list(parts(path).items())[1:] == list(before.items())[1:]
    assert_mended(root)


def test_whole_records_that_no_row_tells_of_are_adopted(root: Path) -> None:
    path = warcs(root)[1]
    seal = path.with_name(path.name + ".sha256")
    seal.unlink()
    os.rename(path, f"{path}.open")
    with open(f"{path}.open", "ab") as file:
        file.write(b"torn")
    change_state(root, "DELETE FROM visits WHERE warc LIKE '%00001%'")
    change_state(root, "DELETE FROM segments WHERE warc LIKE '%00001%'")
    assert repair(root)[0].exit_code == 0
    assert b"torn" in quarantined(root)
    assert target_state(root, "http://d.example/") == "captured"
    assert_mended(root)


def test_an_archived_warc_inside_a_damaged_page_is_not_taken_for_our_own_records(tmp_path: Path) -> None:
    from factories import make_capture, make_collection, make_exchange

    inner = make_collection(tmp_path / "inner")
    inner.append(make_capture(make_exchange("http://forged.example/")))
    inner.close()
    (theirs,) = Layout(tmp_path / "inner", "main").closed_warcs()
    root = tmp_path / "archive"
    collection = make_collection(root)
    packed = (("Content-Type", "application/gzip"), ("Content-Encoding", "gzip"))
    kept = collection.append(make_capture(make_exchange("http://a.example/w", theirs.read_bytes(), headers=packed)))
    collection.close()
    (path,) = warcs(root)
    assert theirs.read_bytes() in path.read_bytes()
    assert kept.page is not None
    spoil(path, kept.page.offset + 1, b"\0")
    repair(root)
    assert [record.header("WARC-Target-URI") for _, record in records.read_all(path)] == [
        "",
        "",
        *["http://a.example/w"] * 2,
    ]
    assert_mended(root)


# ------------------------------------------------------------ imported files


def test_bytes_of_other_tools_are_never_touched_and_what_is_wrong_with_them_stays_told(root: Path) -> None:
    (path,) = Layout(root, "imported").closed_warcs()
    spoil(path, path.stat().st_size // 2, b"\0\0\0\0")
    damaged = path.read_bytes()
    repaired, _ = repair(root)
    assert repaired.exit_code == 5
    assert [problem.kind for problem in repaired.left if problem.path == path] == ["damaged", "seal-differs"]
    assert path.read_bytes() == damaged


def test_an_import_gets_its_checksum_and_index_again(root: Path) -> None:
    layout = Layout(root, "imported")
    for path in [*layout.warcs.glob("*.sha256"), *layout.indexes.iterdir()]:
        path.unlink()
    assert repair(root)[0].exit_code == 0
    assert_mended(root)


# ------------------------------------------------------- locks, disks, kills


def test_a_repair_waits_for_nobody_and_takes_the_lock(root: Path) -> None:
    with Lock(root), pytest.raises(ArchiveLocked):
        repair(root)


def test_the_verb_tells_what_it_did_and_ends_as_documented(cli: Cli, sound: Path) -> None:
    copy_of(sound, cli.archive)
    path = warcs(cli.archive)[0]
    assert cli.run("check", "--repair").returncode == 0
    spoil(path, list(parts(path))[3] + 30, b"\0\0\0\0")
    ended = cli.run("check", "--repair")
    assert ended.returncode == 5
    assert "damaged bytes at offset" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "what was lost makes no page due again"
    assert "Traceback" not in ended.stderr
    assert cli.run("check").returncode == 0
    with Lock(cli.archive):
        assert cli.run("check", "--repair").returncode == 75


def test_every_page_that_was_lost_is_named_at_the_end(cli: Cli, sound: Path) -> None:
    copy_of(sound, cli.archive)
    path = warcs(cli.archive)[0]
    at = {
        record.header("WARC-Target-URI"): member.offset
        for member, record in records.read_all(path)
        if record.type == "response"
    }
    spoil(path, at["http://b.example/"] + 40, b"\0\0\0\0")
    ended = cli.run("check", "--repair")
    assert ended.returncode == 5
    assert ended.stdout.splitlines()[-1] == "1 page was lost and is due again: http://b.example/"
    spoil(path, at["http://a.example/"] + 40, b"\0\0\0\0")
    (*_, first, second) = cli.lines("check", "--repair")
    assert [first, second] == [{"due_again": "http://a.example/"}, {"due_again": "http://d.example/"}]


REPAIR = f"""
    import sys; sys.path.insert(0, {str(TESTS)!r})
    from pathlib import Path
    from damage import repair
    if __name__ == "__main__":
        print("ready", flush=True)
        repair(Path(sys.argv[1]))
"""


def spoiled(root: Path) -> dict[str, bytes]:
    """Damage of several kinds at once; gives the bytes of all WARCs before."""
    path = warcs(root)[0]
    offsets = list(parts(path))
    for offset in (offsets[2], offsets[6], offsets[9]):
        spoil(path, offset + 30, b"\0\0\0\0")
    for index in Layout(root, "main").indexes.iterdir():
        index.unlink()
    return evidence(root)


def assert_kept(root: Path, before: dict[str, bytes], sound: Path) -> None:
    """Every undamaged record is where it was, and the damaged bytes are in quarantine."""
    kept = quarantined(root)
    for path in warcs(sound):
        there = (Layout(root, "main").warcs / path.name).read_bytes()
        for offset, data in parts(path).items():
            found = before[path.name][offset : offset + len(data)]
            assert there[offset : offset + len(data)] == data if found == data else any(found in one for one in kept)


def test_a_repair_that_is_killed_ends_well_when_it_is_done_again(sound: Path, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    script = tmp_path / "repair.py"
    script.write_text(textwrap.dedent(REPAIR))
    killed = 0
    for _ in range(KILLS):
        root = copy_of(sound, tmp_path / "archive")
        before = spoiled(root)
        process = subprocess.Popen([sys.executable, str(script), str(root)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        with suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0.0, 0.2))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        process.stdout.close()
        repair(root)
        assert kinds(root) == []
        assert_kept(root, before, sound)
    assert killed > 0


@pytest.mark.parametrize("limit", [100, 2000, 6000])
def test_a_full_disk_ends_a_repair_with_74_and_nothing_is_lost(cli: Cli, sound: Path, limit: int) -> None:
    copy_of(sound, cli.archive)
    before = spoiled(cli.archive)
    ended = cli.run("check", "--repair", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert ended.returncode == 74
    assert "Traceback" not in ended.stderr
    repair(cli.archive)
    assert kinds(cli.archive) == []
    assert_kept(cli.archive, before, sound)


# ------------------------------------------------------------- random damage


@dataclass(frozen=True)
class Case:
    """What one seed damaged."""

    seed: int
    what: str


def damaged_by(seed: int, root: Path) -> Case:
    """Damage an archive in up to three ways, chosen by the seed."""
    chance = random.Random(seed)
    layout = Layout(root, "main")
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.name != ".lock" and path.stat().st_size)
    own = [path for path in files if path.parent.parent.name != "imported" and "imported" not in path.parts]
    done = []
    for _ in range(chance.randint(1, 3)):
        way = chance.choice(["flip", "flip", "cut", "delete", "rows", "append", "zero"])
        path = chance.choice(warcs(root) or own) if way in ("flip", "cut", "append", "zero") else chance.choice(own)
        if not path.exists() or not path.stat().st_size:
            continue
        size = path.stat().st_size
        at = chance.randrange(size)
        if way == "flip":
            spoil(path, at, bytes([path.read_bytes()[at] ^ 1 << chance.randrange(8)]))
        elif way == "zero":
            spoil(path, at, bytes(min(size - at, chance.randint(1, 3000))))
        elif way == "cut":
            os.truncate(path, at)
        elif way == "append":
            with path.open("ab") as file:
                file.write(chance.randbytes(chance.randint(1, 200)))
        elif way == "delete" and path not in layout.closed_warcs():
            path.unlink()
        elif way == "rows" and (root / STATE).exists():
            change_state(root, f"DELETE FROM visits WHERE id % 3 = {chance.randrange(3)}")
        done.append(f"{way} {path.name} {at}")
    return Case(seed, "; ".join(done))


def assert_random_damage_is_mended(sound: Path, root: Path, seed: int) -> None:
    copy_of(sound, root)
    case = damaged_by(seed, root)
    before = evidence(root)
    repair(root)
    assert kinds(root) == [], case
    assert repair(root)[1] == [], case
    kept = quarantined(root)
    layout = Layout(root, "main")
    for path in warcs(sound):
        there = (layout.warcs / path.name).read_bytes() if (layout.warcs / path.name).exists() else b""
        for offset, data in parts(path).items():
            found = before[path.name][offset : offset + len(data)]
            is_there = there[offset : offset + len(data)] == found
            assert is_there or (found != data and any(found in one for one in kept)), (case, path.name, offset)


def test_after_any_damage_a_repair_leaves_a_clean_archive_and_every_byte(sound: Path, tmp_path: Path) -> None:
    for seed in range(CASES):
        assert_random_damage_is_mended(sound, tmp_path / "archive", SEED + seed)


@pytest.mark.long
def test_after_a_thousand_damages_too(sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(CASES_OF_ALL):
        assert_random_damage_is_mended(sound, tmp_path / "archive", seed)
    with capsys.disabled():
        print(f"\ndamaged archives mended: all {CASES_OF_ALL}")
