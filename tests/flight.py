"""What was in flight when a run was killed: the server's log, held against the archive as it lay just then.

A request is in flight from when the server gets it until its visit ends in a WARC. What was written outlives a process
that is killed, synced or not, and the next run adopts each visit whose last record is whole: so nothing else may be
asked for again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from server import Seen

from scraper.archiver import Layout, records

MOVED = "-moved"  # ends the path that a redirect leads to
SHEET = "/style.css"  # one for all pages of a host: a run that fetches one of them asks for it anew
ROBOTS = "/robots.txt"

Address = tuple[str, str]  # host and path


@dataclass(frozen=True, slots=True)
class Lying:
    """The whole exchanges of a collection: of visits that have ended, and of those that were cut off before."""

    ended: Counter[Address]
    cut: Counter[Address]


def lying(root: Path) -> Lying:
    """Read every record of an archive that nobody writes to; damaged ones do not count."""
    ended: Counter[Address] = Counter()
    cut: Counter[Address] = Counter()
    for path in Layout(root, "main").all_warcs():
        exchanges: dict[str, Address] = {}
        for _, record in records.read_all(path, on_damage=lambda _: None):
            if records.digest_faults(record):
                continue
            if record.type in ("response", "revisit"):
                place = urlsplit(record.header("WARC-Target-URI"))
                exchanges[record.id] = (place.netloc, place.path)
            elif record.type == "metadata" and record.block.startswith(b"outcome: "):
                own = (name for name in record.all("WARC-Concurrent-To") if name in exchanges)
                ended.update(exchanges.pop(name) for name in own)
        cut.update(exchanges.values())
    return Lying(ended, cut)


@dataclass(frozen=True, slots=True)
class Stretch:
    """What one process asked for, and the archive as it lay before and after it."""

    asked: Counter[Address]
    before: Lying
    after: Lying

    @property
    def aloft(self) -> Counter[Address]:
        """What was in flight when it ended."""
        return self.asked - (self.after.ended - self.before.ended)

    @property
    def visits_cut(self) -> int:
        """The visits of which it left whole exchanges and no end."""
        return len({_visit(address) for address in self.after.cut - self.before.cut})

    def most_aloft_at_a_host(self) -> int:
        """The most visits that were in flight at one host."""
        return max(Counter(host for host, _ in {_visit(address) for address in self.aloft}).values(), default=0)


def _visit(address: Address) -> Address:
    """A redirect and what it leads to are one visit."""
    return address[0], address[1].removesuffix(MOVED)


def addresses(log: Iterable[Seen]) -> Counter[Address]:
    return Counter((seen.host, seen.path) for seen in log)


def without_need(asked: Counter[Address], lay: Lying) -> Iterator[str]:
    """What a run asked for though it lay in the archive, or more than once."""
    yield from (f"{address}: asked for {count} times" for address, count in asked.items() if count > 1)
    page_hosts = {host for host, path in asked if path not in (SHEET, ROBOTS)}
    for host, path in asked:
        is_needed = path == SHEET and host in page_hosts
        if lay.ended[host, path] and not is_needed:
            yield f"{host}{path}: it lay in the archive, and was asked for again"
