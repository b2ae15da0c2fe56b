"""`scraper`, in a process that sends itself a signal on entering a function: `python signalled.py STAGES VERB…`.

STAGES is a JSON list of `["module:function", calls before, signal number]`, each sent once. Workers run this file
again, under the name `__mp_main__`: where STAGED_WORKERS names a folder, each leaves its number there when it is to
make a text, and then does nothing any more.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any


def on_entering(place: str, act: Callable[[], object]) -> None:
    """Have something done each time before a function of the house, or a method, runs."""
    module, _, path = place.partition(":")
    owner: Any = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    real = getattr(owner, name)

    @functools.wraps(real)
    def entered(*arguments: Any, **options: Any) -> Any:
        act()
        return real(*arguments, **options)

    setattr(owner, name, entered)


def sending(number: int, calls_before: int) -> Callable[[], None]:
    calls = itertools.count()

    def send() -> None:
        if next(calls) == calls_before:
            os.kill(os.getpid(), number)

    return send


def at_work_for_ever(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    threading.Event().wait()


if __name__ == "__main__":
    for place, calls_before, number in json.loads(sys.argv.pop(1)):
        on_entering(place, sending(number, calls_before))
    from scraper.cli import main

    main()
elif folder := os.environ.get("STAGED_WORKERS"):
    on_entering("scraper.pipeline.making:make_text", functools.partial(at_work_for_ever, Path(folder)))
