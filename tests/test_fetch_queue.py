"""The queue alone, without a network: whatever visits do, all of them end and no rule is broken."""

from __future__ import annotations

import asyncio
import random

import pytest

from scraper import urls
from scraper.fetcher.queue import Opening, Queue, Turn
from scraper.model import Visit

# Not a measurement: a run that stands still would stand for ever.
STANDSTILL_SECONDS = 60


class Bustle:
    """Random visits over a few hosts: unused turns, robots.txt pauses, hops, retries, long holds, slow keeping."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.workers = self.random.choice([1, 1, 2, 3, 8])
        self.hosts = [f"h{number}.test" for number in range(self.random.choice([1, 2, 3, 6]))]
        self.asked = self.random.choice([5, 20, 40])
        self.ended = 0
        self.busy: set[str] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.queue = Queue(self.workers, lambda host: Opening(0.0), self.start)

    async def run(self) -> None:
        targets = (urls.target(f"http://{self.random.choice(self.hosts)}/{number}") for number in range(self.asked))
        await asyncio.wait_for(self.queue.run(Visit(target) for target in targets), STANDSTILL_SECONDS)
        await asyncio.gather(*self.tasks)

    def start(self, visit: Visit, turn: Turn) -> None:
        self.tasks.add(asyncio.get_running_loop().create_task(self.visit(turn)))

    async def visit(self, turn: Turn) -> None:
        loop, queue = asyncio.get_running_loop(), self.queue
        queue.hold([], [b"ab"])
        kind = self.random.random()
        if kind < 0.1 and not turn.held:
            queue.release(turn, None)
            turn = await queue.turn(turn.host)
        elif kind > 0.8 and not turn.held:
            queue.pause(turn.host)
            await self.use(turn)
            await self.keep()
            queue.resume(turn.host)
            turn = await queue.turn(turn.host)
        await self.use(turn)
        for _ in range(self.random.randrange(4)):
            wait = self.random.choice([0, 0, 0.001, 0.003])
            await self.use(await queue.turn(self.random.choice(self.hosts), loop.time() + wait))
        await self.keep()
        queue.hold([b"ab"], [])
        self.ended += 1
        queue.ended()

    async def use(self, turn: Turn) -> None:
        if turn.held:
            return
        assert turn.host not in self.busy
        self.busy.add(turn.host)
        assert len(self.busy) <= self.workers
        await asyncio.sleep(self.random.choice([0, 0, 0.0005]))
        self.busy.discard(turn.host)
        at = asyncio.get_running_loop().time() + self.random.choice([0, 0.001, 0.002])
        self.queue.release(turn, Opening(at, held=self.random.random() < 0.03))

    async def keep(self) -> None:
        self.queue.unkept += 1
        await asyncio.sleep(self.random.choice([0, 0.001]))
        self.queue.unkept -= 1
        self.queue.nudge()


@pytest.mark.parametrize(("most", "held"), [(1, 1000), (2, 1000), (1000, 5), (1000, 1000)])
@pytest.mark.parametrize("ahead", [1, 5, 1000])
def test_every_visit_ends_and_hosts_get_one_request_at_a_time(
    monkeypatch: pytest.MonkeyPatch, most: int, ahead: int, held: int
) -> None:
    monkeypatch.setattr("scraper.fetcher.queue._MOST_UNDER_WAY", most)
    monkeypatch.setattr("scraper.fetcher.queue._LOOK_AHEAD", ahead)
    monkeypatch.setattr("scraper.fetcher.queue._MOST_HELD_BYTES", held)

    async def main() -> None:
        for seed in range(25):
            bustle = Bustle(seed)
            await bustle.run()
            assert bustle.ended == bustle.asked
            assert (bustle.queue.in_flight, bustle.queue.unread, bustle.queue.under_way) == (0, 0, 0)
            assert bustle.queue.held_bytes == 0

    asyncio.run(main())
