"""One line for each request: what it was, when it began, how long it took, how it ended, who answered."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

# quick requests, whose latencies are compared
FAST = ("get", "post", "kept", "idle", "static")
HTTP = (*FAST, "slow")
# "ws" is a WebSocket's whole life; its end is told, and is no failure
KINDS = (*HTTP, "ws_open", "ws")
OK = "ok"


@dataclass(frozen=True)
class Record:
    """A request.

    Attributes:
        kind: one of KINDS.
        start: CLOCK_MONOTONIC, seconds: the same for all processes of this machine, and for sandbox servers.
        seconds: until its answer was complete, or it failed.
        outcome: "ok", or why not.
        version: of the app, as the answer says; empty when there was none.
        instance: the release that answered.
        id: what was posted; empty for other kinds.
    """

    kind: str
    start: float
    seconds: float
    outcome: str
    version: str = ""
    instance: str = ""
    id: str = ""

    @property
    def end(self) -> float:
        """When it was over."""
        return self.start + self.seconds

    @property
    def failed(self) -> bool:
        """Whether a visitor noticed. That a WebSocket is closed is foreseen: the visitor opens another."""
        return self.outcome != OK and self.kind != "ws"

    def __str__(self) -> str:
        what = f" id {self.id}" if self.id else ""
        return f"{self.kind}{what} at {self.start:.3f}, after {self.seconds:.3f} s: {self.outcome}"


class Writer:
    """Writes records to a file."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def add(
        self, kind: str, start: float, outcome: str, version: str = "", instance: str = "", id: str = ""
    ) -> None:
        """A request has ended now."""
        fields = (kind, f"{start:.5f}", f"{time.monotonic() - start:.5f}", outcome, version, instance, id)
        self._file.write("\t".join(fields) + "\n")

    def flush(self) -> None:
        """Let others read it."""
        self._file.flush()


def read(path: Path) -> list[Record]:
    """All whole records of a file."""
    return list(_records(path.read_text()))


def _records(text: str) -> Iterator[Record]:
    for line in text[: text.rfind("\n") + 1].splitlines():
        kind, start, seconds, *rest = line.split("\t")
        yield Record(kind, float(start), float(seconds), *rest)
