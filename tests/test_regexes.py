"""Every regular expression of scraper/ is linear: the time for four times the text is about four times the time.

They are found, not listed: what the modules hold, and what the calls of `re` name in place. Each is attacked with runs
of what its own grammar is made of. A quadratic one shows as 16, an exponential one as a time that is never over.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import signal
import string
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import scraper

ROOT = Path(scraper.__file__).parent
SHORT, LONG = 1_500, 6_000  # characters
# Under this nothing is judged: most linear patterns take a tenth of it for SHORT, a quadratic one twice as much.
SUSPECT_SECONDS = 0.0015
MOST_GROWTH = 8.0
MOST_SECONDS = 1.0
_SCANS = {"search", "sub", "subn", "findall", "finditer", "split"}
_CATEGORIES = {
    "CATEGORY_SPACE": " \n", "CATEGORY_DIGIT": "1", "CATEGORY_WORD": "a",
    "CATEGORY_NOT_SPACE": "a", "CATEGORY_NOT_DIGIT": "a", "CATEGORY_NOT_WORD": "-",
}  # fmt: skip
# Never shown more text than this, by the code around them: (module, name) -> characters.
SHOWN_AT_MOST = {
    ("scraper.bylines", "_CUT"): 1000,
}
# Bounded by a repeat of up to 2,000: its time grows with the square below that, and in proportion above.
WIDE = {("scraper.citations.reading", "_MARKDOWN")}


@dataclass(frozen=True, slots=True)
class Found:
    """A pattern, where it is, and whether it looks for its match all over a text."""

    module: str
    name: str
    pattern: re.Pattern[Any]
    scans: bool

    def __str__(self) -> str:
        return f"{self.module}:{self.name}"


def modules() -> Iterator[ModuleType]:
    for info in pkgutil.walk_packages([str(ROOT)], "scraper."):
        if not info.name.endswith("__main__"):
            yield importlib.import_module(info.name)


def found_patterns() -> list[Found]:
    """Every pattern once: those at the top of modules by their names, those in calls by their lines."""
    found: dict[tuple[str | bytes, int, bool], Found] = {}
    sources = {path: path.read_text() for path in ROOT.rglob("*.py")}
    everything = "\n".join(sources.values())
    for module in modules():
        for name, pattern in _held(module):
            source = sources[Path(str(module.__file__))] if name.startswith("_") else everything
            methods = set(re.findall(rf"\b{re.escape(name)}(?:\[[^\]]*\])?\.(\w+)\b", source))
            in_loops = re.search(rf"\bfor \w+ in {re.escape(name)}\b", source) is not None
            scans = bool(methods & _SCANS) or in_loops or not methods
            found[pattern.pattern, pattern.flags, scans] = Found(module.__name__, name, pattern, scans)
        for line, method, pattern in _called(module):
            scans = method in _SCANS or method == "compile"
            if any((pattern.pattern, pattern.flags, either) in found for either in (True, False)):
                continue
            found.setdefault(
                (pattern.pattern, pattern.flags, scans), Found(module.__name__, f"line {line}", pattern, scans)
            )
    return list(found.values())


def _held(module: ModuleType) -> Iterator[tuple[str, re.Pattern[Any]]]:
    for name, value in vars(module).items():
        items = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else (value,)
        for item in items:
            if isinstance(item, re.Pattern):
                yield name, item


def _called(module: ModuleType) -> Iterator[tuple[int, str, re.Pattern[Any]]]:
    """What is compiled within functions: constants, and f-strings of the module's own names and escaped text."""
    for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        if not (isinstance(node.func.value, ast.Name) and node.func.value.id == "re") or node.func.attr == "escape":
            continue
        flags = (
            [*node.args[1:2]] if node.func.attr == "compile" else [k.value for k in node.keywords if k.arg == "flags"]
        )
        names = {**vars(module), **dict.fromkeys(_names(node) - vars(module).keys(), _Local("x"))}
        made = eval(compile(ast.Expression(node.args[0]), "pattern", "eval"), names)
        value = eval(compile(ast.Expression(flags[0]), "flags", "eval"), names) if flags else 0
        if isinstance(made, re.Pattern):
            continue
        yield node.lineno, node.func.attr, re.compile(made, value)


