"""WACZ: one file that holds captures whole, the same bytes for the same captures, and nothing of the documents."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cli import ENVIRONMENT, Cli
from factories import START, make_capture, make_collection, make_exchange
from foreign import http, info, members, page, record
from server import Site
from warcio.archiveiterator import ArchiveIterator

from scraper import exchange, pipeline
from scraper.errors import IntegrityError, UsageError
from scraper.exchange.wacz import stored_gzip, stored_gzip_size
from scraper.exchange.zipping import ZipStore
from scraper.pipeline import Listener, Stop
from scraper.settings import Settings
from scraper.state import StateReader

HTML = {"Content-Type": "text/html; charset=utf-8"}
PARAGRAPH = "This paragraph is long enough to be taken for the body of an article by any extractor, surely. " * 3
PAGE = (
    '<html><head><title>{0}</title><link rel=icon href="data:,"></head><body><article><h1>{0}</h1>'
    + f"<p>{PARAGRAPH}</p>" * 3
    + "</article>"
)
CAREFUL = "Nobody shall read this sentence of a private document."


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """An archive of two runs: a page with its picture, redirects, one payload at two addresses, what is gone."""
    site = Site()
    site.open(tmp_path_factory.mktemp("site"))
    cli = Cli(tmp_path_factory.mktemp("wacz"), site, capture={"requisites": "page"})
    picture = '<img src="/picture.png"></body>'
    site.reply("/page", headers=HTML, body=(PAGE.format("A harbour") + picture).encode())
    site.reply("/picture.png", headers={"Content-Type": "image/png"}, body=b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    site.reply("/old", status=301, headers={"Location": site.url("/middle")})
    site.reply("/middle", status=302, headers={"Location": site.url("/new", host="a.test")})
    site.reply("/new", headers=HTML, body=PAGE.format("Moved").encode())
    for path in ("/first", "/second"):
        site.reply(path, headers=HTML, body=PAGE.format("Twice").encode())
    site.reply("/gone", status=410)
    cli.document(f"{CAREFUL}\nOriginal url: <{site.url('/page')}>\nOriginal url: <{site.url('/first')}>\n", "one.txt")
    cli.document("".join(f"Original url: <{site.url(path)}>\n\n" for path in ("/old", "/second", "/gone")), "two.txt")
    cli.document(f"Original url: <{site.url('/gone')}>\n", "three.txt")
    assert cli.run("run").returncode == 3
    yield cli
    site.close()


def exported(cli: Cli, *arguments: str, name: str = "out.wacz") -> zipfile.ZipFile:
    path = cli.folder / name
    done = cli.run("export", "--format", "wacz", "--output", str(path), *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return zipfile.ZipFile(path)


def lines(package: zipfile.ZipFile) -> list[dict[str, Any]]:
    """The index, each line's fields with its timestamp."""
    text = gzip.decompress(package.read("indexes/index.cdx.gz")).decode()
    keys = [line.split(" ", 2) for line in text.splitlines()]
    assert [key[:2] for key in keys] == sorted(key[:2] for key in keys)
    return [{"timestamp": stamp, **json.loads(fields)} for _, stamp, fields in keys]


def pages(package: zipfile.ZipFile) -> list[dict[str, Any]]:
    return [json.loads(line) for line in package.read("pages/pages.jsonl").splitlines()]


def paths(package: zipfile.ZipFile) -> list[str]:
    """The paths of the URLs in the index, each once."""
    return sorted({"/" + line["url"].split("/", 3)[3] for line in lines(package)})


def records(package: zipfile.ZipFile) -> list[tuple[str, str]]:
    """Type and path of every record, in order, read by warcio."""
    found = []
    for name in package.namelist():
        if name.startswith("archive/"):
            for record in ArchiveIterator(io.BytesIO(package.read(name)), check_digests=True):
                record.content_stream().read()
                assert record.digest_checker.passed is not False
                url = record.rec_headers.get_header("WARC-Target-URI") or ""
                found.append((record.rec_type, "/" + url.split("/", 3)[3] if url else ""))
    return found


