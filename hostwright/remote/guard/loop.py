"""The part of the loop that decides who gets in: armed before the first change, proven after the last. See guard.py."""

from __future__ import annotations

import time

from ..resources.base import Failed
from ..run import explain
from ..system import CommandFailed
from . import trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from ..converge import Converge
    from .guard import Guard

ID, TITLE = "guard:login", "new login"


class Guarded:
    """What the loop tells about guarded resources.

    Args:
        loop: the loop.
        guard: None where nothing is armed: in a check, and where there is no controller to log in.
    """

    def __init__(self, loop: Converge, guard: Optional[Guard]) -> None:
        self._loop = loop
        self._guard = guard
        self._began = 0.0
        self._differs = False

    def before(self, id: str, path: str = "") -> None:
        """A resource differs, or something is to be removed from a path: it is guarded if it is about who gets in.

        Raises:
            Failed: it cannot be put back, so it must not be changed.
        """
        if id not in self._loop.catalog.guarded and not decides(id, path):
            return
        if self._loop.apply and self._guard is not None:
            if not self._differs:
                self._began = time.monotonic()
                # what the rest of this run has done stays on record, whatever becomes of this part
                self._loop.records.save()
            self._guard.protect()
        self._differs = True

    def conclude(self, *, stopped: bool) -> None:
        """After the last of them: it stays when a new login works, and is put back when not."""
        if not self._differs:
            return
        if not self._loop.apply:
            self._loop.notice(
                "would be proved by a new login, before it stays; without one it would be put back"
            )
            return
        guard = self._guard
        if guard is None or not guard.armed:
            return
        failure = self._failure(guard, stopped)
        if failure is None:
            self._stays(guard)
            return
        try:
            told = guard.undo(failure)
        except (CommandFailed, OSError) as error:
            told = Failed(
                "%s; and it cannot be told whether it was put back: %s" % (failure.message, explain(error)),
                "Log in anew before you leave this one. On the server: journalctl -u hostwright-revert",
            )
        self._loop.records.reload()
        self._loop.system.forget_units()
        self._loop.failed(ID, TITLE, told, self._began)

    def _failure(self, guard: Guard, stopped: bool) -> Optional[Failed]:
        """Why it must not stay; None: from now on it does."""
        if stopped or self._loop.run.cancelled():
            return Failed(
                "only a part of what decides who gets in could be changed", "See what failed above."
            )
        mine = [r for r in self._loop.catalog.resources if r.id in self._loop.catalog.guarded]
        if not self._loop.handlers({name for resource in mine for name in resource.notify}):
            return Failed("a reload failed", "See what failed above.")
        try:
            failure = guard.prove()
            if failure is None:
                changed = [resource.proven(self._loop.system) for resource in mine]
                failure = guard.prove() if any(changed) else None
            if failure is None and not guard.disarm():
                failure = Failed("it took too long", "Run it again.")
        except Failed as error:
            return error
        except Exception as error:  # whatever it is: what is not proven must not stay
            return Failed("it cannot be proven that we still get in: %s" % explain(error))
        return failure

    def _stays(self, guard: Guard) -> None:
        self._loop.notice(
            "proved: a new login as %s on port %s works, and so does its sudo; it stays"
            % (guard.login.get("user"), guard.login.get("port"))
        )


def decides(id: str, path: str) -> bool:
    """Does what lies at a path decide who gets in? Accounts always do."""
    if id.startswith("account:"):
        return True
    for tree in (*trees.TREES, *trees.UNITS):
        stem = tree.rstrip("*")
        if path == tree or path.startswith(stem if tree.endswith("*") else stem + "/"):
            return True
    return False
