"""`inv restart` over hosts: what is live once more, rendered anew with today's inventory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from hostwright.inventory import App, Host, Inventory, Secret
from hostwright.recipes.release import Release, Values, deploy_fields, release_id, release_message, secrets
from hostwright.recipes.render import renderer
from hostwright.remote import events, wire
from hostwright.remote.release.restart import STEPS
from hostwright.report import Output, Report
from hostwright.run.fleet import Fleet
from hostwright.run.login import Logins
from hostwright.run.request import digest, request
from hostwright.transport.base import Transport


@dataclass
class Restart:
    """One restart of one app.

    Args:
        inventory: where the app is described.
        app: what is restarted.
        wait: seconds to wait for another run.
    """

    inventory: Inventory
    app: App
    wait: float
    began: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    env: Values = field(default_factory=dict)

    def prepare(self) -> None:
        """Find the environment, before any server is contacted.

        Raises:
            InventoryError
        """
        self.env = self.app.resolve_env(os.environ, self.inventory.base)

    def request_for(self, host: Host, transport: Transport) -> dict[str, Any]:
        """The request of a host: that of a deploy, without a source."""
        fields = {**deploy_fields(self.app, host, {"kind": "live"}, {}), "total": len(STEPS)}
        revealed = {name: v.reveal() if isinstance(v, Secret) else v for name, v in self.env.items()}
        return request(
            "restart",
            self.inventory.project,
            f"restart {self.app.name}",
            wait=self.wait,
            secrets=secrets(self.env),
            digest=digest(self.inventory.project, "restart", fields, self.app, revealed),
            **fields,
        )

    def answer(self, host: Host, event: events.Event) -> Iterable[bytes]:
        """The new release's identity and files, for the commit that is live there."""
        if isinstance(event, events.SourceReady):
            release = Release(release_id(event.commit, self.began), event.commit, event.subject)
            render = renderer(self.inventory.base)
            yield wire.message({"release": release_message(self.app, host, release, self.env, render)})


def restart(what: Restart, hosts: Sequence[Host], logins: Logins, output: Output) -> Report:
    """Restart on each host; errors of single hosts are in the report."""
    return Fleet(hosts, logins.connect, output).run(what.request_for, answer=what.answer)
