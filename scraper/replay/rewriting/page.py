"""A page written anew, token by token: see the package for why that is safe."""

from __future__ import annotations

import html
import re
from dataclasses import replace

from scraper import references, urls
from scraper.references import Kind
from scraper.replay.rewriting import styles, tokens
from scraper.replay.rewriting.attributes import Addresses, awake
from scraper.replay.rewriting.place import MOST_CHARACTERS, MOST_WRITTEN, Place, TooLarge

MOST_TAGS = 1_000_000  # a few seconds' work
_DEEPEST_FRAME = 3  # srcdoc in srcdoc
_LONGEST_BASE = 2048  # it goes before every relative address of the page

# Gone with their tags, what is between them stays: fallbacks for those who cannot run or embed things, as we cannot.
_UNWRAPPED = frozenset(
    {"noscript", "object", "applet", "param", "embed", "portal", "fencedframe", "bgsound", "base", "model"}
)
_EMPTIED = frozenset({"script", "noembed", "noframes"})  # gone with their content
_FOREIGN = frozenset({"svg", "math"})
_ANIMATIONS = frozenset({"animate", "set", "animatetransform", "animatemotion", "animatecolor", "discard"})
# `<link>`s: what is shown, and what only says where something is. All others make a browser speak to somebody.
_NAMING_LINKS = frozenset(
    {
        "alternate",
        "canonical",
        "amphtml",
        "author",
        "license",
        "shortlink",
        "prev",
        "next",
        "up",
        "help",
        "index",
        "bookmark",
    }
)
_ICONS = frozenset({"icon", "apple-touch-icon", "apple-touch-icon-precomposed", "mask-icon"})
_KEPT_PRAGMAS = frozenset({"x-ua-compatible", "content-language", "default-style", "imagetoolbar"})
_DOCTYPE = re.compile(r"[\w\s\"'./:+,;()-]*", re.ASCII)
_BY_SCRIPT = re.compile(r"(?:\bmedia\s{0,9}=\s{0,9}['\"]?([\w\s,():-]{0,100}))|stylesheet", re.I)


def page(text: str, place: Place, bar: str = "") -> str:
    """A page whose every address leads into the archive and where nothing runs, to be served as UTF-8.

    `bar` is markup of our own, trusted, put right after `<body>`; framesets get none. Raises `TooLarge`.
    """
    if len(text) > MOST_CHARACTERS:
        raise TooLarge(f"{place.url}: a page of {len(text):,} characters is not rewritten; read it raw")
    if (tags := text.count("<")) > MOST_TAGS:
        raise TooLarge(f"{place.url}: a page of {tags:,} tags is not rewritten; read it raw")
    return _Page(_whole(text), place, bar, 0).written()