class _Local(str):
    """A local name in an f-string: some word, and whatever is asked of it, the same word."""

    def __getattr__(self, _: str) -> _Local:
        return self

    def __call__(self, *_: object) -> _Local:
        return self


def _names(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)} - {"re"}


# -------------------------------------------------------------------- attacks


def pumps(pattern: re.Pattern[Any]) -> list[str]:
    """Runs of what the pattern's own parts stand for: single characters, its literal words, and pairs of them."""
    tree = re._parser.parse(
        pattern.pattern, pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags
    )  # type: ignore[attr-defined]
    characters: dict[str, None] = {}
    words: dict[str, None] = {}
    samples = _samples(tree)
    _gather(tree, characters, words)
    single = list(characters)[:16] or ["a"]
    pairs = [a + b for a in single[:5] for b in single[:5] if a != b]
    return list(dict.fromkeys([*single, *list(words)[:6], *samples, *pairs]))


def _gather(tree: Any, characters: dict[str, None], words: dict[str, None]) -> None:
    word = ""
    for operator, argument in tree:
        kind = str(operator)
        if kind == "LITERAL":
            characters[chr(argument)] = None
            word += chr(argument)
            continue
        if len(word) > 1:
            words[word] = None
        word = ""
        if kind == "NOT_LITERAL":
            characters["a" if argument != ord("a") else "b"] = None
            characters[chr(argument)] = None
        elif kind == "IN":
            for char in _class(argument):
                characters[char] = None
        elif kind == "ANY":
            characters["a"] = None
        for part in _parts(kind, argument):
            _gather(part, characters, words)
    if len(word) > 1:
        words[word] = None


def _class(items: Any) -> list[str]:
    """Characters of a class; of a negated one something in it and something that is not."""
    negated = str(items[0][0]) == "NEGATE"
    named: list[str] = []
    for kind, argument in items:
        match str(kind):
            case "LITERAL":
                named.append(chr(argument))
            case "RANGE":
                named.append(chr(argument[0]))
            case "CATEGORY":
                named += _CATEGORIES.get(str(argument), "a")
    if not negated:
        return named[:6]
    outside = next((char for char in "ax1 -" if not _is_in(char, items)), "a")
    return [outside, *named[:4]]


def _is_in(char: str, items: Any) -> bool:
    for kind, argument in items:
        match str(kind):
            case "LITERAL" if ord(char) == argument:
                return True
            case "RANGE" if argument[0] <= ord(char) <= argument[1]:
                return True
            case "CATEGORY" if char in _CATEGORIES.get(str(argument), ""):
                return True
    return False


def _parts(kind: str, argument: Any) -> list[Any]:
    if kind == "BRANCH":
        return list(argument[1])
    if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        return [argument[2]]
    if kind == "SUBPATTERN":
        return [argument[3]]
    if kind in ("ASSERT", "ASSERT_NOT"):
        return [argument[1]]
    return [argument] if kind == "ATOMIC_GROUP" else []


def _samples(tree: Any) -> list[str]:
    """Texts that the first parts of the pattern match: what brings an attack past them."""
    text, samples = "", []
    for item in tree:
        text += _sample([item])
        if 1 < len(text) < 60:
            samples.append(text)
    return samples[-5:]


def _sample(tree: Any) -> str:
    text = ""
    for operator, argument in tree:
        kind = str(operator)
        if kind == "LITERAL":
            text += chr(argument)
        elif kind == "IN":
            text += _class(argument)[0]
        elif kind in ("ANY", "NOT_LITERAL"):
            text += "a"
        elif kind == "BRANCH":
            text += _sample(argument[1][0])
        elif kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            text += _sample(argument[2]) * max(1, min(argument[0], 40))
        elif kind == "SUBPATTERN":
            text += _sample(argument[3])
        elif kind == "ATOMIC_GROUP":
            text += _sample(argument)
    return text


