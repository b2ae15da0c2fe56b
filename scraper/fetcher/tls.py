"""TLS over bytes in memory: what came is opened, what is to go is sealed. Nothing is sent or waited for here.

asyncio's own keeps a buffer of 256 KiB for each connection, so that few could be kept for the next request.
"""

from __future__ import annotations

import ssl

_RECORD_BYTES = 16 * 1024  # RFC 8446, 5.1: the most that one record holds


class Tls:
    """The client's side of one connection."""

    def __init__(self, context: ssl.SSLContext, name: str) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self.has_ended = False  # the other side said that nothing more comes
        self.flaw: ssl.SSLError | None = None  # nothing more can be read

    @property
    def version(self) -> str | None:
        """As OpenSSL names it, once hands are shaken: `TLSv1.3`."""
        return self._object.version()

    def shake_hands(self, data: bytes) -> bool:
        """Take the next bytes of the handshake, none at its start; whether it is done. Raises `ssl.SSLError`."""
        self._incoming.write(data)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def opened(self, data: bytes) -> bytes:
        """What the records hold that are whole by now; what came before a wrong one counts."""
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
