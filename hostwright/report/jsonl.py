"""One JSON object a line, for programs. Everything is ASCII, so nothing in it can reach a terminal's ears."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any, TextIO

from hostwright.errors import HostwrightError
from hostwright.remote import events
from hostwright.report.monitor import Report, error_json


class JsonlOutput:
    """Writes `{"host": ..., "event": ..., ...}` for each event, and `{"event": "report", ...}` at the end.

    Besides the events of hostwright/remote/events.py: `begun` (title, hosts), `notice` (text),
    `error` (kind, message, evidence, hint, exit_code).
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def begin(self, hosts: Sequence[str], title: str) -> None:
        """A command begins on these hosts."""
        self._write({"event": "begun", "title": title, "hosts": list(hosts)})

    def event(self, host: str, event: events.Event) -> None:
        """Something happened on a host."""
        self._write({"host": host, **event.to_wire()})

    def error(self, host: str, error: HostwrightError) -> None:
        """A host's part of the command ended with an error."""
        self._write({"host": host, "event": "error", **error_json(error)})

    def notice(self, text: str) -> None:
        """The controller has something to say."""
        self._write({"event": "notice", "text": text})

    def end(self, report: Report) -> None:
        """The command is over."""
        self._write({"event": "report", **report.to_json()})

    def close(self) -> None:
        """Nothing to close."""

    def _write(self, value: dict[str, Any]) -> None:
        text = json.dumps(value, ensure_ascii=True, default=str)
        with self._lock:
            self._stream.write(text + "\n")
            self._stream.flush()
