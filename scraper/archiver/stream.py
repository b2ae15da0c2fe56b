"""A collection's pages read in the order in which they lie: one open file, no second look-up a page."""

from __future__ import annotations

import os
import zlib
from io import FileIO
from types import TracebackType
from typing import Self

from scraper.archiver import records
from scraper.archiver.collection import Collection, exchange_of
from scraper.archiver.members import MAX_MEMBER_BYTES, Damaged
from scraper.archiver.records import Record
from scraper.model import Exchange, Location

_GZIP = 16 + zlib.MAX_WBITS


class PageStream:
    """Reads responses, without their requests. What is not a plain response of our own form is left to `Collection`."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._name = ""
        self._file: FileIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def load(self, page: Location, *, most_bytes: int = MAX_MEMBER_BYTES) -> Exchange:
        """The exchange of a page, revisits resolved. Raises as `Collection.load` does."""
        record = None if self._collection.layout.is_foreign else self._record(page)
        if record is None or record.type != "response":
            return self._collection.load(page, most_bytes=most_bytes)
        return exchange_of(record, record.block, b"")

    def _record(self, page: Location) -> Record | None:
        data = os.pread(self._descriptor(page.warc), page.length, page.offset)
        stream = zlib.decompressobj(_GZIP)
        try:
            content = stream.decompress(data, MAX_MEMBER_BYTES)
            if not stream.eof or stream.unused_data:
                return None
            return records.parse(content, page.offset)
        except (zlib.error, Damaged):
            return None

    def _descriptor(self, warc: str) -> int:
        if self._file is None or self._name != warc:
            opened = self._collection.layout.open_warc(warc)
            if self._file is not None:
                self._file.close()
            self._file, self._name = opened, warc
        return self._file.fileno()
