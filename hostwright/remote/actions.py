"""What a request can ask for. Each action is a module; it is imported only when asked for.

A module has some of these functions:
    plan(request, system, emit)            reads only; returns the RunFinished of a run that has nothing to do (or is a
                                           check), or None when there is something to apply
    prepare(request, system, conversation) before the worker starts, while the controller listens: returns the
                                           request that the worker gets
    job(request, system, run)              runs in the worker, holding the host's lock; returns RunFinished
    query(request, system, conversation)   no lock; reads only, or changes a file that no run changes (cancel,
                                           maintenance); returns RunFinished
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

ACTIONS = {
    "provision": ".provision",
    "deploy": ".release.deploy",
    "rollback": ".release.rollback",
    "restart": ".release.restart",
    "prune": ".release.clean",
    "releases": ".release.history",
    "status": ".release.status",
    "logs": ".release.logs",
    "run": ".release.execute",
    "cancel": ".cancel",
    "maintenance": ".maintenance",
    "commands": ".commands",
    "store": ".store",
    "certificates": ".tls.status",
    "renew": ".tls.renew",
    "audit": ".audit.report",
}


def load(name: str) -> ModuleType:
    """The module of an action.

    Raises:
        ValueError: no such action.
    """
    if name not in ACTIONS:
        raise ValueError("unknown action %r" % name)
    return import_module(ACTIONS[name], __package__)
