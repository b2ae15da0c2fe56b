"""Foreign programs agree with what we wrote: warcio, fastwarc, cdxj-indexer and pywb.

pywb and cdxj-indexer bring AGPL code along, so they live in an environment of their own, never beside the project:
`SCRAPER_TEST_ORACLES=1` makes it (with pip, in the user's cache or where `SCRAPER_ORACLES` says), once for all runs.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from factories import START, chunked, make_capture, make_collection, make_exchange
from foreign import http, info, members, page, record, sha1

from scraper import message
from scraper.archiver import Kept, check, foreign_index
from scraper.model import Capture, Exchange, Held, Outcome, State, Truncation

PACKAGES = ["pywb>=2.8", "cdxj-indexer>=1.4", "setuptools<81"]  # pywb imports pkg_resources
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n"
DAY = timedelta(days=1)
PLAIN_BODY, CHUNKED_BODY = b"<p>plain original</p>", b"<p>chunked original</p>"
# What index keys are made of by rules of their own: pywb finds a page only under the key which it computes itself.
ODD_URLS = [
    "http://k.example./a//b/%7Euser/%41?b=2&a=%26&a",
    "http://k.example/a%2F..%2Fb%3Fc?%2525&=&-",
    "http://k.example/x?b=1&sid=0123456789abcdef0123456789abcdef",
    "http://k.example/x?cfid=1&cftoken=2&z",
    "http://k.example/(S(abcdefghijklmnopqrstuvwx))/page.aspx?q=%22",
    "http://k.example/web/2019/http://other.example/%20x%00?a=http://b/&B",
    "http://k.example/%E9%zz%C3%A9%5c|^?100%&[]='",
    "https://www3.k.example:80/Path/?",
    "http://k.example/?&&",
    "http://xn--n3h.example/x;jsessionid=0123456789ABCDEF0123456789ABCDEF?q",
]


# ------------------------------------------------------------------- archives


class Writer:
    """Writes visits as a pipeline would: what is held is looked up by its digest."""

    def __init__(self, root: Path) -> None:
        self.collection = make_collection(root)
        self.known: dict[str, Held] = {}

    def add(self, exchange: Exchange, held: Held | None = None) -> Kept:
        return self.add_capture(make_capture(exchange), held)

    def add_capture(self, capture: Capture, held: Held | None = None) -> Kept:
        kept = self.collection.append(capture, held=held, known=self.known.get)
        if kept.held is not None:
            self.known.setdefault(kept.held.entity_sha256, kept.held)
        return kept


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive with everything in it that a reader could stumble over."""
    root = tmp_path_factory.mktemp("oracle")
    writer = Writer(root)
    plain = writer.add(make_exchange("http://a.example/plain?b=2&a=1", PLAIN_BODY))
    later = make_exchange("http://a.example/plain?b=2&a=1", b"", status=304, at=START + DAY)
    writer.add_capture(make_capture(later, outcome=Outcome(State.UNCHANGED)), plain.held)
    writer.add(make_exchange("http://b.example/copy", PLAIN_BODY, at=START + DAY, headers=(("X-Own", "1"),)))
    parts = writer.add(make_exchange("http://a.example/chunked", chunked(CHUNKED_BODY), head=CHUNKED))
    later = make_exchange("http://a.example/chunked", b"", status=304, at=START + DAY)
    writer.add_capture(make_capture(later, outcome=Outcome(State.UNCHANGED)), parts.held)
    for path, body, head in [
        ("same-chunks", chunked(CHUNKED_BODY), CHUNKED),
        ("other-chunks", chunked(CHUNKED_BODY, 7), CHUNKED),
        ("no-chunks", CHUNKED_BODY, None),
    ]:
        writer.add(make_exchange(f"http://b.example/{path}", body, head=head, at=START + DAY))
    writer.add(make_exchange("http://b.example/now-chunks", chunked(PLAIN_BODY, 3), head=CHUNKED, at=START + DAY))
    add_oddities(writer)
    writer.collection.close()
    assert list(check(root, "main")) == []
    return root


