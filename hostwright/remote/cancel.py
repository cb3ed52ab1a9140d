"""`inv cancel`: ask the run that holds the host to stop at its next safe point. Runs on the server."""

from __future__ import annotations

import os

from . import events, lock
from .paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from .conversation import Conversation
    from .system import System


def query(request: Mapping[str, Any], system: System, conversation: Conversation) -> events.RunFinished:
    """Mark the holder's run; it stops when nothing is half done."""
    paths = Paths(request["paths"]["state"], request["paths"]["runtime"])
    holder = lock.holder(paths)
    if not holder:
        message = "nothing is running on this server" if holder is None else "a run just begins: ask again"
        return events.RunFinished("done", 0.0, message=message)
    os.close(os.open(paths.cancel(holder["run"]), os.O_WRONLY | os.O_CREAT, 0o600))
    conversation.emit(events.Answered({"holder": holder}))
    return events.RunFinished(
        "done",
        0.0,
        message='asked "%s" by %s to stop at its next safe point' % (holder["what"], holder["by"]),
    )
