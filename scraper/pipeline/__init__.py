"""The stages in order: documents -> citations -> what is due -> fetch -> WARC -> state -> text.

`verbs` has the work of the verbs that go out to the network, the others are modules of their own. Nothing here prints.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scraper.pipeline.checking import check as check
    from scraper.pipeline.importing import Imported as Imported
    from scraper.pipeline.importing import import_files as import_files
    from scraper.pipeline.listening import HostDown as HostDown
    from scraper.pipeline.listening import Listener as Listener
    from scraper.pipeline.listening import VisitResult as VisitResult
    from scraper.pipeline.plan import list_urls as list_urls
    from scraper.pipeline.repairing import Repaired as Repaired
    from scraper.pipeline.repairing import repair as repair
    from scraper.pipeline.run import Stop as Stop
    from scraper.pipeline.upkeep import rebuild as rebuild
    from scraper.pipeline.verbs import Summary as Summary
    from scraper.pipeline.verbs import fetch as fetch
    from scraper.pipeline.verbs import targets_of as targets_of

# Not `run` and `plan`: those are modules here, and the verbs of that name are in `verbs`.
_MODULES = {
    "HostDown": "listening",
    "Imported": "importing",
    "Listener": "listening",
    "Repaired": "repairing",
    "Stop": "run",
    "Summary": "verbs",
    "VisitResult": "listening",
    "check": "checking",
    "fetch": "verbs",
    "import_files": "importing",
    "list_urls": "plan",
    "rebuild": "upkeep",
    "repair": "repairing",
    "targets_of": "verbs",
}

__all__ = [
    "HostDown",
    "Imported",
    "Listener",
    "Repaired",
    "Stop",
    "Summary",
    "VisitResult",
    "check",
    "fetch",
    "import_files",
    "list_urls",
    "rebuild",
    "repair",
    "targets_of",
]


def __getattr__(name: str) -> Any:
    # Lazily: each verb pays for what it needs alone, and the network's libraries take 0.2 s of processor time to load.
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
