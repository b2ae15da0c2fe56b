"""The shipped settings, schedules and package data say what the program does."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from scraper import settings

CONFIG = Path(__file__).parent.parent / "config"
SCHEDULE = CONFIG / "schedule"
# A key that was commented out: `# delay_seconds = 1.0`. Prose never has that form.
COMMENTED_KEY = re.compile(r"^# (?=[a-z_]+ = )", re.MULTILINE)


def uncommented() -> str:
    return COMMENTED_KEY.sub("", (CONFIG / "scraper.toml").read_text(encoding="utf-8"))


def dotted(tree: dict[str, object], prefix: str = "") -> list[str]:
    found: list[str] = []
    for name, value in tree.items():
        found += dotted(value, f"{prefix}{name}.") if isinstance(value, dict) else [prefix + name]
    return found


def test_the_shipped_settings_set_nothing() -> None:
    shipped = tomllib.loads((CONFIG / "scraper.toml").read_text(encoding="utf-8"))
    assert shipped == {"documents": {}, "fetch": {}, "capture": {}, "warc": {}, "extract": {}}


def test_the_shipped_settings_name_every_key_once_and_no_other() -> None:
    assert dotted(tomllib.loads(uncommented())) == settings.known_keys()


def test_the_shipped_settings_show_the_real_defaults() -> None:
    assert msgspec.convert(tomllib.loads(uncommented()), settings.Settings) == settings.Settings()


def test_every_key_of_the_shipped_settings_is_explained_above_it() -> None:
    lines = (CONFIG / "scraper.toml").read_text(encoding="utf-8").splitlines()
    keys = [(above, line) for above, line in pairwise(lines) if COMMENTED_KEY.match(line)]
    assert len(keys) == len(settings.known_keys())
    assert [line for above, line in keys if COMMENTED_KEY.match(above) or not above.startswith("# ")] == []


def test_the_uncommented_settings_load_as_the_commented_ones_do(tmp_path: Path) -> None:
    (tmp_path / "scraper.toml").write_text(uncommented(), encoding="utf-8")
    (tmp_path / "empty.toml").touch()
    loaded = settings.load(tmp_path / "scraper.toml", environ={})
    assert loaded == settings.load(tmp_path / "empty.toml", environ={})
    assert loaded.documents.paths == (str(tmp_path / "documents"),)


def test_the_live_default_reads_the_seed_document_only() -> None:
    loaded = settings.load(CONFIG / "scraper.toml", environ={})
    assert [Path(path).name for path in loaded.documents.paths] == ["documents"]
    assert [path.name for path in (CONFIG / "documents").iterdir()] == ["000_b5dde23a3ed5c483.txt"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_finds_nothing_wrong_with_the_units() -> None:
    units = [str(SCHEDULE / name) for name in ("scraper.service", "scraper.timer")]
    done = subprocess.run(
        ["systemd-analyze", "verify", *units], capture_output=True, text=True, timeout=120, check=False
    )
    # Only what concerns our units: a machine's other units may have faults of their own.
    assert [line for line in done.stderr.splitlines() if "scraper." in line] == []
    assert done.returncode == 0, done.stderr


def test_the_crontab_holds_one_job_with_five_time_fields_and_the_cron_command() -> None:
    lines = (SCHEDULE / "crontab").read_text(encoding="utf-8").splitlines()
    jobs = [line for line in lines if line and line[0] != "#" and not re.match(r"[A-Z_]+=", line)]
    assert len(jobs) == 1
    assert re.match(r"[0-9]+ [0-9]+ \* \* \* cd /srv/citations && /opt/scraper/bin/scraper run --config ", jobs[0])


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder holding what the wheel holds."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=CONFIG.parent, check=True, capture_output=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    shutil.unpack_archive(wheel, folder / "site", "zip")
    return folder / "site"


def test_the_wheel_carries_the_settings_and_the_demonstration(installed: Path) -> None:
    inside = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    assert inside >= {
        "scraper/_config/scraper.toml",
        "scraper/_config/documents/000_b5dde23a3ed5c483.txt",
        "scraper/_config/schedule/scraper.timer",
        "scraper/demo/documents/harbour.md",
        "scraper/demo/pages/moscow.html",
        "scraper/py.typed",
    }
    assert [name for name in inside if name.startswith(("tests", "archive", "config"))] == []


def test_the_program_works_from_the_wheel_outside_a_checkout(installed: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCRAPER_")}
    done = subprocess.run(
        [sys.executable, "-c", "from scraper.cli import main; main()", "run", "--dry-run", "--json"],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["host"] for line in done.stdout.splitlines()] == ["www.themoscowtimes.com"]
