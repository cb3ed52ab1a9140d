"""`inv rollback` on the server: an earlier release, with everything it had, goes live again. Nothing is built."""

from __future__ import annotations

import shlex

from .. import events
from ..run import StepError
from .record import choose
from .transaction import Transaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from ..run import Run
    from ..system import System

STEPS = ("choose", "start", "health", "switch", "drain", "prune")


def job(request: Mapping[str, Any], system: System, run: Run) -> events.RunFinished:
    """Roll back.

    Args:
        request: `app`, `to` (an id, the beginning of one, or of a commit; empty: the previous release),
            `keep_releases`.
    """
    return Transaction(request, system, run, "rollback").carry_out(select)


def select(rollback: Transaction) -> str:
    """The release to go back to.

    Raises:
        StepError: there is none, or not that one.
    """
    with rollback.run.step("choose") as step:
        if not rollback.before:
            raise StepError("nothing was deployed yet", hint="inv deploy makes the first release.")
        known = rollback.log.known()
        wanted = str(rollback.request.get("to") or "")
        release = choose(known, rollback.before, rollback.shelf.present(), wanted)
        if release not in rollback.drain.active():
            rollback.guard_memory()
        step.detail = known[release].title
        step.data = {"id": release, "commit": known[release].commit}
    left = rollback.shelf.about(rollback.before)
    if left.get("release_command"):
        written = " ".join(shlex.quote(word) for word in left["release_command"])
        message = "%s ran its release command, and a rollback does not undo that: %s"
        rollback.run.emit(events.Noticed(message % (left.get("commit", "")[:7], written)))
    return release
