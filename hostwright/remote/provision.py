"""`inv provision` on the server: converge a catalog."""

from __future__ import annotations

from . import events
from .catalog import Catalog
from .converge import Converge
from .records import Records
from .run import Run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Optional

    from .run import Emit
    from .system import System


def plan(request: Mapping[str, Any], system: System, emit: Emit) -> Optional[events.RunFinished]:
    """Read everything once. A check ends here, and so does a run that finds nothing to do."""
    heard: list[events.Event] = []
    check = not request["apply"]
    run = Run(emit if check else heard.append, lambda: False)
    records = Records(system, request["paths"]["state"], request["project"])
    catalog = records.admit(Catalog.from_wire(request["catalog"]))
    run.emit(
        events.RunStarted(
            request["run"],
            "provision",
            request["project"],
            request["by"],
            request["began"],
            not check,
            len(catalog.resources),
        )
    )
    for app in records.orphans(catalog):
        run.emit(
            events.Noticed(
                "the app %s is on this server and no longer in the inventory; it was left alone" % app
            )
        )
    converge = Converge(catalog, system, records, run, apply=False, show_diff=bool(request.get("diff")))
    finished = converge.converge()
    if check:
        return finished
    if not converge.nothing_to_do:
        return None
    for event in heard:
        emit(event)
    return finished


def job(request: Mapping[str, Any], system: System, run: Run) -> events.RunFinished:
    """Apply the catalog."""
    records = Records(system, request["paths"]["state"], request["project"])
    catalog = records.admit(Catalog.from_wire(request["catalog"]))
    for app in records.orphans(catalog):
        run.emit(
            events.Noticed(
                "the app %s is on this server and no longer in the inventory; it was left alone" % app
            )
        )
    records.claim_apps(catalog)
    return Converge(catalog, system, records, run, apply=True, show_diff=bool(request.get("diff"))).converge()
