"""Logs as one JSON object a line on stdout; every line written while a request is served has its id."""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import datetime, timezone

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

_NOT_EXTRA = frozenset(vars(logging.makeLogRecord({}))) | {
    "taskName",
    "color_message",
}  # the last is uvicorn's
_SERVER_LOGGERS = ("uvicorn", "uvicorn.error", "uvicorn.asgi", "gunicorn.error", "gunicorn.access")


class JsonFormatter(logging.Formatter):
    """Time (ISO 8601, UTC), level, logger, message, the request's id, what `extra` gave, the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a JSON object without a newline; what JSON cannot hold is written as text."""
        time = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "time": time,
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (current := request_id.get()) is not None:
            line["request_id"] = current
        line |= {key: value for key, value in vars(record).items() if key not in _NOT_EXTRA}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class StdoutHandler(logging.StreamHandler):  # type: ignore[type-arg]  # not generic at run time before Python 3.11
    """Ours, so that a second configure_logging replaces it and leaves the handlers of others alone."""


def _no_handshakes(record: logging.LogRecord) -> bool:
    """False for uvicorn's line about a WebSocket: it repeats ours, and shows the query with its tokens."""
    return '"WebSocket ' not in str(record.msg)


def configure_logging(level: str) -> None:
    """Send all logs of `level` and above, gunicorn's and uvicorn's too, to stdout as JSON.

    The servers' own access logs are switched off: RequestLog writes a better line.
    """
    handler = StdoutHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers = [other for other in root.handlers if not isinstance(other, StdoutHandler)] + [handler]
    root.setLevel(level)
    for name in _SERVER_LOGGERS:
        server = logging.getLogger(name)
        server.handlers = []
        server.propagate = True
    logging.getLogger("uvicorn.error").filters = [_no_handshakes]
    access = logging.getLogger("uvicorn.access")
    access.handlers = []
    access.propagate = False  # uvicorn asks hasHandlers() before it spends time on a line
