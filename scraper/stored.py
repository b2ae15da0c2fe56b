"""JSON that lies on disk, as it is read back: whatever became of it, there is one error for it. Pure."""

from __future__ import annotations

import json
from typing import Any


def load_json(data: bytes | str) -> Any:
    """The value that a JSON text says; raises `ValueError` for all that is none, and for one nested without end."""
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
