"""The agent: says hello, reads one request, serves it. Started by the boot line of the transport."""

from __future__ import annotations

import os
import sys

from . import events, wire
from .conversation import Conversation, Gone
from .facts import facts
from .paths import Paths
from .session import Session
from .system import PATH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional


def main(agent: str, state: str, runtime: str, request: Optional[dict[str, Any]] = None) -> None:
    """Serve one controller on stdin and stdout.

    Args:
        agent: the hash of this agent.
        state: /var/lib/hostwright.
        runtime: /run/hostwright.
        request: the first frame, when the boot line has read it already.
    """
    os.umask(0o022)
    os.environ["PATH"] = PATH
    # stdout belongs to the frames: whatever prints by mistake goes to stderr
    sink = os.dup(1)
    os.dup2(2, 1)
    conversation = Conversation(0, sink)
    try:
        conversation.emit(events.Hello(wire.PROTOCOL, agent, facts()))
        request = request or conversation.receive()
        if request.get("protocol") != wire.PROTOCOL:
            message = "the agent speaks protocol %d, the controller %s" % (
                wire.PROTOCOL,
                request.get("protocol"),
            )
            conversation.emit(events.RunFinished("failed", 0.0, failed=1, message=message))
            return
        Session(conversation, Paths(state, runtime)).serve(request)
    except Gone:
        sys.exit(0)
