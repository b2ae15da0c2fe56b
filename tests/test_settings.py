from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from scraper import settings
from scraper.errors import ConfigError


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "scraper.toml"
    path.write_text(text)
    return path


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    found = settings.load(write(tmp_path, ""), environ={})
    assert (found.fetch.delay_seconds, found.fetch.parallel_hosts, found.fetch.max_redirects) == (1.0, 32, 10)
    assert (found.fetch.deadline_seconds, found.fetch.max_wire_mib, found.fetch.max_decoded_mib) == (60.0, 20, 100)
    assert found.fetch.recheck_after is None


def test_flags_win_over_environment_over_file_over_default(tmp_path: Path) -> None:
    path = write(tmp_path, "[fetch]\ndelay_seconds = 2\nmax_tries = 2\nmax_redirects = 2\n")
    environ = {"SCRAPER_FETCH_MAX_TRIES": "3", "SCRAPER_FETCH_MAX_REDIRECTS": "3"}
    found = settings.load(path, ["fetch.max_redirects=4"], environ)
    fetch = found.fetch
    assert (fetch.delay_seconds, fetch.max_tries, fetch.max_redirects, fetch.parallel_hosts) == (2, 3, 4, 32)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[fetch]\ndelay = 2\n", ["scraper.toml", "unknown key fetch.delay", "delay_seconds"]),
        ("colour = 1\n", ["scraper.toml", "unknown key colour", "contact"]),
        ("[fetch]\nmax_tries = 0\n", ["scraper.toml", "fetch.max_tries", ">= 1"]),
        ("[fetch]\nmax_tries = 'x'\n", ["scraper.toml", "fetch.max_tries", "int"]),
        ("[fetch]\nrecheck = 'soon'\n", ["scraper.toml", "fetch.recheck", "`30d`"]),
        ("[fetch]\nresolve = ['a']\n", ["scraper.toml", "fetch.resolve", "host:port=address:port"]),
        ("[fetch]\nallow_networks = ['10.0.0.1/8']\n", ["scraper.toml", "fetch.allow_networks", "192.0.2.0/24"]),
        ("collection = '../x'\n", ["scraper.toml", "collection"]),
        ('contact = "a\\r\\nX: y"\n', ["scraper.toml", "contact"]),
        ("[fetch\n", ["scraper.toml", "not valid TOML"]),
        ("[fetch]\nrecheck = '999999w'\n", ["scraper.toml", "fetch.recheck"]),
        ("[fetch]\ndelay_seconds = inf\n", ["scraper.toml", "fetch.delay_seconds"]),
        ("[fetch]\nlongest_wait_seconds = 1e300\n", ["scraper.toml", "fetch.longest_wait_seconds"]),
        ("[fetch]\ndeadline_seconds = 0\n", ["scraper.toml", "fetch.deadline_seconds"]),
        ("[fetch]\nresolve = ['a.test:80=127.0.0.1:99999']\n", ["a.test:80=127.0.0.1:99999", "host:port"]),
        ("[documents]\npaths = []\n", ["scraper.toml", "documents.paths"]),
    ],
)
def test_a_wrong_setting_is_refused_with_file_key_and_what_would_be_right(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    with pytest.raises(ConfigError) as refused:
        settings.load(write(tmp_path, text), environ={})
    for word in words:
        assert word in str(refused.value)


def test_a_wrong_flag_or_variable_is_refused_by_its_own_name(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    with pytest.raises(ConfigError, match=r"--set fetch\.delay=2: unknown key fetch\.delay"):
        settings.load(path, ["fetch.delay=2"], {})
    with pytest.raises(ConfigError, match="--set contact: write KEY=VALUE"):
        settings.load(path, ["contact"], {})
    with pytest.raises(ConfigError, match="SCRAPER_COLOUR names no setting"):
        settings.load(path, environ={"SCRAPER_COLOUR": "red"})


def test_a_missing_settings_file_is_named_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: no such settings file; name one with --config"):
        settings.load(tmp_path / "nowhere.toml", environ={})


def test_a_bare_word_is_text_and_a_list_is_toml(tmp_path: Path) -> None:
    found = settings.load(write(tmp_path, ""), ["contact=me@example.org", "fetch.ports=[81, 82]", "archive=12"], {})
    assert (found.contact, found.fetch.ports, found.archive) == ("me@example.org", (81, 82), "12")


def test_paths_in_the_file_are_relative_to_the_file(tmp_path: Path) -> None:
    found = settings.load(write(tmp_path, 'sites = "rules"\n[documents]\npaths = ["texts"]\n'), environ={})
    assert found.sites == str(tmp_path / "rules")
    assert found.documents.paths == (str(tmp_path / "texts"),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("never", None), ("90s", timedelta(seconds=90)), ("12h", timedelta(hours=12)), ("30d", timedelta(days=30))],
)
def test_durations_carry_their_unit(text: str, expected: timedelta | None) -> None:
    assert settings.duration(text) == expected


def test_an_override_file_and_the_settings_list_are_read_alike(tmp_path: Path) -> None:
    (tmp_path / "resolve.txt").write_text("A.example:80=127.0.0.1:8080\nb.example:443=[::1]:8443\n")
    fetch = settings.FetchSettings(resolve=("a.example:80=127.0.0.1:9",), resolve_file=str(tmp_path / "resolve.txt"))
    assert settings.resolver_overrides(fetch) == {"a.example:80": "127.0.0.1:9", "b.example:443": "[::1]:8443"}


def test_a_site_rule_file_with_an_unknown_key_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('hosts = ["example.org"]\nheadline = "h1"\n')
    with pytest.raises(ConfigError, match=r"x\.toml: .*headline"):
        settings.load_site_rules(tmp_path)
