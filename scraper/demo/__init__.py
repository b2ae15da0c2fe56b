"""The whole job without the internet: a stand-in web on loopback, and the real pipeline over the sample documents."""

from scraper.demo.show import run

__all__ = ["run"]
