"""`inv prune` on the server: old releases go, and what only they used. Never what is live, nor the way back."""

from __future__ import annotations

from .. import events
from .disk import usage
from .heal import heal
from .layout import Layout
from .prune import prune
from .record import Log
from .source import check_provisioned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from ..run import Run
    from ..system import System

STEPS = ("count", "heal", "prune")
# nobody waits for a switch meanwhile
LIMIT = 60.0
MIB = 1 << 20


def job(request: Mapping[str, Any], system: System, run: Run) -> events.RunFinished:
    """Remove what is obsolete.

    Args:
        request: `app`, `keep_releases`.

    Returns:
        RunFinished with `removed` (ids), `freed` (bytes) and `disk` (see `disk.usage`) in its data.

    Raises:
        StepError, CommandFailed, OSError
    """
    layout = Layout(request["app"])
    with run.step("count"):
        check_provisioned(system, layout)
        before = _taken(usage(system, layout, LIMIT))
    with run.step("heal"):
        heal(system, layout, run)
    with run.step("prune") as step:
        known = Log(system, layout).known()
        gone = prune(system, layout, int(request["keep_releases"]))
        for release in gone:
            run.emit(events.Noticed("removed %s" % (known[release].title if release in known else release)))
        step.data = {"removed": gone}
    disk = usage(system, layout, LIMIT)
    freed = max(before - _taken(disk), 0)
    count = "%d %s" % (len(gone), "release" if len(gone) == 1 else "releases") if gone else "nothing"
    state = "%s removed, %.1f MiB freed" % (count, freed / MIB) if gone or freed else "nothing to remove"
    data = {"removed": gone, "freed": freed, "disk": disk}
    return events.RunFinished("done", run.seconds, changed=int(bool(gone or freed)), state=state, data=data)


def _taken(disk: Mapping[str, Any]) -> int:
    """Bytes of all that a prune could remove: people's own files may grow meanwhile."""
    return sum(size for part, size in disk["parts"].items() if part != "shared")
