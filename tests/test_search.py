"""The search index: what a person types finds what was captured, whatever the script, and never fails."""

from __future__ import annotations

import io
import itertools
import json
import os
import shlex
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cli import Cli
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from server import Site

from scraper.archiver import Search, SearchEntry, SearchIndex, matching, newest, words
from scraper.cli.console import Console
from scraper.cli.search import search
from scraper.errors import IntegrityError, UsageError

START = datetime(2019, 9, 9, 12, 0, tzinfo=UTC)
PAGES = {
    "https://a.example/moscow": ("The Moscow Times", "Volunteers fought the fires of Siberia for a whole month."),
    "https://b.example/ru": ("Ёлка в лесу", "Йод и ещё немного: зелёная ёлка стоит в лесу."),
    "https://c.example/de": ("Straßenbau", "Die Straße über den Fluß ist gesperrt, sagt der Bürgermeister."),
    "https://d.example/ja": ("東京の朝", "昨日、東京都庁で会議が開かれた。京都では雨。"),
    "https://e.example/fr": ("L’été", "Les élèves fêtent Noël à l’école d’été."),
    "https://f.example/th": ("ข่าว", "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย"),
    "https://g.example/ko": ("뉴스", "서울특별시에서 회의가 열렸다"),
    "https://h.example/hi": ("समाचार", "हिन्दी में लिखा गया लेख"),
    "https://i.example/ops": ("Operators", "near and or not: title colon body, stars * and (brackets)"),
}


def entry(url: str, title: str, body: str, at: datetime = START) -> SearchEntry:
    return SearchEntry(f"text/x/{at:%Y%m%d%H%M%S}-{url}", url, at, title, body)


def filled(root: Path, *entries: SearchEntry) -> Path:
    index = SearchIndex.open(root, "main")
    for item in entries:
        index.add(item)
    index.close()
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return filled(tmp_path, *(entry(url, *texts) for url, texts in PAGES.items()))


def found(root: Path, typed: str, **options: int) -> list[str]:
    with Search.open_for_reading(root, "main") as search:
        return [hit.url.removeprefix("https://")[:1] for hit in search.find(typed, **options)]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("moscow", ["a"]),
        ("MOSCOW fires", ["a"]),
        ('"fires of siberia"', ["a"]),
        ('"siberia of fires"', []),
        ("sib*", ["a"]),
        ("siber", []),
        ("fires -moscow", []),
        ("елка", ["b"]),
        ("ЗЕЛЁНАЯ", ["b"]),
        ("иод", []),
        ("йод", ["b"]),
        ("strasse", ["c"]),
        ("Straße fluss", ["c"]),
        ("burgermeister", ["c"]),
        ("東京", ["d"]),
        ("東京都", ["d"]),
        ("京都", ["d"]),
        ("雨", ["d"]),
        ("会議が開かれた", ["d"]),
        ("大阪", []),
        ("eleves ete", ["e"]),
        ("l'été", ["e"]),
        ("เมืองหลวง", ["f"]),
        ("서울", ["g"]),
        ("हिन्दी", ["h"]),
        ("title:colon", ["i"]),
        ("near AND or", ["i"]),
        ("“title colon”", ["i"]),
        ('"title colon', ["i"]),
        ("-moscow", []),
        ("", []),
        ("*", []),
        ('"" - () ^ {} + \0', []),
    ],
)
def test_words_phrases_beginnings_and_exclusions_find_what_a_reader_expects(
    root: Path, typed: str, expected: list[str]
) -> None:
    assert found(root, typed) == expected


@settings(max_examples=300, deadline=None)
@given(st.text() | st.text(alphabet='"*-()^:{}+ aANDORNET\0東ё\ud800', max_size=60))
def test_nothing_that_can_be_typed_is_an_error(typed: str) -> None:
    with Search.open_for_reading(SHARED, "main") as search:
        assert isinstance(search.find(typed), list)


SHARED = Path()


