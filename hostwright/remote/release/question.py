"""What the versions of an app's packages are the answer to. The same question has the same answer: its lock."""

from __future__ import annotations

import json
import posixpath

from ..digest import sha256
from .requirements import normal, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from .requirements import Read

PROJECT = "pyproject.toml"


class Question:
    """Asked by a commit on a platform.

    Args:
        read: gives the commit's files.
        path: of the requirements.
        runtime: requirements of what serves the app.
        platform: version of Python and architecture: another one may need other packages.

    Attributes:
        given: its digest.
        complete: the requirements are the answer themselves.

    Raises:
        Problem: the requirements are damaged.
    """

    def __init__(self, read: Read, path: str, runtime: Sequence[str], platform: str) -> None:
        self._head = json.dumps([path, list(runtime), platform]).encode()
        if posixpath.basename(path) == PROJECT:
            lock = read(posixpath.join(posixpath.dirname(path), "uv.lock"))
            self.given = self._digest((read(path) or b"") + b"\0" + (lock or b""))
            self.complete = False
            return
        found = parse(read, path)
        self.given = self._digest(found.text.encode())
        self.complete = found.hashed and bool(found.lines) and not missing(runtime, found.names)

    def _digest(self, content: bytes) -> str:
        return sha256(self._head + b"\0" + content)[:24]


def missing(runtime: Sequence[str], names: set[str]) -> list[str]:
    """Requirements of what serves the app that the app does not name itself."""
    return [line for line in runtime if normal(_name(line)) not in names]


def _name(line: str) -> str:
    for index, char in enumerate(line):
        if not (char.isalnum() or char in "-_."):
            return line[:index]
    return line
