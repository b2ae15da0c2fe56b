"""Whose turn is it? One request in flight per host and address, a bounded number in all, and nobody waits in a
worker's place.

A visit that waits (for its host's delay, a retry, the next hop of a redirect) is a future in a heap. A visit that has
not begun is only an entry in its host's line: it becomes a task when its host's turn comes.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass, field

from scraper import urls
from scraper.fetcher.addresses import Addresses
from scraper.model import Visit

# So many visits are read ahead of the list, to find hosts that can be asked in parallel.
_LOOK_AHEAD = 10_000
# So many visits may be under way at once, all but a few waiting: a thousand sites that redirect to one slow hub wait
# there for hours, and nobody else shall. A bound for memory only: a waiting visit takes 7 KB, with a small answer.
_MOST_UNDER_WAY = 8_000
# Nor does one begin while the answers of those under way (hops, tries) and not kept yet take more memory than this,
_MOST_HELD_BYTES = 64 * 1024 * 1024
# or, the large ones, more disk. Each is an open file, too: it counts as so much at least.
_MOST_SHELVED_BYTES = 1024 * 1024 * 1024
_LEAST_SHELVED_BYTES = 4 * 1024 * 1024
# Of so many hosts which had to wait for another one it is remembered at which address.
_MOST_CROWDED = 20_000


class Stopped(Exception):
    """No new request starts any more."""


class LeftOut(Exception):
    """The budget or the patience for a visit that nothing depends on is used up: it is not made."""


@dataclass(frozen=True, slots=True)
class Opening:
    """When a host may be asked again, in loop time; `held` says that it asked for more patience than a run has."""

    at: float
    held: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to send one request to a host, or (`held`) the word that this run will not get one."""

    host: str
    held: bool


@dataclass(slots=True)
class _Host:
    key: str
    opening: Opening
    fresh: deque[Visit] = field(default_factory=deque)
    waiting: list[tuple[float, int, asyncio.Future[Turn]]] = field(default_factory=list)
    busy: bool = False
    paused: int = 0
    listed: float = float("inf")
    crowded_out: bool = False
    address: str = ""  # where it had to wait for another host
    parked: bool = False
    promised: str = ""  # the address that it holds by its turn

    def next_event(self, fresh_may_begin: bool) -> float | None:
        """When this host can give a turn; None while it cannot."""
        fresh = bool(self.fresh) and fresh_may_begin and not self.paused
        while self.waiting and self.waiting[0][2].done():
            heapq.heappop(self.waiting)
        if self.busy or self.parked or not (self.waiting or fresh):
            return None
        if self.opening.held:
            return 0.0
        if fresh:
            return self.opening.at
        return max(self.opening.at, self.waiting[0][0])

    @property
    def idle(self) -> bool:
        return not (self.busy or self.paused or self.fresh or self.waiting)


