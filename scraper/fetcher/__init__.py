"""The only door to the network: polite visits, recorded byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scraper.fetcher.robots import user_agent

if TYPE_CHECKING:
    from scraper.fetcher.burst import Requisites as Requisites
    from scraper.fetcher.fetcher import Fetched as Fetched
    from scraper.fetcher.fetcher import Fetcher as Fetcher
    from scraper.fetcher.fetcher import Progress as Progress

__all__ = ["Fetched", "Fetcher", "Progress", "Requisites", "user_agent"]


def __getattr__(name: str) -> Any:
    # Lazily: `guard` and `politeness` serve commands that use no network, and httpx takes 0.1 s to load.
    if name in __all__:
        from scraper.fetcher import fetcher

        return getattr(fetcher, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
