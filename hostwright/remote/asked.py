"""What only the controller can see is asked of it while the work goes on: is a name reachable from elsewhere?

A question goes down as an event; the answer comes up as a control frame, which the session lays beside the journal
of the run. Nobody may be there to answer, so whoever asks does without in the end.
"""

from __future__ import annotations

import json
import os
import re
import time

from .event import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping, Optional

    from .paths import Paths

ID = re.compile(r"[0-9a-f]{8}\Z")
# seconds: between two looks for the answer; how long nobody may watch the run before it is given up
POLL, UNWATCHED = 0.05, 3.0
# what a controller may say; more is not an answer of ours
LARGEST = 1 << 20


class Asked(Event):
    """The controller is asked: `question` is a word it knows, `data` what it is about, `timeout` seconds it has."""

    event = "asked"

    def __init__(self, id: str, question: str, data: Mapping[str, Any], timeout: float) -> None:
        self.id = id
        self.question = question
        self.data = data
        self.timeout = timeout


def keep(paths: Paths, run: str, frame: Mapping[str, Any]) -> None:
    """Lay down the answer in a control frame for the worker; what is none is passed over."""
    name, data = str(frame.get("id", "")), frame.get("data")
    if not ID.match(name) or not isinstance(data, dict):
        return
    content = json.dumps(data).encode()
    if len(content) > LARGEST:
        return
    path = paths.answer(run, name)
    handle = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    os.rename(path + ".new", path)


class Asking:
    """Asks on behalf of one run.

    Args:
        path: where the answer to the question of an id will lie.
        watched: does anybody watch the run?
        cancelled: does the user want it to stop?
    """

    def __init__(
        self, path: Callable[[str], str], watched: Callable[[], bool], cancelled: Callable[[], bool]
    ) -> None:
        self._path = path
        self.watched = watched
        self._cancelled = cancelled

    def __call__(
        self, emit: Callable[[Event], None], question: str, data: Mapping[str, Any], timeout: float
    ) -> Optional[dict[str, Any]]:
        """The answer, or None: nobody watches, it takes longer than `timeout` seconds, or the user stops the run."""
        name = os.urandom(4).hex()
        emit(Asked(name, question, data, timeout))
        end = time.monotonic() + timeout
        seen = time.monotonic()
        while time.monotonic() < end and not self._cancelled():
            answer = self._take(name)
            if answer is not None:
                return answer
            if self.watched():
                seen = time.monotonic()
            elif time.monotonic() - seen > UNWATCHED:
                return None
            time.sleep(POLL)
        return None

    def _take(self, name: str) -> Optional[dict[str, Any]]:
        path = self._path(name)
        try:
            with open(path, "rb") as file:
                found = json.load(file)
            os.unlink(path)
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None
