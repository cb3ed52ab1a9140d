"""Takes a file that the server cannot fetch itself: a wheel, where it has no package index. Runs on the server."""

from __future__ import annotations

import os

from . import events
from .run import StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from .conversation import Conversation
    from .system import System

WHEELS = "/var/lib/hostwright/wheels"


def query(request: Mapping[str, Any], system: System, conversation: Conversation) -> events.RunFinished:
    """Receive one file of that `name` and keep it under WHEELS when its `sha256` is right.

    Raises:
        StepError: a name with a path in it, or other bytes than were promised.
    """
    from hashlib import sha256

    name = str(request["name"])
    if not name.endswith(".whl") or os.path.basename(name) != name:
        raise StepError("not the name of a wheel: %r" % name)
    conversation.emit(events.SourceNeeded(name, ()))
    content = b"".join(conversation.receive_stream())
    if sha256(content).hexdigest() != request["sha256"]:
        raise StepError("%s arrived damaged" % name, hint="Run the command again.")
    if system.stat(WHEELS) is None:
        system.mkdir(WHEELS, mode=0o755)
    system.write_atomic(os.path.join(WHEELS, name), content, mode=0o644)
    return events.RunFinished("done", 0.0)
