"""Hosts that share addresses, without a network: no address sees two hosts at once, all visits end, none starves."""

from __future__ import annotations

import asyncio
import random

import pytest

from scraper import urls
from scraper.fetcher.addresses import Addresses
from scraper.fetcher.lanes import Lane
from scraper.fetcher.queue import Opening, Queue, Turn
from scraper.model import Visit

# Not a measurement: a run that stands still would stand for ever.
STANDSTILL_SECONDS = 60


class Crowd:
    """Random visits over hosts at few addresses, some at two; a wire that claims like the real one."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.addresses = Addresses()
        hosts = [f"h{number}.test" for number in range(self.random.choice([2, 3, 6, 12]))]
        places = [f"192.0.2.{number}" for number in range(self.random.choice([1, 2, 3]))]
        self.places = {host: self.random.sample(places * 2, 2) for host in hosts}
        self.hosts = hosts
        self.workers = self.random.choice([1, 2, 4, 8])
        self.speaking: dict[str, str] = {}
        self.collisions = self.requests = self.asked = self.ended = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.queue = Queue(self.workers, lambda host: Opening(0.0), self.start, self.addresses)

    async def run(self, visits: int) -> None:
        self.asked = visits
        targets = [urls.target(f"http://{self.random.choice(self.hosts)}/{number}") for number in range(visits)]
        await asyncio.wait_for(self.queue.run(Visit(target) for target in targets), STANDSTILL_SECONDS)
        await asyncio.gather(*self.tasks)

    def start(self, visit: Visit, turn: Turn) -> None:
        self.tasks.add(asyncio.get_running_loop().create_task(self.visit(turn)))

    async def visit(self, turn: Turn) -> None:
        await self.ask(turn)
        for _ in range(self.random.randrange(3)):
            host = self.random.choice(self.hosts)
            wait = self.random.choice([0.0, 0.0, 0.002])
            if self.random.random() < 0.1:
                await self.lose_patience(host)
            await self.ask(await self.queue.turn(host, asyncio.get_running_loop().time() + wait))
        self.ended += 1
        self.queue.ended()

    async def lose_patience(self, host: str) -> None:
        try:
            async with asyncio.timeout(self.random.choice([0, 0.0005])):
                turn = await self.queue.turn(host)
        except TimeoutError:
            return
        if not turn.held:
            self.queue.release(turn, None)

    async def ask(self, turn: Turn) -> None:
        while not turn.held:
            await asyncio.sleep(self.random.choice([0, 0, 0.0003]))  # looking the name up
            address = self.random.choice(self.places[turn.host])
            if self.addresses.claim(address, turn.host):
                await self.speak(turn, address)
                return
            self.collisions += 1
            self.queue.crowded(turn, address)
            turn = await self.queue.turn(turn.host)

    async def speak(self, turn: Turn, address: str) -> None:
        assert address not in self.speaking
        assert turn.host not in self.speaking.values()
        self.speaking[address] = turn.host
        assert len(self.speaking) <= self.workers
        self.requests += 1
        await asyncio.sleep(self.random.choice([0, 0, 0.0005]))
        del self.speaking[address]
        self.addresses.release(address, turn.host)
        if self.random.random() < 0.3:
            await asyncio.sleep(0)  # a page's turn may be kept a little longer than its address
        at = asyncio.get_running_loop().time() + self.random.choice([0, 0, 0.001])
        self.queue.release(turn, Opening(at, held=self.random.random() < 0.02))


def test_no_address_sees_two_hosts_at_once_and_every_visit_ends() -> None:
    for seed in range(40):

        async def bustle(seed: int = seed) -> None:
            crowd = Crowd(seed)
            await crowd.run(crowd.random.choice([3, 20, 60]))
            assert crowd.ended == crowd.asked
            assert crowd.queue.in_flight == crowd.queue.under_way == 0
            assert not crowd.queue._parked
            assert not crowd.queue._promised

        asyncio.run(bustle())


def test_hosts_at_one_address_get_their_turns_one_after_the_other() -> None:
    order: list[str] = []

    async def main() -> None:
        addresses = Addresses()
        tasks: set[asyncio.Task[None]] = set()

        async def visit(turn: Turn) -> None:
            while not addresses.claim("192.0.2.1", turn.host):
                queue.crowded(turn, "192.0.2.1")
                turn = await queue.turn(turn.host)
            await asyncio.sleep(0)
            order.append(turn.host)
            addresses.release("192.0.2.1", turn.host)
            queue.release(turn, Opening(0.0))
            queue.ended()

        def start(visit_of: Visit, turn: Turn) -> None:
            tasks.add(asyncio.get_running_loop().create_task(visit(turn)))

        queue = Queue(8, lambda host: Opening(0.0), start, addresses)
        pages = [f"http://{name}.test/{number}" for name in "abcd" for number in range(10)]
        await asyncio.wait_for(queue.run(Visit(urls.target(page)) for page in pages), STANDSTILL_SECONDS)

    asyncio.run(main())
    assert len(order) == 40
    # Whoever waits is served before anybody is served for the third time.
    for at in range(len(order) - 8):
        assert len(set(order[at : at + 8])) >= 3, order


def test_a_host_that_waits_for_its_address_holds_no_worker() -> None:
    done: list[str] = []

    async def main() -> None:
        addresses = Addresses()
        tasks: set[asyncio.Task[None]] = set()
        assert addresses.claim("192.0.2.1", "elsewhere.test")

        async def visit(turn: Turn) -> None:
            while turn.host == "crowded.test" and not addresses.claim("192.0.2.1", turn.host):
                queue.crowded(turn, "192.0.2.1")
                turn = await queue.turn(turn.host)
            await asyncio.sleep(0)
            done.append(turn.host)
            if len(done) == 20:
                addresses.release("192.0.2.1", "elsewhere.test")
            queue.release(turn, Opening(0.0))
            queue.ended()

        def start(visit_of: Visit, turn: Turn) -> None:
            tasks.add(asyncio.get_running_loop().create_task(visit(turn)))

        queue = Queue(1, lambda host: Opening(0.0), start, addresses)
        pages = ["http://crowded.test/", *(f"http://h{number}.test/" for number in range(20))]
        await asyncio.wait_for(queue.run(Visit(urls.target(page)) for page in pages), STANDSTILL_SECONDS)

    asyncio.run(main())
    assert done[-1] == "crowded.test"
    assert len(done) == 21


@pytest.mark.parametrize("guests", [1, 2, 5])
def test_a_lane_gives_its_turn_back_while_its_address_is_another_hosts(guests: int) -> None:
    served: list[int] = []

    async def main() -> None:
        loop, addresses = asyncio.get_running_loop(), Addresses()
        queue = Queue(1, lambda host: Opening(0.0), lambda visit, turn: None, addresses)
        tasks: list[asyncio.Task[object]] = []
        lane = Lane("a.test", queue, loop.time() + 60, lambda work: tasks.append(loop.create_task(work)))
        assert addresses.claim("192.0.2.1", "b.test")

        async def guest(number: int) -> None:
            lane.enter(number)
            while True:
                await lane.turn(number)
                if addresses.claim("192.0.2.1", "a.test"):
                    break
                lane.crowded("192.0.2.1")
            await asyncio.sleep(0)
            served.append(number)
            addresses.release("192.0.2.1", "a.test")
            lane.release(Opening(0.0))
            lane.leave(number)

        queue.under_way = 1
        running = loop.create_task(queue.run(iter([])))
        seats = [loop.create_task(guest(number)) for number in range(guests)]
        await asyncio.sleep(0.02)
        assert served == []
        assert queue.in_flight == 0
        addresses.release("192.0.2.1", "b.test")
        await asyncio.wait_for(asyncio.gather(*seats), STANDSTILL_SECONDS)
        queue.ended()
        await running

    asyncio.run(main())
    assert sorted(served) == list(range(guests))
