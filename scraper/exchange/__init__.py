"""The archive's captures as tables for other programs."""

from scraper.exchange.tables import rows, write

__all__ = ["rows", "write"]
