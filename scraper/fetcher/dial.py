"""From a name to a connection: resolve, judge every address, connect to the very one judged, TLS."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import certifi

from scraper import urls
from scraper.errors import ConfigError
from scraper.fetcher.addresses import Addresses, Crowded
from scraper.fetcher.guard import Guard
from scraper.fetcher.stream import Stream
from scraper.model import Target

_LEAST_ATTEMPT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Why there is no good answer: a word for the outcome, a sentence for people, and whether time may heal it."""

    reason: str
    detail: str
    transient: bool = False


class Unreachable(Exception):
    """No connection came about; carries the fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.detail)
        self.fault = fault


class Dialer:
    """Makes connections to targets, and only to addresses that the guard allows."""

    def __init__(
        self, guard: Guard, context: ssl.SSLContext, connect_seconds: float, addresses: Addresses | None = None
    ) -> None:
        self._guard = guard
        self._context = context
        self._connect_seconds = connect_seconds
        self._claims = addresses

    async def connect(self, target: Target) -> Stream:
        """A connection ready for a request, its address claimed for the host; raises `Unreachable` or `Crowded`."""
        where = f"{target.host}:{target.port}"
        try:
            async with asyncio.timeout(self._connect_seconds):
                pinned = self._guard.override(target.host, target.port)
                if pinned is not None:
                    stream = await _opened(*pinned)
                else:
                    stream = await self._first_open(await self._addresses(target), target)
                if target.scheme == "https":
                    await self._secure(stream, target)
                return stream
        except TimeoutError as error:
            detail = f"{where} did not accept a connection within {self._connect_seconds:g} s"
            raise Unreachable(Fault("timeout", detail, transient=True)) from error
        except OSError as error:
            raise Unreachable(_connect_fault(where, error)) from error

    async def _addresses(self, target: Target) -> list[str]:
        found = await resolve(target.host.strip("[]"), target.port)
        # One bad address condemns the name: which of them a later look-up would give is the other side's choice.
        for address in found:
            if not self._guard.allows(address):
                detail = f"{target.host} is at {address}, which is not an address of the public internet"
                raise Unreachable(Fault("address", detail))
        return found

    async def _first_open(self, addresses: list[str], target: Target) -> Stream:
        """The first address that accepts; one that another host speaks with is passed over, or waited for."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._connect_seconds
        host, problem, crowded = urls.host_key(target), OSError("no address to connect to"), ""
        for position, address in enumerate(addresses):
            if not self.claim(address, host):
                crowded = crowded or address
                continue
            last = position == len(addresses) - 1
            # A silent address must not eat the time of the next one.
            share = max(_LEAST_ATTEMPT_SECONDS, (ends_at - loop.time()) / (len(addresses) - position))
            stream = None
            try:
                async with asyncio.timeout(None if last else share):
                    stream = await _opened(address, target.port)
                stream.address = address
                return stream
            except (OSError, TimeoutError) as error:
                problem = error
            finally:
                if stream is None:
                    self.release(address, host)
        if crowded:
            raise Crowded(crowded)
        raise problem

    def claim(self, address: str | None, host: str) -> bool:
        """Whether a host may use an address now; a pinned one is the user's word, and nobody's."""
        return self._claims is None or address is None or self._claims.claim(address, host)

    def release(self, address: str | None, host: str) -> None:
        """Give one claim back."""
        if self._claims is not None and address is not None:
            self._claims.release(address, host)

    async def _secure(self, stream: Stream, target: Target) -> None:
        # RFC 6066, 3: the name without the trailing dot of an absolute name.
        name = target.host.strip("[]").rstrip(".")
        try:
            await stream.start_tls(self._context, name)
        except BaseException:
            stream.drop()
            self.release(stream.address, urls.host_key(target))
            raise


async def _opened(address: str, port: int) -> Stream:
    _, stream = await asyncio.get_running_loop().create_connection(Stream, address, port)
    return stream


async def resolve(host: str, port: int) -> list[str]:
    """Every address of a name, in the system's order. A literal address is itself.

    Each look-up has a daemon thread of its own: a resolver that hangs holds up neither other look-ups nor the exit.
    """
    with suppress(ValueError):
        ipaddress.ip_address(host)
        return [host]
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def tell(found: list[str] | OSError) -> None:
        if answer.done():
            return
        if isinstance(found, OSError):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    def look_up() -> None:
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found: list[str] | OSError = list(dict.fromkeys(str(info[4][0]) for info in infos))
        except UnicodeError:
            found = socket.gaierror(socket.EAI_NONAME, "not a host name")
        except OSError as error:
            found = error
        # The run may be over by now; then nobody waits for the answer.
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, found)

    threading.Thread(target=look_up, name=f"resolve {host}", daemon=True).start()
    return await answer


def _connect_fault(where: str, error: OSError) -> Fault:
    match error:
        case socket.gaierror():
            # EAI_AGAIN: the resolver could not be asked; everything else is its answer.
            again = error.errno == socket.EAI_AGAIN
            said = "the name server did not answer" if again else "there is no such name"
            return Fault("dns", f"{where}: {said} ({error.strerror})", transient=again)
        case ssl.SSLCertVerificationError():
            return Fault("tls", f"{where}: its certificate is not trusted: {error.verify_message}")
        case ssl.SSLError():
            return Fault("tls", f"{where}: TLS failed: {error.reason or error}")
        case ConnectionRefusedError():
            return Fault("refused", f"{where} refused the connection")
        case ConnectionResetError() | BrokenPipeError() | ConnectionAbortedError():
            return Fault("reset", f"{where} broke the connection off before it stood", transient=True)
        case _:
            return Fault("unreachable", f"{where} cannot be reached: {error.strerror or error}", transient=True)


def tls_context(ca_file: str) -> ssl.SSLContext:
    """The one context of a run: the system's store (SSL_CERT_FILE honoured), `ca_file` added, certifi where none is."""
    context = ssl.create_default_context()
    if not _has_system_store():
        context.load_verify_locations(certifi.where())
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"{ca_file}: fetch.ca_file cannot be read as PEM certificates: {error}; "
                "name a readable PEM file or leave the setting empty"
            ) from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def _has_system_store() -> bool:
    paths = ssl.get_default_verify_paths()
    if paths.cafile and Path(paths.cafile).stat().st_size > 0:
        return True
    return bool(paths.capath and any(os.scandir(paths.capath)))
