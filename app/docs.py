"""The pages about the API: Swagger UI from this app's own files, which are a package's.

FastAPI's own page loads it from elsewhere and starts it with a script in the page. This one works without internet and
under a strict Content-Security-Policy: `default-src 'self'`.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from functools import cache
from importlib.resources import files
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response

router = APIRouter(include_in_schema=False)

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}: what it answers</title>
<link rel="icon" href="docs/favicon-32x32.png?v={version}">
<link rel="stylesheet" href="docs/swagger-ui.css?v={version}">
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js?v={version}"></script>
<script src="docs/init.js?v={version}"></script>
</html>
"""
_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "svg": "image/svg+xml",
}
_HASHED = re.compile(r"[0-9a-f]{12}\.")  # the name is the content's
_DATA_URL = re.compile(r"""url\((["']?)data:image/([a-z]+)[^,]*?(;base64)?,((?:\\.|(?!\1\)).)*)\1\)""")


@router.api_route("/docs", methods=["GET", "HEAD"])
def page(request: Request) -> HTMLResponse:
    """Show what the app answers, and let people try it."""
    text = _PAGE.format(title=html.escape(request.app.title), version=_version())
    return HTMLResponse(text, headers={"Cache-Control": "no-cache"})


@router.api_route("/docs/{name}", methods=["GET", "HEAD"])
def file(name: str, v: str = "") -> Response:
    """Give one of Swagger UI's files; browsers keep it for good, for its URL names its version."""
    content = _files().get(name)
    if content is None:
        raise HTTPException(404)
    # while releases change, one may be asked for another's version: nothing to keep
    final = v == _version() or _HASHED.match(name)
    keep = "public, max-age=31536000, immutable" if final else "no-cache"
    return Response(content, media_type=_TYPES[name.rpartition(".")[2]], headers={"Cache-Control": keep})


@cache
def _files() -> dict[str, bytes]:
    """Name -> content; 2 MB, read when somebody looks at the page for the first time."""
    package = files("fastapi_swagger") / "resources"
    names = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")
    found = {name: (package / name).read_bytes() for name in names}
    found["init.js"] = (files(__package__) / "swagger" / "init.js").read_bytes()
    css, images = _without_data_urls(found["swagger-ui.css"].decode())
    return found | images | {"swagger-ui.css": css.encode()}


@cache
def _version() -> str:
    """The same for the same files."""
    whole = hashlib.sha256()
    for content in _files().values():
        whole.update(content)
    return whole.hexdigest()[:12]


def _without_data_urls(css: str) -> tuple[str, dict[str, bytes]]:
    """The style sheet with its images as files beside it: `default-src 'self'` allows no data: URL."""
    images: dict[str, bytes] = {}

    def moved(match: re.Match[str]) -> str:
        _, kind, encoded, data = match.groups()
        plain = re.sub(r"\\(.)", r"\1", data)  # as CSS writes it
        content = base64.b64decode(plain) if encoded else unquote_to_bytes(plain)
        name = f"{hashlib.sha256(content).hexdigest()[:12]}.{kind.partition('+')[0]}"
        images[name] = content
        return f"url({name})"

    return _DATA_URL.sub(moved, css), images
