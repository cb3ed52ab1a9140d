"""`inv verify` on the server: run the commands that its tests ask for, one after another, over one channel.

testinfra builds shell command lines and quotes what it puts into them; they come from whoever is root here
anyway.
"""

from __future__ import annotations

import base64

from . import events
from .system import CommandFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from .conversation import Conversation
    from .system import System

TIMEOUT = 60.0


def query(request: Mapping[str, Any], system: System, conversation: Conversation) -> events.RunFinished:
    """Answer commands until the controller says it is done."""
    while True:
        frame = conversation.receive()
        if frame.get("done"):
            return events.RunFinished("done", 0.0)
        argv = ("/bin/sh", "-c", frame["command"])
        try:
            result = system.run(argv, timeout=TIMEOUT, check=False)
            answer = {"exit_code": result.exit_code, "out": _encode(result.out), "err": _encode(result.err)}
        except CommandFailed as error:
            answer = {"exit_code": 124, "out": "", "err": _encode(str(error))}
        conversation.emit(events.Answered(answer))


def _encode(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()
