"""Full-text search over many captures: how long a query takes, and how large the index is.

    python -m tests.bench search [CAPTURES, default 100000]

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
_START = datetime(2015, 1, 1, tzinfo=UTC)


def run(arguments: list[str]) -> None:
    """Build an index of so many captures and ask it."""
    captures = int(arguments[0]) if arguments else 100_000
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        before = time.process_time()
        index = SearchIndex.open(root, "main")
        for number, entry in enumerate(_entries(captures), start=1):
            index.add(entry)
            if number % 5000 == 0:
                index.commit()
        index.close()
        megabytes = (root / "collections/main/search.sqlite3").stat().st_size / 1e6
        spent = time.process_time() - before
        print(f"{captures} captures: {spent:.1f} CPU-s to index, {megabytes:.0f} MB")
        _ask(root)


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
    queries = {
        "in nearly every text": "w0",
        "two very common words": "w0 w1",
        "common without common": "w0 -w1",
        "common phrase": '"w0 w1"',
        "common and rare": "w0 w30000",
        "two rare words": "w30000 w40000",
        "ten common words": " ".join(f"w{n}" for n in range(10)),
        "a beginning, 10 words": "w3000*",
        "a beginning, 1000 words": "w30*",
        "nothing": "zebra",
    }
    print(f"{'query':<26}{'median ms':>12}{'worst ms':>12}{'hits':>7}")
    for label, typed in queries.items():
        times, hits = [], 0
        for _ in range(_REPEATS):
            start = time.perf_counter()
            with Search.open_for_reading(root, "main") as search:
                hits = len(search.find(typed, limit=20))
            times.append((time.perf_counter() - start) * 1000)
        print(f"{label:<26}{statistics.median(times):>12.2f}{max(times):>12.2f}{hits:>7}")
