"""The floor plan holds: imports only point down, packages keep to their rooms, nothing happens on import."""

from __future__ import annotations

import ast
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "scraper"
LONGEST_MODULE_LINES = 400
HELP_CPU_SECONDS = 0.2

# From the top floor to the ground. A room may use every floor below its own, and no other room of its own floor.
FLOORS = (
    {"__main__"},
    {"cli"},
    {"demo"},
    {"pipeline", "exchange", "replay", "report"},
    {"fetcher", "archiver", "state"},
    {"settings", "citations", "extractor"},
    {"urls", "decode", "dates", "message", "bylines", "printable", "references", "stored", "wording"},
    {"model", "errors"},
)
# Pure helpers of the lowest floor but one may build on each other, as long as they form no ring.
SHARED_FLOOR = FLOORS[-2]

# Each package that is not of the standard library, and sqlite3 and asyncio, with the rooms which may use it.
THIRD_PARTY = {
    "ada_url": {"urls"},
    "asyncio": {"fetcher", "pipeline", "replay", "demo"},
    "bs4": {"extractor", "citations"},
    "cchardet": {"decode"},
    "certifi": {"fetcher"},
    "click": {"cli"},
    "dateparser": {"dates"},
    "brotlicffi": {"message"},
    "httpx": {"fetcher", "replay"},
    "isal": {"archiver"},
    "jinja2": {"replay"},
    "msgspec": {"settings"},
    "publicsuffixlist": {"urls"},
    "selectolax": {"extractor", "fetcher", "replay"},
    "sqlite3": {"state", "archiver"},
    "starlette": {"replay"},
    "tenacity": {"fetcher"},
    "tqdm": {"cli"},
    "trustme": {"demo"},
    "uvicorn": {"replay"},
    "w3lib": {"decode"},
    "warcio": {"archiver"},
    "zstandard": {"message"},
}
# What no verb needs before it works: parsers, network, archive formats.
HEAVY = (
    "asyncio",
    "jinja2",
    "starlette",
    "uvicorn",
    "bs4",
    "cchardet",
    "dateparser",
    "httpx",
    "selectolax",
    "sqlite3",
    "tqdm",
    "warcio",
)


@dataclass(frozen=True)
class Import:
    """One import statement's name as a dotted path, and where it stands."""

    room: str
    name: str
    place: str


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports() -> Iterator[Import]:
    for module in modules():
        if module == PACKAGE / "__init__.py":
            continue  # the face of the package: it hands out `extract` when asked
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            place = f"{module.relative_to(PACKAGE.parent)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import):
                yield from (Import(room_of(module), alias.name, place) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{place}: imports are absolute here"
                names = (
                    [f"scraper.{alias.name}" for alias in node.names]
                    if node.module == "scraper"
                    else [node.module or ""]
                )
                yield from (Import(room_of(module), name, place) for name in names)


def inner() -> list[tuple[Import, str]]:
    """The imports between rooms, each with the room it reaches for."""
    found = [(item, item.name.split(".")[1]) for item in imports() if item.name.startswith("scraper.")]
    return [(item, room) for item, room in found if room not in ("__version__", item.room)]


def floor_of(room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def test_every_room_has_its_floor() -> None:
    rooms = {room_of(module) for module in modules()} - {"__init__"}
    assert rooms <= set().union(*FLOORS)


def test_imports_only_point_down_and_rooms_of_one_floor_do_not_import_each_other() -> None:
    wrong = [
        f"{item.place}: {item.room} imports {room}"
        for item, room in inner()
        if floor_of(room) <= floor_of(item.room) and not {item.room, room} <= SHARED_FLOOR
    ]
    assert wrong == []


def test_the_pure_helpers_form_no_ring() -> None:
    needs = {room: {reached for item, reached in inner() if item.room == room} & SHARED_FLOOR for room in SHARED_FLOOR}
    while free := {room for room in needs if not needs[room] & set(needs)}:
        needs = {room: reached for room, reached in needs.items() if room not in free}
    assert needs == {}


def test_each_third_party_package_keeps_to_its_rooms() -> None:
    own = sys.stdlib_module_names - set(THIRD_PARTY)
    outside = [item for item in imports() if not item.name.startswith("scraper") and item.name.split(".")[0] not in own]
    assert outside
    wrong = [
        f"{item.place}: {item.room} imports {item.name}"
        for item in outside
        if item.room not in THIRD_PARTY.get(item.name.split(".")[0], set())
    ]
    assert wrong == []


def test_no_module_is_longer_than_a_person_can_hold_in_mind() -> None:
    lengths = {
        str(module.relative_to(PACKAGE)): len(module.read_text(encoding="utf-8").splitlines()) for module in modules()
    }
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_MODULE_LINES} == {}


def test_modules_hold_only_definitions_at_their_top() -> None:
    harmless = (
        ast.Import,
        ast.ImportFrom,
        ast.FunctionDef,
        ast.AsyncFunctionDef,
        ast.ClassDef,
        ast.Assign,
        ast.AnnAssign,
    )
    wrong = [
        f"{module.relative_to(PACKAGE)}:{node.lineno}"
        for module in modules()
        for node in ast.parse(module.read_text(encoding="utf-8")).body
        if not isinstance(node, harmless) and not (is_docstring(node) or is_guard(node) or is_registration(node))
    ]
    assert wrong == []


def is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def is_guard(node: ast.stmt) -> bool:
    """`if TYPE_CHECKING:`, `if __name__ == "__main__":` and checks of the platform."""
    return isinstance(node, ast.If) and ast.unparse(node.test).startswith(
        ("TYPE_CHECKING", "__name__ ==", "sys.platform")
    )


def is_registration(node: ast.stmt) -> bool:
    """`for verb in (…): cli.add_command(verb)`: click's way of building a group."""
    return isinstance(node, ast.For) and [ast.unparse(line) for line in node.body] == ["cli.add_command(verb)"]


def loaded_by(code: str) -> set[str]:
    """The names of the modules which a fresh interpreter imports for a piece of code."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


def test_importing_the_package_loads_nothing_but_itself() -> None:
    assert {name for name in loaded_by("import scraper") if name.startswith("scraper")} == {"scraper"}


HELP = "import sys; from scraper.cli import main; sys.argv = ['scraper', '--help']; main()"


def test_asking_for_help_loads_no_parser_and_no_network() -> None:
    loaded = {name.split(".")[0] for name in loaded_by(HELP)}
    assert "click" in loaded
    assert loaded & set(HEAVY) == set()


def test_asking_for_help_takes_little_processor_time() -> None:
    loaded_by(HELP)  # once to compile the modules
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", HELP], capture_output=True, timeout=120, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # The aim is HELP_CPU_SECONDS; a busy or slow machine gets tenfold room.
    assert spent < 10 * HELP_CPU_SECONDS


@pytest.mark.parametrize("name", ["archive", "config", "scraper", "tests", "README.md", "pyproject.toml"])
def test_the_top_level_holds_what_was_agreed(name: str) -> None:
    assert (PACKAGE.parent / name).exists()
