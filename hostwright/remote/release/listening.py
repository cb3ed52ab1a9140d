"""A query that runs for a while: its lines go to the controller until it ends, or the controller goes."""

from __future__ import annotations

import os
import select
import time

from .. import events, wire
from ..conversation import Gone
from ..system import RunCancelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from ..conversation import Conversation

# the controller says it is there every 5 s
SILENCE = 60.0


class Listener:
    """Hands lines to the controller and hears when it has had enough.

    `cancelled` belongs on the System, so that the command ends with the interest in it.
    """

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._heard = time.monotonic()
        self._start = time.monotonic()
        self._over = False
        self.gone = False

    def cancelled(self) -> bool:
        """Has the controller cancelled, detached or vanished?"""
        while not self._over and select.select([self._conversation.source], [], [], 0)[0]:
            try:
                frame = wire.read_frame(lambda size: os.read(self._conversation.source, size))
            except (OSError, wire.WireError):
                frame = None
            self._heard = time.monotonic()
            word = frame.get("control", "") if isinstance(frame, dict) else ""
            self.gone = self.gone or frame is None
            self._over = self.gone or word in ("cancel", "detach")
        if time.monotonic() - self._heard > SILENCE:
            self.gone = self._over = True
        return self._over

    def line(self, source: str) -> Callable[[str], None]:
        """Takes lines of `source`: "stdout", "stderr", a unit."""

        def send(line: str) -> None:
            if self._over:
                return
            event = events.Output(source, line)
            event.t = round(time.monotonic() - self._start, 4)
            try:
                self._conversation.emit(event)
            except Gone:
                self.gone = self._over = True

        return send

    def check(self) -> None:
        """After the command.

        Raises:
            Gone: nobody reads any more.
            RunCancelled: the controller has had enough.
        """
        if self.gone:
            raise Gone("the controller is gone")
        if self._over:
            raise RunCancelled("stopped by the user")
