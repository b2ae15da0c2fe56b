"""Where HTML attributes and style sheets name other resources, and of what kind. Pure, and linear in every input.

CSS is read by the token rules of CSS Syntax 3 (escapes in names, comments, strings, bad URLs, ends of file), so that
`\\75 rl(x)` is seen and `/* url(x) */` is not; `srcset` by the algorithm of the HTML standard.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What is named: it decides how it is asked for, and what stands in when it is missing."""

    IMAGE = "image"
    STYLE = "style"
    FONT = "font"
    MEDIA = "media"  # audio, video, text tracks
    FRAME = "frame"
    SCRIPT = "script"
    LINK = "link"  # asked for by a reader's click only
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Reference:
    """One URL in a style sheet or in a srcset, as written but unescaped: perhaps relative, perhaps not a URL at all.

    In CSS `text[start:end]` is the argument, quotes included, for which a quoted string can stand; in a srcset it is
    the URL alone, and `descriptor` is what follows it ("2x", "640w").
    """

    url: str
    kind: Kind
    start: int
    end: int
    descriptor: str = ""


# ---------------------------------------------------------------------- HTML

# Attributes that name one resource, by (tag, attribute); "" is any tag. SVG and MathML elements are named as HTML's
# parser names them. https://html.spec.whatwg.org/multipage/indices.html#attributes-3, SVG 2 16.1, MathML Core 2.1.5
ATTRIBUTES: dict[tuple[str, str], Kind] = {
    ("img", "src"): Kind.IMAGE,
    ("image", "src"): Kind.IMAGE,  # the HTML standard's parser makes `img` of it
    ("img", "lowsrc"): Kind.IMAGE,
    ("img", "dynsrc"): Kind.IMAGE,
    ("input", "src"): Kind.IMAGE,
    ("video", "poster"): Kind.IMAGE,
    ("", "background"): Kind.IMAGE,
    ("image", "href"): Kind.IMAGE,
    ("image", "xlink:href"): Kind.IMAGE,
    ("feimage", "href"): Kind.IMAGE,
    ("feimage", "xlink:href"): Kind.IMAGE,
    ("use", "href"): Kind.IMAGE,
    ("use", "xlink:href"): Kind.IMAGE,
    ("audio", "src"): Kind.MEDIA,
    ("video", "src"): Kind.MEDIA,
    ("source", "src"): Kind.MEDIA,
    ("track", "src"): Kind.MEDIA,
    ("bgsound", "src"): Kind.MEDIA,
    ("iframe", "src"): Kind.FRAME,
    ("frame", "src"): Kind.FRAME,
    ("fencedframe", "src"): Kind.FRAME,
    ("portal", "src"): Kind.FRAME,
    ("embed", "src"): Kind.OTHER,
    ("object", "data"): Kind.OTHER,
    ("script", "src"): Kind.SCRIPT,
    ("script", "href"): Kind.SCRIPT,
    ("script", "xlink:href"): Kind.SCRIPT,
    ("a", "href"): Kind.LINK,
    ("area", "href"): Kind.LINK,
    ("", "longdesc"): Kind.LINK,
    ("", "cite"): Kind.LINK,
    ("", "href"): Kind.LINK,  # MathML: any element
    ("", "xlink:href"): Kind.LINK,
    ("", "src"): Kind.OTHER,
}
SRCSETS = frozenset({("img", "srcset"), ("source", "srcset"), ("image", "srcset"), ("link", "imagesrcset")})
# Where pages that load their pictures by script keep the address of the picture, most telling first.
LAZY_SOURCES = (
    "data-src",
    "data-lazy-src",
    "data-original",
    "data-lazy",
    "data-url",
    "data-img-src",
    "data-hi-res-src",
)
LAZY_SRCSETS = ("data-srcset", "data-lazy-srcset", "data-original-set")
_ICON = re.compile(r"(?:^|\s)(?:icon|apple-touch-icon|apple-touch-icon-precomposed|mask-icon|fluid-icon)(?:\s|$)", re.I)
_PRELOADED = {"image": Kind.IMAGE, "style": Kind.STYLE, "font": Kind.FONT, "video": Kind.MEDIA, "audio": Kind.MEDIA}
_MARKUP_SPACE = " \t\n\r\f"


def attribute_kind(tag: str, name: str) -> Kind | None:
    """What an attribute of an element names, both in lower case; None where it names nothing; for `link` see below."""
    return ATTRIBUTES.get((tag, name)) or ATTRIBUTES.get(("", name))


