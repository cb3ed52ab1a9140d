"""Takes files that the server cannot fetch itself: wheels, where it has no package index. Runs on the server."""

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
    """Receive `files`, each with name and sha256, and keep those under WHEELS whose content is right.

    Raises:
        StepError: a name with a path in it, or other bytes than were promised.
    """
    for file in request["files"]:
        _receive(str(file["name"]), str(file["sha256"]), system, conversation)
    return events.RunFinished("done", 0.0)


def _receive(name: str, digest: str, system: System, conversation: Conversation) -> None:
    from hashlib import sha256

    if not name.endswith(".whl") or os.path.basename(name) != name:
        raise StepError("not the name of a wheel: %r" % name)
    conversation.emit(events.SourceNeeded(name, ()))
    content = b"".join(conversation.receive_stream())
    if sha256(content).hexdigest() != digest:
        raise StepError("%s arrived damaged" % name, hint="Run the command again.")
    if system.stat(WHEELS) is None:
        system.mkdir(WHEELS, mode=0o755)
    system.write_atomic(os.path.join(WHEELS, name), content, mode=0o644)