def everything(folder: Path) -> dict[str, str]:
    """Every file below a folder with its digest."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# --------------------------------------------------------------------- whole


def test_the_warcs_of_a_whole_archive_are_in_it_byte_for_byte(filled: Cli) -> None:
    before = everything(filled.archive)
    package = exported(filled)
    warcs = list((filled.archive / "collections/main/archive").glob("*.warc.gz"))
    assert {name for name in package.namelist() if name.startswith("archive/")} == {f"archive/{w.name}" for w in warcs}
    assert all(package.read(f"archive/{warc.name}") == warc.read_bytes() for warc in warcs)
    assert everything(filled.archive) == before


def test_every_index_line_leads_to_its_record(filled: Cli) -> None:
    for arguments in ([], [filled.site.url("/old")], ["--document", "documents/one.txt"]):
        package = exported(filled, *arguments)
        assert lines(package)
        for line in lines(package):
            at, length = int(line["offset"]), int(line["length"])
            member = package.read(f"archive/{line['filename']}")[at : at + length]
            assert f"WARC-Target-URI: {line['url']}\r\n".encode() in gzip.decompress(member)


def test_the_index_is_found_by_blocks(filled: Cli) -> None:
    package = exported(filled)
    meta, *blocks = package.read("indexes/index.idx").decode().splitlines()
    assert meta == '!meta 0 {"format": "cdxj-gzip-1.0", "filename": "index.cdx.gz"}'
    data = package.read("indexes/index.cdx.gz")
    assert len(blocks) == 1
    key, stamp, fields = blocks[0].split(" ", 2)
    place = json.loads(fields)
    block = data[place["offset"] : place["offset"] + place["length"]]
    assert gzip.decompress(block).decode().startswith(f"{key} {stamp} ")
    assert place["digest"] == f"sha256:{hashlib.sha256(block).hexdigest()}"


def test_an_index_of_many_captures_is_read_a_thousand_lines_at_a_time(tmp_path: Path) -> None:
    index = [f"org,example)/{number:05} 20260504030201 {{}}\n".encode() for number in range(2500)]
    contents = exchange.Contents("many", "", [], index, [])
    assert exchange.write_wacz(contents, tmp_path / "many.wacz").captures == 2500
    with zipfile.ZipFile(tmp_path / "many.wacz") as package:
        data = package.read("indexes/index.cdx.gz")
        blocks = package.read("indexes/index.idx").decode().splitlines()[1:]
    assert gzip.decompress(data) == b"".join(index)
    assert [block.split(" ")[0] for block in blocks] == [
        "org,example)/00000",
        "org,example)/01024",
        "org,example)/02048",
    ]
    places = [json.loads(block.split(" ", 2)[2]) for block in blocks]
    parts = [data[place["offset"] : place["offset"] + place["length"]] for place in places]
    assert [len(gzip.decompress(part).splitlines()) for part in parts] == [1024, 1024, 452]


def test_the_pages_come_with_title_and_text(filled: Cli) -> None:
    header, *rest = pages(exported(filled))
    assert header == {"format": "json-pages-1.0", "id": "pages", "title": "All Pages", "hasText": True}
    by_title = {page["title"]: page for page in rest}
    assert sorted(by_title) == ["A harbour", "Moved", "Twice"]
    assert by_title["A harbour"]["url"] == filled.site.url("/page")
    assert by_title["A harbour"]["text"].count("This paragraph is long enough") == 9
    assert [page["ts"] for page in rest] == sorted(page["ts"] for page in rest)


def test_the_datapackage_names_every_member_with_its_digest_and_the_newest_capture(filled: Cli) -> None:
    package = exported(filled)
    raw = package.read("datapackage.json")
    said = json.loads(raw)
    assert (said["profile"], said["wacz_version"]) == ("data-package", "1.1.1")
    newest = max(line["timestamp"] for line in lines(package))
    assert said["created"].translate(str.maketrans("", "", "-:TZ")) == newest
    listed = {item["path"]: (item["hash"], item["bytes"]) for item in said["resources"]}
    members = [name for name in package.namelist() if not name.startswith("datapackage")]
    sizes = {name: len(package.read(name)) for name in members}
    digests = {name: f"sha256:{hashlib.sha256(package.read(name)).hexdigest()}" for name in members}
    assert listed == {name: (digests[name], sizes[name]) for name in members}
    assert json.loads(package.read("datapackage-digest.json")) == {
        "path": "datapackage.json",
        "hash": f"sha256:{hashlib.sha256(raw).hexdigest()}",
    }


def test_every_member_is_stored_and_tells_no_time(filled: Cli) -> None:
    for member in exported(filled).infolist():
        assert (member.compress_type, member.date_time) == (zipfile.ZIP_STORED, (1980, 1, 1, 0, 0, 0))


@pytest.mark.parametrize("narrowed", [False, True])
def test_the_same_captures_give_the_same_bytes_also_after_a_rebuild(
    filled: Cli, narrowed: bool, tmp_path: Path
) -> None:
    arguments = [filled.site.url("/page"), filled.site.url("/second")] if narrowed else []
    copy = Cli(tmp_path, filled.site)
    shutil.copytree(filled.archive, copy.archive)
    digests = []
    for folder, name in ((filled, "one.wacz"), (filled, "two.wacz"), (copy, "three.wacz")):
        if folder is copy:
            assert copy.run("rebuild").returncode == 0
        exported(folder, *arguments, name=name)
        digests.append(hashlib.sha256((folder.folder / name).read_bytes()).hexdigest())
    assert digests == [digests[0]] * 3


def test_nothing_of_a_document_is_in_it(filled: Cli) -> None:
    for arguments in ([], ["--document", "documents/one.txt"]):
        exported(filled, *arguments)
        package = (filled.folder / "out.wacz").read_bytes()
        whole = package + b"".join(gzip.decompress(warc) for warc in warcs_of(exported(filled, *arguments)))
        assert CAREFUL.encode() not in whole
        assert b"one.txt" not in whole


def warcs_of(package: zipfile.ZipFile) -> list[bytes]:
    return [package.read(name) for name in package.namelist() if name.startswith("archive/")]


def test_of_a_warc_that_is_being_written_what_is_committed_is_in_it(filled: Cli, tmp_path: Path) -> None:
    copy = Cli(tmp_path, filled.site)
    shutil.copytree(filled.archive, copy.archive)
    folder = copy.archive / "collections/main"
    (warc,) = (folder / "archive").glob("*.warc.gz")
    whole = exported(copy, name="closed.wacz")
    (warc.parent / f"{warc.name}.sha256").unlink()
    next((folder / "indexes").iterdir()).unlink()
    with warc.rename(warc.with_name(f"{warc.name}.open")).open("ab") as file:
        file.write(b"\x1f\x8b\x08 a record that is being writ")
    package = exported(copy, name="open.wacz")
    assert package.namelist() == whole.namelist()
    assert all(package.read(name) == whole.read(name) for name in whole.namelist())


def test_several_collections_are_in_one_package_even_where_their_warcs_are_called_alike(tmp_path: Path) -> None:
    for number, name in enumerate(("main", "other")):
        collection = make_collection(tmp_path, name=name)
        collection.append(make_capture(make_exchange(f"http://{name}.example/", at=START + timedelta(days=number))))
        collection.close()
    (warc,) = (tmp_path / "collections/main/archive").glob("*.warc.gz")
    (alike,) = (tmp_path / "collections/other/archive").glob("*.warc.gz")
    alike.rename(alike.with_name(warc.name))
    (index,) = (tmp_path / "collections/other/indexes").iterdir()
    index.write_text(index.read_text().replace(alike.name, warc.name))
    cli(tmp_path, "rebuild")
    with StateReader.open_for_reading(tmp_path) as state:
        exchange.write_wacz(exchange.whole(state, tmp_path, ["main", "other"]), tmp_path / "both.wacz")
    with zipfile.ZipFile(tmp_path / "both.wacz") as package:
        assert {line["url"]: line["filename"] for line in lines(package)} == {
            "http://main.example/": warc.name,
            "http://other.example/": f"other.{warc.name}",
        }
        assert package.read(f"archive/other.{warc.name}").startswith(b"\x1f\x8b")


def cli(archive: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scraper", arguments[0], "--archive", str(archive), *arguments[1:]]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=True)


# -------------------------------------------------------------------- chosen


def test_a_url_comes_with_its_redirects_and_its_requests(filled: Cli) -> None:
    package = exported(filled, filled.site.url("/old"))
    assert records(package) == [
        ("warcinfo", ""),
        *[(kind, path) for path in ("/old", "/middle", "/new") for kind in ("response", "request")],
        ("metadata", "/old"),
    ]
    assert [page["url"] for page in pages(package)[1:]] == [filled.site.url("/new", host="a.test")]


def test_a_page_comes_with_what_it_needs_to_be_seen(filled: Cli) -> None:
    package = exported(filled, filled.site.url("/page"))
    assert {"/page", "/picture.png"} <= set(paths(package))
    assert [page["url"] for page in pages(package)[1:]] == [filled.site.url("/page")]
    alone = filled.lines("export", "--format", "jsonl", filled.site.url("/page"))
    assert [row["url"] for row in alone] == [filled.site.url("/page")]


def test_a_url_to_which_redirects_led_is_found_too(filled: Cli) -> None:
    assert paths(exported(filled, filled.site.url("/new", host="a.test"))) == ["/middle", "/new", "/old"]


def test_what_a_revisit_refers_to_is_pulled_in(filled: Cli) -> None:
    found = {}
    for path in ("/first", "/second"):
        package = exported(filled, filled.site.url(path))
        found[path] = (paths(package), sorted(line["mime"] for line in lines(package)))
    both = (["/first", "/second"], ["text/html", "warc/revisit"])
    # Whichever was asked for first holds the payload.
    held = "/first" if found["/second"] == both else "/second"
    assert found == {"/first": both, "/second": both} | {held: ([held], ["text/html"])}


def test_all_captures_of_a_url_are_in_it(cli: Cli) -> None:
    bodies = [PAGE.format(title).encode() for title in ("One", "One", "Two")]
    cli.site.replies("/a", [{"headers": HTML, "body": body} for body in bodies])
    url = cli.site.url("/a")
    cli.citing(url)
    for _ in bodies:
        cli.run("run", "--set", "fetch.recheck=0s")
    found = lines(exported(cli, url))
    assert sorted(line["mime"] for line in found if line["url"] == url) == ["text/html", "text/html", "warc/revisit"]


def test_a_document_is_named_by_its_file_or_by_digits_of_its_digest(filled: Cli) -> None:
    digest = hashlib.sha256((filled.folder / "documents/one.txt").read_bytes()).hexdigest()
    by_file = exported(filled, "--document", "documents/one.txt")
    assert {"/first", "/page"} <= set(paths(by_file))
    assert not {"/old", "/gone"} & set(paths(by_file))
    for named in (digest, digest[:6], str(filled.folder / "documents/one.txt")):
        assert exported(filled, "--document", named, name="by.wacz").namelist() == by_file.namelist()


def test_rows_narrow_down_to_urls_and_documents_too(filled: Cli) -> None:
    url = filled.site.url("/page")
    assert [row["url"] for row in filled.lines("export", "--format", "jsonl", url)] == [url]
    cited = filled.lines("export", "--format", "jsonl", "--document", "documents/two.txt")
    assert sorted(row["url"] for row in cited) == [filled.site.url(path) for path in ("/gone", "/old", "/second")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["http://never.test/"], "not in this archive"),
        (["not a url at all"], "not in this archive"),
        (["--document", "documents/none.txt"], "no document that this archive knows"),
        (["--document", "abcdef"], "no document that this archive knows"),
        (["--document", "one.txt", "http://site.test/page"], "not both"),
    ],
)
def test_what_the_archive_does_not_know_is_said_plainly(filled: Cli, arguments: list[str], words: str) -> None:
    done = filled.run("export", "--format", "wacz", "--output", str(filled.folder / "none.wacz"), *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (filled.folder / "none.wacz").exists()


def test_a_url_of_which_nothing_came_is_told_with_how_the_visit_ended(cli: Cli) -> None:
    cli.settings |= {"resolve": ("nobody.test:80=127.0.0.1:1",), "max_tries": 1}
    cli.citing("http://nobody.test/")
    cli.run("run")
    done = cli.run("export", "--format", "wacz", "--output", "none.wacz", "http://nobody.test/")
    assert done.returncode == 2
    assert "nothing is captured; the last visit ended as failed(refused)" in done.stderr


# ------------------------------------------------------------------- trouble


def test_a_full_disk_ends_with_74_and_leaves_what_was_there(filled: Cli) -> None:
    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    output = filled.folder / "small" / "out.wacz"
    output.parent.mkdir()
    output.write_bytes(b"an older package")
    done = filled.run("export", "--format", "wacz", "--output", str(output), preexec_fn=small)
    assert done.returncode == 74
    assert str(output) in done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name: path.read_bytes() for path in output.parent.iterdir()} == {"out.wacz": b"an older package"}


def test_a_device_or_a_missing_folder_is_refused_with_74(filled: Cli) -> None:
    for output in ("/dev/null", str(filled.folder / "no" / "such" / "folder.wacz"), str(filled.folder)):
        done = filled.run("export", "--format", "wacz", "--output", output)
        assert done.returncode == 74
        assert output in done.stderr
    assert Path("/dev/null").is_char_device()


def test_a_damaged_warc_is_not_passed_on(filled: Cli, tmp_path: Path) -> None:
    copy = Cli(tmp_path, filled.site)
    shutil.copytree(filled.archive, copy.archive)
    (warc,) = (copy.archive / "collections/main/archive").glob("*.warc.gz")
    data = bytearray(warc.read_bytes())
    data[len(data) // 2] ^= 1
    warc.write_bytes(data)
    done = copy.run("export", "--format", "wacz", "--output", str(tmp_path / "bad.wacz"))
    assert (done.returncode, (tmp_path / "bad.wacz").exists()) == (5, False)
    assert "not what it was when it was closed" in done.stderr


def test_standard_output_takes_a_package_when_it_is_no_terminal(filled: Cli) -> None:
    exported(filled)
    command = filled.command("export", "--format", "wacz")
    done = subprocess.run(command, capture_output=True, env=ENVIRONMENT, cwd=filled.folder, check=True)
    assert done.stdout == (filled.folder / "out.wacz").read_bytes()
    main, terminal = os.openpty()
    try:
        done = subprocess.run(command, stdout=terminal, stderr=subprocess.PIPE, env=ENVIRONMENT, cwd=filled.folder)
    finally:
        os.close(main)
        os.close(terminal)
    assert done.returncode == 2
    assert b"name a file with --output" in done.stderr


def test_an_archive_with_nothing_in_it_has_no_package(tmp_path: Path) -> None:
    with StateReader.open_for_reading(made_empty(tmp_path)) as state:
        with pytest.raises(UsageError, match="nothing is archived here yet"):
            exchange.whole(state, tmp_path, [])


def made_empty(root: Path) -> Path:
    from scraper.state import StateFile

    StateFile.open(root).close()
    return root


def test_a_warc_that_is_gone_is_named(filled: Cli, tmp_path: Path) -> None:
    copy = tmp_path / "archive"
    shutil.copytree(filled.archive, copy)
    with StateReader.open_for_reading(copy) as state:
        contents = exchange.whole(state, copy, ["main"])
        (warc,) = (copy / "collections/main/archive").glob("*.warc.gz")
        warc.unlink()
        with pytest.raises(IntegrityError, match="this WARC is missing"):
            exchange.write_wacz(contents, tmp_path / "gone.wacz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive"]


# ----------------------------------------------------------------------- zip


def test_members_beyond_the_first_4_gib_and_the_first_65535_are_in_reach(tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    with path.open("w+b", buffering=0) as file:
        store = ZipStore(file.fileno())
        store.add("first", [b"at the start"])
        store._at = 5 << 30  # a hole, for which a file system takes no room
        for number in range(66_000):
            store.add(f"{number}", [b"%d" % number])
        assert store.finish() == path.stat().st_size
    with zipfile.ZipFile(path) as package:
        assert len(package.namelist()) == 66_001
        assert (package.read("first"), package.read("65999")) == (b"at the start", b"65999")


@pytest.mark.long
def test_a_member_may_be_larger_than_4_gib(tmp_path: Path) -> None:
    with (tmp_path / "large.zip").open("w+b", buffering=0) as file:
        store = ZipStore(file.fileno())
        zeros = bytes(1 << 20)
        large = store.add("large", (zeros for _ in range(4097)), large=True)
        store.add("after", [b"it"])
        store.finish()
    with zipfile.ZipFile(tmp_path / "large.zip") as package:
        assert package.getinfo("large").file_size == large.size == 4097 << 20
        assert package.testzip() is None
        assert package.read("after") == b"it"


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 200_000])
def test_a_stored_gzip_member_is_read_by_any_reader(size: int) -> None:
    data = os.urandom(size)
    assert gzip.decompress(stored_gzip(data)) == data
    assert len(stored_gzip(data)) == stored_gzip_size(size)


@pytest.mark.parametrize("pack", [members, b"".join], ids=["a member a record", "plain"])
def test_a_page_of_another_tool_is_passed_on_with_the_redirect_to_it(
    tmp_path: Path, pack: Callable[[list[bytes]], bytes]
) -> None:
    old, new = "http://e.example/old", "http://e.example/new"
    moved = b"HTTP/1.1 301 Moved\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n"
    name = "crawl.warc" if pack == b"".join else "crawl.warc.gz"
    (tmp_path / name).write_bytes(pack([info(), record(moved, old), record(http(page()), new)]))
    root = tmp_path / "archive"
    list(pipeline.import_files(root, Settings(), [str(tmp_path / name)], False, Listener(), Stop()))
    with StateReader.open_for_reading(root) as state:
        part = exchange.part(state, root, exchange.by_urls(state, [old]))
    assert part.unresolved == ()
    exchange.write_wacz(part.contents, tmp_path / "out.wacz")
    with zipfile.ZipFile(tmp_path / "out.wacz") as package:
        assert [path for kind, path in records(package) if kind == "response"] == ["/old", "/new"]
        assert [line["url"] for line in lines(package)] == [new, old]
        (warc,) = warcs_of(package)
        for line in lines(package):
            start, length = int(line["offset"]), int(line["length"])
            assert b"WARC-Target-URI: " + line["url"].encode() in gzip.decompress(warc[start : start + length])
