"""What becomes of a tag's attributes: a pure judgement by the names of tag and attribute, wherever the tag stands."""

from __future__ import annotations

from scraper.references import (
    LAZY_SOURCES,
    LAZY_SRCSETS,
    SRCSETS,
    Kind,
    attribute_kind,
    in_srcset,
    is_placeholder,
)
from scraper.replay.rewriting import styles, tokens
from scraper.replay.rewriting.place import Place

# They run something, send something, or belong to the first visit: a server, an origin, a window that are no more.
# A form goes nowhere: see `form` in elements.py.
_DROPPED = frozenset(
    {
        *("action", "formaction", "formmethod", "formtarget", "formenctype", "ping", "attributionsrc", "manifest"),
        *(
            "integrity",
            "crossorigin",
            "nonce",
            "referrerpolicy",
            "csp",
            "allow",
            "sandbox",
            "target",
            "download",
            "srcdoc",
        ),
        *("codebase", "classid", "archive", "code", "profile", "xml:base", "lowsrc", "dynsrc", "usertrack", "data"),
        *(
            "imagesrcset",
            "imagesizes",
            "blocking",
            "fetchpriority",
            "browsingtopics",
            "sharedstoragewritable",
            "hreftranslate",
        ),
        *(
            "adauctionheaders",
            "privatetoken",
            "credentialless",
            "implementation",
            "definitionurl",
            "http-equiv",
            "charset",
        ),
    }
)
_MOST_KNOWN = 10_000
_KEPT_LINKS = ("mailto:", "tel:")
_CSS_ATTRIBUTES = frozenset(
    {
        *("style", "fill", "stroke", "filter", "clip-path", "mask", "cursor", "color-profile"),
        *("marker", "marker-start", "marker-mid", "marker-end"),
    }
)
# What most attributes are; the others take the long way round.
_PLAIN = frozenset(
    {
        *(
            "class",
            "id",
            "alt",
            "title",
            "width",
            "height",
            "role",
            "lang",
            "dir",
            "name",
            "type",
            "value",
            "rel",
            "media",
        ),
        *("aria-label", "aria-hidden", "aria-labelledby", "tabindex", "loading", "decoding", "sizes", "itemprop", "d"),
        *("viewbox", "xmlns", "content", "property", "placeholder", "for", "transform", "data-src", "data-srcset"),
    }
)
_LAZY_TAGS = frozenset({"img", "image", "source", "iframe", "video", "audio"})


class Addresses:
    """The attributes of one page's tags; remembers addresses, for a page names the same ones over and over."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.based = False  # has the page a <base> which leads "#part" elsewhere?
        self._known: dict[str, str] = {}

    def rewritten(self, tag: str, found: dict[str, str]) -> str:
        """The attributes as they are to be written, each with a blank before it."""
        if tag in _LAZY_TAGS:
            found = awake(found)
        written = []
        for name, value in found.items():
            if name in _PLAIN:
                new: str | None = value if '"' not in value and "<" not in value else tokens.requoted(value)
            else:
                new = self._value(tag, name, value)
            if new is not None:
                written.append(f' {name}="{new}"' if new or value else f" {name}")
        return "".join(written)

    def _value(self, tag: str, name: str, value: str) -> str | None:
        """An attribute's new value, escaped; None where it is taken away."""
        if name in _DROPPED or name.startswith("on"):
            return None
        if (tag, name) in SRCSETS or name == "srcset":
            return tokens.escaped(self.srcset(tokens.unescaped(value))) or None
        kind = attribute_kind(tag, name)
        if kind is Kind.LINK:
            return self.linked(value) or None
        if kind is not None:
            return self._shown(tag, value, kind)
        if name in _CSS_ATTRIBUTES and (name == "style" or "(" in value or "\\" in value or "&" in value):
            return tokens.escaped(styles.stylesheet(tokens.unescaped(value), self.place))
        return tokens.requoted(value)

    def _shown(self, tag: str, value: str, kind: Kind) -> str | None:
        url = tokens.unescaped(value)
        if url.startswith("#") and tag in ("use", "feimage", "image"):
            return tokens.escaped(url)  # a part of this very document
        if tag == "use" and url.lstrip().lower().startswith("data:"):
            return None
        return tokens.escaped(styles.embedded(url, kind, self.place)) or None

    def linked(self, value: str) -> str:
        """The value to write for a link's; "" where it leads nowhere."""
        address = self._known.get(value)
        if address is None:
            address = self._linked(value)
            if len(self._known) < _MOST_KNOWN:
                self._known[value] = address
        return address

    def shown(self, value: str) -> str:
        """The value to write for a picture's; "" where nothing may be asked for."""
        return self._shown("img", value, Kind.IMAGE) or ""

    def _linked(self, value: str) -> str:
        url = tokens.unescaped(value).strip(tokens.WHITE)
        if url.startswith("#") and not self.based:
            return tokens.escaped(url)
        if url.lower().startswith(_KEPT_LINKS):  # a reader's own program answers, after a click
            return tokens.escaped(url)
        return tokens.escaped(self.place.link(url))

    def link(self, url: str, modifier: str = "") -> str:
        """The archived address of an unescaped URL, escaped for an attribute."""
        return tokens.escaped(self.place.link(url, modifier))

    def srcset(self, value: str) -> str:
        """The candidates of a srcset with their addresses rewritten; those that may not be asked for are left out."""
        candidates = []
        for found in in_srcset(value):
            # A blank or a comma at an end would part the address: WHATWG URLs hold no blanks.
            address = styles.embedded(found.url, Kind.IMAGE, self.place)
            if address:
                candidates.append(f"{address} {found.descriptor}".rstrip())
        return ", ".join(candidates)


def awake(found: dict[str, str]) -> dict[str, str]:
    """A picture's attributes with the address which a script would have put in later."""
    source = next((found[name] for name in LAZY_SOURCES if found.get(name)), "")
    candidates = next((found[name] for name in LAZY_SRCSETS if found.get(name)), "")
    new = {}
    if source and source != found.get("src") and is_placeholder(tokens.unescaped(found.get("src", ""))):
        new["src"] = source
    if candidates and candidates != found.get("srcset") and is_placeholder(tokens.unescaped(found.get("srcset", ""))):
        new["srcset"] = candidates
    return {**found, **new} if new else found