def link_kind(rel: str, destination: str = "") -> Kind:
    """What the `href` of a `<link>` names, by its `rel` and, for preloads, its `as`; LINK where none of it is shown."""
    words = rel.lower().split()
    if "stylesheet" in words:
        return Kind.STYLE
    if _ICON.search(rel):
        return Kind.IMAGE
    if "preload" in words:
        return _PRELOADED.get(destination.strip().lower(), Kind.OTHER)
    return Kind.LINK


def is_placeholder(src: str) -> bool:
    """Is this `src` only a stand-in until a script has loaded the picture?"""
    plain = src.strip(_MARKUP_SPACE).lower()
    return not plain or plain.startswith(("data:", "about:")) or plain == "#"


_CANDIDATE_URL = re.compile(r"[\s,]*+([^ \t\n\r\f]++)")
_DESCRIPTOR = re.compile(r"(?:[^,(]++|\([^)]*+(?:\)|\Z))*+,?")


def in_srcset(value: str) -> Iterator[Reference]:
    """The candidates of a `srcset`, in order (HTML standard, 4.8.4.2.1, parse a srcset attribute)."""
    at = 0
    while found := _CANDIDATE_URL.match(value, at):
        url = found[1].rstrip(",")
        start, at = found.start(1), found.end()
        descriptor = ""
        if url == found[1]:  # no comma ended it, so that what comes up to the next one describes it
            rest = _DESCRIPTOR.match(value, at)
            assert rest is not None
            descriptor, at = rest[0].rstrip(",").strip(_MARKUP_SPACE), rest.end()
        if url:
            yield Reference(url, Kind.IMAGE, start, start + len(url), descriptor)


_REFRESH = re.compile(
    r"\s*+(?P<seconds>\d*+(?:\.[\d.]*+)?)(?:\s*+[;,]\s*+|\s++)?(?:url\s*+=\s*+)?(?P<url>\"[^\"]*+|'[^']*+|.*)",
    re.I | re.S,
)


def refresh(content: str) -> tuple[float, str] | None:
    """The seconds and the URL of a `<meta http-equiv=refresh>` (HTML standard, 4.2.5.3); "" is the page itself."""
    found = _REFRESH.match(content)
    if found is None or not found["seconds"]:
        return None
    whole = found["seconds"].partition(".")[0][:9]
    return float(whole or 0), found["url"].lstrip("\"'").strip(_MARKUP_SPACE)


# ----------------------------------------------------------------------- CSS

_ESCAPE = r"\\(?:[0-9a-fA-F]{1,6}(?:\r\n|[ \t\n\r\f])?+|[^\n\r\f0-9a-fA-F]|\Z)"
# ASCII without letters, digits, "-" and "_": all else can stand in a name. (Sets of ASCII compile and match fastest.)
_SIGNS = r"\x00-,./:-@\[-^`{-\x7f"
_NAME = rf"(?:[^{_SIGNS}]|{_ESCAPE})++"
_STRING = r"""(?:"(?:[^"\\\n\r\f]++|\\(?:\r\n|[\s\S]|\Z))*+"?+|'(?:[^'\\\n\r\f]++|\\(?:\r\n|[\s\S]|\Z))*+'?+)"""
_COMMENT = r"/\*(?:[^*]++|\*(?!/))*+(?:\*/|\Z)"
_CALL = r"(?i:url|src|image|(?:-webkit-)?image-set)\("
# What can be passed over at once: comments, and names which are no function that could take an address.
_BORING = rf"""(?:[\x00-!$-&(-,.:;=-?\[\]^`{{-\x7f]++|{_COMMENT}|/|<!--|<|\#(?:{_NAME})?+
    |(?!{_CALL})[^{_SIGNS}]++(?!\\)\(?|\\(?=[\n\r\f]))*+"""
