"""The player lives on an origin of its own, gives its package in parts, and leaves nothing behind."""

from __future__ import annotations

import hashlib
import http.client
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from cli import ENVIRONMENT
from factories import make_capture, make_collection, make_exchange

from scraper import archiver
from scraper.replay.player.packages import Packages

URL = "http://example.com/a?b=c&d"
STAMP = "20260504030201"
SHOW = f"/-/player/show/main/{STAMP}/{URL}"
PACKAGE = f"/-/player/package/{quote(f'main/{STAMP}/{URL}', safe='')}/capture.wacz"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of WARCs alone, as an import of nothing but evidence leaves it."""
    root = tmp_path_factory.mktemp("archive")
    collection = make_collection(root)
    collection.append(make_capture(make_exchange(URL, b"<h1>As it was</h1>")))
    collection.close()
    return root


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files called as ReplayWeb.page's are."""
    folder = tmp_path_factory.mktemp("player")
    (folder / "ui.js").write_text("// the interface")
    (folder / "sw.js").write_text("// the engine")
    (folder / "secret.txt").write_text("not to be served")
    return folder


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Server:
    port: int
    scratch: Path

    def get(self, path: str, host: str = "localhost", method: str = "GET", **headers: str) -> Answer:
        """Ask; a header's name is given with `_` for `-`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers={"Host": f"{host}:{self.port}", **fields})
        answer = connection.getresponse()
        found = Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        connection.close()
        return found


@pytest.fixture(scope="module")
def server(archive: Path, player: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    scratch = tmp_path_factory.mktemp("scratch")
    process = started(archive, player, scratch)
    assert process.stdout is not None
    yield Server(int(process.stdout.readline().rstrip("/\n").rpartition(":")[2]), scratch)
    process.terminate()
    assert process.communicate(timeout=60)[1] == ""


def started(archive: Path, player: Path, scratch: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "scraper", "replay", "--archive", str(archive), "--port", "0"]
    return subprocess.Popen(
        [*command, "--player", str(player)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**ENVIRONMENT, "TMPDIR": str(scratch)},
    )


# ------------------------------------------------------------------- origins


@pytest.mark.parametrize("path", ["/", f"/main/{STAMP}/{URL}", f"/main/{STAMP}id_/{URL}", "/-/search?q=x"])
def test_the_players_origin_serves_nothing_of_the_archive(server: Server, path: str) -> None:
    answer = server.get(path, host="localhost")
    assert answer.status == 307
    assert answer.headers["location"] == f"http://127.0.0.1:{server.port}{path}"
    assert "access-control-allow-origin" not in answer.headers
    assert b"As it was" not in answer.body


@pytest.mark.parametrize("path", [SHOW, PACKAGE, "/-/player/replay/ui.js", "/-/player/replay/sw.js?serveIndex=1"])
def test_the_archives_origin_serves_nothing_of_the_player(server: Server, path: str) -> None:
    answer = server.get(path, host="127.0.0.1")
    assert (answer.status, answer.headers["location"]) == (307, f"http://localhost:{server.port}{path}")


def test_a_foreign_name_gets_neither(server: Server) -> None:
    assert server.get(SHOW, host="evil.example").status == 403


def test_the_page_lets_the_player_speak_to_its_own_origin_alone(server: Server) -> None:
    answer = server.get(SHOW)
    assert answer.status == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert policy.endswith("sandbox allow-scripts allow-same-origin")
    assert f'href="http://127.0.0.1:{server.port}/main/{STAMP}/http://example.com/a?b=c&amp;d"' in answer.body.decode()
    assert f'source="{PACKAGE}"' in answer.body.decode()


def test_a_capture_has_the_tab_only_where_there_is_a_player(server: Server, archive: Path) -> None:
    page = server.get(f"/-/capture/main/{STAMP}/headers/{URL}", host="127.0.0.1").body.decode()
    assert f'href="/-/player/show/main/{STAMP}/http://example.com/a?b=c&amp;d"' in page
    from scraper.replay.holdings import Holdings
    from scraper.replay.ui.bar import tabs_of

    assert "player" not in tabs_of(Holdings(archive))


# --------------------------------------------------------------------- files


def test_the_players_two_files_are_served_and_no_other(server: Server, player: Path) -> None:
    assert server.get("/-/player/replay/ui.js").body == (player / "ui.js").read_bytes()
    assert server.get("/-/player/replay/engine.js").body == (player / "sw.js").read_bytes()
    worker = server.get("/-/player/replay/sw.js?serveIndex=1")
    assert b'importScripts("engine.js")' in worker.body
    assert "connect-src 'self'" in worker.headers["content-security-policy"]
    for path in ("secret.txt", "../secret.txt", "%2e%2e/secret.txt", "..%2fsecret.txt", "engine.js/../secret.txt"):
        assert server.get(f"/-/player/replay/{path}").status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/-/player/show/main/2026/http://never.example/",
        "/-/player/show/none/2026/http://a/",
        "/-/player/package/..%2F..%2Fetc%2Fpasswd",
        "/-/player/show/",
        "/-/player/x",
        "/-/player/show/main/99999999999999/http://example.com/a",
        "/-/player/show/%00/1/%ff",
    ],
)
def test_what_is_not_there_is_a_404_in_words(server: Server, path: str) -> None:
    answer = server.get(path)
    assert answer.status == 404
    assert b"<h1>Not in this archive</h1>" in answer.body


# -------------------------------------------------------------------- ranges


def test_the_package_holds_the_capture(server: Server) -> None:
    answer = server.get(PACKAGE)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/wacz")
    with zipfile.ZipFile(io.BytesIO(answer.body)) as package:
        assert package.testzip() is None
        assert URL.encode() in package.read("pages/pages.jsonl")


def test_it_is_given_in_parts(server: Server) -> None:
    whole = server.get(PACKAGE).body
    size = len(whole)
    for wanted, start, end in (
        ("bytes=0-0", 0, 0),
        ("bytes=5-9", 5, 9),
        ("bytes=-22", size - 22, size - 1),
        (f"bytes=10-{size * 2}", 10, size - 1),
        (f"bytes={size - 1}-", size - 1, size - 1),
    ):
        part = server.get(PACKAGE, Range=wanted)
        assert (part.status, part.headers["content-range"]) == (206, f"bytes {start}-{end}/{size}")
        assert part.body == whole[start : end + 1]
    assert server.get(PACKAGE, Range=f"bytes={size}-").status == 416


def test_a_part_of_another_version_is_answered_with_the_whole(server: Server) -> None:
    whole = server.get(PACKAGE)
    same = server.get(PACKAGE, Range="bytes=0-3", If_Range=whole.headers["etag"])
    other = server.get(PACKAGE, Range="bytes=0-3", If_Range='"another"')
    assert (same.status, same.body) == (206, whole.body[:4])
    assert (other.status, other.body) == (200, whole.body)


def test_head_tells_the_size_and_sends_nothing(server: Server) -> None:
    head = server.get(PACKAGE, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(server.get(PACKAGE).body))
    assert head.headers["accept-ranges"] == "bytes"


# -------------------------------------------------------------------- places


def test_the_archive_stays_as_it_was_and_the_packages_go_with_the_server(
    archive: Path, player: Path, tmp_path: Path
) -> None:
    def state() -> dict[str, str]:
        files = (path for path in sorted(archive.rglob("*")) if path.is_file())
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = state()
    process = started(archive, player, tmp_path)
    assert process.stdout is not None
    server = Server(int(process.stdout.readline().rstrip("/\n").rpartition(":")[2]), tmp_path)
    assert server.get(PACKAGE).status == 200
    assert len(list(tmp_path.glob("scraper-player-*/*.wacz"))) == 1
    process.terminate()
    process.communicate(timeout=60)
    assert list(tmp_path.iterdir()) == []
    assert state() == before


def test_only_the_newest_packages_are_kept(archive: Path) -> None:
    made: list[str] = []

    def pack(collection: str, entry: archiver.IndexEntry, output: Path) -> None:
        made.append(entry.url)
        output.write_bytes(bytes(100))

    location = archiver.Collection(archive, "main").find(URL)[0].location
    entries = [archiver.IndexEntry("k", STAMP, f"http://{n}.example/", "sha1:X", location) for n in range(4)]
    packages = Packages(pack, most_packages=3, most_bytes=250)
    paths = [packages.package("main", entry) for entry in entries]
    assert [path.exists() for path in paths] == [False, False, True, True]
    assert packages.package("main", entries[3]) == paths[3]
    assert made == [entry.url for entry in entries]
    packages.package("main", entries[0])
    assert made == [*(entry.url for entry in entries), entries[0].url]


def test_a_folder_without_the_files_is_refused_with_the_way_to_get_them(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "ui.js").touch()
    command = [sys.executable, "-m", "scraper", "replay", "--archive", str(archive), "--port", "0", "--player"]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, env=ENVIRONMENT, timeout=60)
    assert done.returncode == 2
    assert "sw.js not here" in done.stderr
    assert "npm pack replaywebpage" in done.stderr
    assert os.listdir(tmp_path) == ["ui.js"]
