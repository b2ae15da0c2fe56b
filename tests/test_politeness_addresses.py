"""One host at a time speaks with an address."""

import pytest

from scraper.fetcher.addresses import Addresses


def test_an_address_is_one_hosts_until_its_last_claim_is_given_back() -> None:
    freed: list[str] = []
    addresses = Addresses()
    addresses.watch(freed.append)

    assert addresses.claim("192.0.2.1", "a.example")
    assert addresses.claim("192.0.2.1", "a.example")
    assert not addresses.claim("192.0.2.1", "b.example")
    assert addresses.claim("192.0.2.2", "b.example")

    addresses.release("192.0.2.1", "a.example")
    assert not addresses.claim("192.0.2.1", "b.example")
    assert freed == []

    addresses.release("192.0.2.1", "a.example")
    assert freed == ["192.0.2.1"]
    assert addresses.holder("192.0.2.1") is None
    assert addresses.claim("192.0.2.1", "b.example")


def test_only_the_host_that_claimed_an_address_can_give_it_back() -> None:
    addresses = Addresses()
    addresses.claim("192.0.2.1", "a.example")

    with pytest.raises(ValueError, match=r"192\.0\.2\.1 is claimed by a\.example"):
        addresses.release("192.0.2.1", "b.example")
    assert addresses.holder("192.0.2.1") == "a.example"
