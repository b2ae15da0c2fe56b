"""An archive with every kind of record in it, made without a network, to be damaged in tests."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from factories import START, chunked, make_capture, make_collection, make_exchange
from foreign import http, members, page, record

from scraper import pipeline
from scraper.archiver import Layout
from scraper.model import Capture, Outcome, Purpose, State
from scraper.pipeline import Listener, Repaired, Stop
from scraper.settings import Settings

STATE = "state.sqlite3"


def visits() -> list[Capture]:
    """A page, a chunked one, the same bytes elsewhere, a redirect, robots.txt, a dead page, one of no answer."""
    html = b"<html><title>Otters</title><body><article><h1>Otters</h1><p>" + b"They swim. " * 40 + b"</p></article>"
    chunks = (("Content-Type", "text/html"), ("Transfer-Encoding", "chunked"))
    hop = make_exchange("http://a.example/old", b"", status=301, headers=(("Location", "/new"),))
    new = make_exchange("http://a.example/new", html.replace(b"Otters", b"Newts"))
    robots = make_capture(make_exchange("http://a.example/robots.txt", b"User-agent: *\nAllow: /\n"))
    gone = make_exchange("http://a.example/gone", b"no more", status=404)
    return [
        replace(robots, purpose=Purpose.ROBOTS),
        make_capture(make_exchange("http://a.example/", html)),
        make_capture(make_exchange("http://b.example/", chunked(html.replace(b"swim", b"dive")), headers=chunks)),
        make_capture(hop, new),
        make_capture(gone, outcome=Outcome(State.DEAD, "404")),
        make_capture(url="http://c.example/", outcome=Outcome(State.FAILED, "timeout")),
    ]


def build(root: Path) -> Path:
    """The archive: two closed WARCs, the second with both kinds of revisit, and all that is derived from them."""
    later = START + timedelta(days=2)
    collection = make_collection(root)
    kept = [collection.append(capture) for capture in visits()]
    page = kept[1]
    assert page.held is not None
    collection.close()
    same = make_exchange("http://a.example/", b"", status=304, at=later)
    collection.append(make_capture(same), held=page.held)
    again = replace(visits()[1].exchanges[0], started_at=later)
    copy = make_capture(replace(again, target=make_exchange("http://d.example/").target))
    collection.append(copy, known={page.entity_sha256: page.held}.get)
    collection.close()
    pipeline.rebuild(root, Settings(), Listener(), Stop())
    return root


def add_import(root: Path, folder: Path) -> Path:
    """A file of another tool in the collection `imported`."""
    path = folder / "crawl.warc.gz"
    path.write_bytes(members([record(http(page()))]))
    (taken,) = pipeline.import_files(root, Settings(), [str(path)], False, Listener(), Stop())
    assert taken.error == ""
    (kept,) = Layout(root, "imported").closed_warcs()
    return kept


def copy_of(root: Path, to: Path) -> Path:
    """A copy to be damaged."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(root, to)
    return to


@pytest.fixture(scope="module", name="sound")
def sound_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive with an import; not to be touched."""
    folder = tmp_path_factory.mktemp("sound")
    root = build(folder / "archive")
    add_import(root, folder)
    return root


@pytest.fixture(name="root")
def archive_to_damage(sound: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return copy_of(sound, tmp_path / "archive")


def warcs(root: Path) -> list[Path]:
    return Layout(root, "main").closed_warcs()


def repair(root: Path) -> tuple[Repaired, list[str]]:
    told: list[str] = []
    return pipeline.repair(root, Settings(), Listener(), Stop(), told.append), told


def kinds(root: Path) -> list[str]:
    return [str(problem.kind) for problem in pipeline.check(root)]


def change_state(root: Path, sql: str) -> None:
    database = sqlite3.connect(root / STATE)
    database.execute(sql)
    database.commit()
    database.close()
