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

# What is not the public internet, written out: `ipaddress.is_global` says other things in every release of Python.
# IANA IPv4 and IPv6 Special-Purpose Address Registries and Multicast Address Spaces, as they stood on 2024-10-22.
# The few globally reachable blocks inside 192.0.0.0/24 and 2001::/23 serve no web pages: both are refused whole.
_SPECIAL_V4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # "this network" (RFC 791, 3.2): Linux takes 0.0.0.0 for the host itself
        "10.0.0.0/8",  # private (RFC 1918)
        "100.64.0.0/10",  # shared by carriers' translators (RFC 6598)
        "127.0.0.0/8",  # loopback (RFC 1122, 3.2.1.3)
        "169.254.0.0/16",  # link-local (RFC 3927): clouds tell their secrets at 169.254.169.254
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocol assignments (RFC 6890, 2.1)
        "192.0.2.0/24",  # documentation (RFC 5737)
        "192.88.99.0/24",  # 6to4 relay anycast, deprecated (RFC 7526)
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking (RFC 2544)
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast (RFC 5771)
        "240.0.0.0/4",  # reserved (RFC 1112, 4), and limited broadcast (RFC 919)
    )
)
# All unicast space that IANA has ever given out (RFC 4291, 2.4). So loopback, unspecified, unique local, link-local,
# site-local, multicast, discard-only, SRv6 and v4-compatible addresses are outside.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_SPECIAL_V6 = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # IETF protocol assignments: Teredo, benchmarking, AMT, ORCHID, drone ids (RFC 2928)
        "2001:db8::/32",  # documentation (RFC 3849)
        "3fff::/20",  # documentation (RFC 9637)
    )
)
# RFC 6052, 2.1: the well-known NAT64 prefix, with an IPv4 address in its tail: networks without IPv4 see the web so.
# The local one (64:ff9b:1::/48, RFC 8215) is refused whole: where in it the address stands, only that network knows.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# ISATAP (RFC 5214, 6.1) hides an IPv4 address in the interface identifier 00-00-5E-FE / 02-00-5E-FE.
_ISATAP = (0x00005EFE, 0x02005EFE)


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
    """Whether an address belongs to the public internet, and does not carry one inside that does not.

    Of an IPv4 address in an IPv6 one, both are judged. Teredo is refused whole: its packets go wherever the relay says.
    """
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in _SPECIAL_V4)
    if ip.scope_id is not None:
        return False
    if ip.ipv4_mapped is not None:  # RFC 4291, 2.5.5.2: another spelling of the IPv4 address
        return is_global(ip.ipv4_mapped)
    tail = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    if ip in _NAT64:
        return is_global(tail)
    if ip not in _GLOBAL_UNICAST or any(ip in network for network in _SPECIAL_V6):
        return False
    if ip.sixtofour is not None and not is_global(ip.sixtofour):
        return False
    return (int(ip) >> 32) & 0xFFFFFFFF not in _ISATAP or is_global(tail)
