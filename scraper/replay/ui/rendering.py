"""Templates: values in, HTML out. Everything is escaped but the bar's own style sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from scraper import printable
from scraper.replay.holdings import Memento
from scraper.replay.ui import links

FOLDER = Path(__file__).parent


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates, compiled once a process."""
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "line": printable.line,
        "block": printable.block,
        "day": lambda moment: str(moment)[:10],
        "minute": lambda moment: str(moment)[:16].replace("T", " "),
        "stamp": links.stamp,
        "number": lambda count: f"{count:,}",
        "bytes": byte_count,
    }
    made.globals["links"] = links
    # The bar's own style, and the page's: room at the top, whatever its body is laid out as.
    made.globals["bar_style"] = (FOLDER / "templates" / "bar.css").read_text(encoding="utf-8")
    made.globals["bar_room"] = (FOLDER / "templates" / "room.css").read_text(encoding="utf-8")
    return made


def render(name: str, values: Mapping[str, Any]) -> str:
    """A template's HTML; half characters, which JSON can hold and no page can, become question marks."""
    html = environment().get_template(name).render(values)
    return html.encode("utf-8", "replace").decode("utf-8")


def problem(title: str, sentences: tuple[str, ...], onward: tuple[tuple[str, str], ...] = ()) -> str:
    """A page that says what is wrong, and where to go on: `onward` are labels with addresses of ours."""
    return render("problem.html", {"title": title, "sentences": sentences, "onward": onward})


def missing(collection: str, url: str, elsewhere: Sequence[Memento], tries: Sequence[str]) -> str:
    """A page about a URL of which a collection holds no capture: who else does, and the visits that brought none."""
    values = {"collection": collection, "url": url, "elsewhere": elsewhere, "tries": tries}
    return render("missing.html", values)


def byte_count(size: int) -> str:
    """A size in the unit in which it is short."""
    if size < 1024:
        return f"{size} bytes"
    return f"{size / 1024:.1f} KiB" if size < 1024 * 1024 else f"{size / 1024 / 1024:.1f} MiB"