class Endless(Exception):
    """The attack was not over in time."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Break off what takes more CPU time than this; `re` looks for signals while it works."""

    def ended(*_: object) -> None:
        raise Endless

    before = signal.signal(signal.SIGVTALRM, ended)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def cpu_seconds(found: Found, text: str) -> float:
    given: Any = text.encode("utf-8", "surrogatepass") if isinstance(found.pattern.pattern, bytes) else text
    act: Callable[[Any], object] = (
        (lambda it: [None for _ in found.pattern.finditer(it)]) if found.scans else found.pattern.match
    )
    started = time.process_time()
    try:
        with limited(MOST_SECONDS):
            act(given)
    except Endless:
        return float("inf")
    return time.process_time() - started


def attacks(found: Found) -> Iterator[tuple[str, str, str]]:
    """(before, pump, after): the beginnings that a match needs, a run, an end that no match can have."""
    runs = pumps(found.pattern)
    tree = re._parser.parse(
        found.pattern.pattern,
        found.pattern.flags & ~re.UNICODE if isinstance(found.pattern.pattern, bytes) else found.pattern.flags,
    )  # type: ignore[attr-defined]
    before = ["", *_samples(tree)[-1:]]
    for pump in runs:
        for start in before:
            for end in ("", "\n!\x00"):
                yield start, pump, end


def blown_up(found: Found, short: int = SHORT, long: int = LONG) -> str:
    """The attack under which the pattern's time grows faster than its text; empty when none does."""
    for before, pump, after in attacks(found):
        texts = [before + pump * (size // len(pump)) + after for size in (short, long)]
        first = cpu_seconds(found, texts[0])
        if first == float("inf"):
            return f"{before!r} + {pump!r} * n + {after!r}: without end"
        if first < SUSPECT_SECONDS:
            continue
        small = min(cpu_seconds(found, texts[0]) for _ in range(3))
        if small < SUSPECT_SECONDS:
            continue
        large = cpu_seconds(found, texts[1])
        if large > MOST_GROWTH * small:
            large = min(large, cpu_seconds(found, texts[1]))
        if large > MOST_GROWTH * small:
            return f"{before!r} + {pump!r} * n + {after!r}: {small:.3f} s, then {large:.3f} s"
    return ""


def test_every_pattern_is_found() -> None:
    """As many as the sources have calls that make one; so that none hides from the test below."""
    calls = sum(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr == "compile"
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
    )
    assert calls > 100
    assert len(found_patterns()) >= 0.9 * calls


def test_no_pattern_takes_more_than_its_share_of_time() -> None:
    fallen = {}
    for found in found_patterns():
        most = SHOWN_AT_MOST.get((found.module, found.name))
        sizes = (4 * SHORT, 4 * LONG) if (found.module, found.name) in WIDE else (SHORT, LONG)
        if most is None and (attack := blown_up(found, *sizes)):
            fallen[str(found)] = attack
        if most is not None:
            worst = max(cpu_seconds(found, a + pump * (most // len(pump)) + b) for a, pump, b in attacks(found))
            assert worst < 0.5, found
    assert fallen == {}


@pytest.mark.parametrize("bad", [r"\s+x", r"(a+)+b", r"(?:a|a)*b", r"[a-z]*\d*[a-z]*!", r"<a[^>]*href=[^>]*>"])
def test_the_attacks_fell_those_that_are_known_to_be_bad(bad: str) -> None:
    # Twice as long as for the others: on a fast machine the mildest would be beneath suspicion.
    assert blown_up(Found("here", "bad", re.compile(bad), True), 2 * SHORT, 2 * LONG)


@pytest.mark.parametrize("good", [r"\s{0,50}x", r"[a-z]+", r"a++b", r"x\s*y", string.ascii_letters])
def test_the_attacks_leave_those_alone_that_are_linear(good: str) -> None:
    assert blown_up(Found("here", "good", re.compile(good), True)) == ""
