"""Reading HTML: what the HTML standard's tokenizer (13.2.5) sees, with all that is harmless passed over at once."""

from __future__ import annotations

import html
import re
from html.entities import html5

WHITE = " \t\n\r\f"
_ATTRIBUTES = (
    rf"(?:[{WHITE}/]++|[^{WHITE}/>][^{WHITE}/>=]*+"
    rf"(?:[{WHITE}]*+=[{WHITE}]*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)|[^{WHITE}>\"'][^{WHITE}>]*+)?+)?+)*+"
)
# Elements and attributes that need a look; all others are copied as they are when they are cleanly written.
_SPECIAL = (
    "applet|audio|base|bgsound|body|embed|fencedframe|form|frame|frameset|head|iframe|image|img|math|noembed|noframes"
    "|noscript|object|param|plaintext|portal|script|source|style|svg|textarea|title|video|xmp"
)
_HARMLESS = (
    "class|id|alt|title|width|height|role|lang|dir|name|type|value|for|placeholder|colspan|rowspan|align|valign|border"
    "|cellpadding|cellspacing|itemprop|itemscope|itemtype|property|datetime|hidden|tabindex|d|viewBox|x|y|r|cx|cy|label"
    "|color|size|face|bgcolor|scope|start|media|data-[a-z0-9-]{1,60}|aria-[a-z]{1,30}"
)
_PAINT = "fill|stroke|fill-rule|clip-rule|stroke-width|stroke-linecap|stroke-linejoin|opacity|points"
_PASSED = rf"(?:{_HARMLESS})=\"[^\"<]*+\"|(?:{_PAINT})=\"[^\"<(\\]*+\""
# No `<` in the values, and tags of the plainest form only: what is copied keeps to the language of the output.
_CLEAN = (
    rf"[^<]++|<(?!(?:{_SPECIAL})[\s/>])[a-z][a-z0-9-]*+(?:[ \n]++(?:{_PASSED}))*+[ \n]*+/?>"
    rf"|</(?!(?:{_SPECIAL})[\s/>])[a-z][a-z0-9-]*+>|</[abi]>"
    r"|<meta[ \n]++(?:property|itemprop)=\"[^\"<]*+\"[ \n]++content=\"[^\"<]*+\"[ \n]*+/?>"
)
TOKEN = re.compile(
    rf"(?P<clean>(?:{_CLEAN})++)"
    rf"|<(?P<name>[a-zA-Z][^{WHITE}/>]*+)(?P<attributes>{_ATTRIBUTES})(?P<end>>|\Z)"
    rf"|</(?P<closed>[a-zA-Z][^{WHITE}/>]*+){_ATTRIBUTES}(?:>|\Z)"
    r"|<!--(?:-?>|.*?(?:--!?>|\Z))"
    r"|<!\[CDATA\[(?P<cdata>.*?)(?:\]\]>|\Z)"
    r"|<!(?P<doctype>[dD][oO][cC][tT][yY][pP][eE](?![a-zA-Z])[^><]*+)>"
    r"|<[!?/][^>]*+(?:>|\Z)"
    r"|(?P<stray><)",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(
    rf"([^{WHITE}/>][^{WHITE}/>=]*+)"
    rf"(?:[{WHITE}]*+=[{WHITE}]*+(?:\"([^\"]*+)(?:\"|\Z)|'([^']*+)(?:'|\Z)|([^{WHITE}>\"'][^{WHITE}>]*+))?+)?+"
)
_PLAIN_NAME = re.compile(r"[^\s\"'<>/=\x00-\x1f\x7f]{1,200}")
_RAW_END = {
    name: re.compile(rf"(?i)</{name}(?=[{WHITE}/>])")
    for name in ("style", "textarea", "title", "xmp", "iframe", "noembed", "noframes")
}
RAW = frozenset({*_RAW_END, "script"})
_SCRIPT_SIGN = re.compile(rf"(?i)<!--|-->|<(/?)script(?=[{WHITE}/>])")
_CHARACTER = re.compile(r"&(#[xX][0-9a-fA-F]++;?|#[0-9]++;?|[a-zA-Z][a-zA-Z0-9]*+;?)(=?)")


def attributes(text: str) -> dict[str, str]:
    """The attributes of a tag by lower-case name, values as written; of two of one name the first counts (13.2.5.33).

    Those whose names could not be written again without being read otherwise are left out.
    """
    found: dict[str, str] = {}
    for name, double, single, bare in _ATTRIBUTE.findall(text):
        key = name.lower()
        if key not in found and (name.isalnum() or _PLAIN_NAME.fullmatch(name)):
            found[key] = double or single or bare
    return found


def unescaped(value: str) -> str:
    """An attribute's value with its character references resolved (13.2.5.72): unlike in text, `&copy=1` stays."""
    return _CHARACTER.sub(_character, value) if "&" in value else value


def _character(found: re.Match[str]) -> str:
    name = found[1]
    if name.startswith("#"):
        return html.unescape("&" + name) + found[2]
    if name.endswith(";") or not found[2]:
        return html5.get(name, "&" + name) + found[2]
    return found[0]


def escaped(value: str) -> str:
    """A text as the value of an attribute in double quotes."""
    return value.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")


def requoted(value: str) -> str:
    """A value as written, its character references untouched, so that double quotes can hold it."""
    return value.replace('"', "&quot;").replace("<", "&lt;")


def writable(name: str) -> bool:
    """Can a tag of this name be written so that every parser reads the same name?"""
    return bool(_PLAIN_NAME.fullmatch(name))


def raw_end(name: str, text: str, at: int) -> int:
    """Where the content of a raw text element ends: before its end tag, or with the page."""
    if name == "script":
        return _script_end(text, at)
    found = _RAW_END[name].search(text, at)
    return found.start() if found else len(text)


def _script_end(text: str, at: int) -> int:
    """The end of a script, which inside `<!-- <script>` is not its first end tag (13.2.5.20-29)."""
    commented = nested = False
    for sign in _SCRIPT_SIGN.finditer(text, at):
        if sign[0] == "<!--":
            commented = True
        elif sign[0] == "-->":
            commented = nested = False
        elif not sign[1]:
            nested = commented
        elif nested:
            nested = False
        else:
            return sign.start()
    return len(text)
