"""What a run knows of hosts: the memory of earlier runs, brought up to date by every answer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from scraper.model import HostMemory

# So many bytes of robots.txt files are held; those of hosts not met for long can be had from the state again.
_ROBOTS_BUDGET_BYTES = 16 * 1024 * 1024


class Memories:
    """The memory of every host met in this run; `recall` gives that of earlier ones."""

    def __init__(self, recall: Callable[[str], HostMemory | None]) -> None:
        self._recall = recall
        self._known: OrderedDict[str, HostMemory] = OrderedDict()
        self._without_body: set[str] = set()
        self._robots_bytes = 0

    def of(self, host: str) -> HostMemory:
        """The memory of a host; an empty one for a stranger."""
        known = self._known.get(host)
        if known is None:
            known = self._recall(host) or HostMemory(host)
            self.put(known)
        elif host in self._without_body:
            known = self._with_body(known)
            self.put(known)
        return known

    def put(self, memory: HostMemory) -> None:
        """Replace the memory of a host."""
        before = self._known.pop(memory.host, None)
        self._robots_bytes += len(memory.robots_body) - (len(before.robots_body) if before else 0)
        self._known[memory.host] = memory
        self._without_body.discard(memory.host)
        if self._robots_bytes > _ROBOTS_BUDGET_BYTES:
            self._slim(memory.host)

    def _slim(self, spare: str) -> None:
        for host, memory in list(self._known.items()):
            if self._robots_bytes <= _ROBOTS_BUDGET_BYTES // 2:
                return
            if memory.robots_body and host != spare:
                self._robots_bytes -= len(memory.robots_body)
                self._known[host] = replace(memory, robots_body=b"")
                self._without_body.add(host)

    def _with_body(self, memory: HostMemory) -> HostMemory:
        recalled = self._recall(memory.host)
        if recalled is not None and recalled.robots_at == memory.robots_at:
            return replace(memory, robots_body=recalled.robots_body)
        # Nobody kept it: the file must be asked for again.
        return replace(memory, robots_at=None, robots_status=None)