@pytest.fixture(autouse=True, scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> None:
    global SHARED
    SHARED = filled(tmp_path_factory.mktemp("shared"), *(entry(url, *texts) for url, texts in PAGES.items()))


def test_a_query_of_ten_kilobytes_is_answered_by_its_first_terms(root: Path) -> None:
    assert found(root, "moscow " * 1500) == ["a"]
    assert found(root, '"' * 10_000) == []
    assert found(root, "x" * 10_000) == []


def test_a_snippet_shows_the_original_text_with_the_words_marked(root: Path) -> None:
    with Search.open_for_reading(root, "main") as search:
        (hit,) = search.find("strasse burgermeister")
        assert hit.snippet == (
            ("Die ", False),
            ("Straße", True),
            (" über den Fluß ist gesperrt, sagt der ", False),
            ("Bürgermeister", True),
            (".", False),
        )
        (hit,) = search.find("東京")
        assert hit.title_parts == (("東京", True), ("の朝", False))
        assert hit.snippet == (("昨日、", False), ("東京", True), ("都庁で会議が開かれた。京都では雨。", False))


def test_a_snippet_of_a_long_text_shows_the_places_where_the_words_are(tmp_path: Path) -> None:
    body = "begin " * 200 + "the zebra ran " + "middle " * 300 + "the okapi slept " + "end " * 200
    root = filled(tmp_path, entry("https://z.example/", "Animals", body))
    with Search.open_for_reading(root, "main") as search:
        (hit,) = search.find("okapi zebra")
    assert [text for text, is_marked in hit.snippet if is_marked] == ["zebra", "okapi"]
    assert sum(len(text) for text, _ in hit.snippet) < 600
    assert hit.snippet[0] == (" … ", False)
    assert hit.snippet[-1] == (" … ", False)


def test_titles_come_first_then_the_newest(tmp_path: Path) -> None:
    day = timedelta(days=1)
    root = filled(
        tmp_path,
        entry("https://new.example/", "Other", "storm", START + 3 * day),
        entry("https://title.example/", "Storm", "wind", START),
        entry("https://old.example/", "Other", "storm", START - day),
        entry("https://mid.example/", "Other", "storm", START + day),
    )
    assert found(root, "storm") == ["t", "n", "m", "o"]
    assert found(root, "storm", limit=2) == ["t", "n"]
    assert found(root, "storm", limit=2, offset=2) == ["m", "o"]
    assert found(root, "storm -wind") == ["n", "m", "o"]


def test_the_captures_of_a_url_are_one_hit_and_an_older_text_is_found_too(tmp_path: Path) -> None:
    url, day = "https://a.example/", timedelta(days=1)
    root = filled(
        tmp_path,
        entry(url, "News", "the first version", START),
        entry(url, "News", "the second version", START + day),
        entry(url, "News", "the second version", START + 2 * day),
    )
    with Search.open_for_reading(root, "main") as search:
        (newest,) = search.find("version")
        assert (newest.captured_at, newest.captures) == (START + 2 * day, 2)
        (first,) = search.find("first")
        assert (first.captured_at, first.captures) == (START, 1)
        assert search.count() == 3


def test_a_capture_that_is_indexed_again_takes_the_place_of_what_it_was(tmp_path: Path) -> None:
    url = "https://a.example/"
    root = filled(tmp_path, entry(url, "Old title", "ancient words"))
    filled(root, entry(url, "New title", "modern words"))
    assert found(root, "ancient") == []
    assert found(root, '"old title"') == []
    assert found(root, "modern") == ["a"]
    with Search.open_for_reading(root, "main") as search:
        assert search.count() == 1
        search.prove_sound()


def test_thousands_of_captures_of_one_second_have_their_place(tmp_path: Path) -> None:
    root = filled(tmp_path, *(entry(f"https://{n}.example/", f"page {n}", "same second") for n in range(1000)))
    assert found(root, '"page 777"') == ["7"]
    with Search.open_for_reading(root, "main") as search:
        assert len(search.find("second", limit=1000)) == 1000


def test_a_reader_leaves_no_trace_and_reads_what_cannot_be_written(root: Path) -> None:
    folder = root / "collections" / "main"
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    folder.chmod(0o555)
    try:
        assert found(root, "moscow") == ["a"]
    finally:
        folder.chmod(0o755)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert list(before) == ["search.sqlite3"]


def test_what_a_killed_writer_left_is_read_and_then_looked_at_again(root: Path) -> None:
    index = SearchIndex.open(root, "main")
    index.add(entry("https://k.example/", "Killed", "before the commit"))
    index.commit()
    index.add(entry("https://l.example/", "Lost", "after the commit"))
    index.abandon()
    assert found(root, "commit") == ["k"]
    again = SearchIndex.open(root, "main")
    assert not again.ended_well
    again.close()
    again = SearchIndex.open(root, "main")
    assert again.ended_well
    again.close()


def test_no_index_and_a_damaged_one_are_told_in_a_sentence(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no search index of this collection yet"):
        Search.open_for_reading(root, "other")
    file = root / "collections" / "main" / "search.sqlite3"
    size = file.stat().st_size
    with file.open("r+b") as damaged:
        damaged.seek(4096)
        damaged.write(os.urandom(size - 4096))
    with pytest.raises(IntegrityError, match="rebuild` makes it"), Search.open_for_reading(root, "main") as search:
        search.find("moscow")
        search.prove_sound()
    file.write_bytes(b"no database at all" * 100)
    with pytest.raises(IntegrityError, match="scraper rebuild` makes it"):
        Search.open_for_reading(root, "main")


def test_where_nothing_can_be_written_the_advice_is_to_copy_the_archive(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "collections" / "main" / "search.sqlite3").unlink()
    with pytest.raises(UsageError, match="`scraper run`, `scraper extract --all` or `scraper rebuild` makes it"):
        Search.open_for_reading(root, "main")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(UsageError, match="copy the archive to where it can, then `scraper rebuild --archive COPY`"):
        Search.open_for_reading(root, "main")


def test_a_writer_that_dies_before_its_first_word_leaves_an_index_that_says_so(root: Path) -> None:
    index = SearchIndex.open(root, "main")
    index.expect()
    index.abandon()
    again = SearchIndex.open(root, "main")
    assert not again.ended_well
    again.abandon()


def test_a_damaged_index_or_one_of_another_version_is_made_anew_by_who_writes(root: Path) -> None:
    file = root / "collections" / "main" / "search.sqlite3"
    database = sqlite3.connect(file)
    database.execute("PRAGMA user_version = 999")
    database.close()
    with pytest.raises(IntegrityError, match="another version"):
        Search.open_for_reading(root, "main")
    filled(root, entry("https://n.example/", "New", "made anew"))
    assert found(root, "anew") == ["n"]
    assert found(root, "moscow") == []
    file.write_bytes(b"rubbish" * 1000)
    filled(root, entry("https://n.example/", "New", "made anew"))
    assert found(root, "anew") == ["n"]


# ------------------------------------------------- common words in many texts


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest, "PART_TEXTS", 50)
    monkeypatch.setattr(matching, "_RARE_PART", 0.05)


def many(count: int, start: int = 0) -> list[SearchEntry]:
    """Texts a day apart; `often` and `always` are common, and never together but in the first."""
    return [
        entry(
            f"https://{n}.example/",
            f"page {n}",
            f"always number{n} " + ("often" if n % 2 else "seldom") + (" often meeting" if n == 0 else ""),
            START + timedelta(days=n),
        )
        for n in range(start, start + count)
    ]


def answered(root: Path, typed: str, *, everything: bool = False) -> tuple[list[str], datetime | None]:
    with Search.open_for_reading(root, "main") as search:
        answer = search.answer(typed, everything=everything)
    return [hit.url.removeprefix("https://").partition(".")[0] for hit in answer.hits], answer.since


@pytest.mark.usefixtures("small_parts")
def test_common_words_are_looked_for_in_the_newest_texts_and_that_is_told(tmp_path: Path) -> None:
    root = filled(tmp_path, *many(300))
    since = START + timedelta(days=250)
    assert answered(root, "always often")[0] == [str(n) for n in range(299, 259, -2)]
    assert answered(root, "always often")[1] is None
    assert answered(root, '"often seldom"') == ([], since)
    assert answered(root, "seldom often") == ([], since)
    assert answered(root, "seldom often", everything=True) == (["0"], None)
    assert answered(root, "seldom meeting") == (["0"], None)
    assert answered(root, "number7 always -often") == ([], None)
    assert answered(root, "number12 always -often") == (["12"], None)
    assert answered(root, "always -often -seldom") == ([], since)
    assert len(answered(root, "number12*")[0]) == 11
    assert answered(root, "number* meeting") == ([], since)
    assert answered(root, "number* meeting", everything=True) == (["0"], None)
    assert answered(root, "meet*") == (["0"], None)


@pytest.mark.usefixtures("small_parts")
def test_the_newest_texts_follow_what_is_added_and_taken_out(tmp_path: Path) -> None:
    root = filled(tmp_path, *many(120))
    assert answered(root, "seldom often")[1] == START + timedelta(days=70)
    filled(root, *many(49, 120))
    assert answered(root, "seldom often")[1] == START + timedelta(days=70)
    filled(root, *many(2, 169))
    assert answered(root, "seldom often")[1] == START + timedelta(days=119)
    filled(root, *many(5, -400))
    assert answered(root, "always seldom")[0] == [str(n) for n in range(170, 130, -2)]
    index = SearchIndex.open(root, "main")
    index.remove([item.path for item in many(21, 150)])
    index.close()
    assert answered(root, "always seldom")[0][:2] == ["148", "146"]
    changed = [entry(item.url, "Changed", "always seldom changed", item.captured_at) for item in many(2, 147)]
    filled(root, *changed)
    assert answered(root, "always changed")[0] == ["148", "147"]
    assert answered(root, '"number147"') == ([], None)


@pytest.mark.usefixtures("small_parts")
def test_imports_of_older_texts_do_not_take_the_newest_away(tmp_path: Path) -> None:
    root = filled(tmp_path, *many(10, 1000), *many(300))
    assert answered(root, "always often")[0][:6] == ["1009", "1007", "1005", "1003", "1001", "299"]
    assert answered(root, "seldom often") == ([], START + timedelta(days=260))


@pytest.mark.usefixtures("small_parts")
def test_a_word_that_only_the_newest_lack_is_given_up_after_so_many_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = [
        entry(f"https://old{n}.example/", "Old", "plague " + ("one" if n % 2 else "two"), START - timedelta(days=n))
        for n in range(4000)
    ]
    root = filled(tmp_path, *once, *many(120))
    assert answered(root, "plague one two") == ([], None)
    monkeypatch.setattr(matching, "_MOST_LOOKS", 0)
    assert answered(root, "plague one two") == ([], START + timedelta(days=70))
    assert answered(root, "plague one two", everything=True) == ([], None)


@pytest.mark.usefixtures("small_parts")
def test_an_answer_is_whole_unless_it_says_otherwise(tmp_path: Path) -> None:
    root = filled(tmp_path, *many(300))
    terms = ("always", "often", "seldom", "meeting", "number1*", "number7", "page", "-often", "-number1*", "2*")
    for typed in map(" ".join, itertools.chain(itertools.combinations(terms, 2), itertools.combinations(terms, 3))):
        with Search.open_for_reading(root, "main") as search:
            answer = search.answer(typed, limit=200)
            whole = [hit.url for hit in search.answer(typed, limit=200, everything=True).hits]
        found = [hit.url for hit in answer.hits]
        newest_of_whole = [url for url in whole if answer.since is None or url in found]
        assert found == newest_of_whole, typed


# ----------------------------------------------------------- runs and the CLI


def page(title: str, text: str) -> bytes:
    paragraphs = "".join(
        f"<p>{text} {number}. A sentence follows that makes it long enough.</p>" for number in range(6)
    )
    html = f"<!doctype html><html><head><title>{title}</title></head><body><article><h1>{title}</h1>{paragraphs}"
    return f"{html}</article></body></html>".encode()


@pytest.fixture(scope="module")
def archived_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archived")
    site = Site()
    site.open(tmp_path_factory.mktemp("served"))
    cli = Cli(folder, site)
    site.reply("/fire", body=page("Siberia burns", "Volunteers fight the taiga fires"), host="a.test")
    site.reply("/law", body=page("A new law", "The parliament has voted"), host="b.test")
    cli.citing("http://a.test/fire", "http://b.test/law")
    assert cli.run("run").returncode == 0
    site.close()
    return folder


@pytest.fixture
def archived(archived_once: Path, cli: Cli) -> Cli:
    """An archive of two pages which a run has made."""
    shutil.copytree(archived_once, cli.folder, dirs_exist_ok=True)
    return cli


def search_file(cli: Cli) -> Path:
    return cli.archive / "collections" / "main" / "search.sqlite3"


def urls_found(cli: Cli, *typed: str) -> list[str]:
    return [row["url"] for row in cli.lines("search", *typed)]


def test_a_page_that_a_run_has_captured_is_found(archived: Cli) -> None:
    assert urls_found(archived, "taiga") == ["http://a.test/fire"]
    assert urls_found(archived, "new law") == ["http://b.test/law"]
    assert "http://a.test/fire" not in archived.run("search", "--", "sentence", "-taiga").stdout
    assert "http://b.test/law" in archived.run("search", "--", "sentence", "-taiga").stdout
    done = archived.run("search", "volunteers")
    assert done.returncode == 0
    assert "Siberia burns" in done.stdout
    assert "[Volunteers] fight the taiga fires 0." in done.stdout
    assert [path.name for path in search_file(archived).parent.glob("search*")] == ["search.sqlite3"]
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("  scraper replay http://a.test/fire --at"))
    shown = archived.run(*shlex.split(line)[1:])
    assert "Volunteers fight the taiga fires 0." in shown.stdout


