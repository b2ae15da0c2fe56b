"""A harness that kills a run at an instant of its choice, lets it resume, and proves that nothing came of it.

An archive lives through several rounds: each cites a batch of new pages, starts a verb, kills it with SIGKILL, lets
`scraper run` end, and judges all that the archive holds. The instant is drawn at random from the life of the verb, or
it follows an answer that has just left the server by at most 50 ms.
"""

from __future__ import annotations

import gzip
import random
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cli import Cli
from factories import make_capture, make_exchange
from flight import MOVED, SHEET, Stretch, addresses, lying, without_need
from server import Connection, Site

from scraper import archiver, pipeline
from scraper.archiver import Collection, Layout, records
from scraper.state import StateReader

HOSTS = [f"h{number}.test" for number in range(8)]
AFTER_ANSWER_SECONDS = 0.05
_ARTICLE = "<p>This is paragraph {0} of page {1}, and it is long enough to be taken for a real one by anybody.</p>"


@dataclass
class CountingSite(Site):
    """A site that tells somebody of each answer, once it has left."""

    told: Callable[[], None] = lambda: None

    def _serve(self, connection: Connection, raw: bytes, tls: bool) -> None:
        super()._serve(connection, raw, tls)
        self.told()


@dataclass(frozen=True, slots=True)
class Kill:
    """When a verb is killed: `after` so many answers, or (0) so many seconds after its start."""

    after: int
    seconds: float


@dataclass
class Round:
    """What was proven of a kill, or of two in a row: each is to be 0 or empty. `runs` ends with the one that ended."""

    verb: str
    kill: Kill
    kills: int = 0
    runs: list[Stretch] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    texts_without_record: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    refetched: list[str] = field(default_factory=list)
    said: str = ""

    @property
    def is_clean(self) -> bool:
        found = (self.lost, self.torn, self.doubled, self.texts_without_record, self.faults, self.refetched, self.said)
        return not any(found)


