"""ReplayWeb.page beside the archive: it runs the scripts of archived pages, so it lives on an origin of its own."""

from scraper.replay.player.origin import Apart
from scraper.replay.player.packages import Pack, Player
from scraper.replay.player.routes import routes

__all__ = ["Apart", "Pack", "Player", "routes"]
