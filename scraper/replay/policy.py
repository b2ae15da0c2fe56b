"""What a browser may do with an answer: the headers that go out with archived bytes and with our own pages."""

from __future__ import annotations

from urllib.parse import quote

Headers = list[tuple[bytes, bytes]]

# Archived documents are sandboxed without any `allow-`: an opaque origin, no scripts, no forms, no pop-ups.
# 'self' would then match nothing, so the server's own address is spelled out, down to the collection's folder.
_ARCHIVED = (
    "sandbox; default-src 'none'; img-src {own} data:; style-src {own} 'unsafe-inline'; font-src {own} data:; "
    "media-src {own} data:; frame-src {own}; base-uri 'none'; form-action 'none'"
)
_OWN = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


def archived(origin: str, collection: str, *, framed: bool = True) -> Headers:
    """The headers of every answer that holds archived bytes. `origin` is ours, as the (checked) request named it.

    Without `framed` the answer may not be shown in a frame, not even in one of ours.
    """
    own = f"{origin}/{quote(collection, safe='')}/"
    policy = _ARCHIVED.format(own=own) + ("" if framed else "; frame-ancestors 'none'")
    return [
        (b"content-security-policy", policy.encode("ascii")),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        # The pages that embed it have an opaque origin: for them every address of ours is another origin's.
        (b"cross-origin-resource-policy", b"cross-origin"),
        (b"x-dns-prefetch-control", b"off"),
    ]


def own() -> Headers:
    """The headers of the pages that are ours: no script at all, nothing from elsewhere, in nobody's frame."""
    return [
        (b"content-security-policy", _OWN.encode("ascii")),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"x-dns-prefetch-control", b"off"),
    ]