def test_programs_get_title_and_snippet_with_their_marks(archived: Cli) -> None:
    (row,) = archived.lines("search", "siberia")
    assert row["title"] == "Siberia burns"
    assert row["title_parts"] == [{"text": "Siberia", "match": True}, {"text": " burns", "match": False}]
    assert {"match", "text"} == set(row["snippet"][0])


def test_nothing_found_is_said_readably_and_no_failure(archived: Cli) -> None:
    done = archived.run("search", "пожар\x9b\u202e")
    assert (done.returncode, done.stdout) == (0, "")
    assert 'nothing is found for: пожар\\u009b\\u202e"' in done.stderr
    assert json.loads(done.stderr)["message"] == "nothing is found for: пожар\x9b\u202e"


def test_a_log_in_another_encoding_is_json_still() -> None:
    said = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    Console(err=said).error("пожар é \U0001f525 \udc80")
    said.seek(0)
    assert json.loads(said.read())["message"] == "пожар é \U0001f525 \udc80"


@pytest.mark.parametrize("typed", ["", '""', "* *", "-word"])
def test_a_question_without_a_word_is_refused(typed: str, tmp_path: Path) -> None:
    (tmp_path / "collections" / "main" / "archive").mkdir(parents=True)
    done = CliRunner().invoke(search, ["--archive", str(tmp_path), "--", typed])
    assert isinstance(done.exception, UsageError)
    assert done.exception.exit_code == 2
    assert "no word to look for" in str(done.exception)


