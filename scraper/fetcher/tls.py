"""TLS over bytes in memory: what came is opened, what is to go is sealed. Nothing is sent or waited for here.

asyncio's own keeps a buffer of 256 KiB for each connection, so that few could be kept for the next request.
"""

from __future__ import annotations

import ssl

_RECORD_BYTES = 16 * 1024  # RFC 8446, 5.1: the most that one record holds
_HEAD_BYTES = 5


class Tls:
    """The client's side of one connection; raises `ssl.SSLError` for a name that nobody can have."""

    def __init__(self, context: ssl.SSLContext, name: str) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        try:
            self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        except ValueError as error:  # `.`, `a..b`, a label that is too long
            raise ssl.SSLError(f"no certificate can be for the name {name!a}") from error
        self._records = _Records()
        self.has_ended = False  # the other side said that nothing more comes
        self.flaw: ssl.SSLError | None = None  # nothing more can be read

    @property
    def version(self) -> str | None:
        """As OpenSSL names it, once hands are shaken: `TLSv1.3`."""
        return self._object.version()

    @property
    def is_within_record(self) -> bool:
        """Whether a record has begun that is not whole yet."""
        return self._records.is_within

    def shake_hands(self, data: bytes) -> bool:
        """Take the next bytes of the handshake, none at its start; whether it is done. Raises `ssl.SSLError`."""
        self._records.pass_over(data)
        self._incoming.write(data)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def opened(self, data: bytes) -> bytes:
        """What the records hold that are whole by now; what came before a wrong one counts."""
        self._records.pass_over(data)
        parts: list[bytes] = []
        # Not all at once: the memory that OpenSSL takes for it stays with the connection.
        for at in range(0, len(data) or 1, _RECORD_BYTES):
            self._incoming.write(data[at : at + _RECORD_BYTES])
            self._read(parts)
        return b"".join(parts)

    def _read(self, parts: list[bytes]) -> None:
        try:
            while part := self._object.read(_RECORD_BYTES):
                parts.append(part)
            self.has_ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.flaw = self.flaw or error

    def sealed(self, data: bytes) -> bytes:
        """The records that carry these bytes; raises `ssl.SSLError`."""
        left = memoryview(data)
        while left:
            left = left[self._object.write(left) :]
        return self.to_send()

    def to_send(self) -> bytes:
        """What TLS itself has to say by now."""
        return self._outgoing.read()


class _Records:
    """Where records begin and end (RFC 8446, 5.1): a type, a version, two bytes of length, the content."""

    def __init__(self) -> None:
        self._head = b""
        self._left = 0

    @property
    def is_within(self) -> bool:
        return bool(self._head or self._left)

    def pass_over(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
                continue
            more = data[at : at + _HEAD_BYTES - len(self._head)]
            self._head += more
            at += len(more)
            if len(self._head) == _HEAD_BYTES:
                self._left, self._head = int.from_bytes(self._head[3:], "big"), b""
