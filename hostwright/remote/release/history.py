"""`inv releases` on the server: what was deployed here, and which of it can be gone back to."""

from __future__ import annotations

from .. import events
from . import disk
from .drain import Drain
from .layout import Layout
from .record import Log, previous
from .shelf import Shelf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Collection, Mapping

    from ..conversation import Conversation
    from ..system import System
    from .record import Known

# how many of the releases that went wrong are told after they were removed
WRONG = 5


def query(request: Mapping[str, Any], system: System, conversation: Conversation) -> events.RunFinished:
    """Answer with the releases of `app`, the newest first."""
    layout = Layout(request["app"])
    log, shelf = Log(system, layout), Shelf(system, layout)
    draining = Drain(system, layout).active()
    releases = table(log.known(), shelf.current(), shelf.present(), draining)
    answer = {"app": layout.app, "releases": releases, "disk": disk.usage(system, layout)}
    conversation.emit(events.Answered(answer))
    return events.RunFinished("done", 0.0)


def table(
    known: Mapping[str, Known], current: str, present: Collection[str], draining: Collection[str] = ()
) -> list[dict[str, Any]]:
    """The releases that are on disk, and those that went wrong.

    Returns:
        For each: id, commit, subject, who, when (Unix seconds), seconds (from the begin of the deploy until it
        was live), live (Unix seconds of the last time it went live, or None), state (current, previous, good,
        bad, failed), draining (does it still answer its last requests?), why (one line, where it went wrong), ran
        (its release command, if that was started), present (can it be looked at?).
    """
    back = previous(known, current, present)
    rows: list[dict[str, Any]] = []
    wrong = 0
    for release, entry in reversed(list(known.items())):
        here = release in present
        wrong += entry.verdict != "good"
        if not here and release != current and (entry.verdict == "good" or wrong > WRONG):
            continue
        state = "current" if release == current else "previous" if release == back else entry.verdict
        rows.append(
            {
                "id": release,
                "commit": entry.commit,
                "subject": entry.subject,
                "who": entry.by,
                "when": entry.when,
                "seconds": entry.seconds,
                "live": entry.live,
                "state": state,
                "draining": release in draining,
                "why": entry.why,
                "ran": entry.ran,
                "present": here,
            }
        )
    return rows
