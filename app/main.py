"""The web app: a greeting, the routes an operator needs, and two that show what happens during a deploy.

Try it from the root of the repository: `HELLO_GREETING="Hello, world" uvicorn app.main:app --reload`.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import logging
from typing import Annotated

from fastapi import APIRouter, FastAPI, Query, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse, JSONResponse

from . import docs
from .logs import configure_logging
from .readiness import ReadinessCheck, failing
from .request_log import RequestLog
from .settings import Release, Settings, load_settings

Seconds = Annotated[float, Query(ge=0, le=30)]
router = APIRouter()
_log = logging.getLogger("app")

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{greeting}</title>
<h1>{greeting}</h1>
<p>Release {release}. <a href="docs">What this app answers</a></p>
</html>
"""


def create_app(settings: Settings | None = None, checks: dict[str, ReadinessCheck] | None = None) -> FastAPI:
    """Build the app.

    Args:
        settings: read from the environment when None.
        checks: what has to work before traffic makes sense, by name; this sample needs nothing but itself.

    Raises:
        SettingsError: the environment lacks something, or has it wrong.
    """
    settings = settings or load_settings()
    release = Release()
    configure_logging(settings.log_level)
    # the pages about the API are docs.py's
    app = FastAPI(title="Hello", version=release.release, docs_url=None, redoc_url=None)
    app.state.settings = settings
    app.state.release = release
    app.state.checks = checks or {}
    app.add_middleware(RequestLog)
    app.include_router(router)
    app.include_router(docs.router)
    _log.info("app created", extra={"release": release.release, "commit": release.commit})
    return app


@router.get("/", response_class=HTMLResponse)
async def index(request: Request) -> str:
    """Greet people."""
    settings: Settings = request.app.state.settings
    release: Release = request.app.state.release
    return _PAGE.format(greeting=html.escape(settings.greeting), release=html.escape(release.release))


@router.get("/health")
async def health() -> dict[str, str]:
    """Liveness: this process answers. Restart it when it does not."""
    return {"status": "ok"}


@router.get("/ready")
async def ready(request: Request) -> JSONResponse:
    """Readiness: what the app depends on works, so send it traffic. 503 names what does not."""
    broken = await failing(request.app.state.checks)
    if broken:
        return JSONResponse({"status": "not ready", "failing": broken}, status_code=503)
    return JSONResponse({"status": "ready"})


@router.get("/version")
async def version(request: Request) -> dict[str, str]:
    """Say which release answers, and the commit it was made from."""
    release: Release = request.app.state.release
    return {"release": release.release, "commit": release.commit}


@router.get("/slow")
async def slow(request: Request, seconds: Seconds = 1.0) -> dict[str, float | str]:
    """Answer after `seconds`: a request that is still running when the next release takes over."""
    await asyncio.sleep(seconds)
    return {"slept": seconds, "release": request.app.state.release.release}


@router.websocket("/ws")
async def echo(socket: WebSocket) -> None:
    """Send back each message, until the client leaves."""
    await socket.accept()
    with contextlib.suppress(WebSocketDisconnect):  # it left while we were sending
        while (message := await socket.receive())["type"] == "websocket.receive":
            await socket.send({**message, "type": "websocket.send"})


app = create_app()
