"""The stages in order: documents -> citations -> what is due -> fetch -> WARC -> state -> text.

`verbs` has each verb's work. Nothing here prints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scraper.pipeline.verbs import Imported as Imported
    from scraper.pipeline.verbs import Listener as Listener
    from scraper.pipeline.verbs import Repaired as Repaired
    from scraper.pipeline.verbs import Stop as Stop
    from scraper.pipeline.verbs import Summary as Summary
    from scraper.pipeline.verbs import VisitResult as VisitResult
    from scraper.pipeline.verbs import check as check
    from scraper.pipeline.verbs import fetch as fetch
    from scraper.pipeline.verbs import import_files as import_files
    from scraper.pipeline.verbs import list_urls as list_urls
    from scraper.pipeline.verbs import rebuild as rebuild
    from scraper.pipeline.verbs import repair as repair
    from scraper.pipeline.verbs import targets_of as targets_of

# Not `run` and `plan`: those are modules here, and the verbs of that name are in `verbs`.
__all__ = [
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
    # Lazily: a worker that makes texts needs no verb, and the network's libraries take 0.3 s of processor time to load.
    if name in __all__:
        from scraper.pipeline import verbs

        return getattr(verbs, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
