"""Where things lie below an archive folder, and the few ways in which files are written there."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from scraper.errors import ArchiveUnwritable, IntegrityError

OPEN_SUFFIX = ".open"
SEAL_SUFFIX = ".sha256"
WARC_SUFFIX = ".warc.gz"
PLAIN_SUFFIX = ".warc"
_MOST_PIECES = 512  # the system takes no more than IOV_MAX at once, 1024 on Linux and macOS
IMPORTED = "imported"  # the collection of other tools' WARCs, which keep to no rule but the standard's


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of one collection, in the arrangement pywb and Browsertrix use."""

    root: Path
    name: str

    @property
    def folder(self) -> Path:
        return self.root / "collections" / self.name

    @property
    def is_foreign(self) -> bool:
        """Whether its WARCs were made by other tools."""
        return self.name == IMPORTED

    @property
    def warcs(self) -> Path:
        return self.folder / "archive"

    @property
    def indexes(self) -> Path:
        return self.folder / "indexes"

    @property
    def pages(self) -> Path:
        return self.folder / "pages" / "pages.jsonl"

    @property
    def text(self) -> Path:
        return self.folder / "text"

    @property
    def search(self) -> Path:
        return self.folder / "search.sqlite3"

    @property
    def quarantine(self) -> Path:
        return self.folder / "quarantine"

    def named_warcs(self) -> list[Path]:
        """Whatever has a WARC's name, in order: files, and what is none."""
        suffixes = (WARC_SUFFIX, WARC_SUFFIX + OPEN_SUFFIX, *((PLAIN_SUFFIX,) if self.is_foreign else ()))
        try:
            paths = sorted(self.warcs.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [path for path in paths if path.name.endswith(suffixes) and not path.name.startswith(".")]

    def all_warcs(self) -> list[Path]:
        """Every WARC, in order of name: of one collection, that is the order of writing.

        Only what is a file, or a link to one: `oddities` tells of all else. Where a finished one is there, an
        unfinished one of the same name is left out: see `twins`.
        """
        found: dict[str, Path] = {}
        for path in self.named_warcs():  # sorted: the finished one comes first
            if is_warc_file(path):
                found.setdefault(warc_name(path), path)
        return [found[name] for name in sorted(found)]

    def closed_warcs(self) -> list[Path]:
        """The finished WARCs, in order of name."""
        return [path for path in self.all_warcs() if not path.name.endswith(OPEN_SUFFIX)]

    def open_warcs(self) -> list[Path]:
        """The WARCs which are being written, or which a crash left behind."""
        return [path for path in self.all_warcs() if path.name.endswith(OPEN_SUFFIX)]

    def twins(self) -> list[Path]:
        """The unfinished WARCs beside which a finished one of the same name lies."""
        unfinished = [path for path in self.named_warcs() if path.name.endswith(OPEN_SUFFIX)]
        return [path for path in unfinished if is_warc_file(path) and is_warc_file(self.warcs / warc_name(path))]

    def place_of(self, name: str) -> Path:
        """Where a WARC lies, finished or not; its final name where it is not there."""
        final = self.warcs / name
        unfinished = self.warcs / (name + OPEN_SUFFIX)
        return unfinished if unfinished.is_file() and not final.is_file() else final

    def sealed_as(self, name: str) -> str | None:
        """The sha256 (hex) that a WARC was closed with; None where no checksum tells."""
        try:
            said = (self.warcs / (name + SEAL_SUFFIX)).read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            return None
        digest = said.split(b" ", 1)[0].decode("ascii", "replace")
        return digest if len(digest) == 64 else None

    def open_warc(self, name: str) -> FileIO:
        """Open a WARC for reading, finished or not; raises `IntegrityError` when there is none."""
        final = self.warcs / name
        # It may get its final name between the first look and the second.
        for path in (final, self.warcs / (name + OPEN_SUFFIX), final) if "/" not in name else ():
            with contextlib.suppress(FileNotFoundError):
                if path.is_file():  # to open a pipe would wait for ever
                    return FileIO(path)
        if final.is_symlink():
            raise IntegrityError(f"{final}: this WARC is a link whose target is missing; mount it, or put it back")
        raise IntegrityError(f"{self.warcs / name}: this WARC is missing; put it back, or run `scraper rebuild`")


def warc_name(path: Path) -> str:
    """The name a WARC has for good, `.open` or not."""
    return path.name.removesuffix(OPEN_SUFFIX)


def is_warc_file(path: Path) -> bool:
    """Whether it is a file, or a link to one, whose name can be written into an index."""
    return path.is_file() and is_utf8(path.name)


def is_utf8(name: str) -> bool:
    """Whether a file's name is text, and not any bytes (PEP 383)."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Translate what the disk says into `ArchiveUnwritable`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        advice = "free or mount the disk, or name another archive with --archive"
        if error.errno in (errno.EEXIST, errno.EISDIR, errno.ENOTDIR):
            advice = f"{_in_the_way(path, wants_folder=error.errno != errno.EISDIR)}: move it away"
        elif path.is_symlink() and not path.exists():
            advice = "it is a link whose target is missing: mount it, or move the link away"
        raise ArchiveUnwritable(f"{path}: cannot be written: {reason}; {advice}") from error


def _in_the_way(path: Path, *, wants_folder: bool) -> str:
    for part in (*reversed(path.parents), *((path,) if wants_folder else ())):
        if os.path.lexists(part) and not part.is_dir():
            return f"{part} is no folder"
    if path.is_dir():
        return "a folder is where a file belongs"
    return "something of another kind has its name"


def rename_anew(path: Path, to: Path) -> None:
    """Give a file another name that nothing has, durably: what has it stays as it is, and `FileExistsError` comes."""
    try:
        os.link(path, to, follow_symlinks=False)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):  # a folder, or a file system that knows no hard links
        if os.path.lexists(to):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(to)) from None
        path.rename(to)
    else:
        sync_folder(to.parent)  # never both names gone
        path.unlink()
    for folder in {path.parent, to.parent}:
        sync_folder(folder)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, so that they outlive a power failure."""
    with writing(folder):
        missing = [part for part in (folder, *folder.parents) if not part.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for part in missing:
            sync_folder(part.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: a new or renamed file is safe only after this (fsync(2))."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_data(descriptor: int) -> None:
    """fdatasync where there is one (macOS has none)."""
    getattr(os, "fdatasync", os.fsync)(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte: os.write may take fewer, near a full disk or a size limit."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_together(descriptor: int, pieces: Sequence[bytes]) -> None:
    """The same of several pieces, in one call as far as it goes: a kill comes before them or after, hardly between."""
    for start in range(0, len(pieces), _MOST_PIECES):
        some = pieces[start : start + _MOST_PIECES]
        written = os.writev(descriptor, some)
        if written < sum(map(len, some)):
            write_all(descriptor, b"".join(some)[written:])


def replace_file(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file whole or not at all: temporary file, fsync, rename."""
    replace_by_parts(path, (data,), durable=durable)


def replace_by_parts(path: Path, parts: Iterable[bytes], *, durable: bool = True) -> None:
    """The same for a file made of many small parts, which are never held all at once."""
    make_folder(path.parent)
    # Two processes may make the same derived file at once; each has a name of its own until it is whole.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path):
        try:
            with temporary.open("wb") as file:
                file.writelines(parts)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        if durable:
            sync_folder(path.parent)


def collections(root: Path) -> list[str]:
    """The names of the collections below an archive folder."""
    try:
        with os.scandir(root / "collections") as folders:
            return sorted(folder.name for folder in folders if Path(folder.path, "archive").is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []
