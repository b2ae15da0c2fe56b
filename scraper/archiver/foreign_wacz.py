"""Reads WACZ files (Web Archive Collection Zipped, 1.1.1) of other tools: nothing in them is believed unproved."""

from __future__ import annotations

import hashlib
import json
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from scraper import urls
from scraper.errors import IntegrityError, UsageError

_MOST_MEMBERS = 100_000
_MOST_JSON_BYTES = 16 << 20
_MOST_PAGES_BYTES = 1 << 30
_MOST_LINE_BYTES = 16 << 20
# A packed WARC of text comes to a twentieth of its size; deflate can go to a thousandth.
_BOMB_RATIO = 200
_BOMB_BYTES = 64 << 20  # below this, a file may be packed as tightly as it likes
_LOCAL_HEADER_BYTES = 30  # of a member, before its name
_WARC_ENDS = (".warc", ".warc.gz")
_COPY_BYTES = 1 << 20
# What `zipfile` raises of a member that is not as it says.
DAMAGES = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)


def most_unpacked(size_bytes: int) -> int:
    """To how many bytes a file of this size may unpack in all; what goes beyond is a bomb."""
    return max(_BOMB_BYTES, _BOMB_RATIO * size_bytes)


@dataclass(frozen=True, slots=True)
class Wacz:
    """What a WACZ says of itself. `warcs` are the names of its WARC members; `problems` what is wrong with it."""

    warcs: tuple[str, ...]
    tool: str
    title: str
    created: str
    pages: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]


def is_zip(path: Path) -> bool:
    """Whether a file begins as a ZIP does."""
    with path.open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a WACZ. Raises `IntegrityError` when it is no whole ZIP."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise IntegrityError(f"{path.name}: not a whole ZIP ({error}); get a whole copy") from error
    with archive:
        yield archive


def read(archive: zipfile.ZipFile, name: str, size_bytes: int) -> Wacz:
    """What a WACZ of this size holds, its digests proved. Raises `UsageError` when there is no WARC in it."""
    members = archive.infolist()
    if len(members) > _MOST_MEMBERS:
        raise UsageError(f"{name}: more than {_MOST_MEMBERS} members; unpack it, and import the WARCs in it")
    good, problems = _judged(members, most_unpacked(size_bytes))
    package = _package(archive, good, problems)
    problems += _digest_faults(archive, good, package)
    warcs = tuple(sorted(path for path in good if _is_warc(path)))
    if not warcs and not problems:
        raise UsageError(f"{name}: a ZIP without a WARC in archive/; a WACZ has one")
    software = package.get("software")
    return Wacz(
        warcs,
        _line(software),
        _line(package.get("title")),
        _line(package.get("created")),
        tuple(_pages(archive, good, problems)),
        tuple(problems),
    )


def member(archive: zipfile.ZipFile, path: str) -> IO[bytes]:
    """One member, for reading. Raises `IntegrityError` when it cannot be opened; its reading, what `DAMAGES` names."""
    try:
        return archive.open(path)
    except UnicodeDecodeError as error:  # its two names do not agree, and the second one is no text at all
        raise IntegrityError("damaged (the name before its content is no text)") from error
    except (*DAMAGES, ValueError) as error:
        raise IntegrityError(f"damaged ({error})") from error


def _is_warc(path: str) -> bool:
    return path.startswith("archive/") and path.lower().endswith(_WARC_ENDS)


def _judged(members: list[zipfile.ZipInfo], most_bytes: int) -> tuple[dict[str, zipfile.ZipInfo], list[str]]:
    """The members that may be read, by name, and what is wrong with the others.

    `zipfile` reads no more of a member than the size it declares, so that the sum of those bounds all reading.
    """
    problems: list[str] = []
    good: dict[str, zipfile.ZipInfo] = {}
    overlapping = _overlapping(members)
    unpacked = 0
    for member in members:
        reason = _refusal(member, good)
        if member.header_offset in overlapping:
            reason = "it overlaps another member"
        elif not reason and unpacked + member.file_size > most_bytes:
            reason = f"with it the file unpacks to more than {most_bytes >> 20} MiB: a bomb"
        if reason:
            problems.append(f"{_shown(member.filename)}: {reason}")
        else:
            good[member.filename] = member
            unpacked += member.file_size
    return good, problems


