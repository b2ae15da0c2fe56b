"""Takes other tools' WARCs into the collection `imported`: proved, unchanged, with an index and where they are from."""

from __future__ import annotations

import hashlib
import json
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import IO, Any, BinaryIO

from scraper.archiver import foreign, foreign_index, foreign_wacz
from scraper.archiver.index import merge_indexes, write_index
from scraper.archiver.layout import (
    IMPORTED,
    PLAIN_SUFFIX,
    SEAL_SUFFIX,
    WARC_SUFFIX,
    Layout,
    make_folder,
    rename_anew,
    replace_file,
    writing,
)
from scraper.archiver.members import Damaged
from scraper.archiver.segment import write_missing_seal
from scraper.archiver.visits import read_fields
from scraper.errors import IntegrityError, UsageError
from scraper.stored import load_json

SIDECAR_SUFFIX = ".import.json"
_COPY_BYTES = 1 << 20
_NAME_CHARACTERS = 100
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_ENDS = re.compile(r"(?:\.warc)?(?:\.(?:gz|open))?\Z", re.IGNORECASE)
_MOST_TOLD = 1000  # of what was left out


@dataclass(frozen=True, slots=True)
class Source:
    """Where a WARC is from. `name` is the file as it was given, `sha256` of its bytes; `member` its name in a WACZ.

    `pages` are the addresses and 14-digit times which a WACZ calls its pages.
    """

    name: str
    sha256: str
    tool: str = ""
    member: str = ""
    title: str = ""
    created: str = ""
    pages: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Import:
    """One WARC of the collection as one import brought it: what its sidecar says.

    `remarks` tell what is odd about it, and did no harm.
    """

    source: Source
    warc: str
    imported_at: str
    left_out: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Asked:
    """One call: the file's name and sha256, the time, and whether to take what is whole of damaged ones."""

    name: str
    sha256: str
    at: datetime
    salvage: bool
    room: _Room