_TOKEN = re.compile(
    rf"{_BORING}(?:(?P<string>{_STRING})|@(?P<at>{_NAME})|(?P<call>{_NAME})\(|(?P<other>{_NAME}|[\s\S]|\Z))",
    re.VERBOSE,
)
# The same in long strides, up to what could name an address: a parenthesis after the end of a telling name, a string
# with a colon or a slash, an at-rule; or up to an escape that could spell a letter, where _TOKEN has to do the reading.
_STRIDE = re.compile(
    rf"""(?:[^"'/@(\\]++|{_COMMENT}|/(?!\*)
    |@(?:media|supports|(?:-webkit-)?keyframes)(?=[ \n(])
    |(?<![uU][rR][lL])(?<![sS][rR][cC])(?<![aA][gG][eE])(?<![sS][eE][tT])\(
    |"(?:[^"\\:/\n\r\f]*+|\\[a-fA-F][0-9a-fA-F]{{3}})"|'(?:[^'\\:/\n\r\f]*+|\\[a-fA-F][0-9a-fA-F]{{3}})'
    |\\[^-0-9a-zA-Z\n\r\f][^{_SIGNS}]*+\(?)*+""",
    re.VERBOSE,
)
_AT_RULE = re.compile(f"@({_NAME})")
_NAME_BACKWARDS = re.compile(rf"([^{_SIGNS}]*+)(#?)")
_LONGEST_CALL = len("-webkit-image-set")
_SPACE = re.compile(rf"(?:[ \t\n\r\f]++|{_COMMENT})*+")
_BLANKS = re.compile(r"[ \t\n\r\f]*+")
_PREFIX = re.compile(rf"(?:[ \t\n\r\f]++|{_COMMENT})*+(?:{_NAME}(?!\()(?:[ \t\n\r\f]++|{_COMMENT})*+)?")
_CALLED = re.compile(rf"({_NAME})\(")
_QUOTED = re.compile(_STRING)
_UNQUOTED = re.compile(rf"(?:[^\"'()\\\s\x00-\x08\x0e-\x1f\x7f]++|{_ESCAPE})*+")
_URL_END = re.compile(r"[ \t\n\r\f]*+(?:\)|\Z)")
_BAD_URL = re.compile(r"(?:[^)\\]++|\\[\s\S]?)*+\)?")
_IN_CALL = re.compile(
    rf"(?:[\x00-!#-&*-,.:-@\[\]^`{{-\x7f]++|{_COMMENT}|/)*+"
    rf"(?:(?P<string>{_STRING})|(?P<name>{_NAME})(?P<paren>\(?)|(?P<other>[\s\S]|\Z))"
)
_CSS_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})(?:\r\n|[ \t\n\r\f])?|(\r\n|[\n\r\f])|([\s\S])|\Z)")
_ABSOLUTE = re.compile(r"[\x00-\x20]*+(?:[a-z][a-z0-9+.-]*+:|[/\\]{2})", re.I)
_NO_ADDRESS = re.compile(r"(?:=|(?<![-\w\\])(?:content|quotes)\s{0,9}:)\Z", re.I)


def css_unescaped(text: str) -> str:
    """A CSS name, string or URL with its escapes resolved (CSS Syntax 3, 4.3.7)."""
    return _CSS_ESCAPE.sub(_unescape, text) if "\\" in text else text


def _unescape(found: re.Match[str]) -> str:
    if found[1]:
        code = int(found[1], 16)
        return chr(code) if 0 < code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF else "\ufffd"
    return found[3] or ""


def css_string(text: str) -> str:
    """A text as a CSS string that can also stand in HTML: it holds no bare quote, `<`, `&` or line end."""
    return '"' + re.sub(r'["\\\x00-\x1f<&\x7f]', lambda found: f"\\{ord(found[0]):x} ", text) + '"'


def in_css(text: str) -> Iterator[Reference]:
    """Every URL that a style sheet, or a style attribute, could have a browser ask for, in order of place.

    Imports are STYLE, what a `@font-face` names is FONT, all else IMAGE. Strings that look like absolute URLs come as
    OTHER wherever a browser could be brought to use them as such (`image-set(var(--x))`).
    """
    return _Sheet(text).references()


