"""What is whole by its checksums and wrong in its content: named by `check`, mended, and never a traceback."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from cli import Cli
from damage import STATE, add_import, build, change_state, copy_of, kinds, repair

from scraper import pipeline
from scraper.archiver import Imports, Layout, Texts
from scraper.archiver.index import read_line
from scraper.archiver.members import scan
from scraper.errors import IntegrityError, StateDamaged
from scraper.pipeline import Listener, Stop
from scraper.settings import Settings
from scraper.state import StateFile, StateReader
from scraper.stored import load_json

HELD = "held IS NOT NULL"
DEEP = b"[" * 200_000


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    root = build(folder / "archive")
    add_import(root, folder)
    changes = (
        "INSERT INTO documents (digest, kind, charset, facts, selection) VALUES ('d', 'text', 'utf-8', '{}', '')",
        "INSERT OR IGNORE INTO targets (href, state, due_at) VALUES ('http://z.example/', 'failed', "
        "'2026-05-05T03:02:03.000000Z')",
    )
    for change in changes:
        change_state(root, change)
    return root


@pytest.fixture
def root(sound: Path, tmp_path: Path) -> Path:
    return copy_of(sound, tmp_path / "archive")


def problems(root: Path) -> list[str]:
    return [str(problem) for problem in pipeline.check(root)]


def rebuild(root: Path) -> int:
    return pipeline.rebuild(root, Settings(), Listener(), Stop())


def rows(root: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(root / STATE)) as db:
        return db.execute("SELECT href, final_href, state, warc, visit_offset FROM visits ORDER BY id").fetchall()


# ---------------------------------------------------------------------- state

ODD_STATES = {
    "no table": ("DROP TABLE segments", "schema 3 is not so made: segments.collection"),
    "no column": ("ALTER TABLE hosts DROP COLUMN slowdown", "schema 3 is not so made: hosts.slowdown"),
    "one table more": ("CREATE TABLE more (a TEXT)", "schema 3 is not so made: more.a"),
    "a trigger": ("CREATE TRIGGER t AFTER DELETE ON uses BEGIN SELECT 1; END", "schema 3 is not so made: t.None"),
    "older by its number": ("PRAGMA user_version = 2", "schema 2 is not so made: hosts.noted_at, hosts.slowdown"),
    "without a number": ("PRAGMA user_version = 0", "schema 0 is not so made: citations."),
    "below all numbers": ("PRAGMA user_version = -1", "schema -1"),
    "captured_at": ("UPDATE visits SET captured_at = 'garbage' WHERE id = 2", "captured_at of visits 2: 'garbage'"),
    "no such day": (
        "UPDATE visits SET ended_at = '2026-02-30T00:00:00.000000Z' WHERE id = 2",
        "ended_at of visits 2: '2026-02-30T00:00:00.000000Z'",
    ),
    "of no zone": (
        "UPDATE visits SET started_at = '2026-02-03T00:00:00.000000' WHERE id = 2",
        "started_at of visits 2: '2026-02-03T00:00:00.000000'",
    ),
    "until": ("UPDATE visits SET until = 'x' WHERE id = 2", "until of visits 2: 'x'"),
    "purpose": ("UPDATE visits SET purpose = 'x' WHERE id = 2", "purpose of visits 2: 'x'"),
    "state": ("UPDATE visits SET state = 'wat' WHERE id = 2", "state of visits 2: 'wat'"),
    "text_path": (
        "UPDATE visits SET text_path = 'text/../../2026/x' WHERE id = 2",
        "text_path of visits 2: 'text/../../2026/x'",
    ),
    "collection": ("UPDATE visits SET collection = '../x' WHERE id = 2", "collection of visits 2: '../x'"),
    "due_at": (
        "UPDATE targets SET due_at = 'zzz' WHERE href = 'http://z.example/'",
        "due_at of targets 'http://z.example/': 'zzz'",
    ),
    "target": (
        "UPDATE targets SET href = 'http://[::' WHERE href = 'http://z.example/'",
        "href of targets 'http://[::': 'http://[::'",
    ),
    "not_before": (
        "UPDATE hosts SET not_before = 'xx' WHERE host = 'a.example'",
        "not_before of hosts 'a.example': 'xx'",
    ),
    "slowdown": ("UPDATE hosts SET slowdown = 9e999 WHERE host = 'a.example'", "slowdown of hosts 'a.example': inf"),
    "no JSON": (f"UPDATE visits SET held = '{{nope' WHERE id = 2 AND {HELD}", "held of visits 2: '{nope'"),
    "odd JSON": (f"UPDATE visits SET held = '[1,2,3,4,5,6,7]' WHERE id = 2 AND {HELD}", "held of visits 2: "),
    "payload": ("UPDATE payloads SET held = '[]'", "held of payloads '"),
    "facts": ("UPDATE documents SET facts = 'nope'", "facts of documents 'd': 'nope'"),
    "deep facts": (f"UPDATE documents SET facts = '{DEEP.decode()}'", "facts of documents 'd': '[[["),
    "imports": ("UPDATE imports SET warcs = '3'", "warcs of imports '"),
}


@pytest.mark.parametrize(("change", "named"), ODD_STATES.values(), ids=ODD_STATES)
def test_a_state_of_odd_content_is_named_set_aside_and_made_again(root: Path, change: str, named: str) -> None:
    before = rows(root)
    change_state(root, change)
    (said,) = (problem for problem in pipeline.check(root) if problem.path.name == STATE)
    assert named in said.what
    repaired, told = repair(root)
    assert (repaired.exit_code, repaired.is_loss) == (0, False)
    assert "set aside as state.sqlite3.damaged-" in told[0]
    assert rows(root) == before
    assert problems(root) == []


def test_a_run_sets_an_odd_state_aside_and_adopts_again(sound: Path, cli: Cli) -> None:
    copy_of(sound, cli.archive)
    before = rows(cli.archive)
    cli.document("cites nothing")
    change_state(cli.archive, "DROP TABLE segments")
    ran = cli.run("run")
    assert (ran.returncode, "set aside as state.sqlite3.damaged-" in ran.stderr) == (0, True), ran.stderr
    assert rows(cli.archive) == before


@pytest.mark.parametrize(
    "change", ["DROP TABLE segments", "UPDATE payloads SET held = '[]'", "UPDATE visits SET captured_at = 'garbage'"]
)
def test_a_rebuild_sets_an_odd_state_aside(root: Path, change: str) -> None:
    before = rows(root)
    change_state(root, change)
    assert rebuild(root) == len([row for row in before if row[2] is not None])
    assert rows(root) == before
    assert len(list(root.glob("state.sqlite3.damaged-*"))) == 1
    assert problems(root) == []


def test_a_reader_of_an_odd_value_says_so(root: Path) -> None:
    change_state(root, "UPDATE targets SET due_at = 'zzz', state = 'deferred' WHERE href = 'http://z.example/'")
    change_state(root, "UPDATE visits SET captured_at = 'garbage'")
    change_state(root, "UPDATE payloads SET held = '[1]'")
    change_state(root, "UPDATE imports SET warcs = '{}'")
    change_state(root, "UPDATE hosts SET not_before = '20'")
    with StateFile.open(root) as state:
        (sha256, entity) = next(
            state.query("SELECT (SELECT sha256 FROM imports), (SELECT entity_sha256 FROM payloads)")
        )
        asked: list[Callable[[], object]] = [
            lambda: state.target("http://z.example/"),
            lambda: list(state.pages("main")),
            lambda: state.text_captures(),
            lambda: state.payload("main", entity),
            lambda: state.imported(sha256),
            lambda: state.memory("a.example"),
        ]
        for ask in asked:
            with pytest.raises(
                StateDamaged, match=r"state file is damaged \(no .*the next `scraper run` makes it again"
            ):
                ask()


def test_no_verb_ends_with_a_traceback_on_an_odd_state(sound: Path, cli: Cli) -> None:
    copy_of(sound, cli.archive)
    change_state(cli.archive, "UPDATE visits SET captured_at = 'garbage', held = '{nope' WHERE held IS NOT NULL")
    change_state(cli.archive, "UPDATE documents SET facts = 'nope'")
    told = {verb: cli.run(verb, *rest) for verb, *rest in (["check"], ["status"], ["export", "out.wacz"])}
    assert {verb: "Traceback" in ran.stderr for verb, ran in told.items()} == dict.fromkeys(told, False), told
    assert told["check"].returncode == 5
    with (
        StateReader.open_for_reading(cli.archive) as state,
        pytest.raises(StateDamaged, match="facts of documents 'd'"),
    ):
        state.prove_sound()


def test_what_fails_half_way_leaves_the_state_as_it_was(root: Path) -> None:
    before = rows(root)
    with StateFile.open(root) as state:
        with pytest.raises(RuntimeError), state.all_or_nothing():
            state.forget_visits()
            raise RuntimeError("half way")
        state.commit()
    assert rows(root) == before


# -------------------------------------------------------- index, texts, sidecars


@pytest.mark.parametrize("data", ["[" * 200_000, b'{"a":' * 200_000, "nope", b"\xff", "1" * 5000])
def test_json_that_is_none_is_one_error(data: str | bytes) -> None:
    with pytest.raises(ValueError):
        load_json(data)


def index_line(**fields: object) -> bytes:
    said = {"url": "http://a.example/", "digest": "sha1:A", "length": "10", "offset": "0", "filename": "a.warc.gz"}
    return b"example,a)/ 20260504030201 " + json.dumps(said | fields).encode() + b"\n"


ODD_LINES = {
    "offset of 20 digits": index_line(offset="9" * 20),
    "length of 20 digits": index_line(length="9" * 20),
    "offset below 0": index_line(offset="-1"),
    "offset without end": index_line(offset=1).replace(b'"offset": 1', b'"offset": 1e999'),
    "offset of 5000 digits": index_line(offset="9" * 5000),
    "offset that is none": index_line(offset=[]),
    "no such day": index_line().replace(b"20260504030201", b"20260230030201"),
    "year 0": index_line().replace(b"20260504030201", b"00000504030201"),
    "nested": index_line().replace(b'"10"', b'"10", "x": {"a":' + DEEP + b"}"),
}


@pytest.mark.parametrize("line", ODD_LINES.values(), ids=ODD_LINES)
def test_an_odd_line_of_an_index_is_damage_that_is_named_and_mended(root: Path, line: bytes) -> None:
    with pytest.raises(IntegrityError, match="this index is damaged"):
        read_line(line, Path("x.cdxj"))
    path = next(Layout(root, "main").indexes.iterdir())
    path.write_bytes(line)
    assert "index-damaged" in kinds(root)
    assert repair(root)[0].exit_code == 0
    assert problems(root) == []


def text_of(root: Path) -> Path:
    return next(path for path in sorted(Layout(root, "main").text.rglob("*.json")))


@pytest.mark.parametrize(
    "odd",
    [
        lambda data: DEEP[: len(data) + 200_000],
        lambda data: data.replace(b'"title": "', b'"title": ["', 1).replace(b'",', b'"],', 1),
        lambda data: json.dumps(json.loads(data) | {"article": {"title": ["x"]}}).encode(),
        lambda data: json.dumps(json.loads(data) | {"article": {}}).encode(),
        lambda data: json.dumps(json.loads(data) | {"warc": {"file": "x", "offset": 1 << 70, "length": 1}}).encode(),
    ],
    ids=["deep", "no JSON", "title", "no title", "place"],
)
def test_an_odd_text_is_damage_that_is_named_and_mended(root: Path, odd: Callable[[bytes], bytes]) -> None:
    path = text_of(root)
    whole = path.read_bytes()
    path.write_bytes(odd(whole))
    assert kinds(root) == ["text-damaged"]
    change_state(root, "DELETE FROM visits WHERE id = 2")  # so that repair looks for texts that are there already
    assert repair(root)[0].exit_code == 0
    assert path.read_bytes() == whole
    assert problems(root) == []


def test_a_text_nested_without_end_is_made_anew_when_it_is_renewed(root: Path) -> None:
    path = text_of(root)
    texts = Texts(root, "main")
    stem = str(path.relative_to(Layout(root, "main").folder).with_suffix(""))
    path.write_bytes(DEEP)
    with pytest.raises(IntegrityError, match="this text is damaged"):
        texts.load(stem)
    assert texts.renew(stem, {"extractor": "9", "article": {"title": None}}, "# New\n")
    assert texts.load(stem) == {"extractor": "9", "article": {"title": None}}


@pytest.mark.parametrize("data", [DEEP, b"[]", b"{}", b'{"imports": [3]}', b'{"imports": [{"source": []}]}'])
def test_an_odd_sidecar_is_damage_that_is_named(root: Path, data: bytes) -> None:
    layout = Layout(root, "imported")
    (warc,) = layout.closed_warcs()
    sidecar = Imports(root).sidecar(warc.name)
    sidecar.write_bytes(data)
    (problem,) = pipeline.check(root)
    assert (str(problem.kind), problem.path) == ("provenance", sidecar)


# ---------------------------------------------------------------- odd records


def forge(path: Path, kind: str, change: Callable[[bytes, bytes], tuple[bytes, bytes]]) -> int:
    """Change head and block of each record of a kind, with right digests; gives how many were changed."""
    data, parts, count = path.read_bytes(), [], 0
    for member in scan(path):
        raw = data[member.offset : member.offset + member.length]
        head, _, block = gzip.decompress(raw).partition(b"\r\n\r\n")
        if f"WARC-Type: {kind}\r\n".encode() in head + b"\r\n":
            was = (head, block[:-4])
            head, block = change(*was)
            count += (head, block) != was
            digest = b"sha1:" + base64.b32encode(hashlib.sha1(block).digest())
            head = re.sub(rb"(WARC-Block-Digest: )\S+", lambda found, digest=digest: found[1] + digest, head)
            head = re.sub(rb"(Content-Length: )[0-9]+", rb"\g<1>%d" % len(block), head)
            raw = gzip.compress(head + b"\r\n\r\n" + block + b"\r\n\r\n")
        parts.append(raw)
    path.write_bytes(b"".join(parts))
    path.with_name(path.name + ".sha256").unlink()
    return count


def in_block(pattern: bytes, to: bytes) -> Callable[[bytes, bytes], tuple[bytes, bytes]]:
    return lambda head, block: (head, re.sub(pattern, to, block))


def in_head(pattern: bytes, to: bytes) -> Callable[[bytes, bytes], tuple[bytes, bytes]]:
    return lambda head, block: (re.sub(pattern, to, head), block)


Change = Callable[[bytes, bytes], tuple[bytes, bytes]]
ODD_RECORDS: dict[str, tuple[str, Change]] = {
    "startedAt": ("metadata", in_block(rb"(startedAt: )[^\r]*", rb"\1garbage")),
    "endedAt": ("metadata", in_block(rb"(endedAt: )[^\r]*", rb"\1garbage")),
    "endedAt at the end of time": ("metadata", in_block(rb"(endedAt: )[^\r]*", rb"\g<1>9999-12-31T23:59:59.999999Z")),
    "startedAt at the end of time": ("metadata", in_block(rb"(startedAt: )[^\r]*", rb"\g<1>9999-12-31T23:59:59Z")),
    "until": ("metadata", in_block(rb"(outcome: )[^\r]*", b"\\1deferred\r\nuntil: garbage")),
    "until at the end of time": (
        "metadata",
        in_block(rb"(outcome: )[^\r]*", b"\\1deferred\r\nuntil: 9999-12-31T23:59:59.999999Z"),
    ),
    "final": ("metadata", in_block(rb"(final: )[^\r]*", rb"\1http://[::")),
    "final of another scheme": ("metadata", in_block(rb"(final: )[^\r]*", rb"\1file:///etc/passwd")),
    "tries": ("metadata", in_block(rb"(tries: )[^\r]*", rb"\1many")),
    "tries without end": ("metadata", in_block(rb"(tries: )[^\r]*", rb"\g<1>99999999999999999999999")),
    "fetchTimeMs": ("metadata", in_block(rb"(fetchTimeMs: )[^\r]*", rb"\g<1>999999999")),
    "outcome": ("metadata", in_block(rb"(outcome: )[^\r]*", rb"\1teleported")),
    "purpose": ("metadata", in_block(rb"(purpose: )[^\r]*", rb"\1fun")),
    "page": ("metadata", in_block(rb"(page: )[^\r]*", rb"\1nothing")),
    "empty": ("metadata", lambda head, _: (head, b"")),
    "binary": ("metadata", lambda head, _: (head, bytes(range(256)))),
    "address of a visit": ("metadata", in_head(rb"(WARC-Target-URI: )\S+", rb"\1http://[::1")),
    "visit without address": ("metadata", in_head(rb"WARC-Target-URI: \S+\r\n", b"")),
    "HTTP": ("response", lambda head, _: (head, b"\0\1\2" * 50)),
    "status": ("response", lambda head, block: (head, block.replace(b" 200 ", b" 9999999999999999999999 ", 1))),
    "address": ("response", in_head(rb"(WARC-Target-URI: )\S+", rb"\1http://[::1")),
    "no address": ("response", in_head(rb"WARC-Target-URI: \S+\r\n", b"")),
    "date": ("response", in_head(rb"(WARC-Date: )\S+", rb"\g<1>2026-99-99T00:00:00Z")),
    "date at the end of time": ("response", in_head(rb"(WARC-Date: )\S+", rb"\g<1>9999-12-31T23:59:59.999999Z")),
    "request's address": ("request", in_head(rb"(WARC-Target-URI: )\S+", rb"\1http://[::1")),
    "request's date": ("request", in_head(rb"(WARC-Date: )\S+", rb"\g<1>9999-12-31T23:59:59.999999Z")),
    "revisit's date": ("revisit", in_head(rb"(WARC-Refers-To-Date: )\S+", rb"\g<1>garbage")),
    "revisit's original": ("revisit", in_head(rb"(WARC-Refers-To-Target-URI: )\S+", rb"\1http://[::1")),
}


@pytest.mark.parametrize("name", ODD_RECORDS)
def test_no_field_of_a_record_stops_a_rebuild_or_a_repair(root: Path, name: str) -> None:
    kind, change = ODD_RECORDS[name]
    path = Layout(root, "main").closed_warcs()[1 if kind == "revisit" else 0]
    assert forge(path, kind, change) > 0
    assert problems(root) != []
    repair(root)
    assert rebuild(root) == len(rows(root)) >= 3
    repaired, _ = repair(root)
    # Records without an address that could be asked for stay where they are, and stay named.
    assert ([str(problem.kind) for problem in repaired.left] != []) == (problems(root) != [])
    if "address" not in name and "original" not in name:
        assert problems(root) == []
