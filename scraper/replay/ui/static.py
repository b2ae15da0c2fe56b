"""The style sheet and the icon."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from scraper.replay.ui.rendering import FOLDER, problem

TYPES = {"style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}


def file(request: Request) -> Response:
    """One of our own files, by a name from our list."""
    name = request.path_params["name"]
    if name not in TYPES:
        return HTMLResponse(problem("No such file", ("This server has no file of that name.",)), 404)
    return FileResponse(FOLDER / "static" / name, media_type=TYPES[name], headers={"Cache-Control": "max-age=300"})
