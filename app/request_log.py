"""What happens around every request: an id, one access log line, and an answer when the code fails."""

from __future__ import annotations

import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .logs import request_id

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_log = logging.getLogger("app.access")


class RequestLog:
    """ASGI middleware. Takes X-Request-ID from the request if it is sane, else makes one; sends it back."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or one WebSocket, then log it."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        token = request_id.set(_request_id(scope))
        exchange = _Exchange(scope, send)
        try:
            await self.app(scope, receive, exchange.send)
        except Exception:
            _log.exception("request failed")
            if exchange.status or scope["type"] == "websocket":
                raise  # too late for an answer: let the server cut the connection
            body = {"detail": "Internal Server Error", "request_id": request_id.get()}
            await JSONResponse(body, status_code=500)(scope, receive, exchange.send)
        finally:
            exchange.log()
            request_id.reset(token)


class _Exchange:
    """Watches what the app sends: adds the id, remembers the status."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope = scope
        self.status: int | None = None  # None: nothing was sent
        self._send = send
        self._began = time.perf_counter()

    async def send(self, message: Message) -> None:
        if message["type"] in {"http.response.start", "websocket.accept"}:
            self.status = message.get("status", 101)
            message.setdefault("headers", [])
            MutableHeaders(scope=message)["X-Request-ID"] = request_id.get() or ""
        elif message["type"] == "websocket.close" and not self.status:
            self.status = 403  # a close before the accept is a refusal, ASGI spec "Close - send event"
        await self._send(message)

    def log(self) -> None:
        client = self.scope.get("client")
        fields = {
            "method": self.scope.get("method", "WEBSOCKET"),
            "path": self.scope["path"],  # without the query: tokens travel there
            "status": self.status,
            "duration_ms": round((time.perf_counter() - self._began) * 1000, 1),
            # as nginx sees the visitor; the server takes both from X-Forwarded-For and X-Forwarded-Proto
            "client": client[0] if client else None,
            "scheme": self.scope.get("scheme"),
            "host": Headers(scope=self.scope).get("host"),
        }
        _log.info("request", extra=fields)


def _request_id(scope: Scope) -> str:
    offered = Headers(scope=scope).get("x-request-id", "")
    return offered if _SANE_ID.fullmatch(offered) else uuid.uuid4().hex