def _whole(text: str) -> str:
    """The text without what would be written otherwise than it was judged: NUL and halves of surrogate pairs."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text.replace("\0", "\ufffd")


class _Page:
    """One pass over a page."""

    def __init__(self, text: str, place: Place, bar: str, depth: int) -> None:
        self._text = text
        self._trusted = bar
        self._depth = depth
        self._base_seen = False
        self._begin(place)

    def _begin(self, place: Place) -> None:
        self._bar = self._trusted
        self._out: list[str] = []
        self._written = 0  # characters of tags and styles
        self._bar_at: int | None = None  # where it goes if there is no <body>
        self._refresh = ""
        self._foreign = 0  # how deep in SVG or MathML
        self._in_noscript = False
        self._woken = False  # was the last picture one that a script would have loaded?
        self._addresses = Addresses(place)
        self._addresses.based = bool(place.base)

    def _base(self, found: dict[str, str], at: int) -> int:
        """Mind a `<base>`: the first that has a href holds for all addresses, also for those before it (4.2.3)."""
        if self._base_seen or "href" not in found:
            return at
        self._base_seen = True
        place = self._addresses.place
        if len(found["href"]) > _LONGEST_BASE:
            return at
        base = urls.resolved(tokens.unescaped(found["href"]).strip(tokens.WHITE), place.base or place.url)
        apart = base.partition("#")[0] != place.url.partition("#")[0]
        if not apart or not base.startswith(("http://", "https://")):
            return at
        self._begin(replace(place, base=base))
        return 0

    def written(self) -> str:
        """The whole page."""
        text, at = self._text, 0
        while at < len(text):
            at = self._run(at)
        self._place_bar()
        return "".join(self._out)

    def _run(self, at: int) -> int:
        """Write tokens for as long as each begins where the last one ended; where to read on."""
        write, link = self._out.append, self._addresses.linked
        for found in tokens.TOKEN.finditer(self._text, at):
            kind, at = found.lastgroup, found.end()
            if kind == "rest":
                clean, before, mid, href, after, rest = found.group("clean", "before", "mid", "href", "after", "rest")
                if address := link(href):
                    write(f"{clean}{before}{mid}{address}{after}{rest}")
                    self._count(len(address))
                else:
                    write(f"{clean}{before}{mid.rpartition('href')[0].rstrip()}{after[1:]}{rest}")
            elif kind == "clean":
                write(found["clean"])
            elif kind == "last":
                write(found["clean"])
                self._plain_picture(*found.group("img", "attribute", "src", "last"))
            elif kind == "end":
                if found["end"]:  # else the page ends in the tag, and the browser drops it
                    onward = self._start(found["name"], found["attributes"], at)
                    if onward != at:
                        return onward
            elif kind == "closed":
                self._close(found["closed"].lower())
            elif kind == "cdata":
                return self._cdata(at)
            elif kind == "stray":
                write("&lt;")
            elif kind == "doctype" and not self._out:
                write(f"<!{found[0][2:-1]}>" if _DOCTYPE.fullmatch(found["doctype"]) else "<!DOCTYPE html>")
        return at

    # ------------------------------------------------------------------ tags

    def _start(self, written_name: str, attributes: str, at: int) -> int:
        """Write a start tag, and for an element of raw text its content too; where to read on."""
        name = written_name.lower()
        closed = attributes.endswith("/") and (self._foreign > 0 or name in _FOREIGN)
        if name in tokens.RAW:
            end = at if closed else tokens.raw_end(name, self._text, at)
            self._raw(name, attributes, self._text[at:end])
            closing = None if closed else tokens.END_TAG.match(self._text, end)
            return closing.end() if closing else end
        if name == "plaintext":
            self._out.append(f"<pre>{_text(self._text[at:])}</pre>")
            return len(self._text)
        if name == "noscript":
            self._in_noscript = True
        if name == "base":
            return self._base(tokens.attributes(attributes), at)
        if name in _UNWRAPPED or not tokens.writable(written_name):
            return at
        found = tokens.attributes(attributes) if attributes else {}
        if name in _FOREIGN and not closed:
            self._foreign += 1
        if name in ("img", "image"):
            self._picture(written_name, found, closed)
        elif name == "meta":
            self._meta(found)
        elif name == "link":
            self._link(found)
        elif name in _ANIMATIONS:
            self._animation(written_name, found, closed)
        else:
            if name == "form":
                # A form of the method "dialog" goes nowhere (HTML standard, 4.10.22.3): there to see, and inert.
                found["method"] = "dialog"
            self._tag(written_name, found, closed)
            self._note(name)
        return at

    def _tag(self, name: str, found: dict[str, str], closed: bool = False) -> None:
        rewritten = self._addresses.rewritten(name.lower(), found) if found else ""
        self._count(len(rewritten))
        self._out.append(f"<{name}{rewritten}{'/' if closed else ''}>")

    def _note(self, name: str) -> None:
        if name == "body" or (name == "frameset" and self._bar):
            if name == "body" and self._bar:
                self._out.append(self._bar)
            self._bar, self._bar_at = "", None
            self._put_refresh()
        elif name == "html" and self._bar_at is None:
            self._bar_at = len(self._out)

    def _close(self, name: str) -> None:
        if name == "noscript":
            self._in_noscript = False
        if name in _UNWRAPPED or name in _EMPTIED or not tokens.writable(name) or name == "plaintext":
            return
        if name in _FOREIGN:
            self._foreign = max(0, self._foreign - 1)
        self._out.append("</pre>" if name == "xmp" else f"</{name}>")
        if name == "head":
            self._bar_at = len(self._out)

    def _picture(self, name: str, found: dict[str, str], closed: bool) -> None:
        if self._in_noscript and self._woken:
            return  # the same picture for those without scripts, and it is shown already
        if not self._in_noscript:
            self._woken = awake(found) is not found
        self._tag(name, found, closed)

    def _plain_picture(self, start: str, attribute: str, src: str, last: str) -> None:
        if self._in_noscript and self._woken:
            return
        self._woken = self._woken and self._in_noscript
        address = self._addresses.shown(src)
        self._count(len(address))
        self._out.append(f'{start}{attribute}{address}"{last}' if address else f"{start}{last}")

    def _animation(self, name: str, found: dict[str, str], closed: bool) -> None:
        """SMIL moves things without scripts; it may not move an address."""
        target = tokens.unescaped(found.get("attributename", "")).lower()
        values = "".join(tokens.unescaped(found.get(key, "")) for key in ("values", "from", "to", "by"))
        if "href" in target or target in ("src", "style", "class") or target.startswith("on"):
            return
        if not re.search(r"(?i)url|\\|:|//", values):
            self._tag(name, found, closed)

    # ------------------------------------------------------------- raw text

    def _raw(self, name: str, attributes: str, content: str) -> None:
        """Write an element whose content the tokenizer does not read as markup.

        Always with its end tag: after a bare `<style/>` a parser might take the page's text for a style.
        """
        if name in _EMPTIED:
            return
        found = tokens.attributes(attributes)
        if name == "iframe":
            self._frame(found)
        elif name == "xmp":
            self._tag("pre", found)
            self._out.append(_text(content.replace("&", "&amp;")) + "</pre>")
        else:
            self._tag(name, found)
            self._out.append(self._style(content) if name == "style" else _text(content))
            self._out.append(f"</{name}>")

    def _style(self, content: str) -> str:
        if self._foreign:  # the style of an SVG is read as markup is
            content = html.unescape(content)
        written = styles.in_style_element(content, self._addresses.place)
        self._count(len(written))
        return written

    def _count(self, size: int) -> None:
        """Addresses grow when they are rewritten, a million of them to more than a machine holds."""
        self._written += size
        if self._written > MOST_WRITTEN:
            place = self._addresses.place
            raise TooLarge(f"{place.url}: rewritten, this page has more than {MOST_WRITTEN:,} characters; read it raw")

    def _frame(self, found: dict[str, str]) -> None:
        inner = found.pop("srcdoc", None)
        rewritten = self._addresses.rewritten("iframe", found)
        if inner is not None and self._depth < _DEEPEST_FRAME:
            document = _Page(_whole(tokens.unescaped(inner)), self._addresses.place, "", self._depth + 1)
            rewritten += f' srcdoc="{tokens.escaped(document.written())}"'
        self._out.append(f"<iframe{rewritten}></iframe>")

    def _cdata(self, at: int) -> int:
        """In SVG and MathML a CDATA section is text; elsewhere it is a comment, up to the next `>`."""
        if not self._foreign:
            return self._text.find(">", at) + 1 or len(self._text)
        end = self._text.find("]]>", at)
        content = self._text[at : end if end >= 0 else len(self._text)]
        self._out.append(_text(content.replace("&", "&amp;")))
        return end + 3 if end >= 0 else len(self._text)

    # ----------------------------------------------------------------- head

    def _meta(self, found: dict[str, str]) -> None:
        pragma = tokens.unescaped(found.get("http-equiv", "")).strip(tokens.WHITE).lower()
        if "charset" in found or pragma == "content-type":
            self._out.append('<meta charset="utf-8">')
        elif pragma == "refresh":
            self._refreshed(tokens.unescaped(found.get("content", "")))
        elif "http-equiv" not in found:
            if tokens.unescaped(found.get("name", "")).strip().lower() not in ("referrer", "monetization"):
                self._tag("meta", found)
        elif pragma in _KEPT_PRAGMAS:
            self._out.append(f'<meta http-equiv="{pragma}" content="{tokens.requoted(found.get("content", ""))}">')

    def _refreshed(self, content: str) -> None:
        """Sandboxed pages go nowhere by themselves: the refresh is rewritten, and shown as a link too."""
        found = references.refresh(content)
        if found is None or not found[1] or self._in_noscript:
            return
        address = self._addresses.link(found[1])
        if not address or address == self._addresses.link(self._addresses.place.url):
            return
        self._out.append(f'<meta http-equiv="refresh" content="{found[0]:g};url={address}">')
        shown = tokens.escaped(self._addresses.place.resolve(found[1]) or "")
        self._refresh = (
            self._refresh or f'<p class="archive-refresh">This page leads on to <a href="{address}">{shown}</a></p>'
        )

    def _link(self, found: dict[str, str]) -> None:
        relation = tokens.unescaped(found.get("rel", ""))
        handler = _BY_SCRIPT.search(tokens.unescaped(found.get("onload", "")))
        kind = references.link_kind(relation, found.get("as", ""))
        words = set(relation.lower().split())
        if kind is Kind.STYLE and (handler or "stylesheet" in words):
            found = _applied(found, handler)
        elif kind is Kind.IMAGE and words & _ICONS:
            found = {**found, "rel": " ".join(sorted(words & _ICONS))}  # "icon preconnect" is an icon
        elif not words or not words <= _NAMING_LINKS:
            return
        href = tokens.unescaped(found.pop("href", ""))
        if kind is Kind.LINK:
            address = self._addresses.place.link(href)
        else:
            address = styles.embedded(href, kind, self._addresses.place)
        if address:
            self._out.append(f'<link{self._addresses.rewritten("link", found)} href="{tokens.escaped(address)}">')

    # ------------------------------------------------------------------ bar

    def _put_refresh(self) -> None:
        self._out.append(self._refresh)
        self._refresh = ""

    def _place_bar(self) -> None:
        """For pages without `<body>`: after the head, or after what opens the page."""
        extra = self._bar + self._refresh
        if extra:
            self._out.insert(self._bar_at if self._bar_at is not None else min(1, len(self._out)), extra)


def _applied(found: dict[str, str], handler: re.Match[str] | None) -> dict[str, str]:
    """A style sheet that waits for a script (`media=print onload="this.media='all'"`) as that script would leave it."""
    applied = {name: value for name, value in found.items() if name not in ("as", "rel")}
    if handler and handler[1] is not None and "media" in applied:
        applied["media"] = handler[1].strip() or "all"
    rel = "alternate stylesheet" if "alternate" in found.get("rel", "").lower().split() else "stylesheet"
    return {"rel": rel, **applied}


def _text(written: str) -> str:
    """Text of which no parser can make markup."""
    return written.replace("<", "&lt;")
