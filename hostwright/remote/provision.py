"""`inv provision` on the server: converge a catalog."""

from __future__ import annotations

from . import events, neighbours
from .catalog import Catalog
from .converge import Converge
from .records import Conflict, Records
from .release.layout import Layout
from .run import Run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Sequence

    from .brownfield import Cut
    from .guard.guard import Guard
    from .run import Emit, Request
    from .system import System

# not ours yet: we meet this server for the first time, or a first run did not get so far
CONF = "file:/etc/nginx/nginx.conf"
# fail2ban is wanted
JAIL = "file:/etc/fail2ban/jail.d/hostwright.local"


def plan(request: Request, system: System, emit: Emit) -> Optional[events.RunFinished]:
    """Read everything once. A check ends here, and so does a run that finds nothing to do.

    Raises:
        Conflict: this project may not have here what it wants, or the server's own things are in the way.
    """
    from .guard import unfinished

    heard: list[events.Event] = []
    check = not request["apply"]
    run = Run(emit if check else heard.append, lambda: False)
    records = Records(system, request["paths"]["state"], request["project"])
    catalog = _admit(request, records, system)
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
    try:
        catalog = _look_around(request, catalog, records, system, run)
    except Conflict:
        for event in heard:
            emit(event)
        raise
    converge = Converge(catalog, system, records, run, apply=False, show_diff=bool(request.get("diff")))
    finished = converge.converge()
    undecided = unfinished(system, request["paths"]["state"])
    if not check:
        _remember_us(catalog, system)
    if not converge.nothing_to_do:
        _keep_us(catalog, system, run, check=check)
    if check:
        if undecided:
            run.emit(
                events.Noticed(
                    "an earlier run changed who gets in without proof: it is put back, at the latest by the next run, "
                    "which tells about it"
                )
            )
        return finished
    if undecided or not converge.nothing_to_do:
        return None
    for event in heard:
        emit(event)
    return finished


def _remember_us(catalog: Catalog, system: System) -> None:
    """Whoever provisions is not banned from the server, not for wrong keys before the right one either."""
    if not any(resource.id == JAIL for resource in catalog.resources):
        return
    from .known import remember
    from .peer import peer

    us = peer(system)
    if us:
        try:
            remember(system, us.address)
        except (OSError, ValueError):
            pass  # a full disk must not keep a run from starting: it may be what makes room


def job(request: Request, system: System, run: Run) -> events.RunFinished:
    """Apply the catalog.

    Raises:
        Conflict: as in `plan`; the server may have changed since.
    """
    guard = _guard(request, system, run)
    records = Records(system, request["paths"]["state"], request["project"])
    catalog = _admit(request, records, system)
    catalog = _look_around(request, catalog, records, system, run)
    records.claim_apps(catalog)
    diff = bool(request.get("diff"))
    converge = Converge(catalog, system, records, run, apply=True, show_diff=diff, guard=guard)
    apps = _never_deployed(catalog, system)
    if not apps:
        return converge.converge()
    from .release.first import FirstEnvironments

    environments = FirstEnvironments(apps, system, run, request["paths"]["runtime"])
    try:
        return converge.converge()
    finally:
        environments.end()


def _never_deployed(catalog: Catalog, system: System) -> list[str]:
    """The apps of which nothing is live nor ever was."""
    layouts = [Layout(app) for app in sorted({resource.app for resource in catalog.resources} - {""})]
    return [
        layout.app
        for layout in layouts
        if system.stat(layout.current) is None and not system.listdir(layout.releases)
    ]


def _guard(request: Request, system: System, run: Run) -> Optional[Guard]:
    """What proves that we still get in, after whatever an earlier run left unproven is put back."""
    from .guard import unfinished

    state = request["paths"]["state"]
    if not (request.get("login") or unfinished(system, state)):
        return None
    from .guard.guard import Guard

    guard = Guard(system, run, state, request["run"], request.get("login") or {})
    if unfinished(system, state):
        guard.recover()
    return guard if request.get("login") else None


def _admit(request: Request, records: Records, system: System) -> Catalog:
    """The part of the catalog that this project may have here."""
    catalog = Catalog.from_wire(request["catalog"])
    records.admit_apps(catalog)
    neighbours.check(catalog, records, system)
    return records.admit(catalog)


def _look_around(request: Request, catalog: Catalog, records: Records, system: System, run: Run) -> Catalog:
    """Tell what is on the server besides the catalog; at first contact that may be in the way."""
    for app in records.orphans(catalog):
        run.emit(
            events.Noticed(
                "the app %s is on this server and no longer in the inventory; it was left alone" % app
            )
        )
    cuts = _cut_by_firewall(catalog, records, system)
    adopt, check = bool(request.get("adopt")), not request["apply"]
    if CONF in records.owned or not any(resource.id == CONF for resource in catalog.resources):
        if cuts:
            from .brownfield import refuse

            refuse(cuts, "the firewall would cut %s of this server", run, adopt=adopt, check=check)
        return catalog
    from .brownfield import meet

    return meet(catalog, system, run, adopt=adopt, check=check, more=cuts)


def _cut_by_firewall(catalog: Catalog, records: Records, system: System) -> Sequence[Cut]:
    """What a firewall that is not there yet would cut."""
    for resource in catalog.resources:
        if resource.kind == "firewall" and resource.id not in records.owned:
            from .firewall.contact import cuts
            from .resources.firewall import Firewall

            return list(cuts(resource, system)) if isinstance(resource, Firewall) else ()
    return ()


def _keep_us(catalog: Catalog, system: System, run: Run, *, check: bool) -> None:
    """Refuse a firewall that would keep us out; only here, in the session of our login, we know where we come from.

    Raises:
        Conflict: it would; in a check that is only told.
    """
    from .firewall.lockout import keep_us
    from .resources.firewall import Firewall

    for resource in catalog.resources:
        if isinstance(resource, Firewall):
            try:
                keep_us(resource, system)
            except Conflict as error:
                if not check:
                    raise
                run.emit(events.Noticed("a run would refuse this: " + error.message, error.hint))
