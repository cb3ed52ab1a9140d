"""`inv prune` over hosts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hostwright.inventory import App, Host, Inventory
from hostwright.remote.release.clean import STEPS
from hostwright.report import Output, Report
from hostwright.run.fleet import Fleet
from hostwright.run.login import Logins
from hostwright.run.request import digest, request
from hostwright.transport.base import Transport


def prune(
    inventory: Inventory,
    app: App,
    hosts: Sequence[Host],
    logins: Logins,
    output: Output,
    *,
    keep: int | None,
    wait: float,
) -> Report:
    """Remove old releases on each host: all but `keep`, or what the inventory says."""
    keep = keep or app.keep_releases

    def request_for(host: Host, transport: Transport) -> dict[str, Any]:
        return request(
            "prune",
            inventory.project,
            f"prune {app.name}",
            wait=wait,
            total=len(STEPS),
            app=app.name,
            keep_releases=keep,
            digest=digest(inventory.project, "prune", app.name, keep),
            secrets=[],
        )

    return Fleet(hosts, logins.connect, output).run(request_for)