class Queue:
    """Gives turns to visits.

    `open_at` tells of a host, when it is met, from when on it may be asked; `start` begins a fresh visit with its turn.
    """

    def __init__(
        self,
        workers: int,
        open_at: Callable[[str], Opening],
        start: Callable[[Visit, Turn], None],
        addresses: Addresses | None = None,
    ) -> None:
        self._workers = workers
        self._open_at = open_at
        self._start = start
        self._hosts: dict[str, _Host] = {}
        self._addresses = addresses or Addresses()
        self._addresses.watch(self._hand_on)
        self._address_of: OrderedDict[str, str] = OrderedDict()  # of hosts that had to wait for another one
        self._promised: dict[str, _Host] = {}  # by address: the host with a turn to it
        # By address: hosts which could be asked were it free. While it is free, one that can be asked now is not parked
        # but on the agenda; whoever takes that one off without giving it a turn hands the address on.
        self._parked: dict[str, deque[_Host]] = {}
        self._agenda: list[tuple[float, int, _Host]] = []
        self._crowded_out: deque[_Host] = deque()
        self._number = itertools.count()
        self._wake = asyncio.Event()
        self._stopping = False
        self.in_flight = 0
        self.under_way = 0  # visits begun and not ended
        self.unkept = 0  # captures made and not yet kept
        self.unread = 0  # visits read and not begun
        self.held_bytes = 0  # of answers received and not yet kept, in memory
        self.shelved_bytes = 0  # and on disk

    # ------------------------------------------------------------ for visits

    async def turn(self, host: str, not_before: float = 0.0) -> Turn:
        """Wait until the host may be asked (and not before a loop time); raises `Stopped`."""
        if self._stopping:
            raise Stopped
        future: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        entry = self._host(host)
        heapq.heappush(entry.waiting, (not_before, next(self._number), future))
        self._list(entry)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.release(future.result(), None)
            raise

    def release(self, turn: Turn, opening: Opening | None) -> None:
        """Give a turn back: with the host's next opening if it was used, None if not."""
        if turn.held:
            return
        host = self._hosts[turn.host]
        host.busy = False
        self.in_flight -= 1
        if opening is not None:
            host.opening = opening
        if host.promised:
            address, host.promised = host.promised, ""
            del self._promised[address]
            self._hand_on(address)
        self._forget_or_list(host)

    def crowded(self, turn: Turn, address: str, opening: Opening | None = None) -> None:
        """Give a turn back: another host speaks with the address it needs. The next one comes when that has ended."""
        self._address_of[turn.host] = self._hosts[turn.host].address = address
        self._address_of.move_to_end(turn.host)
        while len(self._address_of) > _MOST_CROWDED:
            self._address_of.popitem(last=False)
        self.release(turn, opening)

    def leave(self) -> None:
        """Between two turns a visit holds nothing here."""

    def hold(self, before: Iterable[Sized], after: Iterable[Sized]) -> None:
        """A visit holds other answers than before; while all of them are much, no fresh visit begins."""
        for answers, sign in ((before, -1), (after, 1)):
            for answer in answers:
                if isinstance(answer, bytes):
                    self.held_bytes += sign * len(answer)
                else:
                    self.shelved_bytes += sign * max(len(answer), _LEAST_SHELVED_BYTES)
        self._wake.set()

    def reopen(self, host: str, opening: Opening) -> None:
        """Change when a host may be asked again: something was learnt since its last turn ended."""
        entry = self._host(host)
        entry.opening = opening
        self._list(entry)

    def pause(self, host: str) -> None:
        """Begin no fresh visit at a host: its robots.txt is on the way."""
        self._host(host).paused += 1

    def resume(self, host: str) -> None:
        """Undo one `pause`."""
        entry = self._host(host)
        entry.paused -= 1
        self._list(entry)

    def ended(self) -> None:
        """A visit that had begun is over."""
        self.under_way -= 1
        self._wake.set()

    def nudge(self) -> None:
        """Something changed that may let a host be served."""
        self._wake.set()

    # ------------------------------------------------------- for the fetcher

    async def run(self, visits: Iterator[Visit]) -> None:
        """Hand out turns until every visit has ended or the queue is stopped."""
        loop = asyncio.get_running_loop()
        more = True
        while not self._stopping:
            more = more and self._read(visits)
            self._wake.clear()
            self._serve(loop.time())
            if not more and not self.unread and not self.under_way:
                return
            due = self.next_due()
            timer = loop.call_at(due[0], self._wake.set) if due and self._has_room() else None
            await self._wake.wait()
            if timer is not None:
                timer.cancel()

    def stop(self) -> None:
        """Give no more turns; whoever waits for one gets `Stopped`."""
        self._stopping = True
        for host in self._hosts.values():
            for _, _, future in host.waiting:
                if not future.done():
                    future.set_exception(Stopped())
        self._wake.set()

    def next_due(self) -> tuple[float, str] | None:
        """When the next turn can be given, in loop time, and at which host."""
        while self._agenda:
            when, _, host = self._agenda[0]
            event = host.next_event(self._may_begin())
            if event is not None and event <= when:
                return when, host.key
            heapq.heappop(self._agenda)
            host.listed = float("inf")
            self._list(host)
            if host.address in self._parked:
                self._hand_on(host.address)
        return None

    def wants(self, host: str) -> bool:
        """Whether anybody waits for this host or speaks with it."""
        entry = self._hosts.get(host)
        return entry is not None and not entry.idle

    def waiting(self) -> int:
        """How many visits have begun or been read and have no request in flight."""
        return self.unread + max(0, self.under_way - self.in_flight)

    # -------------------------------------------------------------- inside

    def _read(self, visits: Iterator[Visit]) -> bool:
        while self.unread < _LOOK_AHEAD:
            visit = next(visits, None)
            if visit is None:
                return False
            host = self._host(urls.host_key(visit.target))
            host.fresh.append(visit)
            self.unread += 1
            self._list(host)
        return True

    def _host(self, key: str) -> _Host:
        host = self._hosts.get(key)
        if host is None:
            host = self._hosts[key] = _Host(key, self._open_at(key), address=self._address_of.get(key, ""))
        return host

    def _list(self, host: _Host) -> None:
        """Put a host on the agenda, if there is something to do at it."""
        when = host.next_event(self._may_begin())
        if when is not None and when < host.listed:
            host.listed = when
            heapq.heappush(self._agenda, (when, next(self._number), host))
        if host.fresh and not host.crowded_out and not self._may_begin():
            host.crowded_out = True
            self._crowded_out.append(host)
        self._wake.set()

    def _may_begin(self) -> bool:
        held = self.held_bytes < _MOST_HELD_BYTES and self.shelved_bytes < _MOST_SHELVED_BYTES
        return held and self.under_way < _MOST_UNDER_WAY

    def _has_room(self) -> bool:
        return self.in_flight < self._workers and self.unkept < max(64, 2 * self._workers)

    def _serve(self, now: float) -> None:
        while self._has_room():
            due = self.next_due()
            if due is not None and due[0] <= now:
                host = heapq.heappop(self._agenda)[2]
                host.listed = float("inf")
                self._give(host, now)
                self._forget_or_list(host)
                if host.address in self._parked:
                    self._hand_on(host.address)
            elif self._crowded_out and self._may_begin():
                host = self._crowded_out.popleft()
                host.crowded_out = False
                self._list(host)
            else:
                return

    def _give(self, host: _Host, now: float) -> None:
        """One turn at a host whose time has come: to a visit under way, else to a fresh one."""
        held = host.opening.held and host.opening.at > now
        if host.opening.held and not held:
            host.opening = Opening(host.opening.at)
        turn = Turn(host.key, held)
        ready = bool(host.waiting) and (held or host.waiting[0][0] <= now)
        if not ready and (not host.fresh or host.paused or not self._may_begin()):
            return
        if not held:
            if host.address and not self._promise(host):
                return
            host.busy = True
            self.in_flight += 1
        if ready:
            heapq.heappop(host.waiting)[2].set_result(turn)
        else:
            self.unread -= 1
            self.under_way += 1
            self._start(host.fresh.popleft(), turn)

    def _forget_or_list(self, host: _Host) -> None:
        if host.idle:
            self._hosts.pop(host.key, None)
            self._wake.set()  # a worker has come free
        else:
            self._list(host)

    # ------------------------------------------------------------ addresses

    def _promise(self, host: _Host) -> bool:
        """Whether a host may be given a turn to its address; else it is parked until the address is free."""
        address = host.address
        if address in self._promised or self._addresses.holder(address) not in (None, host.key):
            host.parked = True
            self._parked.setdefault(address, deque()).append(host)
            return False
        self._promised[address] = host
        host.promised = address
        return True

    def _hand_on(self, address: str) -> None:
        """Let the next host that waits for an address go, if it is free."""
        parked = self._parked.get(address)
        if parked is None or address in self._promised or self._addresses.holder(address) is not None:
            return
        now = asyncio.get_running_loop().time()
        while parked:
            host = parked.popleft()
            host.parked = False
            self._list(host)
            if host.listed <= now:
                break
        if not parked:
            del self._parked[address]
