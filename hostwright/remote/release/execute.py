"""`inv run` on the server: a command in the live release, as the app itself would run it."""

from __future__ import annotations

from .. import events
from ..run import StepError
from . import command, transient
from .layout import Layout
from .listening import Listener
from .shelf import Shelf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from ..conversation import Conversation
    from ..system import System

DAY = 86400.0


def query(request: Mapping[str, Any], system: System, conversation: Conversation) -> events.RunFinished:
    """Run `argv` in `release` (an id; empty: the live one) and send what it prints.

    Returns:
        RunFinished with `exit_code` in its data: what the command says with it is the user's business.
    """
    layout = Layout(request["app"])
    shelf = Shelf(system, layout)
    release = str(request.get("release") or shelf.current())
    if not release:
        raise StepError("nothing was deployed yet", hint="inv deploy makes the first release.")
    if not shelf.whole(release):
        raise StepError(
            "there is no release %s on this server" % release, tuple(shelf.present()), "inv releases"
        )
    listener = Listener(conversation)
    system.cancelled = listener.cancelled
    unit = "hostwright-command-%s-%s.service" % (layout.app, request["run"])
    limit = float(request.get("timeout") or DAY)
    argv = transient.command(
        unit,
        command.found(system, layout, release, tuple(request["argv"])),
        (*command.properties(system, layout, release), "RuntimeMaxSec=%d" % limit),
    )
    try:
        result = system.stream(
            argv, timeout=limit + 10, on_out=listener.line("stdout"), on_err=listener.line("stderr")
        )
    finally:
        if listener.cancelled():
            system.run(("systemctl", "stop", unit), timeout=transient.STOP_TIMEOUT, check=False)
    listener.check()
    return events.RunFinished("done", 0.0, data={"exit_code": result.exit_code, "release": release})