class _Room:
    """How many bytes may still be unpacked of a file, all its parts taken together."""

    def __init__(self, most_bytes: int, name: str = "") -> None:
        self._most_bytes, self._left = most_bytes, most_bytes
        self._bomb = f"{name}unpacks to more than {most_bytes >> 20} MiB: a bomb; unpack it by hand"

    def require(self, number: int) -> None:
        """Raises `IntegrityError` when so many bytes are more than the file may hold."""
        if number > self._most_bytes:
            raise IntegrityError(self._bomb)

    def take(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The same chunks; raises `IntegrityError` where there is no more room."""
        for chunk in chunks:
            if len(chunk) > self._left:
                raise IntegrityError(self._bomb)
            self._left -= len(chunk)
            yield chunk


class Refused(IntegrityError):
    """A file that is not whole; `problems` say where and why."""

    def __init__(self, name: str, problems: tuple[str, ...]) -> None:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(
            f"{name}: {problems[0]}{more}; nothing of it was taken: get a whole copy,"
            " or take what is whole of it with --salvage"
        )
        self.problems = problems


@dataclass(slots=True)
class _Proof:
    """What reading a whole file showed."""

    records: int = 0
    shared: bool = False
    tool: str = ""
    problems: list[Damaged] | None = None
    remarks: Counter[str] = field(default_factory=Counter)


class Imports:
    """The collection of imported WARCs. Needs the archive's `Lock` for all that writes."""

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root, IMPORTED)

    def add_file(self, path: Path, sha256: str, imported_at: datetime, *, salvage: bool) -> list[Import]:
        """Take in a file whose bytes have this sha256: a WARC, or the WARCs of a WACZ. All or nothing.

        Raises `Refused` when it is damaged, unless `salvage` takes its whole records alone; `UsageError` for what is
        neither; `ArchiveUnwritable`. After a kill at any moment, the same again completes it.
        """
        make_folder(self.layout.warcs)
        self._sweep()
        try:
            with _reading(path), path.open("rb") as file:
                is_zip = foreign_wacz.is_zip(path)
                room = _Room(foreign_wacz.most_unpacked(path.stat().st_size), "" if is_zip else f"{path.name}: ")
                asked = _Asked(path.name, sha256, imported_at, salvage, room)
                prepared = (
                    self._of_wacz(path, asked) if is_zip else [self._prepared(file, asked, Source(path.name, sha256))]
                )
            for temporary, taken in prepared:
                self._place(temporary, taken)
            return [taken for _, taken in prepared]
        finally:
            self._sweep()

    def path_of(self, warc: str) -> Path:
        """Where a WARC of the collection lies."""
        return self.layout.warcs / warc

    def _of_wacz(self, path: Path, asked: _Asked) -> list[tuple[Path, Import]]:
        with foreign_wacz.opened(path) as archive:
            wacz = foreign_wacz.read(archive, path.name, path.stat().st_size)
            problems = list(wacz.problems)
            if problems and not asked.salvage:
                raise Refused(path.name, tuple(problems))
            prepared = []
            for member in wacz.warcs:
                said = Source(path.name, asked.sha256, wacz.tool, member, wacz.title, wacz.created, wacz.pages)
                try:
                    with foreign_wacz.member(archive, member) as file:
                        prepared.append(self._prepared(file, asked, said))
                except (IntegrityError, UsageError) as error:
                    if not asked.salvage:
                        raise Refused(path.name, (f"{member}: {error}",)) from error
                    problems.append(f"{member}: {error}")
        if not prepared:
            raise Refused(path.name, tuple(problems))
        temporary, first = prepared[0]
        prepared[0] = (temporary, replace(first, left_out=(*problems, *first.left_out)[:_MOST_TOLD]))
        return prepared

    def _prepared(self, file: IO[bytes], asked: _Asked, source: Source) -> tuple[Path, Import]:
        """A WARC copied to a temporary file, proved from its first byte to its last, and what it is to be."""
        path = self._temporary()
        chunks = _chunks(file, source.name)
        sha256 = _write(asked.room.take(chunks) if source.member else chunks, path)
        proof = _prove(path, asked.room)
        remarks = []
        if proof.shared:
            path, sha256 = self._unpacked(path, asked.room)
            proof = _prove(path, asked.room)
            remarks.append("packed as a whole, so that no record could be read alone: kept as the plain WARC inside")
        if proof.records == 0 and _is_no_warc(path):
            told = f": {proof.problems[0].what}" if proof.problems and "ARC file" in proof.problems[0].what else ""
            raise UsageError(f"{source.name}: not a WARC{told}")
        problems = tuple(_sentences(proof))
        if problems and not (asked.salvage and proof.records):
            raise Refused(source.member or source.name, problems)
        if problems:
            path, sha256 = self._salvaged(path)
        name = f"{sha256[:12]}-{safe_name(source.member or source.name)}"
        name += WARC_SUFFIX if foreign.is_packed(path) else PLAIN_SUFFIX
        source = replace(source, tool=source.tool or proof.tool)
        remarks += (f"{what} ({count} of them)" for what, count in proof.remarks.items())
        imported_at = f"{asked.at:%Y-%m-%dT%H:%M:%SZ}"
        return path, Import(source, name, imported_at, problems[:_MOST_TOLD], tuple(remarks))

    def _place(self, path: Path, taken: Import) -> None:
        """Put a proved file into its place: first where it is from, then its name, then index and seal."""
        final = self.path_of(taken.warc)
        known = self.of_warc(taken.warc)
        if not any(item.source.sha256 == taken.source.sha256 for item in known):
            self._write_sidecar(taken.warc, [*known, taken])
        with writing(final), suppress(FileExistsError):  # the same bytes: their sha256 is in the name
            rename_anew(path, final)
        self.complete(taken.warc)

    def complete(self, warc: str) -> None:
        """Index and seal a file where a crash came before."""
        path = self.layout.warcs / warc
        if not path.with_name(warc + SEAL_SUFFIX).exists():
            write_index(self.layout, warc, foreign_index.entries(path, warc, []))
            write_missing_seal(self.layout, path)
            merge_indexes(self.layout)

    # ------------------------------------------------------------- provenance

    def all(self) -> Iterator[Import]:
        """Every import, by the name of its WARC; of a WARC put here by hand, one that knows only its name."""
        for path in self.layout.closed_warcs():
            yield from self.of_warc(path.name) or [unknown(path.name)]

    def of_warc(self, warc: str) -> list[Import]:
        """The imports which brought a WARC. Raises `IntegrityError` on a damaged sidecar."""
        path = self.sidecar(warc)
        try:
            return [_import_of(fields, warc) for fields in load_json(path.read_bytes())["imports"]]
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise IntegrityError(f"{path}: damaged; put it back from a copy, or delete it") from error

    def _write_sidecar(self, warc: str, imports: Iterable[Import]) -> None:
        listed = [asdict(item) | {"warc": warc} for item in imports]
        data = json.dumps({"warc": warc, "imports": listed}, ensure_ascii=False, indent=1)
        replace_file(self.sidecar(warc), data.encode("utf-8", "replace") + b"\n")

    def sidecar(self, warc: str) -> Path:
        """Where it stands where a WARC is from."""
        return self.layout.warcs / (warc + SIDECAR_SUFFIX)

    # -------------------------------------------------------------- temporary

    def _temporary(self) -> Path:
        number = sum(1 for _ in self.layout.warcs.glob(".incoming*.tmp"))
        return self.layout.warcs / f".incoming-{number:06d}.tmp"

    def _sweep(self) -> None:
        with writing(self.layout.warcs):
            for path in self.layout.warcs.glob(".incoming*.tmp"):
                path.unlink(missing_ok=True)

    def _unpacked(self, path: Path, room: _Room) -> tuple[Path, str]:
        """The WARC inside of a file that was packed as a whole: so any program can read a record from its offset."""
        plain = self._temporary()
        with path.open("rb") as file:
            return plain, _write(room.take(_gunzipped(file)), plain)

    def _salvaged(self, path: Path) -> tuple[Path, str]:
        """The whole, right records of a file, each byte for byte."""
        kept = self._temporary()
        return kept, _write(_whole_records(path), kept)


