"""Looking things up in a collection's sorted index files, which stay open from one look-up to the next."""

from __future__ import annotations

import heapq
import os
import re
from collections.abc import Iterator
from pathlib import Path

from scraper.archiver.index import SUFFIX, IndexEntry, read_line
from scraper.archiver.layout import Layout
from scraper.errors import IntegrityError

_BEGINS = re.compile(rb"\S+ [0-9]{14} \{")
_PROBE_BYTES = 2048
_NEAR_BYTES = 16 * 1024
_LONGEST_LINE_BYTES = 1 << 20


class SortedFile:
    """A sorted file of lines, open for reading; closed when nobody uses it any more. Threads may share it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        stat = os.fstat(self._descriptor)
        self.size = stat.st_size
        self.identity = (stat.st_ino, stat.st_size, stat.st_mtime_ns)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)

    def lines_from(self, start: bytes) -> Iterator[bytes]:
        """Every line that is not below `start`, in order."""
        at, rest = self._bisect(start), b""
        size = _NEAR_BYTES
        while chunk := os.pread(self._descriptor, size, at):
            at += len(chunk)
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            for line in lines:
                if line >= start:
                    yield line
            size = 256 * 1024
        if rest >= start and rest:
            yield rest

    def _bisect(self, start: bytes) -> int:
        """A line's offset at or before the first that is not below `start`, and near to it."""
        low, high = 0, self.size
        while high - low > _NEAR_BYTES:
            middle = (low + high) // 2
            at, line = self._line_after(middle)
            if line and at < high and line[: len(start)] < start:
                low = at
            else:
                high = middle
        return low

    def _line_after(self, offset: int) -> tuple[int, bytes]:
        """The first line that begins after an offset, or as much of it as a comparison needs."""
        size = _PROBE_BYTES
        while size <= _LONGEST_LINE_BYTES:
            chunk = os.pread(self._descriptor, size, offset)
            at_end = len(chunk) < size
            begin = chunk.find(b"\n") + 1
            line = chunk[begin:] if begin else b""
            if _BEGINS.match(line):
                return offset + begin, line
            if at_end and not line:
                return self.size, b""
            if b"\n" in line or (at_end and line):
                break
            size *= 4
        raise IntegrityError(f"{self.path}: this index is damaged; run `scraper rebuild` to make it again")


class Lookup:
    """A collection's index files. They may appear, merge and go while it is in use."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._open: dict[str, SortedFile] = {}

    def alike(self, key: str) -> list[IndexEntry]:
        """Every entry under a SURT key, in no order; those of two files at once come twice."""
        prefix = key.encode() + b" "
        found = []
        for file in self._files():
            for line in file.lines_from(prefix):
                if not line.startswith(prefix):
                    break
                found.append(read_line(line, file.path))
        return found

    def between(self, start: str, end: str) -> Iterator[IndexEntry]:
        """Every entry whose line lies from `start` to below `end`, in the order of lines; equal lines once."""
        first, beyond, last = start.encode(), end.encode(), b""
        for line, path in heapq.merge(*(_with_path(file, first) for file in self._files())):
            if line >= beyond:
                return
            if line != last:
                yield read_line(line, path)
            last = line

    def _files(self) -> list[SortedFile]:
        """The files of this moment, in order of name."""
        try:
            with os.scandir(self._layout.indexes) as folder:
                names = sorted(item.name for item in folder if item.name.endswith(SUFFIX))
        except FileNotFoundError:
            names = []
        files = {name: file for name in names if (file := self._file(name))}
        self._open = files
        return list(files.values())

    def _file(self, name: str) -> SortedFile | None:
        path = self._layout.indexes / name
        try:
            stat = path.stat()
            held = self._open.get(name)
            if held and held.identity == (stat.st_ino, stat.st_size, stat.st_mtime_ns):
                return held
            return SortedFile(path)
        except FileNotFoundError:
            return None  # merged into another meanwhile


def _with_path(file: SortedFile, start: bytes) -> Iterator[tuple[bytes, Path]]:
    for line in file.lines_from(start):
        yield line, file.path
