"""Files that nobody expects in an archive are named, stop nothing, and never cost a byte of evidence."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from damage import build, copy_of, kinds, repair, warcs
from factories import make_capture, make_collection, make_exchange

from scraper import pipeline
from scraper.archiver import Kind, Layout, Lock, names
from scraper.archiver.layout import make_folder, rename_anew, replace_file
from scraper.archiver.quarantine import move
from scraper.errors import ArchiveUnwritable, IntegrityError
from scraper.pipeline import Listener, Stop
from scraper.pipeline.session import opened
from scraper.settings import Settings
from scraper.state import StateReader


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("sound") / "archive")


@pytest.fixture
def root(sound: Path, tmp_path: Path) -> Path:
    return copy_of(sound, tmp_path / "archive")


def seal_of(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def open_beside(path: Path, data: bytes) -> Path:
    beside = path.with_name(path.name + ".open")
    beside.write_bytes(data)
    return beside


def start(root: Path) -> list[str]:
    """What a run tells when it begins."""
    told: list[str] = []
    with opened(root, Settings(), Listener(note=told.append, trouble=told.append)):
        pass
    return told


def quarantined(root: Path) -> dict[str, bytes]:
    folder = Layout(root, "main").quarantine
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def visits(root: Path) -> list[str]:
    with StateReader.open_for_reading(root) as state:
        return sorted(f"{row['href']} {row['state']} {row['started_at']}" for row in state.visits())


# ------------------------------------------------- unfinished beside finished


@pytest.mark.parametrize("part", [0, 1, 700, None])
def test_a_copy_of_the_beginning_of_a_finished_file_goes_to_quarantine(root: Path, part: int | None) -> None:
    path = warcs(root)[0]
    data, seal = path.read_bytes(), seal_of(path).read_bytes()
    beside = open_beside(path, data[:part])
    assert kinds(root) == [Kind.WARC_TWICE]

    told = start(root)

    assert (path.read_bytes(), seal_of(path).read_bytes()) == (data, seal)
    assert quarantined(root) == {beside.name: data[:part]}
    assert [line for line in told if beside.name in line] == told != []
    assert kinds(root) == []


def test_a_finished_file_that_is_the_beginning_of_the_unfinished_one_makes_way_for_it(root: Path) -> None:
    path = warcs(root)[1]
    data, seal, known = path.read_bytes(), seal_of(path).read_bytes(), visits(root)
    open_beside(path, data)
    path.write_bytes(data[:800])

    start(root)

    assert path.read_bytes() == data
    assert quarantined(root) == {path.name: data[:800], seal_of(path).name: seal}
    assert kinds(root) == []
    assert visits(root) == known


def test_an_unfinished_file_of_other_content_gets_a_name_of_its_own_and_is_adopted(root: Path, tmp_path: Path) -> None:
    path = warcs(root)[0]
    data, known = path.read_bytes(), visits(root)
    other = make_collection(tmp_path / "other")
    other.append(make_capture(make_exchange("http://other.example/", b"<p>not of here</p>")))
    other.close()
    foreign = warcs(tmp_path / "other")[0].read_bytes()
    beside = open_beside(path, foreign)

    start(root)

    assert path.read_bytes() == data
    assert not beside.exists()
    assert [kept.read_bytes() for kept in warcs(root)].count(foreign) == 1
    assert len(visits(root)) == len(known) + 1
    assert kinds(root) == []


def test_a_file_that_has_both_names_after_a_crash_loses_the_unfinished_one(root: Path) -> None:
    path = warcs(root)[0]
    data = path.read_bytes()
    os.link(path, path.with_name(path.name + ".open"))
    assert kinds(root) == [Kind.WARC_TWICE]
    start(root)
    assert path.read_bytes() == data
    assert quarantined(root) == {}
    assert kinds(root) == []


def test_a_file_put_where_a_run_is_about_to_give_a_name_is_not_overwritten(tmp_path: Path) -> None:
    collection = make_collection(tmp_path)
    kept = collection.append(make_capture(make_exchange()))
    final = Layout(tmp_path, "main").warcs / kept.warc
    final.write_bytes(b"somebody's")
    with pytest.raises(ArchiveUnwritable, match="somebody put a file here"):
        collection.close()
    assert final.read_bytes() == b"somebody's"
    assert not seal_of(final).exists()
    assert final.with_name(final.name + ".open").is_file()


def test_a_seal_of_other_bytes_is_kept_when_a_file_of_its_name_is_closed(tmp_path: Path) -> None:
    collection = make_collection(tmp_path)
    kept = collection.append(make_capture(make_exchange()))
    seal = seal_of(Layout(tmp_path, "main").warcs / kept.warc)
    seal.write_text("0" * 64 + f"  {kept.warc}\n")
    collection.close()
    assert quarantined(tmp_path) == {seal.name: b"0" * 64 + f"  {kept.warc}\n".encode()}
    assert seal.read_text()[:64] != "0" * 64


def test_a_new_file_takes_no_name_that_a_folder_a_seal_or_a_lost_link_has(tmp_path: Path) -> None:
    folder = Layout(tmp_path, "main").warcs
    folder.mkdir(parents=True)
    (folder / "main-20990101000000-00000.warc.gz").symlink_to("/nonexistent/x")
    (folder / "main-20990101000000-00001.warc.gz.sha256").touch()
    (folder / "main-20990101000000-00002.warc.gz.open").mkdir()
    kept = make_collection(tmp_path).append(make_capture(make_exchange()))
    assert kept.warc == "main-20990101000000-00003.warc.gz"


def test_no_renaming_ever_takes_a_name_that_is_there(tmp_path: Path) -> None:
    for kind in ("file", "folder", "link"):
        source, target = tmp_path / f"{kind}.a", tmp_path / f"{kind}.b"
        target.write_bytes(b"there")
        source.touch() if kind == "file" else source.mkdir() if kind == "folder" else source.symlink_to("/nonexistent")
        with pytest.raises(FileExistsError):
            rename_anew(source, target)
        assert os.path.lexists(source)
        assert target.read_bytes() == b"there"
        rename_anew(source, tmp_path / f"{kind}.c")
        assert not os.path.lexists(source)
        assert os.path.lexists(tmp_path / f"{kind}.c")


def test_a_move_to_quarantine_goes_around_a_link_without_target(tmp_path: Path) -> None:
    layout = Layout(tmp_path, "main")
    layout.quarantine.mkdir(parents=True)
    (layout.quarantine / "x").symlink_to("/nonexistent")
    (tmp_path / "x").write_bytes(b"kept")
    assert move(layout, tmp_path / "x", "x") == layout.quarantine / "x.1"
    assert (layout.quarantine / "x").is_symlink()


# ------------------------------------------------- not at hand, or no file


@pytest.mark.parametrize("suffix", ["", ".open"])
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("/nonexistent/x", path)])
def test_what_is_no_file_under_a_warcs_name_is_named_and_ends_nothing(
    root: Path, make: Callable[[Path], None], suffix: str
) -> None:
    odd = Layout(root, "main").warcs / f"x.warc.gz{suffix}"
    make(odd)
    known = visits(root)
    (problem,) = pipeline.check(root)
    assert (problem.kind, problem.path) == (Kind.WARC_AWAY, odd)
    start(root)
    repaired, _ = repair(root)
    assert (repaired.exit_code, [left.path for left in repaired.left]) == (5, [odd])
    assert visits(root) == known
    assert os.path.lexists(odd)


def test_a_warc_on_a_disk_that_is_not_mounted_is_not_written_off(root: Path, tmp_path: Path) -> None:
    path, disk = warcs(root)[0], tmp_path / "disk"
    disk.mkdir()
    shutil.move(path, disk / path.name)
    path.symlink_to(disk / path.name)
    assert kinds(root) == []
    known = visits(root)

    disk.rename(tmp_path / "unmounted")
    (problem,) = pipeline.check(root)
    assert (problem.kind, problem.what) == (Kind.WARC_AWAY, f"its target {disk / path.name} is missing")
    start(root)
    repaired, told = repair(root)
    assert (repaired.exit_code, told) == (5, [])
    with pytest.raises(IntegrityError, match="mount it, or put it back"):
        pipeline.rebuild(root, Settings(), Listener(), Stop())
    assert visits(root) == known

    (tmp_path / "unmounted").rename(disk)
    assert kinds(root) == []
    assert repair(root)[0].exit_code == 0
    assert visits(root) == known


@pytest.mark.parametrize("part", ["collections/main", "collections/main/archive"])
def test_a_collection_on_a_disk_that_is_not_mounted_is_not_written_off(root: Path, tmp_path: Path, part: str) -> None:
    shutil.move(root / part, tmp_path / "disk")
    (root / part).symlink_to(tmp_path / "disk")
    assert kinds(root) == []
    known = visits(root)
    (tmp_path / "disk").rename(tmp_path / "unmounted")
    assert kinds(root)[0] == Kind.WARC_AWAY
    assert repair(root)[0].exit_code == 5
    assert visits(root) == known
    (tmp_path / "unmounted").rename(tmp_path / "disk")
    assert kinds(root) == []


@pytest.mark.parametrize("suffix", [b"", b".open"])
def test_a_warc_whose_name_is_no_utf8_is_named_and_passed_over(root: Path, suffix: bytes) -> None:
    odd = os.path.join(os.fsencode(Layout(root, "main").warcs), b"caf\xe9.warc.gz" + suffix)
    with open(odd, "wb") as file:
        file.write(warcs(root)[0].read_bytes()[:3000])
    (problem,) = pipeline.check(root)
    assert problem.kind is Kind.NAME
    assert "caf\\xe9.warc.gz" in str(problem)
    str(problem).encode()
    start(root)
    pipeline.rebuild(root, Settings(), Listener(), Stop())
    assert os.path.exists(odd)
    assert kinds(root) == [Kind.NAME]


# ------------------------------------------------- copies, and other names


@pytest.mark.parametrize("name", ["aaa-copy.warc.gz", "zz-copy.warc.gz"])
@pytest.mark.parametrize("first", ["run", "repair"])
def test_a_copy_under_another_name_is_adopted_by_nobody_and_is_no_loss(root: Path, name: str, first: str) -> None:
    path = warcs(root)[0]
    data, known = path.read_bytes(), visits(root)
    shutil.copy(path, path.with_name(name))
    said = [str(problem) for problem in pipeline.check(root) if problem.kind is Kind.DOUBLED]
    assert [f"is a copy of {path.name}" in line for line in said] == [True]
    if first == "run":
        assert start(root) == []
        assert visits(root) == known

    repaired, _ = repair(root)

    assert repaired.exit_code == 0
    assert quarantined(root) == {name: data}
    assert path.read_bytes() == data
    assert visits(root) == known
    assert kinds(root) == []


def test_of_a_longer_copy_only_what_is_new_is_adopted(tmp_path: Path) -> None:
    collection = make_collection(tmp_path / "a")
    kept = collection.append(make_capture(make_exchange("http://a.example/")))
    collection.append(make_capture(make_exchange("http://b.example/")))
    collection.close()
    (longer,) = warcs(tmp_path / "a")
    folder = Layout(tmp_path / "b", "main").warcs
    folder.mkdir(parents=True)
    (folder / "main-1.warc.gz").write_bytes(longer.read_bytes()[: kept.end])
    start(tmp_path / "b")
    (folder / "main-2.warc.gz").write_bytes(longer.read_bytes())
    start(tmp_path / "b")
    assert [line.split()[0] for line in visits(tmp_path / "b")] == ["http://a.example/", "http://b.example/"]


def test_without_any_state_of_two_copies_one_is_adopted(root: Path) -> None:
    path = warcs(root)[0]
    known = visits(root)
    shutil.copy(path, path.with_name("aaa-copy.warc.gz"))
    for file in root.glob("state.sqlite3*"):
        file.unlink()
    start(root)
    assert visits(root) == known


@pytest.mark.parametrize("seal", [True, False])
def test_a_renamed_warc_gets_its_name_back_and_nothing_is_lost(root: Path, seal: bool) -> None:
    path = warcs(root)[0]
    known, texts = visits(root), sorted(Layout(root, "main").text.rglob("*.*"))
    path.rename(path.with_name("elsewhere.warc.gz"))
    if seal:
        seal_of(path).rename(path.with_name("elsewhere.warc.gz.sha256"))

    repaired, told = repair(root)

    assert repaired.exit_code == 0
    assert len(told) == 1
    assert told[0].endswith(f"it is {path.name}, which was missing: it has that name again")
    assert visits(root) == known
    assert sorted(Layout(root, "main").text.rglob("*.*")) == texts
    assert quarantined(root) == {}
    assert kinds(root) == []


def swap(one: Path, other: Path) -> None:
    waiting = one.with_name("waiting")
    one.rename(waiting)
    other.rename(one)
    waiting.rename(other)


def swapped(root: Path, seals: bool) -> list[Path]:
    """Two WARCs that have each other's names, their checksums too if so asked."""
    first, second = warcs(root)
    swap(first, second)
    if seals:
        swap(seal_of(first), seal_of(second))
    return [first, second]


