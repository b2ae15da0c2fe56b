"""What a person sees: pages about the archive, and the bar above an archived page. No scripts anywhere."""

from scraper.replay.ui.bar import bar
from scraper.replay.ui.mount import routes
from scraper.replay.ui.rendering import missing, problem

__all__ = ["bar", "missing", "problem", "routes"]
