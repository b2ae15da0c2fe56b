"""`scraper search`: captured pages by their words."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from scraper.cli.options import Common, common_options

if TYPE_CHECKING:
    from scraper.archiver import Hit
    from scraper.archiver.words import Parts


@click.command(short_help="Find captured pages by words of title and text.")
@click.argument("words", metavar="WORDS...", nargs=-1, required=True)
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="So many pages at most.")
@click.option("--all", "everything", is_flag=True, help="Look at every capture for common words too, however long.")
@common_options
def search(words: tuple[str, ...], limit: int, everything: bool, common: Common) -> int:
    """Find captured pages by words of their title and text: words, '"whole phrases"', beginnings*.

    What holds the words in its title comes first, then the newest. Where all words are common, only the newest captures
    are looked at; you are told when there may be more. To leave out pages with a word, write
    `scraper search -- fire -forest`.
    """
    from scraper import archiver, urls
    from scraper.archiver.words import query
    from scraper.errors import UsageError

    root = common.root(common.settings())
    names = archiver.collections(root)
    if not names:
        raise UsageError(f"{root}: there is no archive here; name one with --archive")
    typed = " ".join(words)
    if not query(typed).wanted:
        raise UsageError(f"no word to look for in: {typed!r}; name at least one that the pages have")
    found = archiver.find_everywhere(root, names, typed, limit=limit, everything=everything)
    for collection, hit in found.hits:
        if common.as_json:
            common.console.record(_fields(collection, hit))
        else:
            common.console.result(_for_people(hit))
    if not found.hits:
        common.console.trouble(f"nothing is found for: {urls.bare(typed)}")
    if hint := _address_hint(urls.bare(typed)):
        (common.console.info if found.hits else common.console.trouble)(hint)
    if found.since:
        common.console.trouble(
            f"these words are common, so only pages captured since {found.since:%Y-%m-%d} were looked at; "
            "--all looks at every one"
        )
    return 0


def _fields(collection: str, hit: Hit) -> dict[str, object]:
    return {
        "url": hit.url,
        "title": hit.title,
        "title_parts": _marked(hit.title_parts),
        "captured_at": f"{hit.captured_at:%Y-%m-%dT%H:%M:%SZ}",
        "captures": hit.captures,
        "collection": collection,
        "text": f"collections/{collection}/{hit.path}",
        "snippet": _marked(hit.snippet),
    }


def _marked(parts: Parts) -> list[dict[str, object]]:
    return [{"text": text, "match": is_match} for text, is_match in parts]


def _address_hint(typed: str) -> str:
    """Who types a web address wants that page, not the pages that name it."""
    if not typed.lower().startswith(("http://", "https://")) or " " in typed:
        return ""
    url = shlex.quote(typed)
    return f"this is a web address; of its page itself tell `scraper show {url}` and `scraper replay {url}`"


def _for_people(hit: Hit) -> str:
    snippet = "".join(f"[{text}]" if is_match else text for text, is_match in hit.snippet)
    lines = [hit.title or "(no title)", f"  {hit.captured_at:%Y-%m-%d}  {hit.url}"]
    lines += [f"  {' '.join(snippet.split())}"] if snippet.strip() else []
    lines.append(f"  scraper replay {shlex.quote(hit.url)} --at {hit.captured_at:%Y%m%d%H%M%S} --as text")
    return "\n".join(lines) + "\n"