def in_warcs(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Layout(root, "main").warcs.iterdir()}


@pytest.mark.parametrize("seals", [True, False])
def test_of_swapped_warcs_check_says_which_each_is_and_nothing_else(root: Path, seals: bool) -> None:
    first, second = swapped(root, seals)
    problems = list(pipeline.check(root))
    assert [(problem.kind, problem.path) for problem in problems] == [
        (Kind.WARC_MISNAMED, first),
        (Kind.WARC_MISNAMED, second),
    ]
    assert str(problems[0]).startswith(f"{first}: by its first record it is {second.name}; no record is lost")


@pytest.mark.parametrize("seals", [True, False])
@pytest.mark.parametrize("by_run", [True, False])
def test_swapped_warcs_get_their_names_back_and_nothing_is_lost(root: Path, seals: bool, by_run: bool) -> None:
    known, files = visits(root), in_warcs(root)
    first, second = swapped(root, seals)
    if by_run:
        told = start(root)
    else:
        repaired, told = repair(root)
        assert (repaired.exit_code, repaired.is_loss) == (0, False)
    assert told == [
        f"{path}: by its first record it is {name}, which another file had: it has that name again"
        for path, name in ((first, second.name), (second, first.name))
    ]
    assert (visits(root), in_warcs(root), quarantined(root)) == (known, files, {})
    assert kinds(root) == []


