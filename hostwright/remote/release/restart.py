"""`inv restart` on the server: what is live once more, with today's inventory, through the same switch as a deploy."""

from __future__ import annotations

from .. import events
from ..run import StepError
from . import environment
from .beside import check, check_programs
from .guard import require
from .identity import own
from .layout import Layout
from .mend import mended
from .shelf import Shelf
from .source import check_provisioned, current
from .thin import render_again
from .transaction import Transaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from ..conversation import Conversation
    from ..run import Run
    from ..system import System

# the steps of a restart, for progress
STEPS = ("guard", "render", "sync", "start", "health", "switch", "drain", "prune")
NOTHING = "nothing was deployed yet"
FIRST = "inv deploy makes the first release."


def prepare(request: dict[str, Any], system: System, conversation: Conversation) -> dict[str, Any]:
    """Tell the controller what is live; it answers with a new identity for it and all that is rendered.

    Args:
        request: `app`.

    Returns:
        The request for the worker: with `live` (the release), its `commit` and `subject`, and `release`.

    Raises:
        StepError, RunCancelled, Gone
    """
    layout = Layout(request["app"])
    check_provisioned(system, layout)
    live = current(system, layout)
    if live is None:
        raise StepError(NOTHING, hint=FIRST)
    conversation.emit(events.SourceReady(live["commit"], live["subject"], live))
    answer = conversation.receive()
    names = {"live": live["id"], "commit": live["commit"], "subject": live["subject"]}
    return {**request, **names, "release": answer["release"]}


def job(request: Mapping[str, Any], system: System, run: Run) -> events.RunFinished:
    """Switch to a new release of what is live.

    Args:
        request: as for `prepare`, with what `write_folder` and the Transaction need.
    """
    return Transaction(own(request, system), system, run, "restart").carry_out(
        lambda it: mended(it, build(it))
    )


def build(restart: Transaction) -> str:
    """Make the release. Returns its id.

    Raises:
        StepError, CommandFailed, OSError, RunCancelled
    """
    request, system, run, layout = restart.request, restart.system, restart.run, restart.layout
    release = str(request["release"]["id"])
    with run.step("guard") as step:
        if restart.before != request["live"]:
            message = "%s went live meanwhile" % (restart.before or "nothing")
            raise StepError(message, hint="If that one shall be restarted: inv restart")
        require(system, layout.root, 0, 100)
        check(system, layout, request["release"])
        step.detail = restart.guard_memory()
    with run.step("render") as step:
        restart.made = True
        render_again(system, layout, Shelf(system, layout), request, restart.before)
        check_programs(system, layout, release)
        step.detail = release
    run.emit(events.Noticed(environment.told(environment.between(restart.shelf, restart.before, release))))
    with run.step("sync"):
        # the rename of `current` must never be on disk before what it leads to
        system.syncfs(layout.root)
    return release