def add_oddities(writer: Writer) -> None:
    hop = make_exchange("https://www.example.com:8443/Old%20Path/?Z=1&a=%C3%A9", b"", status=301)
    writer.add_capture(make_capture(hop, make_exchange("http://[2001:db8::1]:8080/new;x?q")))
    writer.add(make_exchange("http://www2.example.org/?jsessionid=0123456789abcdef", b"\x89PNG" * 500, headers=()))
    writer.add(make_exchange("http://192.0.2.1/page", b"by number"))
    writer.add(make_exchange("http://192.0.2.1/gone", status=404, headers=(("Content-Type", "text/html;charset=x"),)))
    odd = (
        b"HTTP/1.1  200   Fine\r\nX-Odd:   two\r\nX-Latin: caf\xe9\r\nX-Fold: a\r\n b\r\nContent-Type:  a/b ; c\r\n\r\n"
    )
    writer.add(make_exchange("http://odd.example/", bytes(range(256)), head=odd))
    writer.add(make_exchange("http://odd.example/robots.txt", b"", headers=(("Content-Type", ""),)))
    for number, received in enumerate(
        [b"HTTP/1.1 200 OK\r\nContent-Ty", b"no http\r\nxx", b"ICY 200 OK\r\n\r\nhello", b"\x00\x01", b"\r\n\r\n"]
    ):
        torn = make_exchange(f"http://torn.example/{number}", received, head=b"", truncated=Truncation.DISCONNECT)
        writer.add_capture(make_capture(torn, outcome=Outcome(State.FAILED, "broken")))
    for url in ODD_URLS:
        writer.add(make_exchange(url, url.encode()))
    writer.add_capture(make_capture(outcome=Outcome(State.FAILED, "dns"), url="http://dead.example/"))


def warc_of(root: Path) -> Path:
    (path,) = (root / "collections/main/archive").glob("*.warc.gz")
    return path


# ----------------------------------------------------------- warcio, fastwarc


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, timeout=300)


def beside_python(name: str) -> Path:
    path = Path(sys.executable).parent / name
    if not path.exists():
        pytest.skip(f"{name} is not installed; it comes with the test extra")
    return path


def test_warcio_check_agrees(archive: Path) -> None:
    done = run(beside_python("warcio"), "check", "-v", warc_of(archive))
    assert done.returncode == 0
    assert "digest pass" in done.stdout
    assert "fail" not in done.stdout.lower()


def test_fastwarc_check_agrees(archive: Path) -> None:
    done = run(beside_python("fastwarc"), "check", warc_of(archive))
    assert done.returncode == 0
    assert "records were verified successfully" in done.stdout


def test_fastwarc_payload_check_names_only_revisits(archive: Path) -> None:
    from warcio.archiveiterator import ArchiveIterator

    done = run(beside_python("fastwarc"), "check", "-p", warc_of(archive))
    with warc_of(archive).open("rb") as file:
        revisits = {r.rec_headers["WARC-Record-ID"] for r in ArchiveIterator(file) if r.rec_type == "revisit"}
    assert {line.strip() for line in done.stdout.splitlines() if "urn:uuid" in line} == revisits


# --------------------------------------------------------- an own environment


def oracle_folder() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("SCRAPER_ORACLES") or cache / "scraper-oracles" / "pywb")


@pytest.fixture(scope="session")
def oracles() -> Path:
    """The folder of the oracles' programs."""
    folder = oracle_folder()
    if not (folder / ".complete").exists():
        if os.environ.get("SCRAPER_TEST_ORACLES") != "1":
            pytest.skip("no pywb and cdxj-indexer at hand; SCRAPER_TEST_ORACLES=1 makes an environment for them")
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Suites run side by side: one makes it, the others wait.
        with folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / ".complete").exists():
                make_environment(folder)
    return folder / "bin"


def make_environment(folder: Path) -> None:
    python = sys.executable if sys.version_info[:2] == (3, 11) else shutil.which("python3.11")
    if python is None:
        pytest.skip("pywb needs Python 3.11, which is not on this machine")
    for command in (
        [python, "-m", "venv", "--clear", folder],
        [folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES],
    ):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no environment for pywb and cdxj-indexer: {done.stderr.strip()[-500:]}")
    (folder / ".complete").touch()


