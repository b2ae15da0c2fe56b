"""The bytes of a WARC, plain or of gzip members, unpacked as they are asked for, with their places in the file."""

from __future__ import annotations

import zlib
from io import FileIO

from scraper.archiver.members import Damaged

GZIP_MAGIC = b"\x1f\x8b"
_WINDOW = 16 + zlib.MAX_WBITS
_READ_BYTES = 256 * 1024
# zlib copies what lies behind the end of a member: with larger pieces that costs more than the unpacking.
_PIECE_BYTES = 32 * 1024
_UNPACKED_BYTES = 256 * 1024
_BLANK = b"\r\n"
_BEGINNING = b"WARC/"


class Source:
    """A file's unpacked bytes in turn, plain or of gzip members. `buffer[at:]` is what was read and not used.

    `offset` is where the record at hand begins in the file, or the member in which it lies with others.
    """

    def __init__(self, file: FileIO, start: int) -> None:
        file.seek(start)
        self._file = file
        self._raw = memoryview(file.read(_READ_BYTES) or b"")
        self._raw_at, self._raw_start = 0, start  # what was used of it, and its place in the file
        self._stream: zlib._Decompress | None = None
        self.is_packed = bytes(self._raw[:2]) == GZIP_MAGIC
        self.buffer = b""
        self.at = 0
        self.offset = start
        self.is_shared = False

    def begins(self) -> bool:
        """Go to the start of the next record, over empty lines; False at the end of the file."""
        self.is_shared = self.is_packed and self._stream is not None
        while not self._skip_blank():
            if not self.is_packed or not self._open_member():
                return False
            self.is_shared = False
        if not self.is_packed:
            self.offset = self.place
        return True

    def ends(self) -> None:
        """After a block: go over the empty lines that end a record where they belong to its member.

        Raises `Damaged` where what follows is neither that, nor a record, nor the end.
        """
        if self.is_packed:
            self.is_shared = self._skip_blank() or self.is_shared
            if not self.is_shared:
                return
        while len(self.buffer) - self.at < len(_BEGINNING) and self.fill():
            pass
        following = self.buffer[self.at : self.at + len(_BEGINNING)]
        if following and following[0] not in _BLANK and following != _BEGINNING:
            raise Damaged(self.offset, "the record does not end where its Content-Length says")

    @property
    def place(self) -> int:
        """The offset of what comes next: of a gzip file, of the next member."""
        used = self._raw_start + self._raw_at
        return used if self.is_packed else used - (len(self.buffer) - self.at)

    def fill(self) -> bool:
        """Put more behind the buffer; False at the end of the member, or of the plain file."""
        piece = self._unpacked() if self.is_packed else self._plain()
        if not piece:
            return False
        self.buffer = self.buffer[self.at :] + piece if self.at < len(self.buffer) else piece
        self.at = 0
        return True

    def _plain(self) -> bytes:
        if self._raw_at == len(self._raw) and not self._read_on():
            return b""
        piece = bytes(self._raw[self._raw_at :])
        self._raw_at = len(self._raw)
        return piece

    def _open_member(self) -> bool:
        if self._raw_at == len(self._raw) and not self._read_on():
            return False
        self.offset = self.place
        self._stream = zlib.decompressobj(_WINDOW)
        return True

    def _unpacked(self) -> bytes:
        stream = self._stream
        while stream is not None and not stream.eof:
            if self._raw_at == len(self._raw):
                self._read_on()
            piece = self._raw[self._raw_at : self._raw_at + _PIECE_BYTES]
            try:
                data = stream.decompress(piece, _UNPACKED_BYTES)
            except zlib.error as error:
                raise Damaged(self.offset, f"not a right gzip member ({error})") from error
            self._raw_at += len(piece) - len(stream.unconsumed_tail) - len(stream.unused_data)
            if data:
                return data
            if not piece and not stream.eof:
                raise Damaged(self.offset, "the file ends in the middle of a gzip member")
        self._stream = None
        return b""

    def _read_on(self) -> bool:
        self._raw_start += len(self._raw)
        self._raw, self._raw_at = memoryview(self._file.read(_READ_BYTES) or b""), 0
        return len(self._raw) > 0

    def _skip_blank(self) -> bool:
        """Go over line ends; whether anything follows in the member, or in the plain file."""
        while True:
            rest = self.buffer[self.at : self.at + 64]
            self.at += len(rest) - len(rest.lstrip(_BLANK))
            if self.at < len(self.buffer):
                if self.buffer[self.at] not in _BLANK:
                    return True
            elif not self.fill():
                return False
