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
    "applet|audio|base|bgsound|body|embed|fencedframe|form|frame|frameset|head|iframe|image|img|link|math|meta|model"
    "|noembed|noframes|noscript|object|param|plaintext|portal|script|source|style|svg|textarea|title|video|xmp"
)
_SPECIAL_ENDS = (
    "applet|base|bgsound|embed|fencedframe|head|math|model|noembed|noframes|noscript|object|param|plaintext|portal"
    "|script|svg|xmp"
)
_HARMLESS = (
    r"class|data-[a-z0-9_-]++|aria-[a-z]++|id|title|alt|width|height|role|rel|lang|dir|name|type|value|for|placeholder"
    r"|colspan|rowspan|align|valign|border|cellpadding|cellspacing|content|item(?:prop|scope|type|id)|property|datetime"
    r"|hidden|loading|decoding|sizes|tabindex|label|color|size|face|bgcolor|scope|start|media|version|viewBox|preserveAspectRatio|focusable"
    r"|x-[a-z-]++|xmlns(?::xlink)?+|gradientUnits|gradientTransform|transform|offset|stop-(?:color|opacity)"
    r"|d|x[12]?|y[12]?|r[xy]?|c[xy]|f[xy]"
)
_PAINT = "fill|stroke|fill-rule|clip-rule|stroke-width|stroke-linecap|stroke-linejoin|stroke-miterlimit|opacity|points"
# No `<` in the values, and tags of the plainest form only: what is copied keeps to the language of the output. Styles
# and paints without quotes, escapes, functions (but for references to a part of the page) and slashes name no address.
_PASSED = (
    rf"[ \n]++(?:(?:{_HARMLESS})=\"[^\"<]*+\"|(?:{_PAINT})=\"[^\"<(\\&]*+\"|style=\"[^\"'<(\\&@/]*+\""
    r"|(?:fill|stroke|clip-path|mask|filter)=\"url\(\#[a-zA-Z0-9_-]++\)\"|(?:itemscope|hidden|disabled)(?=[ \n>]))"
)
_DRAWING = "linearGradient|radialGradient|clipPath"
_TEXT_AND_TAGS = (
    rf"[^<]++|<(?:(?!(?:{_SPECIAL})[\s/>])[a-z][a-z0-9-]*+|{_DRAWING})(?:{_PASSED})*+[ \n]*+/?>"
    rf"|</(?:(?!(?:{_SPECIAL_ENDS})[\s/>])[a-z][a-z0-9-]*+|{_DRAWING})>"
    r"|<title>[^<]*+</title>"
    rf"|<use(?:{_PASSED}|[ \n]++(?:xlink:)?+href=\"\#[a-zA-Z0-9_-]++\")*+[ \n]*+/?>"
)
_META = (
    r"<meta(?:[ \n]++(?:(?:property|itemprop|content|id|class|lang|data-[a-z0-9-]++)=\"[^\"<]*+\""
    r"|name=\"(?!(?i:referrer|monetization))[a-zA-Z0-9_:.-]++\"))*+[ \n]*+/?>"
)
_CLEAN = rf"{_TEXT_AND_TAGS}|<svg(?:{_PASSED})*+[ \n]*+>(?:{_TEXT_AND_TAGS})*+</svg>|{_META}"
# What most tags are that need one thing done: links and pictures with nothing else to them (`data-` may name the true
# address of a picture), and scripts without comments.
_TARGET = r"(?:[ \n]++target=\"[^\"<]*+\")?+"
_LINK = (
    rf"(?P<before><a(?:{_PASSED})*+){_TARGET}(?P<mid>(?:{_PASSED})*+[ \n]++href=\")(?P<href>[^\"<]*+)"
    rf"(?P<after>\"(?:{_PASSED})*+){_TARGET}(?P<rest>(?:{_PASSED})*+[ \n]*+>)"
)
_PICTURE = (
    rf"(?P<img><img(?:(?![ \n]++data-){_PASSED})*+)(?P<attribute>[ \n]++src=\")(?P<src>[^\"<]*+)"
    rf"\"(?P<last>(?:(?![ \n]++data-){_PASSED})*+[ \n]*+/?>)"
)
_SCRIPT = (
    rf"<script(?=[{WHITE}/>]){_ATTRIBUTES}>(?<!/>)(?:[^<]++|<(?!!--|/?[sS][cC][rR][iI][pP][tT]))*+</script[{WHITE}]*+>"
)
_END_TAG = rf"</(?P<closed>[a-zA-Z][^{WHITE}/>]*+){_ATTRIBUTES}(?:>|\Z)"
TOKEN = re.compile(
    rf"(?P<clean>(?:{_CLEAN})++)(?:{_LINK}|{_PICTURE}|{_SCRIPT})?+|{_SCRIPT}"
    rf"|<(?P<name>[a-zA-Z][^{WHITE}/>]*+)(?P<attributes>{_ATTRIBUTES})(?P<end>>|\Z)"
    rf"|{_END_TAG}"
    r"|<!--(?:-?>|.*?(?:--!?>|\Z))"
    r"|<!\[CDATA\[(?P<cdata>)"
    r"|<!(?P<doctype>[dD][oO][cC][tT][yY][pP][eE](?![a-zA-Z])[^><]*+)>"
    r"|<[!?/][^>]*+(?:>|\Z)"
    r"|(?P<stray><)",
    re.DOTALL,
)
END_TAG = re.compile(_END_TAG)
_ATTRIBUTE = re.compile(
    rf"([^{WHITE}/>][^{WHITE}/>=]*+)"
    rf"(?:[{WHITE}]*+=[{WHITE}]*+(?:\"([^\"]*+)(?:\"|\Z)|'([^']*+)(?:'|\Z)|([^{WHITE}>\"'][^{WHITE}>]*+))?+)?+"
)
_PLAIN_NAME = re.compile(r"[^\s\"'<>/=\x00-\x1f\x7f]{1,200}")
_RAW_NAMES = ("style", "textarea", "title", "xmp", "iframe", "noembed", "noframes")
# Letters in both cases written out: patterns that begin with a literal are looked for many times faster.
_RAW_END = {
    name: re.compile("</" + "".join(f"[{letter}{letter.upper()}]" for letter in name) + rf"(?=[{WHITE}/>])")
    for name in _RAW_NAMES
}
RAW = frozenset({*_RAW_END, "script"})
_SCRIPT_SIGN = re.compile(rf"<(?:!--|(/?)[sS][cC][rR][iI][pP][tT](?=[{WHITE}/>]))")
_COMMENTED_SIGN = re.compile(rf"-->|<(?:!--|(/?)[sS][cC][rR][iI][pP][tT](?=[{WHITE}/>]))")
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
    first = _SCRIPT_SIGN.search(text, at)
    while first and first[0] != "<!--" and not first[1]:
        first = _SCRIPT_SIGN.search(text, first.end())
    if first is None or first[1]:
        return first.start() if first else len(text)
    commented = nested = False
    for sign in _COMMENTED_SIGN.finditer(text, first.start()):
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
