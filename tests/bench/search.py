"""Full-text search over many captures: how long a query takes, and how large the index is.

    python -m tests.bench search [CAPTURES, default 100000] [FOLDER]

With FOLDER the index is kept there, and asked again if it is there already.

The texts are synthetic and short; words follow Zipf's law, so that some are in nearly every text.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from scraper.archiver import Search, SearchEntry, SearchIndex

_VOCABULARY = 50_000
_WORDS_A_TEXT = 40
_REPEATS = 30
_QUERIES = {
    "in nearly every text": "w0",
    "two very common words": "w0 w1",
    "common without common": "w0 -w1",
    "uncommon without very common": "w200 -w0",
    "common phrase": '"w0 w1"',
    "common phrase, rarely so": '"w90 w91"',
    "two fairly common words": "w300 w400",
    "common and rare": "w0 w30000",
    "two rare words": "w30000 w40000",
    "ten common words": " ".join(f"w{n}" for n in range(10)),
    "ten rare words": " ".join(f"w{n}" for n in range(30000, 30010)),
    "a beginning, 10 words": "w3000*",
    "a beginning, 1000 words": "w30*",
    "a beginning, 11000 words": "w3*",
    "beginnings and words": "w30* w31* w5 w7",
    "a phrase with a beginning": '"w1 w2*"',
    "nothing": "zebra",
}
_START = datetime(2015, 1, 1, tzinfo=UTC)


def run(arguments: list[str]) -> None:
    """Build an index of so many captures and ask it."""
    captures = int(arguments[0]) if arguments else 100_000
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(arguments[1] if len(arguments) > 1 else temporary)
        if not (root / "collections/main/search.sqlite3").exists():
            _build(root, captures)
        _ask(root)


def _build(root: Path, captures: int) -> None:
    before = time.process_time()
    index = SearchIndex.open(root, "main")
    for number, entry in enumerate(_entries(captures), start=1):
        index.add(entry)
        if number % 5000 == 0:
            index.commit()
    index.close()
    megabytes = (root / "collections/main/search.sqlite3").stat().st_size / 1e6
    print(f"{captures} captures: {time.process_time() - before:.1f} CPU-s to index, {megabytes:.0f} MB", flush=True)


def _entries(captures: int) -> Iterator[SearchEntry]:
    chance = random.Random(7)
    vocabulary = [f"w{number}" for number in range(_VOCABULARY)]
    weights = [1 / (rank + 1) for rank in range(_VOCABULARY)]
    cumulative = [0.0]
    for weight in weights:
        cumulative.append(cumulative[-1] + weight)
    for number in range(captures):
        drawn = chance.choices(vocabulary, cum_weights=cumulative[1:], k=_WORDS_A_TEXT)
        at = _START + timedelta(seconds=number * 250)
        url = f"https://site{number % 5000}.example/{number // 3}"
        yield SearchEntry(f"text/{number}", url, at, " ".join(drawn[:6]), " ".join(drawn[6:]))


def _ask(root: Path) -> None:
    columns = ("median ms", "CPU ms", "worst ms", "hits")
    print(f"{'query':<30}" + "".join(f"{name:>11}" for name in columns) + "  since")
    for label, typed in _QUERIES.items():
        with Search.open_for_reading(root, "main") as search:
            search.answer(typed)
        walls, spent = [], []
        for _ in range(_REPEATS):
            start, cpu = time.perf_counter(), time.process_time()
            with Search.open_for_reading(root, "main") as search:
                answer = search.answer(typed, limit=20)
            walls.append((time.perf_counter() - start) * 1000)
            spent.append((time.process_time() - cpu) * 1000)
        numbers = (statistics.median(walls), statistics.median(spent), max(walls))
        shown = "".join(f"{number:>11.2f}" for number in numbers)
        print(f"{label:<30}{shown}{len(answer.hits):>11}  {answer.since or ''}", flush=True)