class Life:
    """One archive, from its first page to its last kill."""

    def __init__(self, cli: Cli, site: CountingSite, chance: random.Random, *, requisites: bool) -> None:
        self.cli, self.site, self._chance = cli, site, chance
        self._requisites = requisites
        self._lines = 2 if requisites else 1  # what a page needs to be seen comes over two connections at once
        self._cited: list[str] = []
        self._batches = 0
        self._usual_seconds: dict[str, float] = {}
        cli.capture["requisites"] = "page" if requisites else "none"
        cli.settings["delay_seconds"] = 0.0

    # ------------------------------------------------------------- the site

    def cite(self, pages: int) -> None:
        """Serve and cite a batch of pages: plain, large, redirected, doubled, and one that is gone."""
        batch = self._batches = self._batches + 1
        urls = []
        for number in range(pages):
            host, path = HOSTS[number % len(HOSTS)], f"/{batch}/{number}"
            urls.append(self.site.url(path, host))
            if number % 11 == 7:
                self.site.reply(path, host, status=302, headers={"Location": path + MOVED})
                path += MOVED
            if number % 11 == 9:
                self.site.reply(path, host, status=404, body=b"gone")
            else:
                self._serve_page(path, host, f"{batch}-{number - number % 5 // 4}", number)
        self.cli.citing(*urls, name=f"batch-{batch}.txt")
        self._cited += urls

    def _serve_page(self, path: str, host: str, title: str, number: int) -> None:
        words = [_ARTICLE.format(line, title) for line in range(5)]
        head = f"<title>Page {title}</title><meta property='og:type' content='article'>"
        if self._requisites:
            head += f"<link rel=stylesheet href={SHEET}><link rel=icon href={path}.png>"
            self.site.reply(SHEET, host, headers={"Content-Type": "text/css"}, body=b"p { margin: 0 }")
            self.site.reply(f"{path}.png", host, headers={"Content-Type": "image/png"}, body=path.encode())
        body = f"<html lang=en><head>{head}</head><body><article>{''.join(words)}</article></body></html>".encode()
        headers = {"Content-Type": "text/html; charset=utf-8"}
        if number % 4 == 1:  # it fills the WARCs, so that they are closed while others are written
            noise = random.Random(path).randbytes(75_000).hex()
            body = gzip.compress(body.replace(b"</body>", f"<!-- {noise} --></body>".encode()), 1)
            headers["Content-Encoding"] = "gzip"
        slowly = 0.03 if number % 4 == 2 else 0.0  # so that a kill finds something in flight
        self.site.reply(path, host, headers=headers, body=body, delay=slowly)

    # ------------------------------------------------------------ the kills

    def kill(self, verb: Sequence[str], after_answer: bool, pages: int) -> Round:
        """Start a verb, kill it, now and then kill the next run at its start too, resume, and judge."""
        answers = self._chance.randint(1, max(1, pages)) if after_answer else 0
        longest = AFTER_ANSWER_SECONDS if after_answer else self._usual_seconds.get(verb[0], 1.5)
        found = Round(verb[0], Kill(answers, self._chance.uniform(0, longest)))
        self._stretch(found, lambda: self._strike(verb, found.kill, found))
        if self._chance.random() < 0.2:
            early = Kill(0, self._chance.uniform(0, 0.5))
            self._stretch(found, lambda: self._strike(["run"], early, found))
        self._stretch(found, lambda: self._resume(found))
        self._judge(found)
        return found

    def _stretch(self, found: Round, act: Callable[[], None]) -> None:
        before, start, kills = lying(self.cli.archive), len(self.site.log), found.kills
        act()
        self.site.settle()
        run = Stretch(addresses(self.site.log[start:]), before, lying(self.cli.archive))
        found.runs.append(run)
        found.refetched += without_need(run.asked, before)
        if found.kills == kills:
            found.lost += [f"{address}: asked for and not kept" for address in run.aloft]
        if run.visits_cut > 1:
            found.torn.append(f"{run.visits_cut} visits have no end, and one is written at a time")
        if run.most_aloft_at_a_host() > self._lines:
            found.refetched.append(f"{run.most_aloft_at_a_host()} visits were in flight at one host")

    def _strike(self, verb: Sequence[str], kill: Kill, found: Round) -> None:
        """Start a verb and kill it; it may have ended before."""
        reached = threading.Event()
        left = iter(range(kill.after - 1, -1, -1))
        self.site.told = lambda: reached.set() if next(left, 0) == 0 else None
        started = time.monotonic()
        running = self.cli.start(*verb)
        try:
            while kill.after and not reached.wait(0.01) and running.poll() is None:
                pass
            running.wait(kill.seconds)
        except subprocess.TimeoutExpired:
            running.kill()
        self.site.told = lambda: None
        said = running.communicate(timeout=120)[1]
        if running.returncode == -signal.SIGKILL:
            found.kills += 1
            return
        self._usual_seconds[verb[0]] = time.monotonic() - started
        found.said += said if "Traceback" in said else ""

    def _resume(self, found: Round) -> None:
        started = time.monotonic()
        ended = self.cli.run("run")
        if found.verb == "run":
            self._usual_seconds["run"] = max(0.5, time.monotonic() - started)
        if ended.returncode not in (0, 3) or "Traceback" in ended.stderr:
            found.said += f"exit {ended.returncode}: {ended.stderr}"

    # ------------------------------------------------------------ the proof

    def _judge(self, found: Round) -> None:
        root = self.cli.archive
        with StateReader.open_for_reading(root) as state:
            rows = list(state.query("SELECT * FROM visits ORDER BY id"))
            stand = {row["href"]: row["state"] for row in state.query("SELECT href, state FROM targets")}
        wanted = {url: "dead" if self._is_gone(url) else "captured" for url in self._cited}
        found.lost += [f"{url}: {stand.get(url)}" for url, state in wanted.items() if stand.get(url) != state]
        self._read_records(found)
        self._read_texts(found, rows)
        found.faults = [str(problem) for problem in pipeline.check(root)]

    @staticmethod
    def _is_gone(url: str) -> bool:
        return int(url.rpartition("/")[2]) % 11 == 9

    def _read_records(self, found: Round) -> None:
        """Every member strictly; an exchange is known by address, instant and content."""
        ids: Counter[str] = Counter()
        exchanges: Counter[str] = Counter()
        layout = Layout(self.cli.archive, "main")
        found.torn += [f"{path.name}: not closed" for path in layout.open_warcs()]
        for path in layout.all_warcs():
            try:
                for member, record in records.read_all(path):
                    found.torn += [f"{path.name}, {member.offset}: {what}" for what in records.digest_faults(record)]
                    ids[record.id] += 1
                    if record.type in ("response", "revisit"):
                        said = ("WARC-Target-URI", "WARC-Date", "WARC-Block-Digest")
                        exchanges[" ".join(map(record.header, said))] += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told with the kill that led to it
                found.torn.append(f"{path.name}: {error!r}")
        found.doubled = [name for name, count in (ids + exchanges).items() if count > 1]

    def _read_texts(self, found: Round, rows: Sequence[sqlite3.Row]) -> None:
        folder = self.cli.archive / "collections/main"
        known = {row["text_path"] for row in rows if row["text_path"]}
        there = {str(path.relative_to(folder).with_suffix("")) for path in (folder / "text").rglob("*.json")}
        found.texts_without_record = sorted(there - known)
        found.lost += [f"{path}: no such text" for path in known - there]
        found.lost += [f"{row['href']}: no text" for row in rows if row["text_path"] is None]
        found.torn += [str(path) for path in self.cli.archive.rglob("*.tmp")]


def foreign_warc(folder: Path, number: int) -> str:
    """A WARC of another tool's, to be imported."""
    root = folder / f"foreign-{number}"
    collection = Collection(root, "main")
    collection.append(make_capture(make_exchange(f"http://foreign.example/{number}", b"<p>Foreign words.</p>" * 50)))
    collection.close()
    (path,) = archiver.Layout(root, "main").closed_warcs()
    return str(path)


def live(cli: Cli, site: CountingSite, seed: int, kills: int, *, requisites: bool, pages: int = 24) -> list[Round]:
    """The kills of one archive: most of `run`, the others of what makes, takes in or makes again."""
    chance = random.Random(seed)
    life = Life(cli, site, chance, requisites=requisites)
    rounds: list[Round] = []
    while sum(found.kills for found in rounds) < kills:
        number = len(rounds)
        if number % 5 == 3:
            verbs = [["rebuild"], ["extract", "--all"], ["import", foreign_warc(cli.folder, number)]]
            rounds.append(life.kill(verbs[number // 5 % 3], False, pages))
            continue
        life.cite(pages)
        rounds.append(life.kill(["run"], number % 2 == 0, pages))
    return rounds
