"""Any bytes whatever, as any kind of input: no exception but the documented ones, no promise broken, no long time.

The short form is the same at every run. The long one (`-m long`) takes SCRAPER_FUZZ_MINUTES minutes (10) and starts
elsewhere each time. Under atheris, guided by coverage: `python -m tests.fuzz TARGET SECONDS`.
"""

from __future__ import annotations

import os
import time

import pytest
from fuzz.targets import Target, all_targets
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

TARGETS = all_targets()
_QUIET = tuple(HealthCheck)
# A small input may take so long: twenty times what the slowest takes on a machine of 2020.
_MOST_CPU_SECONDS = 5.0


@st.composite
def mutated(draw: st.DrawFn, target: Target) -> bytes:
    """A whole example with a few things done to it: what a grammar's corners are found with."""
    data = draw(st.sampled_from(target.seeds))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 40)))
        token = draw(st.sampled_from(target.tokens))
        match draw(st.integers(0, 6)):
            case 0:
                data = data[:at] + data[end:]
            case 1:
                data = data[:at] + token + data[end:]
            case 2:
                data = data[:at] + token + data[at:]
            case 3:
                data = data[:at] + token * draw(st.integers(2, 300)) + data[at:]
            case 4:
                data = data[:end] + data[at:end] * draw(st.integers(1, 30)) + data[end:]
            case 5:
                other = draw(st.sampled_from(target.seeds))
                data = data[:at] + other[draw(st.integers(0, len(other))) :]
            case _:
                data = data[:at] + draw(st.binary(max_size=8)) + data[end:]
    return data


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    """Mutated examples, and now and then tokens or bytes alone."""
    tokens = st.lists(st.sampled_from(target.tokens), max_size=40).map(b"".join)
    return st.one_of(mutated(target), mutated(target), mutated(target), tokens, st.binary(max_size=200))


def tried(target: Target, data: bytes) -> None:
    started = time.process_time()
    target.check(data)
    assert time.process_time() - started < _MOST_CPU_SECONDS


@pytest.mark.parametrize("name", TARGETS)
def test_no_bytes_break_what_reads_them(name: str) -> None:
    target = TARGETS[name]

    @settings(
        max_examples=target.examples, derandomize=True, deadline=None, suppress_health_check=_QUIET, database=None
    )
    @given(inputs(target))
    def run(data: bytes) -> None:
        tried(target, data)

    run()


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_written_out_as_an_example_is_itself_no_trouble(name: str) -> None:
    for data in TARGETS[name].seeds:
        tried(TARGETS[name], data)


@pytest.mark.parametrize("name", TARGETS)
def test_a_token_repeated_costs_in_proportion(name: str) -> None:
    """What is quadratic takes sixteen times as long for four times as much; this allows ten, and half a second."""
    target = TARGETS[name]
    head = target.seeds[0][:1]
    for number, token in enumerate(target.tokens):
        pair = token + target.tokens[(number * 7 + 3) % len(target.tokens)]
        for piece in (token, pair):
            small, large = (_cpu_seconds(target, head + piece * (size // len(piece))) for size in (8_000, 32_000))
            assert large < 0.5 + 10 * small, (piece, small, large)


def _cpu_seconds(target: Target, data: bytes) -> float:
    started = time.process_time()
    target.check(data)
    return time.process_time() - started


@pytest.mark.long
def test_a_long_run_finds_nothing_either() -> None:
    minutes = float(os.environ.get("SCRAPER_FUZZ_MINUTES", "10"))
    ends_at, examples, round_number = time.monotonic() + 60 * minutes, dict.fromkeys(TARGETS, 0), 0
    while time.monotonic() < ends_at:
        round_number += 1
        for name, target in TARGETS.items():
            if time.monotonic() < ends_at:
                examples[name] += _round(target)
    print(f"\nfuzzed for {minutes:g} minutes: {sum(examples.values())} examples in {round_number} rounds, {examples}")
    assert all(examples.values())


def _round(target: Target) -> int:
    count = 0

    # Shrinking is left to whoever looks at the find.
    @seed(time.monotonic_ns())
    @settings(max_examples=4 * target.examples, deadline=None, suppress_health_check=_QUIET, database=None,
              phases=(Phase.explicit, Phase.generate))  # fmt: skip
    @given(inputs(target))
    def run(data: bytes) -> None:
        nonlocal count
        count += 1
        tried(target, data)

    run()
    return count