class _Sheet:
    """One pass over a style sheet."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0  # always between two tokens
        self._face_end = 0  # up to here we are inside a @font-face
        # `<!--` is a token of its own, so that not every name before a parenthesis is a whole one.
        self._strides = "<!--" not in text

    def references(self) -> Iterator[Reference]:
        """See `in_css`."""
        end = len(self._text)
        while self._at < end:
            if self._strides:
                yield from self._stride()
            else:
                yield from self._token()

    def _stride(self) -> Iterator[Reference]:
        text, start = self._text, self._at
        self._skip(_STRIDE)
        stop, sign = self._at, text[self._at : self._at + 1]
        if sign == "\\":
            self._at = start  # the name with the escape may have begun before it
            while self._at <= stop:
                yield from self._token()
        elif sign == "(":
            self._at = stop + 1
            # Backwards, for a name that is one of ours is short, and what is before it may be long.
            name = _NAME_BACKWARDS.match(text[max(start, stop - _LONGEST_CALL - 1) : stop][::-1])
            if name and not name[2]:
                yield from self._call(name[1][::-1].lower(), None)
        elif sign == "@" and (rule := _AT_RULE.match(text, stop)):
            self._at = rule.end()
            yield from self._at_rule(css_unescaped(rule[1]).lower())
        elif sign in ('"', "'") and sign:
            self._skip(_QUOTED)
            yield from self._loose(stop, text[stop : self._at])
        else:
            self._at = stop + 1

    def _token(self) -> Iterator[Reference]:
        found = _TOKEN.match(self._text, self._at)
        assert found is not None
        self._at = found.end()
        if found["string"] is not None:
            yield from self._loose(found.start("string"), found["string"])
        elif found["at"] is not None:
            yield from self._at_rule(css_unescaped(found["at"]).lower())
        elif found["call"] is not None:
            yield from self._call(css_unescaped(found["call"]).lower(), None)

    def _loose(self, start: int, string: str) -> Iterator[Reference]:
        """A string outside of any function which takes addresses: a custom property may bring it into one."""
        url = _string_value(string)
        if not _ABSOLUTE.match(url) or _NO_ADDRESS.search(self._text[max(0, start - 40) : start].rstrip()):
            return
        yield Reference(url, Kind.OTHER, start, start + len(string))

    def _at_rule(self, name: str) -> Iterator[Reference]:
        if name == "font-face" and self._at >= self._face_end:
            end = self._text.find("}", self._at)
            self._face_end = end if end >= 0 else len(self._text)
        elif name in ("import", "namespace"):
            self._skip(_PREFIX if name == "namespace" else _SPACE)
            if string := _QUOTED.match(self._text, self._at):
                self._at = string.end()
                found = [Reference(_string_value(string[0]), Kind.STYLE, string.start(), string.end())]
            else:
                call = _CALLED.match(self._text, self._at)
                if call is None:
                    return
                self._at = call.end()
                found = list(self._call(css_unescaped(call[1]).lower(), Kind.STYLE))
            if name == "import":  # the URL of a namespace is a name, and never asked for
                yield from found

    def _call(self, name: str, kind: Kind | None) -> Iterator[Reference]:
        kind = kind or (Kind.FONT if self._at <= self._face_end else Kind.IMAGE)
        if name == "url":
            yield from self._url(kind)
        elif name in ("src", "image", "image-set", "-webkit-image-set"):
            yield from self._strings(kind)

    def _url(self, kind: Kind) -> Iterator[Reference]:
        text = self._text
        self._skip(_BLANKS)
        start = self._at
        if quoted := _QUOTED.match(text, start):
            self._at = quoted.end()
            yield Reference(_string_value(quoted[0]), kind, start, self._at)
            return
        self._skip(_UNQUOTED)
        end = self._at
        if closed := _URL_END.match(text, end):
            self._at = closed.end()
            yield Reference(css_unescaped(text[start:end]), kind, start, end)
        else:
            self._skip(_BAD_URL)  # 4.3.14: a browser drops it

    def _strings(self, kind: Kind) -> Iterator[Reference]:
        """The strings among the arguments of a function, and the URLs in them, up to its closing parenthesis."""
        depth = 1
        while depth and self._at < len(self._text):
            found = _IN_CALL.match(self._text, self._at)
            assert found is not None
            self._at = found.end()
            if found["string"] is not None:
                url = _string_value(found["string"])
                if depth == 1 or _ABSOLUTE.match(url):  # deeper: type("image/avif")
                    yield Reference(url, kind, found.start("string"), found.end("string"))
            elif found["paren"]:
                name = css_unescaped(found["name"]).lower()
                if name == "url":
                    self._skip(_BLANKS)
                    depth += self._text[self._at : self._at + 1] in ('"', "'")  # else it ends with its parenthesis
                    yield from self._url(kind)
                else:
                    depth += 1
            elif found["other"] in ("(", ")"):
                depth += 1 if found["other"] == "(" else -1

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._at)
        assert found is not None
        self._at = found.end()


def _string_value(string: str) -> str:
    """What a string token says; its closing quote may be missing (4.3.5)."""
    if len(string) > 1 and string[-1] == string[0]:
        return css_unescaped(string[1:-1])
    return css_unescaped(string[1:])