def _overlapping(members: list[zipfile.ZipInfo]) -> set[int]:
    """Where those members begin which share bytes of the file with another: that is how small bombs become large."""
    found: set[int] = set()
    last, end = -1, 0
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.header_offset < end:
            found |= {last, member.header_offset}
        # The name in the local header is this one, or `zipfile` refuses it; a character is a byte or more.
        after = member.header_offset + _LOCAL_HEADER_BYTES + len(member.orig_filename) + member.compress_size
        if after > end:
            last, end = member.header_offset, after
    return found


def _refusal(member: zipfile.ZipInfo, others: dict[str, zipfile.ZipInfo]) -> str:
    """Why a member is not to be read, empty when it may be. Its name never becomes a path of ours."""
    path = member.filename
    if path.startswith("/") or "\\" in path or ":" in path.split("/")[0] or ".." in path.split("/"):
        return "its name leads out of the file"
    if path in others:
        return "two members have this name"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "a symbolic link"
    if member.flag_bits & 1:
        return "encrypted"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "packed in a way that WACZ does not know"
    if member.file_size > _BOMB_BYTES and member.file_size > _BOMB_RATIO * max(1, member.compress_size):
        return "unpacks to far more than it takes: a bomb"
    return ""


def _package(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], problems: list[str]) -> dict[str, Any]:
    if "datapackage.json" not in members:
        problems.append("datapackage.json: missing")
        return {}
    data = _content(archive, "datapackage.json", problems, _MOST_JSON_BYTES)
    try:
        package = json.loads(data) if data is not None else None
    except (ValueError, RecursionError):
        package = None
    if not isinstance(package, dict):
        problems.append("datapackage.json: not readable")
        return {}
    return package


def _digest_faults(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], package: dict[str, Any]
) -> Iterator[str]:
    resources = package.get("resources")
    hashed: dict[str, str | None] = {}  # each member once, however often it is named
    for resource in resources if isinstance(resources, list) else ():
        if not isinstance(resource, dict):
            continue
        path, said = str(resource.get("path", "")), str(resource.get("hash", ""))
        if path not in members:
            yield f"{_shown(path)}: named in datapackage.json, but not there"
            continue
        if not said.startswith("sha256:"):
            continue
        if path not in hashed:
            hashed[path] = _sha256(archive, path)
        if hashed[path] != said[7:].lower():
            yield f"{_shown(path)}: not what its digest in datapackage.json says"


def _sha256(archive: zipfile.ZipFile, path: str) -> str | None:
    digest = hashlib.sha256()
    try:
        with member(archive, path) as file:
            while chunk := file.read(_COPY_BYTES):
                digest.update(chunk)
    except (*DAMAGES, IntegrityError, OSError):
        return None
    return digest.hexdigest()


def _content(archive: zipfile.ZipFile, path: str, problems: list[str], most_bytes: int) -> bytes | None:
    try:
        with member(archive, path) as file:
            data = file.read(most_bytes + 1)
    except (*DAMAGES, IntegrityError) as error:
        problems.append(f"{path}: {_damage(error)}")
        return None
    if len(data) > most_bytes:
        problems.append(f"{path}: larger than {most_bytes >> 20} MiB")
        return None
    return data


def _damage(error: Exception) -> str:
    return str(error) if isinstance(error, IntegrityError) else f"damaged ({error})"


def _pages(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], problems: list[str]
) -> Iterator[tuple[str, str]]:
    """Addresses and 14-digit times of `pages.jsonl`; `extraPages.jsonl` is what a crawler found by itself."""
    for path in ("pages/pages.jsonl", "pages/extraPages.jsonl"):
        if path not in members:
            continue
        try:
            with member(archive, path) as file:
                yield from _pages_of(file)
        except (*DAMAGES, IntegrityError) as error:
            problems.append(f"{path}: {_damage(error)}")


def _pages_of(file: IO[bytes]) -> Iterator[tuple[str, str]]:
    read = 0
    while line := file.readline(_MOST_LINE_BYTES):
        read += len(line)
        if read > _MOST_PAGES_BYTES:
            return
        try:
            page = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(page, dict) and isinstance(page.get("url"), str):
            stamp = "".join(character for character in str(page.get("ts", "")) if character in "0123456789")
            yield urls.bare(page["url"]), stamp[:14]


def _line(value: object) -> str:
    return urls.without_userinfo(" ".join(value.split()))[:200] if isinstance(value, str) else ""


def _shown(path: str) -> str:
    return ascii(path)[1:-1][:200]
