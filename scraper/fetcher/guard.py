"""Where the fetcher may go: ports and addresses. Pure; nothing is resolved here."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from scraper.model import Target
from scraper.settings import FetchSettings, resolver_overrides

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Refusal = Literal["port", "address"]

WEB_PORTS = frozenset({80, 443, 8000, 8080, 8443})

# RFC 6052, 2.1: the well-known NAT64 prefix; RFC 8215: the local one. Both carry an IPv4 address in their tail.
_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_V4_COMPATIBLE = ipaddress.IPv6Network("::/96")
# ISATAP (RFC 5214, 6.1) hides an IPv4 address in the interface identifier 00-00-5E-FE / 02-00-5E-FE.
_ISATAP = (0x00005EFE, 0x02005EFE)
# Not marked private by every Python in use: IETF protocol assignments, 6to4 relay anycast, ORCHID, site-local.
_RESERVED = tuple(
    ipaddress.ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "fec0::/10", "100::/64")
)


@dataclass(frozen=True, slots=True)
class Guard:
    """What the settings allow: extra ports, networks that are not global, and pinned names."""

    ports: frozenset[int]
    networks: tuple[Network, ...]
    overrides: Mapping[str, str]

    @classmethod
    def of(cls, settings: FetchSettings) -> Guard:
        """Compile the settings once; reads `resolve_file`."""
        networks = tuple(ipaddress.ip_network(text) for text in settings.allow_networks)
        return cls(WEB_PORTS | frozenset(settings.ports), networks, resolver_overrides(settings))

    def override(self, host: str, port: int) -> tuple[str, int] | None:
        """The pinned address and port of a name, if the settings give one."""
        pinned = self.overrides.get(f"{host.lower()}:{port}")
        if pinned is None:
            return None
        address, _, number = pinned.rpartition(":")
        return address.strip("[]"), int(number)

    def allows(self, address: str) -> bool:
        """Whether a connection may go to this IP address."""
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        return is_global(ip) or any(ip in network for network in self.networks if network.version == ip.version)


def refusal(target: Target, guard: Guard) -> Refusal | None:
    """Why a target is not asked for at all, as far as can be told without the network."""
    if guard.override(target.host, target.port) is not None:
        return None
    if target.port not in guard.ports:
        return "port"
    literal = _literal(target.host)
    return None if literal is None or guard.allows(literal) else "address"


def _literal(host: str) -> str | None:
    """The IP address that a host name spells, if it spells one."""
    name = host.rstrip(".").lower()
    # RFC 6761, 6.3: localhost names are loopback, whatever a resolver says.
    if name == "localhost" or name.endswith(".localhost"):
        return "127.0.0.1"
    bare = name.strip("[]")
    # WHATWG URL, 3.5: a host that ends in a number is an IPv4 address or nothing.
    if bare == name and not name[-1:].isdigit():
        return None
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        return None
    return bare


def is_global(ip: Address) -> bool:
    """Whether an address belongs to the public internet, and does not carry one inside that does not."""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.scope_id is not None:
            return False
        inner = _carried(ip)
        if inner is not None:
            return is_global(inner)
    if ip.is_multicast or ip.is_reserved or ip.is_unspecified or not ip.is_global:
        return False
    return not any(ip in network for network in _RESERVED if network.version == ip.version)


def _carried(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address leads to: v4-mapped, 6to4, NAT64, v4-compatible, ISATAP.

    Teredo (2001::/32) is refused whole: its packets go wherever the relay says.
    """
    number = int(ip)
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    tail = ipaddress.IPv4Address(number & 0xFFFFFFFF)
    if any(ip in network for network in _NAT64) or ip in _V4_COMPATIBLE:
        return tail
    return tail if (number >> 32) & 0xFFFFFFFF in _ISATAP else None