def test_warcs_renamed_in_a_row_get_their_names_back_and_the_one_that_is_gone_is_named(root: Path) -> None:
    first, second = warcs(root)
    data = second.read_bytes()
    first.unlink()
    second.rename(first)
    assert Kind.WARC_MISNAMED in kinds(root)
    repaired, told = repair(root)
    assert told[0].endswith(f"it is {second.name}, which was missing: it has that name again")
    assert second.read_bytes() == data
    assert repaired.is_loss
    pages = ("a.example/", "a.example/old", "b.example/", "d.example/")
    assert repaired.due_again == [f"http://{page}" for page in pages]


@pytest.mark.parametrize("renames", range(6))
def test_who_is_killed_while_names_are_given_back_goes_on_at_the_next_start(
    root: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    known, files = visits(root), in_warcs(root)
    swapped(root, seals=True)
    left = iter(range(renames))

    def killed(path: Path, place: Path) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        rename_anew(path, place)

    with monkeypatch.context() as patch:
        patch.setattr(names, "rename_anew", killed)
        with pytest.raises(KeyboardInterrupt):
            start(root)
    start(root)
    assert (visits(root), in_warcs(root), quarantined(root)) == (known, files, {})
    assert kinds(root) == []


def test_a_swap_that_no_size_betrays_is_found_by_who_looks_thoroughly(root: Path) -> None:
    first, second = swapped(root, seals=True)
    layout, sizes = Layout(root, "main"), {path.name: path.stat().st_size for path in warcs(root)}
    assert list(names.named_back(layout, sizes)) == []
    assert names.misnamed(layout, sizes) == {first: second.name, second: first.name}


def test_a_file_that_never_was_evidence_is_no_loss_when_it_is_moved(root: Path) -> None:
    (Layout(root, "main").warcs / "notes.warc.gz").write_bytes(b"I am no WARC\n" * 50)
    repaired, told = repair(root)
    assert repaired.exit_code == 0, told
    assert list(quarantined(root)) == ["notes.warc.gz"]
    assert kinds(root) == []


# ------------------------------------------------- in the way


@pytest.mark.parametrize("place", ["archive", "archive/x", "pages/pages.jsonl"])
def test_a_folder_or_file_of_the_wrong_kind_is_named_with_what_to_do(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix:
        path.mkdir()
        with pytest.raises(ArchiveUnwritable, match="a folder is where a file belongs: move it away"):
            replace_file(path, b"x")
        return
    path.touch()
    with pytest.raises(ArchiveUnwritable, match=f"{path} is no folder: move it away"):
        make_folder(path / "below")
    with pytest.raises(ArchiveUnwritable, match=f"{path} is no folder: move it away"):
        make_folder(path)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("/nonexistent/x", path)])
def test_a_lock_that_is_no_file_is_named_and_hangs_nothing(root: Path, make: Callable[[Path], None]) -> None:
    (root / ".lock").unlink(missing_ok=True)
    make(root / ".lock")
    assert kinds(root) == []
    with pytest.raises(ArchiveUnwritable, match=r"\.lock: cannot be written: .*move"), Lock(root):
        pass


def test_a_quarantine_that_is_no_folder_is_named(root: Path) -> None:
    path = warcs(root)[0]
    open_beside(path, path.read_bytes())
    Layout(root, "main").quarantine.write_text("in the way")
    with pytest.raises(ArchiveUnwritable, match="quarantine is no folder: move it away"):
        start(root)
