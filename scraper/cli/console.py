"""What is said on the standard streams: results on stdout, the log on stderr, nothing raw from pages or URLs."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, Self, TextIO

from scraper import printable
from scraper.errors import OutputUnwritable


@contextmanager
def writing_results() -> Iterator[None]:
    """A standard output that is full or gone bad, in our words; a reader that has left is no fault."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:  # ValueError: it is closed
        reason = getattr(error, "strerror", None) or "it is closed"
        raise OutputUnwritable(f"standard output cannot be written: {reason}") from error


def _closed() -> TextIO:
    """A stream for a descriptor that the caller closed: it takes nothing."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    stream.close()
    return stream


class Level(IntEnum):
    """How much is logged: `--quiet`, nothing said, `--verbose`."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


@dataclass(slots=True)
class Console:
    """Log lines for people on a terminal, JSON lines elsewhere; quiet on success when nobody looks."""

    level: Level = Level.NORMAL
    out: TextIO = field(default_factory=lambda: sys.stdout or _closed())
    err: TextIO = field(default_factory=lambda: sys.stderr or _closed())
    bar: Progress | None = None

    @property
    def is_terminal(self) -> bool:
        return not self.err.closed and self.err.isatty()

    @property
    def wants_progress(self) -> bool:
        return self.is_terminal and self.level > Level.QUIET

    def result(self, text: str) -> None:
        """A result for people; line breaks stay, control characters do not."""
        self._print(printable.block(text))

    def record(self, fields: dict[str, Any]) -> None:
        """A result for programs: one line of JSON, in ASCII, so that no terminal can be harmed."""
        self._print(json.dumps(fields, default=str))

    def _print(self, text: str) -> None:
        with writing_results():
            self._write(self.out, text)

    def error(self, sentence: str, **fields: Any) -> None:
        """Something went wrong: always said."""
        self._log("error", sentence, fields)

    def trouble(self, sentence: str, **fields: Any) -> None:
        """New trouble with a page or a document: said unless `--quiet`."""
        if self.level >= Level.NORMAL:
            self._log("warning", sentence, fields)

    def info(self, sentence: str, **fields: Any) -> None:
        """Said to people on a terminal, and to all with `--verbose`."""
        if self.level >= (Level.NORMAL if self.is_terminal else Level.VERBOSE):
            self._log("info", sentence, fields)

    def detail(self, sentence: str, **fields: Any) -> None:
        """Said only with `--verbose`."""
        if self.level >= Level.VERBOSE:
            self._log("info", sentence, fields)

    def _log(self, level: str, sentence: str, fields: dict[str, Any]) -> None:
        if self.is_terminal:
            prefix = "" if level == "info" else f"{level}: "
            with_bar = self.bar
            if with_bar is not None:
                with_bar.above(printable.line(prefix + sentence))
                return
            self._say(printable.line(prefix + sentence))
            return
        time_stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        said = {"time": time_stamp, "level": level, "message": sentence, **fields}
        # Words of all scripts stay readable; escaped is what could harm a terminal or has no bytes in the stream.
        is_ascii = (self.err.encoding or "").lower().replace("-", "") != "utf8"
        self._say(printable.json_line(json.dumps(said, ensure_ascii=is_ascii, default=str)))

    def _say(self, text: str) -> None:
        # A log that is full, closed or not listened to any more must not stop the work.
        with suppress(OSError, ValueError):
            self._write(self.err, text)
            self.err.flush()

    @staticmethod
    def _write(stream: TextIO, text: str) -> None:
        encoding = stream.encoding or "utf-8"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")


class Progress:
    """A bar with counts and what is being waited for, on a terminal only."""

    def __init__(self, console: Console) -> None:
        from tqdm import tqdm

        self._console = console
        form = "{bar:12} {n_fmt}/{total_fmt} {elapsed} {desc}"
        # A terminal that does not know its size says 0, and tqdm would draw nothing.
        knows = os.get_terminal_size(console.err.fileno()).columns > 0
        size = {"dynamic_ncols": True} if knows else {"ncols": 80, "nrows": 24}
        self._bar = tqdm(total=0, desc="starting", file=console.err, bar_format=form, leave=False, **size)

    def __enter__(self) -> Self:
        self._console.bar = self
        return self

    def __exit__(self, *_: object) -> None:
        self._console.bar = None
        self._bar.close()

    def above(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.write(text, file=self._console.err)

    def show(self, done: int, total: int, waiting: str) -> None:
        self._bar.n, self._bar.total = done, total
        self._bar.set_description_str(printable.line(waiting))
