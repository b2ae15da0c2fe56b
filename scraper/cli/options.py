"""The options every verb takes, and what they become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scraper.cli.console import Console, Level
from scraper.errors import UsageError

if TYPE_CHECKING:
    from scraper.settings import Settings


@dataclass(frozen=True, slots=True)
class Common:
    """The common options of a verb, as given."""

    config: str | None
    archive: str | None
    sets: tuple[str, ...]
    as_json: bool
    console: Console

    def settings(self) -> Settings:
        """The settings, with flags over environment over TOML over defaults. Raises `ConfigError`."""
        from scraper import settings

        return settings.load(settings.find_config(self.config), self.sets)

    def root(self, settings: Settings) -> Path:
        """The archive's folder."""
        named = settings.archive if self.archive is None else self.archive
        try:
            path = Path(named).expanduser()
        except RuntimeError as error:
            raise UsageError(f"{named}: {error}; name the archive's folder with --archive") from error
        if not named:
            raise UsageError("the archive's folder has no name; name one with --archive")
        return path


def common_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Add the common options to a verb; they arrive as one `Common`."""

    @click.option("--config", metavar="FILE", help="Settings file (default: config/scraper.toml).")
    @click.option("--archive", metavar="DIR", help="The archive's folder (default: archive).")
    @click.option("--set", "sets", metavar="KEY=VALUE", multiple=True, help="Change a setting; may be repeated.")
    @click.option("--quiet", is_flag=True, help="Log errors only.")
    @click.option("--verbose", is_flag=True, help="Log every visit.")
    @click.option("--json", "as_json", is_flag=True, help="Results as JSON lines.")
    @wraps(verb)
    def with_common(
        *args: Any,
        config: str | None,
        archive: str | None,
        sets: tuple[str, ...],
        quiet: bool,
        verbose: bool,
        as_json: bool,
        **rest: Any,
    ) -> Any:
        if quiet and verbose:
            raise click.UsageError("--quiet and --verbose contradict each other")
        level = Level.QUIET if quiet else Level.VERBOSE if verbose else Level.NORMAL
        return verb(*args, common=Common(config, archive, sets, as_json, Console(level)), **rest)

    return with_common
