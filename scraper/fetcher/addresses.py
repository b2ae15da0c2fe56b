"""Which addresses are spoken with? One host at a time: hosts that share a machine share its patience."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


class Crowded(Exception):
    """Another host's request to this address is under way; nothing was sent."""

    def __init__(self, address: str) -> None:
        super().__init__(f"another host's request to {address} is under way")
        self.address = address


@dataclass(slots=True)
class _Claim:
    host: str
    times: int = 0


def _nobody(_address: str) -> None:
    pass


class Addresses:
    """The resolved addresses with a request in flight, each claimed by one host."""

    def __init__(self) -> None:
        self._claims: dict[str, _Claim] = {}
        self._freed: Callable[[str], None] = _nobody

    def watch(self, freed: Callable[[str], None]) -> None:
        """Have `freed` told of every address whose last claim has been given back."""
        self._freed = freed

    def claim(self, address: str, host: str) -> bool:
        """Whether `host` may use the address now; it may claim several times (a page's requisites)."""
        claim = self._claims.setdefault(address, _Claim(host))
        if claim.host != host:
            return False
        claim.times += 1
        return True

    def release(self, address: str, host: str) -> None:
        """Give one claim back."""
        claim = self._claims[address]
        if claim.host != host:
            raise ValueError(f"{address} is claimed by {claim.host}, not by {host}")
        claim.times -= 1
        if not claim.times:
            del self._claims[address]
            self._freed(address)

    def holder(self, address: str) -> str | None:
        """The host that speaks with the address now."""
        claim = self._claims.get(address)
        return claim.host if claim else None
