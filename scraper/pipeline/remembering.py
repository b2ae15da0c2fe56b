"""What the WARCs tell of hosts: the memory that politeness needs, made again from the records of visits."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from scraper import archiver, urls
from scraper.errors import IntegrityError
from scraper.fetcher import permission, politeness
from scraper.model import Capture, HostMemory, Purpose, State, Truncation
from scraper.settings import FetchSettings
from scraper.state import StateFile

_ASKS_FOR_PATIENCE = frozenset({408, 425, 429})
_NOT_THE_HOSTS_FAULT = frozenset({"address", "port", "scheme", "robots", "redirects", "too large", "interrupted"})


class Remembering:
    """The memory of every host of the visits that are brought into the state; `save` writes it there."""

    def __init__(self, root: Path, state: StateFile, settings: FetchSettings) -> None:
        self._root = root
        self._state = state
        self._settings = settings
        self._memories: dict[str, HostMemory] = {}
        self._robots: dict[str, tuple[str, archiver.Recorded]] = {}

    def visit(self, collection: str, recorded: archiver.Recorded) -> None:
        """Take in one visit, in order of time."""
        for answer in recorded.answers:
            memory = after(self._of(urls.host_key(answer.target)), answer, self._settings)
            self._memories[memory.host] = memory
        host = urls.host_key(recorded.final)
        memory = self._of(host)
        outcome = recorded.outcome
        if recorded.purpose is Purpose.PAGE:
            memory = _decided(memory, recorded)
        if outcome.state is State.DEFERRED and outcome.until is not None:
            memory = _held(memory, recorded, (outcome.until - recorded.ended_at).total_seconds())
        self._memories[host] = memory
        if recorded.purpose is Purpose.ROBOTS:
            self._robots[urls.host_key(recorded.target)] = (collection, recorded)

    def save(self) -> None:
        """Write it all to the state; what that knows of later visits stays."""
        for host, (collection, recorded) in self._robots.items():
            self._memories[host] = self._with_robots(self._of(host), collection, recorded)
        for memory in self._memories.values():
            self._state.remember(memory)
        self._memories, self._robots = {}, {}

    def _of(self, host: str) -> HostMemory:
        return self._memories.get(host) or self._state.memory(host) or HostMemory(host)

    def _with_robots(self, memory: HostMemory, collection: str, recorded: archiver.Recorded) -> HostMemory:
        if memory.robots_at is not None and memory.robots_at >= recorded.ended_at:
            return memory
        try:
            capture = _capture(archiver.Collection(self._root, collection), recorded)
        except IntegrityError:
            return memory  # its record is damaged: it is asked for again
        status, body = permission.read(capture)
        if status is None and memory.robots_status is not None:
            return memory  # the last good copy serves on
        schemes = {recorded.target.scheme}
        if urls.host_key(recorded.final) == memory.host and recorded.final.path == "/robots.txt":
            schemes.add(recorded.final.scheme)
        said = " ".join(sorted(schemes))
        return replace(memory, robots_at=recorded.ended_at, robots_status=status, robots_body=body, robots_schemes=said)


def after(memory: HostMemory, answer: archiver.Answer, settings: FetchSettings) -> HostMemory:
    """A host's memory once an answer has come, as its fetcher had it."""
    slowdown = politeness.slowdown_after(memory.slowdown, answer.status, _failed(answer))
    wait = politeness.delay_seconds(settings, None, answer.seconds, slowdown)
    is_good = 200 <= answer.status < 300 or answer.status == 304
    if answer.retry_after and not is_good:
        until = politeness.retry_after(answer.retry_after, answer.ended_at)
        wait = max(wait, (until - answer.ended_at).total_seconds()) if until else wait
    promised = answer.ended_at + timedelta(seconds=wait)
    if memory.not_before is None or memory.not_before < promised:
        memory = replace(memory, not_before=promised, noted_at=answer.ended_at)
    return replace(memory, response_seconds=answer.seconds, slowdown=slowdown)


def _failed(answer: archiver.Answer) -> bool:
    """Whether an answer speaks against its host."""
    is_broken = answer.status == 0 or answer.truncated not in (None, Truncation.LENGTH)
    return is_broken or answer.status in _ASKS_FOR_PATIENCE or answer.status >= 500


def _decided(memory: HostMemory, recorded: archiver.Recorded) -> HostMemory:
    """Whether a page's visit speaks for or against the host that was asked last."""
    outcome, last = recorded.outcome, recorded.answers[-1] if recorded.answers else None
    if outcome.state in (State.CAPTURED, State.UNCHANGED, State.DEAD):
        return replace(memory, failures=0)
    if outcome.state not in (State.FAILED, State.DEFERRED, State.PENDING) or outcome.reason in _NOT_THE_HOSTS_FAULT:
        return memory
    if last is None and outcome.state is not State.FAILED:
        return memory  # it was not asked
    if last is not None and not _failed(last):
        return replace(memory, failures=0)
    memory = replace(memory, failures=memory.failures + 1)
    return _held(memory, recorded, politeness.rest_seconds(memory.failures))


def _held(memory: HostMemory, recorded: archiver.Recorded, wait_seconds: float) -> HostMemory:
    until = recorded.ended_at + timedelta(seconds=wait_seconds)
    if wait_seconds <= 0 or (memory.not_before is not None and memory.not_before >= until):
        return memory
    return replace(memory, not_before=until, noted_at=recorded.ended_at)


def _capture(collection: archiver.Collection, recorded: archiver.Recorded) -> Capture:
    """The visit of a robots.txt with the answer that decided it."""
    exchanges = (collection.load(recorded.kept.page, with_request=False),) if recorded.kept.page else ()
    return Capture(
        recorded.target,
        recorded.final,
        recorded.started_at,
        recorded.ended_at,
        recorded.outcome,
        recorded.tries,
        exchanges,
        recorded.detail,
        recorded.purpose,
    )
