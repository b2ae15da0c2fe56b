"""WARCs as other tools write them, made byte by byte."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

WORDS = "The otters came back to the river after an absence of forty years, and nobody had expected them at all."


def page(title: str = "Otters return", count: int = 6) -> bytes:
    paragraphs = "".join(f"<p>{number}. {WORDS}</p>" for number in range(count))
    head = f"<!doctype html><html><head><title>{title}</title></head>"
    return f"{head}<body><article><h1>{title}</h1>{paragraphs}</article></body></html>".encode()


def http(body: bytes, *headers: str, status: str = "HTTP/1.1 200 OK", kind: str = "text/html") -> bytes:
    lines = [status, f"Content-Type: {kind}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def sha1(data: bytes) -> str:
    return "sha1:" + base64.b32encode(hashlib.sha1(data).digest()).decode()


def record(
    block: bytes,
    href: str | None = "http://e.example/",
    *more: str,
    kind: str = "response",
    at: str = "2019-09-09T12:03:00Z",
    version: str = "WARC/1.0",
) -> bytes:
    number = hashlib.sha1(block + repr((href, more, at, kind)).encode()).hexdigest()[:12]
    types = {"response": "application/http; msgtype=response", "request": "application/http; msgtype=request"}
    types |= {
        "revisit": types["response"],
        "warcinfo": "application/warc-fields",
        "metadata": "application/warc-fields",
    }
    lines = [version, f"WARC-Type: {kind}", f"WARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-{number}>"]
    lines += [f"WARC-Date: {at}"] + ([f"WARC-Target-URI: {href}"] if href else [])
    named = {line.partition(":")[0].lower() for line in more}
    if "content-type" not in named:
        lines.append(f"Content-Type: {types.get(kind, 'text/html')}")
    if "content-length" not in named:
        lines.append(f"Content-Length: {len(block)}")
    return "\r\n".join([*lines, *more]).encode() + b"\r\n\r\n" + block + b"\r\n\r\n"


def info(software: str = "Wget/1.21.3 (linux-gnu)") -> bytes:
    return record(f"software: {software}\r\n".encode(), None, kind="warcinfo")


def members(records: Sequence[bytes]) -> bytes:
    """One gzip member for each record."""
    return b"".join(gzip.compress(item, mtime=0) for item in records)


def wacz(
    path: Path,
    warcs: dict[str, bytes],
    pages: Sequence[tuple[str, str]] = (),
    *,
    package: dict[str, object] | None = None,
) -> Path:
    listed = [{"format": "json-pages-1.0"}, *({"url": href, "ts": at} for href, at in pages)]
    files = {f"archive/{name}": data for name, data in warcs.items()}
    if pages:
        files["pages/pages.jsonl"] = "".join(json.dumps(line) + "\n" for line in listed).encode()
    resources = [
        {"path": name, "hash": f"sha256:{hashlib.sha256(data).hexdigest()}", "bytes": len(data)}
        for name, data in files.items()
    ]
    told: dict[str, object] = {"profile": "data-package", "wacz_version": "1.1.1", "resources": resources}
    told |= {"software": "Browsertrix-Crawler 1.2.3", "title": "A crawl", "created": "2024-05-01T00:00:00Z"}
    files["datapackage.json"] = json.dumps(told | (package or {})).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    path.write_bytes(buffer.getvalue())
    return path
