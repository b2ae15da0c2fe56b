"""Range requests (RFC 9110, 14). Pure."""

from __future__ import annotations

import re
from dataclasses import replace

from scraper.replay.answers import Answer

_ONE_RANGE = re.compile(r"bytes=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*\Z")


def applied(answer: Answer, wanted: str | None) -> Answer:
    """The part of an answer that a Range header asks for; the whole where it says nothing that can be served.

    Several ranges at once are answered with the whole: RFC 9110, 14.2 lets a server ignore the field.
    """
    if answer.status != 200 or not isinstance(answer.body, bytes):
        return answer
    answer = replace(answer, headers=[*answer.headers, (b"accept-ranges", b"bytes")])
    found = _ONE_RANGE.match(wanted) if wanted else None
    if found is None or not (found[1] or found[2]):
        return answer
    body = answer.body
    assert isinstance(body, bytes)
    size = len(body)
    if found[1]:
        start, end = int(found[1]), min(int(found[2]) if found[2] else size - 1, size - 1)
        if found[2] and int(found[2]) < start:
            return answer  # RFC 9110, 14.1.1: such a range is invalid, and an invalid one is ignored
    else:
        start, end = max(size - int(found[2]), 0), size - 1
    if start >= size or not size or (not found[1] and int(found[2]) == 0):
        return Answer(416, [*answer.headers, (b"content-range", f"bytes */{size}".encode())])
    part = f"bytes {start}-{end}/{size}".encode()
    return Answer(206, [*answer.headers, (b"content-range", part)], body[start : end + 1])
