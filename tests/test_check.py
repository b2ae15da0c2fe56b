"""`scraper check` names every fault: of the WARCs bit by bit, and of all that was made from them."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from cli import Cli
from damage import STATE, change_state, copy_of, kinds, warcs
from damage import archive_to_damage as archive_to_damage
from damage import sound_archive as sound_archive

from scraper import pipeline
from scraper.archiver import Layout, Lock
from scraper.archiver.members import scan

SEED = 20260504


def flip(path: Path, position: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        (byte,) = file.read(1)
        file.seek(position)
        file.write(bytes([byte ^ 1 << bit]))


def test_a_sound_archive_has_no_problem(root: Path) -> None:
    assert list(pipeline.check(root)) == []


def missed_flips(root: Path, places: list[tuple[Path, int, int]]) -> list[tuple[str, int, int]]:
    """Flips one bit after the other; gives those that `check` did not name with their file."""
    missed = []
    for path, position, bit in places:
        flip(path, position, bit)
        if not any(problem.path in (path, path.with_suffix("")) for problem in pipeline.check(root)):
            missed.append((path.name, position, bit))
        flip(path, position, bit)
    return missed


def sealed_files(root: Path) -> list[Path]:
    files = [*warcs(root), *Layout(root, "imported").closed_warcs()]
    return [*files, *(path.with_name(f"{path.name}.sha256") for path in files)]


def test_any_flipped_bit_of_a_warc_or_its_checksum_is_named(root: Path) -> None:
    chance = random.Random(SEED)
    places = []
    for path in sealed_files(root):
        places += [(path, chance.randrange(path.stat().st_size), chance.randrange(8)) for _ in range(25)]
    for member in scan(warcs(root)[0]):  # header and trailer of each: time, flags, system, CRC, size
        edges = [*range(member.offset, member.offset + 10), member.offset + member.length - 1]
        places += [(warcs(root)[0], position, chance.randrange(8)) for position in chance.sample(edges, 4)]
    assert missed_flips(root, places) == []


@pytest.mark.long
def test_every_single_flipped_bit_is_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = [(path, at, bit) for path in sealed_files(root) for at in range(path.stat().st_size) for bit in range(8)]
    missed = missed_flips(root, places)
    with capsys.disabled():
        print(f"\nflipped bits named: {len(places) - len(missed)} of {len(places)}")
    assert missed == []


def missed_cuts(root: Path, lengths: list[int]) -> list[int]:
    path = warcs(root)[0]
    data = path.read_bytes()
    missed = []
    for length in lengths:
        path.write_bytes(data[:length])
        if not any(problem.path == path for problem in pipeline.check(root)):
            missed.append(length)
    path.write_bytes(data)
    return missed


def test_a_file_cut_off_anywhere_is_named(root: Path) -> None:
    size = warcs(root)[0].stat().st_size
    ends = [member.offset for member in scan(warcs(root)[0])]
    assert missed_cuts(root, [*ends, *random.Random(SEED).sample(range(size), 30), size - 1]) == []


@pytest.mark.long
def test_every_cut_is_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lengths = list(range(warcs(root)[0].stat().st_size))
    missed = missed_cuts(root, lengths)
    with capsys.disabled():
        print(f"\ncuts named: {len(lengths) - len(missed)} of {len(lengths)}")
    assert missed == []


def parts(path: Path) -> list[bytes]:
    data = path.read_bytes()
    return [data[member.offset : member.offset + member.length] for member in scan(path)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda p: [*p, p[3]], "doubled"),
        (lambda p: p[:3] + p[4:], "row-differs"),
        (lambda p: [*p[:3], p[4], p[3], *p[5:]], "row-differs"),
        (lambda p: [*p, b"\0"], "damaged"),
        (lambda p: [*p, b"more"], "damaged"),
        (lambda p: [*p, p[2][:40]], "damaged"),
        (lambda p: [p[0], b"x", *p[1:]], "damaged"),
        (lambda p: p[1:], "warcinfo-missing"),
        (lambda p: [], "warc-empty"),
    ],
)
def test_members_doubled_removed_swapped_or_followed_by_others_are_named(
    root: Path, change: Callable[[list[bytes]], list[bytes]], expected: str
) -> None:
    path = warcs(root)[0]
    path.write_bytes(b"".join(change(parts(path))))
    found = kinds(root)
    assert expected in found
    assert "seal-differs" in found


def test_the_same_file_under_two_names_is_named_once(root: Path) -> None:
    path = warcs(root)[1]
    path.with_name(path.name.replace("main-", "main-9")).write_bytes(path.read_bytes())
    assert kinds(root).count("doubled") == 1


# -------------------------------------------------------------------- derived


def index_of(root: Path) -> Path:
    return sorted(Layout(root, "main").indexes.iterdir())[0]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda lines: lines[1:], ["line-missing"]),
        (lambda lines: [lines[0], *lines], ["line-doubled"]),
        (lambda lines: [lines[1], lines[0], *lines[2:]], ["line-unsorted"]),
        (lambda lines: [lines[0].replace(b'"200"', b'"201"'), *lines[1:]], ["line-differs"]),
        (lambda lines: [*lines, b"zz" + lines[-1].replace(b"main-", b"gone-")], ["warc-missing"]),
        (lambda lines: [*lines, b"garbage\n"], ["index-damaged"]),
        (lambda lines: [], ["line-missing"]),
    ],
)
def test_every_wrong_line_of_an_index_is_named_once(
    root: Path, change: Callable[[list[bytes]], list[bytes]], expected: list[str]
) -> None:
    path = index_of(root)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(change(lines)))
    found = kinds(root)
    assert found == expected * (len(lines) if not change(lines) else 1)


def test_a_missing_index_is_named_by_every_record(root: Path) -> None:
    path = index_of(root)
    count = len(path.read_bytes().splitlines())
    path.unlink()
    assert kinds(root) == ["line-missing"] * count


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("UPDATE visits SET visit_offset = visit_offset + 1 WHERE id = 2", {"row-differs", "row-missing"}),
        ("UPDATE visits SET page_length = page_length + 1 WHERE id = 2", {"row-differs"}),
        ("DELETE FROM visits WHERE id = 1", {"row-missing"}),
        ("UPDATE segments SET end_offset = 99999999", {"mark"}),
        ("UPDATE segments SET end_offset = 5; DELETE FROM visits WHERE id = 1", {"row-missing"}),
        ("UPDATE visits SET title = 'Another' WHERE title IS NOT NULL", {"pages"}),
    ],
)
def test_what_the_state_says_otherwise_than_the_warcs_is_named(root: Path, sql: str, expected: set[str]) -> None:
    for statement in sql.split(";"):
        change_state(root, statement)
    assert set(kinds(root)) == expected


def test_a_lost_warc_is_named_once_however_many_tell_of_it(root: Path) -> None:
    warcs(root)[0].unlink()
    found = [problem for problem in pipeline.check(root) if problem.kind == "warc-missing"]
    assert len(found) == 1
    assert "the checksum" in found[0].what
    assert "lines of the index" in found[0].what


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda seal, _: seal.unlink(), ["seal-missing"]),
        (lambda seal, _: seal.write_bytes(b""), ["seal-damaged"]),
        (lambda seal, other: seal.write_bytes(other.read_bytes()), ["seal-damaged"]),
        (lambda seal, _: seal.write_text("0" * 64 + f"  {seal.stem}\n"), ["seal-differs"]),
        (lambda seal, _: seal.write_bytes(seal.read_bytes() * 2), ["seal-damaged"]),
    ],
)
def test_a_wrong_checksum_file_is_named(
    root: Path, change: Callable[[Path, Path], object], expected: list[str]
) -> None:
    first, second = (path.with_name(f"{path.name}.sha256") for path in warcs(root))
    change(first, second)
    assert kinds(root) == expected


def text_of(root: Path, suffix: str) -> Path:
    return sorted(Layout(root, "main").text.rglob(f"*.{suffix}"))[0]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda root: text_of(root, "json").unlink(), ["text-missing"]),
        (lambda root: text_of(root, "md").unlink(), ["text-missing"]),
        (lambda root: text_of(root, "json").write_bytes(b"{"), ["text-damaged"]),
        (lambda root: text_of(root, "md").write_bytes(b"\xff"), ["text-damaged"]),
        (lambda root: text_of(root, "md").write_bytes(b""), ["text-damaged"]),
        (lambda root: moved(text_of(root, "json")), ["text-differs"]),
        (lambda root: stranger(text_of(root, "json")), ["text-unknown"]),
        (lambda root: Layout(root, "main").pages.unlink(), ["pages"]),
        (lambda root: Layout(root, "main").pages.write_bytes(b"garbage\n"), ["pages"]),
        (lambda root: Layout(root, "main").search.write_bytes(b"garbage" * 1000), ["search"]),
        (lambda root: (root / STATE).write_bytes(b"garbage" * 1000), ["state"]),
        (lambda root: (root / STATE).unlink(), ["state"]),
    ],
)
def test_what_is_wrong_with_a_derived_file_is_named_once(
    root: Path, change: Callable[[Path], object], expected: list[str]
) -> None:
    change(root)
    assert kinds(root) == expected


def moved(path: Path) -> None:
    fields = json.loads(path.read_bytes())
    fields["warc"]["offset"] += 1
    path.write_text(json.dumps(fields))


def stranger(path: Path) -> None:
    path.with_name("20200101000000-0123456789ab.json").write_bytes(path.read_bytes())


# -------------------------------------------------------------------- at work


def test_what_a_run_has_not_finished_is_no_fault_and_what_a_dead_one_left_is(root: Path) -> None:
    path = warcs(root)[1]
    left = path.with_name(path.name.replace("main-2", "main-3") + ".open")
    left.write_bytes(parts(path)[0][:50])
    with Lock(root):
        assert kinds(root) == []
    assert kinds(root) == ["damaged"]


def test_a_check_needs_no_right_to_write_and_leaves_nothing_behind(root: Path) -> None:
    before = sorted(str(path) for path in root.rglob("*"))
    subprocess.run(["chmod", "-R", "a-w", str(root)], check=True)
    try:
        assert kinds(root) == []
    finally:
        subprocess.run(["chmod", "-R", "u+w", str(root)], check=True)
    assert sorted(str(path) for path in root.rglob("*")) == before


def test_a_check_holds_up_no_run(root: Path) -> None:
    checking = pipeline.check(root)
    warcs(root)[0].with_name(warcs(root)[0].name + ".sha256").unlink()
    assert next(checking).kind == "seal-missing"
    with Lock(root):
        pass


def test_programs_get_a_word_a_file_and_a_place(cli: Cli, sound: Path) -> None:
    copy_of(sound, cli.archive)
    path = warcs(cli.archive)[0]
    last = [member.offset for member in scan(path)][-1]
    os.truncate(path, path.stat().st_size - 1)
    ended = cli.run("check", "--json")
    assert ended.returncode == 5
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [line["kind"] for line in found] == ["damaged", "seal-differs"]
    assert found[0]["path"] == str(path)
    assert found[0]["offset"] == last
    assert "the file ends in the middle of a gzip member" in found[0]["what"]
    assert "--repair" in found[0]["advice"]


def test_a_check_beside_a_run_at_work_raises_no_false_alarm(cli: Cli) -> None:
    cli.settings["delay_seconds"] = 0.05
    for number in range(30):
        cli.site.reply(f"/{number}", body=b"<title>Otters</title><p>They swim.")
    cli.citing(*(cli.site.url(f"/{number}") for number in range(30)))
    run = cli.start("run", "--set", "warc.segment_mib=1")
    found: list[str] = []
    checks = 0
    while run.poll() is None:
        if (cli.archive / STATE).exists():
            found += [str(problem) for problem in pipeline.check(cli.archive) if run.poll() is None]
            checks += 1
    run.communicate()
    assert checks > 3
    assert sorted(set(found)) == []
    assert kinds(cli.archive) == []


MEMORY = """
    import resource
    from scraper.archiver import Survey
    from scraper.model import Location
    with Survey() as survey:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(100_000):
            survey.add("records", survey.number("w"), number * 1000, 1000, hash(str(number)), 0)
            survey.add("lines", survey.number("w"), number * 1000, number, survey.number("i"), number * 200)
            survey.add_row(Location("w", number * 1000, 1000), ends=True)
            survey.add("texts", f"text/example.org/2026/{number:014d}-0123456789ab")
        survey.settle()
        print(len(list(survey.doubled())), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_what_a_check_remembers_of_many_captures_takes_bounded_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEMORY)], capture_output=True, text=True, timeout=120, check=True
    )
    doubled, grown_kib = map(int, done.stdout.split())
    assert doubled == 0
    assert grown_kib < 60 * 1024  # the cache of the temporary database; 1,000,000 take no more than twice that