def test_who_searches_for_an_address_is_told_how_to_see_its_page(archived: Cli) -> None:
    done = archived.run("search", "http://me:secret@nowhere.test/zebra?a=1&b")
    assert "`scraper show 'http://nowhere.test/zebra?a=1&b'`" in done.stderr
    assert "`scraper replay 'http://nowhere.test/zebra?a=1&b'`" in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize("harm", ["missing", "damaged", "behind"])
def test_the_next_run_brings_in_what_the_index_lacks(archived: Cli, harm: str) -> None:
    file = search_file(archived)
    if harm == "missing":
        file.unlink()
        assert archived.run("search", "taiga").returncode == 2
        assert archived.run("check").returncode == 0
    elif harm == "damaged":
        file.write_bytes(b"rubbish" * 1000)
        assert archived.run("search", "taiga").returncode == 5
        assert archived.run("check").returncode == 5
    else:
        index = SearchIndex.open(archived.archive, "main")
        index.remove([path for path in index.paths() if "a.test" in path])
        index.close()
        assert "holds 1 captures of 2" in archived.run("check").stdout
    assert archived.run("run").returncode == 0
    assert urls_found(archived, "taiga") == ["http://a.test/fire"]
    assert archived.run("check").stdout == ""


def test_an_index_that_a_crash_left_behind_its_texts_is_read_again_from_all(archived: Cli) -> None:
    index = SearchIndex.open(archived.archive, "main")
    (path,) = (path for path in index.paths() if "a.test" in path)
    index.add(SearchEntry(path, "http://a.test/fire", START, "Outdated", "what an older text said"))
    index.commit()
    index.abandon()
    assert urls_found(archived, "outdated") == ["http://a.test/fire"]
    assert archived.run("run").returncode == 0
    assert urls_found(archived, "outdated") == []
    assert urls_found(archived, "taiga") == ["http://a.test/fire"]


