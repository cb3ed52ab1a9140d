"""`inv cert.renew` over hosts: ask the CA for certificates that are due, and see to it that nginx serves them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hostwright.errors import UsageError
from hostwright.inventory import Host, Inventory
from hostwright.remote.tls.renew import STEPS
from hostwright.report import Output, Report
from hostwright.run.certificates import kind, wanted
from hostwright.run.fleet import Fleet
from hostwright.run.login import Logins
from hostwright.run.request import digest, request
from hostwright.transport.base import Transport

# where the certificate does not come from a CA that can be asked
INSTEAD = {
    "selfsigned": "is self-signed: inv provision makes a new one in time",
    "files": "is your own: put the new one where the inventory says, then inv provision",
    "off": "is served over HTTP only: see `tls:` in the inventory",
}


@dataclass
class Renewal:
    """One renewal.

    Args:
        inventory: the apps.
        app: only this one; None: all.
        force: also what is not due.
        staging: a dry try at the CA's staging, which keeps nothing.
        wait: seconds to wait for another run.
    """

    inventory: Inventory
    app: str | None
    force: bool
    staging: bool
    wait: float
    apps: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def prepare(self, hosts: Sequence[Host]) -> tuple[list[Host], list[str]]:
        """Which hosts have something that a CA could renew, and what is to be said of the other apps.

        Raises:
            UsageError: there is nothing.
        """
        notes = []
        for host in hosts:
            asked = wanted(self.inventory, host, self.app)
            self.apps[host.name] = [app for app in asked if app["kind"] == "acme"]
            for name in host.apps:
                which = kind(self.inventory.apps[name], host)
                if which != "acme" and self.app in (None, name):
                    notes.append(f"{host.name}  {name} {INSTEAD[which]}")
        chosen = [host for host in hosts if self.apps[host.name]]
        if not chosen:
            raise UsageError("there is no certificate that a CA could renew", hint="\n  ".join(notes))
        return chosen, [note for note in notes if not note.endswith(INSTEAD["off"])]

    def request_for(self, host: Host, transport: Transport) -> dict[str, Any]:
        """The request of a host."""
        apps = self.apps[host.name]
        names = " ".join(app["name"] for app in apps)
        return request(
            "renew",
            self.inventory.project,
            f"renew {names}",
            wait=self.wait,
            total=len(apps) + len(STEPS),
            apps=apps,
            force=self.force,
            staging=self.staging,
            digest=digest(self.inventory.project, "renew", apps, self.force, self.staging),
            secrets=[],
        )


def renew(what: Renewal, hosts: Sequence[Host], logins: Logins, output: Output) -> Report:
    """Renew on each host."""
    return Fleet(hosts, logins.connect, output).run(what.request_for)
