"""The index: a look-up finds exactly a URL's records, in a handful of reads, whatever happens to the files."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from factories import START, make_capture, make_collection, make_exchange

from scraper import urls
from scraper.archiver import Collection, IndexEntry, check, rebuild_index, recorded
from scraper.archiver.index import MAX_FILES, Index, index_files, write_index
from scraper.archiver.layout import Layout
from scraper.model import Location


def make_entry(url: str, number: int = 0, warc: str = "main-a.warc.gz") -> IndexEntry:
    stamp = f"{START + timedelta(seconds=number):%Y%m%d%H%M%S}"
    place = Location(warc, number * 100, 100)
    return IndexEntry(urls.surt(url), stamp, url, "sha1:" + "A" * 32, place, "text/html", "200")


def closed_runs(root: Path, runs: int, url: str = "http://example.com/") -> None:
    """One visit a run, a file a run, as cron makes them."""
    for number in range(runs):
        at = START + timedelta(days=number)
        collection = Collection(root, "main", now=lambda at=at: at)
        collection.append(make_capture(make_exchange(url, b"%d" % number, at=at)))
        collection.close()


def test_a_line_is_in_the_form_of_cdxj_indexer(tmp_path: Path) -> None:
    collection = make_collection(tmp_path)
    page = make_exchange("http://www.example.com/A?b=1&a=2", headers=(("Content-Type", "text/HTML; charset=utf-8"),))
    kept = collection.append(make_capture(page))
    collection.close()
    (path,) = index_files(Layout(tmp_path, "main"))
    assert path.name == "main-20260504030201-00000.cdxj"
    assert path.read_text() == (
        'com,example)/a?a=2&b=1 20260504030201 {"url": "http://www.example.com/A?b=1&a=2", "mime": "text/HTML",'
        ' "status": "200", "digest": "sha1:EH2SPSI2J7IA53E7X7MLVOIBNGZPXYIP",'
        f' "length": "{kept.page.length}", "offset": "{kept.page.offset}",'
        ' "filename": "main-20260504030201-00000.warc.gz"}\n'
    )


def test_only_responses_and_revisits_are_listed(tmp_path: Path) -> None:
    collection = make_collection(tmp_path)
    first = collection.append(make_capture(make_exchange()))
    collection.append(make_capture(make_exchange(status=304, body=b"")), held=first.held)
    collection.append(make_capture(url="http://dead.example/"))
    collection.close()
    (path,) = index_files(Layout(tmp_path, "main"))
    assert [json.loads(line.split(" ", 2)[2]).get("mime") for line in path.read_text().splitlines()] == [
        "text/html",
        "warc/revisit",
    ]


def test_a_url_is_found_exactly_though_its_key_is_shared(tmp_path: Path) -> None:
    collection = make_collection(tmp_path)
    alike = ["http://example.com/a", "http://www.example.com/A", "https://example.com/a", "http://example.com/a/"]
    for url in alike:
        collection.append(make_capture(make_exchange(url)))
    collection.close()
    assert len({urls.surt(url) for url in alike}) == 1
    for url in alike:
        assert [entry.url for entry in make_collection(tmp_path).find(url)] == [url]


def test_every_url_is_found_and_no_neighbour(tmp_path: Path) -> None:
    layout = Layout(tmp_path, "main")
    entries = [make_entry(f"http://host{n % 97}.example/{n}", n) for n in range(2000)]
    write_index(layout, "main-a.warc.gz", entries)
    index = Index(layout)
    for entry in entries[::7]:
        assert index.find(entry.url) == [entry]
    for url in ("http://a.example/", "http://host1.example/", "http://zzz.example/x", "http://host5.example/10"):
        assert index.find(url) == []


def test_a_look_up_among_many_lines_reads_few_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scraper.archiver import index as module

    layout = Layout(tmp_path, "main")
    entries = [make_entry(f"http://example.com/{n:06}", n) for n in range(20_000)]
    write_index(layout, "main-a.warc.gz", entries)
    seen = 0
    pattern = module._LINE

    class Counting:
        def match(self, line: bytes) -> object:
            nonlocal seen
            seen += 1
            return pattern.match(line)

    monkeypatch.setattr(module, "_LINE", Counting())
    assert Index(layout).find("http://example.com/012345") == [entries[12345]]
    assert 1 <= seen <= 40  # 2 * log2 of the file's bytes at most, where a scan would see 20,000


def test_the_captures_of_a_url_come_oldest_first_from_all_files(tmp_path: Path) -> None:
    closed_runs(tmp_path, 3)
    found = make_collection(tmp_path).find("http://example.com/")
    assert [entry.captured_at for entry in found] == [datetime(2026, 5, day, 3, 2, 1, tzinfo=UTC) for day in (4, 5, 6)]


def test_what_is_being_written_is_found_too(tmp_path: Path) -> None:
    collection = make_collection(tmp_path)
    kept = collection.append(make_capture(make_exchange()))
    reader = make_collection(tmp_path)
    assert [entry.location for entry in collection.find("http://example.com/")] == [kept.page]
    assert [entry.location for entry in reader.find("http://example.com/")] == [kept.page]
    later = collection.append(make_capture(make_exchange("http://example.com/2")))
    assert [entry.location for entry in reader.find("http://example.com/2")] == [later.page]
    collection.close()
    assert [entry.location for entry in reader.find("http://example.com/")] == [kept.page]


def test_the_index_files_stay_few_and_lose_nothing(tmp_path: Path) -> None:
    closed_runs(tmp_path, 40)
    assert len(index_files(Layout(tmp_path, "main"))) <= MAX_FILES
    assert len(make_collection(tmp_path).find("http://example.com/")) == 40
    assert list(check(tmp_path, "main")) == []


def test_a_crash_in_the_middle_of_a_merge_gives_no_capture_twice(tmp_path: Path) -> None:
    closed_runs(tmp_path, MAX_FILES)
    layout = Layout(tmp_path, "main")
    files = index_files(layout)
    merged = layout.indexes / "merged-000001.cdxj"
    merged.write_bytes(b"".join(sorted(line for path in files[:5] for line in path.read_bytes().splitlines(True))))

    assert len(make_collection(tmp_path).find("http://example.com/")) == MAX_FILES
    assert [problem.kind for problem in check(tmp_path, "main")] == ["line-doubled"] * 5
    rebuild_index(tmp_path, "main")
    lines = [line for path in index_files(layout) for line in path.read_bytes().splitlines()]
    assert len(make_collection(tmp_path).find("http://example.com/")) == MAX_FILES
    assert len(lines) == MAX_FILES


def test_a_run_that_fetched_nothing_leaves_nothing(tmp_path: Path) -> None:
    collection = make_collection(tmp_path)
    collection.sync()
    collection.close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_segment_is_closed_and_the_next_never_overwrites_one(tmp_path: Path) -> None:
    collection = make_collection(tmp_path, segment_bytes=1)
    kept = [collection.append(make_capture(make_exchange(f"http://example.com/{n}"))) for n in range(3)]
    collection.close()
    assert [place.warc for place in kept] == [f"main-20260504030201-{n:05}.warc.gz" for n in range(3)]
    assert [collection.load(place.page).target.href for place in kept] == [f"http://example.com/{n}" for n in range(3)]
    assert list(check(tmp_path, "main", [place for each in kept for place in each.locations])) == []


def test_the_order_of_names_is_the_order_of_writing_though_the_clock_goes_back(tmp_path: Path) -> None:
    clock = [START + timedelta(hours=1), START, START - timedelta(days=400), START + timedelta(hours=2)]
    names = []
    for number, at in enumerate(clock):
        collection = Collection(tmp_path, "main", now=lambda at=at: at)
        names.append(collection.append(make_capture(make_exchange(f"http://example.com/{number}"))).warc)
        collection.close()
    assert names == sorted(names)
    assert names[0] == "main-20260504040201-00000.warc.gz"
    assert names[-1] == "main-20260504050201-00000.warc.gz"
    assert [visit.target.path for visit in recorded(tmp_path, "main")] == ["/0", "/1", "/2", "/3"]


def test_the_last_number_of_a_second_is_followed_by_the_next_second(tmp_path: Path) -> None:
    warcs = tmp_path / "collections/main/archive"
    warcs.mkdir(parents=True)
    (warcs / "main-20260504030201-99999.warc.gz.open").touch()
    kept = make_collection(tmp_path).append(make_capture(make_exchange()))
    assert kept.warc == "main-20260504030202-00000.warc.gz"