def test_a_person_is_told_when_only_the_newest_pages_were_looked_at(tmp_path: Path, cli: Cli) -> None:
    count = newest.PART_TEXTS * 2 + 10
    (cli.archive / "collections" / "main" / "archive").mkdir(parents=True)
    filled(
        cli.archive,
        entry("https://first.example/", "First", "alpha beta", START - timedelta(days=1)),
        *(
            entry(f"https://{n}.example/", "Page", "alpha" if n % 2 else "beta", START + timedelta(minutes=n))
            for n in range(count)
        ),
    )
    done = cli.run("search", "alpha", "beta")
    assert (done.returncode, done.stdout) == (0, "")
    assert "only pages captured since 2019-09-10 were looked at; --all looks at every one" in done.stderr
    assert "https://first.example/" in cli.run("search", "--all", "alpha", "beta").stdout


def test_rebuild_makes_the_index_again(archived: Cli) -> None:
    search_file(archived).unlink()
    assert archived.run("rebuild").returncode == 0
    assert urls_found(archived, "taiga") == ["http://a.test/fire"]
    assert archived.run("check").stdout == ""


def test_searching_where_there_is_no_archive_is_told_in_a_sentence(cli: Cli) -> None:
    done = cli.run("search", "word")
    assert done.returncode == 2
    assert "there is no archive here" in done.stderr


@given(st.text() | st.text("aB1é \n\u0301水_") | st.text("aB1 _-", min_size=60, max_size=200))
def test_the_index_gets_the_very_words_that_are_marked_in_a_text(text: str) -> None:
    assert words.indexed(text).split() == [word.form for word in words.words(text)]