@pytest.mark.oracle
def test_cdxj_indexer_writes_the_very_same_lines(archive: Path, oracles: Path) -> None:
    (ours,) = (archive / "collections/main/indexes").glob("*.cdxj")
    done = run(oracles / "cdxj-indexer", "--sort", warc_of(archive))
    assert done.returncode == 0
    lines = ours.read_text().splitlines()
    assert len(lines) == 21 + len(ODD_URLS)
    # Of what is no HTTP it lists a word as the status; we list none, for a server may have made it of anything.
    words = re.compile(r' "status": "(?![0-9]{3}")[^"]*",')
    theirs = [words.sub("", line) for line in done.stdout.splitlines()]
    assert theirs == lines
    assert sum(bool(words.search(line)) for line in done.stdout.splitlines()) == 1


# ------------------------------------------------------------------------ pywb


@pytest.fixture(scope="session")
def wayback(archive: Path, oracles: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """pywb serving the archive in place; gives the collection's address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (tmp_path_factory.mktemp("wayback") / "log").open("wb")
    command = [oracles / "wayback", "--directory", archive, "--port", str(port), "--bind", "127.0.0.1"]
    server = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log)
    try:
        wait_for(port, server)
        yield f"http://127.0.0.1:{port}/main"
    finally:
        server.terminate()
        server.wait()
        log.close()


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.skip("pywb did not start on this machine")


def served(address: str) -> tuple[int, bytes]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("stamp", "url", "body"),
    [
        ("20260504030201", "http://a.example/plain?b=2&a=1", PLAIN_BODY),
        ("20260505030201", "http://a.example/plain?b=2&a=1", PLAIN_BODY),
        ("20260505030201", "http://b.example/copy", PLAIN_BODY),
        ("20260504030201", "http://a.example/chunked", CHUNKED_BODY),
        ("20260505030201", "http://a.example/chunked", CHUNKED_BODY),
        ("20260505030201", "http://b.example/same-chunks", CHUNKED_BODY),
        ("20260505030201", "http://b.example/other-chunks", CHUNKED_BODY),
        ("20260505030201", "http://b.example/no-chunks", CHUNKED_BODY),
        ("20260505030201", "http://b.example/now-chunks", PLAIN_BODY),
        ("20260504030201", "http://odd.example/", bytes(range(256))),
        ("20260504030201", "http://192.0.2.1/page", b"by number"),
        ("20260504030201", "http://[2001:db8::1]:8080/new;x?q", b"<p>hello</p>"),
        ("20260504030201", "http://k.example/x?cfid=1&cftoken=2&z", b"http://k.example/x?cfid=1&cftoken=2&z"),
    ],
)
def test_pywb_serves_pages_and_both_kinds_of_revisit(wayback: str, stamp: str, url: str, body: bytes) -> None:
    assert served(f"{wayback}/{stamp}id_/{url}") == (200, body)


@pytest.mark.oracle
def test_pywb_knows_a_dead_page_as_dead_and_one_never_seen_as_missing(wayback: str) -> None:
    assert served(f"{wayback}/20260504030201id_/http://192.0.2.1/gone") == (404, b"<p>hello</p>")
    assert served(f"{wayback}/20260504030201id_/http://dead.example/")[0] == 404


@pytest.mark.oracle
def test_every_capture_of_a_page_is_in_pywbs_list(wayback: str) -> None:
    status, body = served(f"{wayback}/cdx?url=http://a.example/chunked&output=json")
    captures = [json.loads(line) for line in body.splitlines()]
    assert status == 200
    assert [(one["timestamp"], one["mime"]) for one in captures] == [
        ("20260504030201", "text/html"),
        ("20260505030201", "warc/revisit"),
    ]


@pytest.mark.oracle
def test_pywb_leaves_the_archive_as_it_was(archive: Path, wayback: str) -> None:
    served(f"{wayback}/20260504030201id_/http://a.example/chunked")
    assert list(check(archive, "main")) == []


def test_we_read_what_we_wrote_as_pywb_does(archive: Path) -> None:
    collection = make_collection(archive)
    (first, later) = collection.find("http://a.example/chunked")
    assert [message.entity(collection.load(entry.location).received) for entry in (first, later)] == [CHUNKED_BODY] * 2
    (copy,) = collection.find("http://b.example/copy")
    loaded = collection.load(copy.location)
    assert (loaded.body, loaded.header("x-own")) == (PLAIN_BODY, "1")


# ---------------------------------------------------- other tools' WARCs, imported


def foreign_records() -> list[bytes]:
    """What other tools put into a WARC, the odd included."""
    said = f"WARC-Payload-Digest: {sha1(page())}"
    profile = "WARC-Profile: http://netpreserve.org/warc/1.0/revisit/identical-payload-digest"
    answer, plain = http(page()), "Content-Type: text/plain"
    return [
        info(),
        record(answer, "http://e.example/1"),
        record(answer, "http://e.example/1", said),
        record(answer, "<http://e.example/brackets>"),
        record(http(b"x", status="HTTP/2 200"), "http://e.example/h2"),
        record(http(b"x", status="HTTP/1.1 404 Not Found", kind="text/plain; charset=x"), "http://e.example/gone"),
        record(http(b"", status="HTTP/1.1 301"), "http://e.example/moved?b=2&a=1"),
        record(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\na=b", "http://e.example/post", kind="request"),
        record(answer, "http://e.example/post"),
        record(http(b""), "http://e.example/1", said, kind="revisit"),
        record(b"", "http://e.example/1", said, profile, kind="revisit"),
        record(b"words", "http://e.example/r.txt", plain, kind="resource"),
        record(b"words", "urn:text:http://e.example/", plain, kind="resource"),
        record(b"words", "file:///x/y", plain, kind="resource"),
        record(b"20190909 e.example A 192.0.2.1", "dns:e.example", "Content-Type: text/dns"),
        record(b"{}", "metadata://e.example/x", "Content-Type: application/json", kind="metadata"),
        record(b"a: b\r\n", "http://e.example/notes", kind="metadata"),
        record(b"<p>", "http://e.example/conversion", "Content-Type: text/html", kind="conversion"),
        record(b"no head at all", "http://e.example/no-head"),
        record(b"", "http://e.example/empty"),
        record(b"HTTP/1.1 200 OK\nContent-Type: text/html\n\nlf", "http://e.example/lf"),
        record(b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Type: text/css\r\n\r\nfold", "http://e.example/fold"),
        record(b"HTTP/1.1 200\r\ncontent-TYPE:text/css\r\n\r\n", "http://e.example/no-space"),
        record(http(chunked(b"hello"), "Transfer-Encoding: chunked"), "http://e.example/chunked"),
        record(answer, "http://e.example/cut", "WARC-Truncated: length"),
        record(answer, "http://e.example/0.18", version="WARC/0.18"),
    ]


@pytest.mark.parametrize("name", ["members.warc.gz", "plain.warc", "blank-lines.warc"])
def test_cdxj_indexer_lists_the_same_of_other_tools_files(oracles: Path, tmp_path: Path, name: str) -> None:
    records = foreign_records()
    blank = b"".join(item + b"\r\n" * (number % 3) for number, item in enumerate(records))
    forms = {"members.warc.gz": members(records), "plain.warc": b"".join(records), "blank-lines.warc": blank}
    path = tmp_path / name
    path.write_bytes(forms[name])
    done = run(oracles / "cdxj-indexer", path)
    assert done.returncode == 0, done.stderr
    theirs = [json.loads(line.split(" ", 2)[2]) for line in done.stdout.splitlines()]
    ours = [json.loads(entry.line().split(b" ", 2)[2]) for entry in foreign_index.entries(path, name, [])]
    compared = ("url", "status", "offset", "length", "digest")
    assert len(theirs) > 15
    assert sorted([[item.get(field) for field in compared] for item in ours], key=repr) == sorted(
        [[item.get(field) for field in compared] for item in theirs], key=repr
    )
