"""A run that is killed at any instant loses nothing, doubles nothing, and goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from operator import attrgetter
from pathlib import Path

import pytest
from cli import Cli
from crash import CountingSite, Round, live

NewLife = Callable[[str], tuple[Cli, CountingSite]]


@pytest.fixture
def new_life(tmp_path: Path) -> Iterator[NewLife]:
    """Makes a site and an archive of their own, with WARCs that are closed after a megabyte."""
    sites: list[CountingSite] = []

    def make(name: str) -> tuple[Cli, CountingSite]:
        folder = tmp_path / name
        folder.mkdir()
        site = CountingSite()
        site.open(folder)
        sites.append(site)
        return SmallFiles(folder, site), site

    yield make
    for site in sites:
        site.close()


class SmallFiles(Cli):
    """A command line under settings that close a WARC after a megabyte."""

    def command(self, *arguments: str) -> list[str]:
        return [*super().command(*arguments), "--set", "warc.segment_mib=1"]


def judged(rounds: list[Round]) -> str:
    """`200 kills, after 200 of which the archive was whole; in flight 431, at most 9 at once; …`."""
    kills, clean = (sum(found.kills for found in some) for some in (rounds, filter(attrgetter("is_clean"), rounds)))
    killed = [(run, after) for found in rounds for run, after in pairwise(found.runs)]
    aloft = [run.aloft.total() for run, _ in killed]
    again = sum((run.aloft & after.asked).total() for run, after in killed)
    cut = sum(run.visits_cut for run, _ in killed)
    said = f"in flight {sum(aloft)}, at most {max(aloft)} at once; asked for again {again}; visits without an end {cut}"
    return f"{kills} kills, after {clean} of which the archive was whole; {said}"


@pytest.mark.parametrize("requisites", [False, True])
def test_after_a_kill_at_any_instant_the_archive_is_whole_and_nothing_is_lost(
    new_life: NewLife, requisites: bool
) -> None:
    rounds = live(*new_life("life"), seed=20260504 + requisites, kills=4, requisites=requisites, pages=16)
    assert [found for found in rounds if not found.is_clean] == []
    assert sum(found.kills for found in rounds) >= 4


@pytest.mark.long
def test_after_200_kills_the_archive_is_whole_and_nothing_is_lost(
    new_life: NewLife, capsys: pytest.CaptureFixture[str]
) -> None:
    rounds: list[Round] = []
    for seed in range(20):
        rounds += live(*new_life(f"life-{seed}"), seed=seed, kills=10, requisites=seed % 3 == 2)
        with capsys.disabled():
            print(*(found for found in rounds[-12:] if not found.is_clean), sep="\n", end="")
            print(judged(rounds))
    assert [found for found in rounds if not found.is_clean] == []
    assert sum(found.kills for found in rounds) >= 200