def unknown(warc: str) -> Import:
    """A WARC of which nobody knows where it is from: it was put into its place by hand."""
    return Import(Source(warc, ""), warc, "")


def _import_of(fields: dict[str, Any], warc: str) -> Import:
    said = fields["source"]
    pages = tuple((str(href), str(stamp)) for href, stamp in said["pages"])
    source = Source(**{**said, "pages": pages})
    return Import(source, warc, fields["imported_at"], tuple(fields["left_out"]), tuple(fields.get("remarks", ())))


def safe_name(name: str) -> str:
    """A foreign file's name as one that any file system takes, without what says that it is a WARC."""
    base = re.split(r"[/\\]", name)[-1]
    base = _UNSAFE.sub("-", _ENDS.sub("", base)).strip(".-")
    return base[:_NAME_CHARACTERS].strip(".-") or "warc"


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes, hex. Raises `UsageError` when it cannot be read."""
    with _reading(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# -------------------------------------------------------------------- reading


def _prove(path: Path, room: _Room) -> _Proof:
    damages: list[Damaged] = []
    proof = _Proof(problems=damages)
    unpacked_bytes = 0
    for found in foreign.scan_on(path, damages, foreign.PROOF):
        unpacked_bytes += int(found.record.header("Content-Length"))
        room.require(unpacked_bytes)
        proof.shared = proof.shared or found.is_shared
        if proof.shared:
            return proof
        if found.faults:
            damages.append(Damaged(found.offset, found.faults[0]))
            continue
        proof.records += 1
        if found.remark:
            proof.remarks[found.remark] += 1
        if found.record.type == "warcinfo" and not proof.tool:
            proof.tool = read_fields(found.record.block).raw("software")[:200]
    return proof


def _sentences(proof: _Proof) -> Iterator[str]:
    for damage in sorted(proof.problems or [], key=lambda damage: damage.offset):
        yield f"offset {damage.offset}: {damage.what}"


def _is_no_warc(path: Path) -> bool:
    try:
        return next(foreign.scan(path, 0, foreign.GLANCE), None) is None
    except Damaged as damage:
        return damage.offset == 0


def _whole_records(path: Path) -> Iterator[bytes]:
    packed = foreign.is_packed(path)
    with path.open("rb") as file:
        for found in foreign.scan_on(path, [], foreign.PROOF):
            if found.faults:
                continue
            file.seek(found.offset)
            left = found.length
            while left and (chunk := file.read(min(left, _COPY_BYTES))):
                yield chunk
                left -= len(chunk)
            if not packed:
                yield b"\r\n\r\n"


def _gunzipped(file: BinaryIO) -> Iterator[bytes]:
    stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
    pending = b""
    try:
        while pending := pending or file.read(65536):
            data = stream.decompress(pending, _COPY_BYTES)
            pending = stream.unconsumed_tail
            if stream.eof:
                pending = stream.unused_data
                stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
            yield data
    except zlib.error:
        return  # the records before the tear; the reader tells of it


def _chunks(file: IO[bytes], name: str) -> Iterator[bytes]:
    """A source's bytes; what goes wrong with it is told as such, and not as our disk's fault."""
    with _reading(Path(name)):
        while chunk := file.read(_COPY_BYTES):
            yield chunk


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    except foreign_wacz.DAMAGES as error:
        raise IntegrityError(f"damaged ({error})") from error


def _write(chunks: Iterable[bytes], path: Path) -> str:
    """Write a file durably; gives its sha256."""
    digest = hashlib.sha256()
    with writing(path), path.open("wb") as out:
        for chunk in chunks:
            digest.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()
