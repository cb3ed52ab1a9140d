"""`inv rollback` on the server: an earlier release, with everything it had, goes live again.

Nothing is built, but for what was damaged since.
"""

from __future__ import annotations

from .. import events
from ..run import StepError
from . import environment
from .identity import free
from .mend import mended
from .record import choose, ran_since
from .restart import FIRST, NOTHING
from .thin import copy
from .transaction import Transaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from ..run import Run
    from ..system import System
    from .record import Known

STEPS = ("choose", "start", "health", "switch", "drain", "prune")


def job(request: Mapping[str, Any], system: System, run: Run) -> events.RunFinished:
    """Roll back.

    Args:
        request: `app`, `to` (an id, the beginning of one, or of a commit; empty: the previous release),
            `keep_releases`, `build_env` (for an environment that must be built again), `keep_env` (today's
            variables instead of those that the release had), `stamp` (the time in the id of the release that this
            makes).
    """
    return Transaction(request, system, run, "rollback").carry_out(lambda it: mended(it, select(it)))


def select(rollback: Transaction) -> str:
    """The release to go back to.

    Raises:
        StepError: there is none, or not that one. CommandFailed, OSError
    """
    shelf, run, today = rollback.shelf, rollback.run, rollback.before
    known = rollback.log.known()
    with run.step("choose") as step:
        if not today:
            raise StepError(NOTHING, hint=FIRST)
        wanted = str(rollback.request.get("to") or "")
        release = choose(known, today, shelf.present(), wanted, shelf.damaged())
        differ = environment.between(shelf, today, release)
        keep = bool(differ and rollback.request.get("keep_env"))
        if keep or release not in rollback.drain.active():
            rollback.guard_memory()
        step.detail = known[release].title
        step.data = {"id": release, "commit": known[release].commit}
    for entry in ran_since(known, release):
        message = "%s ran its release command, and a rollback does not undo that: %s"
        run.emit(events.Noticed(message % (entry.commit[:7] or entry.id, entry.ran)))
    if keep:
        return _with_todays_environment(rollback, known[release], ", ".join(differ))
    if differ:
        message = "it goes back with its own environment, which differs from today's: %s"
        run.emit(events.Noticed(message % ", ".join(differ), "With today's: inv rollback --keep-env"))
    return release


def _with_todays_environment(rollback: Transaction, target: Known, names: str) -> str:
    """A new release: everything of the target but its environment."""
    system, layout, shelf, run = rollback.system, rollback.layout, rollback.shelf, rollback.run
    with run.step("render") as step:
        release = free(system, layout, "%s-%s" % (rollback.request["stamp"], target.commit[:7] or "kept"))
        # what is half made goes again when this fails
        rollback.release, rollback.made, rollback.of = release, True, target.id
        variables = environment.kept(shelf.environment(rollback.before), shelf.environment(target.id))
        text = environment.environment_file(variables).replace(target.id, release)
        about = {
            "id": release, "by": rollback.request["by"], "made": round(system.now(), 3), "release_command": [],
        }  # fmt: skip
        copy(system, layout, target.id, release, text.encode(), shelf.credentials(rollback.before), about)
        step.detail = "%s, which is %s with today's %s" % (release, target.id, names)
    with run.step("sync"):
        system.syncfs(layout.root)
    return release
