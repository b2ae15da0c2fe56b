"""README promises nothing that the program does not do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from factories import make_capture, make_collection, make_exchange

from scraper import errors

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FIRST_SCREEN_LINES = 24


def fenced(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def table_below(heading: str) -> list[str]:
    """The first cells of the first table after a heading."""
    section = README.split(f"{heading}\n", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert table is not None
    return [row.split("|")[1].strip() for row in table[0].splitlines()[2:]]


def scraper(*arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    command = [sys.executable, "-c", "from scraper.cli import main; main()", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_usage_block_is_what_help_prints() -> None:
    assert fenced("text")[0] == scraper("--help")


def test_every_command_has_its_row() -> None:
    verbs = re.findall(r"^  ([a-z]+) ", scraper("--help").split("Commands:\n")[1], re.MULTILINE)
    rows = [re.sub(r"[` ].*", "", cell.lstrip("`")) for cell in table_below("## Commands")]
    assert sorted(rows) == sorted(verbs)


def test_the_options_named_for_every_command_are_the_common_ones() -> None:
    for option in ("--config FILE", "--archive DIR", "--set KEY=VALUE", "--quiet", "--verbose", "--json"):
        assert f"`{option}`" in README
        assert option in scraper("status", "--help")


def test_every_exit_code_of_an_error_is_in_the_table() -> None:
    codes = {int(code) for cell in table_below("### Exit codes") for code in cell.split(",")}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ScraperError)]
    assert {kind.exit_code for kind in kinds} == {2, 5, 74, 75}
    assert codes == {0, 1, 3, 4, 129, 130, 143} | {kind.exit_code for kind in kinds}


def test_the_first_screen_holds_the_two_commands_and_the_build_server_finds_them() -> None:
    commands = [line for line in README.splitlines()[:FIRST_SCREEN_LINES] if line.startswith("python3 -m venv ")]
    assert [line.split("&& ")[-1] for line in commands] == [
        ".venv/bin/scraper demo",
        ".venv/bin/python -m pytest -n auto --dist loadfile",
    ]
    wanted = re.search(r"grep '([^']+)' README\.md", (ROOT / ".ci/run").read_text(encoding="utf-8"))
    assert wanted is not None
    assert [line for line in README.splitlines() if re.match(wanted[1], line)] == commands


def test_the_extras_of_the_commands_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = set(re.findall(r"'\.\[([a-z]+)\]'", README))
    assert named == {"demo", "test"} | set(project["optional-dependencies"])


def test_the_build_server_script_can_be_started() -> None:
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_every_path_which_a_link_names_is_there() -> None:
    paths = [path for path in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in path]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_floor_plan_names_every_room() -> None:
    floors = " ".join(table_below("## How it is built"))
    rooms = {path.name for path in (ROOT / "scraper").iterdir() if is_room(path)}
    assert {name.rstrip("/") for name in re.findall(r"`([^`]+)`", floors)} == rooms


def is_room(path: Path) -> bool:
    return any(path.rglob("*.py")) if path.is_dir() else path.suffix == ".py" and not path.name.startswith("__")


def test_the_library_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = "<title>Ice</title><article><h1>Ice</h1><p>The ice is nine inches thick, say the anglers.</p></article>"
    exec(compile(example("scraper.extract("), "README.md", "exec"), {"html": page})
    assert "Ice" in capsys.readouterr().out


def test_the_transport_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    collection = make_collection(tmp_path / "archive")
    collection.append(make_capture(make_exchange("https://example.org/news", b"<p>The ice is thick.</p>")))
    collection.close()
    monkeypatch.chdir(tmp_path)
    exec(compile(example("scraper.ArchiveTransport("), "README.md", "exec"), {})
    assert "The ice is thick." in capsys.readouterr().out


def example(holding: str) -> str:
    (found,) = [block for block in fenced("python") if holding in block]
    return found
