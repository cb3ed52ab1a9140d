"""`inv deploy` and `inv rollback` over hosts: the commit goes up, the server tells the rest of the story."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hostwright.errors import SourceError
from hostwright.inventory import App, Host, Inventory
from hostwright.recipes.release import release_files, release_request
from hostwright.recipes.render import renderer
from hostwright.remote import events, wire
from hostwright.report import Output, Report
from hostwright.run.fleet import Fleet
from hostwright.run.login import Logins
from hostwright.run.request import request
from hostwright.run.source import Checkout, Commit, some
from hostwright.transport.base import Transport


@dataclass
class Deploy:
    """One deploy of one app.

    Args:
        inventory: where the app is described.
        app: what is deployed.
        ref: branch, tag or commit; None: what the app says, else what is checked out.
        allow_dirty: take uncommitted changes along.
        wait: seconds to wait for another run.
    """

    inventory: Inventory
    app: App
    ref: str | None
    allow_dirty: bool
    wait: float
    began: float = field(default_factory=time.time)
    checkout: Checkout | None = None
    commit: Commit | None = None

    def prepare(self, output: Output) -> None:
        """Find the commit and check it, before any server is contacted.

        Raises:
            SourceError
        """
        self.app.resolve_env(os.environ, self.inventory.base)
        if self.app.is_git_url:
            if self.allow_dirty:
                raise SourceError(
                    "--allow-dirty is for a checkout on this machine, and the source is a git URL"
                )
            return
        self.checkout = Checkout(Path(self.app.source))
        self.commit = self.checkout.resolve(self.ref or self.app.ref, allow_dirty=self.allow_dirty)
        self.checkout.check(self.commit, self.app)
        name = f'{self.app.name}  {self.commit.ref} {self.commit.short} "{self.commit.subject}"'
        output.notice(name)
        if self.commit.dirty:
            output.notice(f"  not committed, and deployed as they are: {', '.join(some(self.commit.dirty))}")

    def request_for(self, host: Host, transport: Transport) -> dict[str, Any]:
        """The request of a host."""
        source: dict[str, Any] = (
            {"kind": "push", "commit": self.commit.id}
            if self.commit
            else {
                "kind": "git",
                "url": self.app.source,
                "ref": self.ref or self.app.ref or "",
                "forward_agent": self.app.forward_agent,
            }
        )
        what = f"deploy {self.app.name} {self.commit.short if self.commit else self.ref or self.app.ref or ''}".strip()
        fields = release_request(self.app, os.environ, self.inventory.base)
        return request("deploy", self.inventory.project, what, wait=self.wait, source=source, **fields)

    def answer(self, host: Host, event: events.Event) -> Iterable[bytes]:
        """What an agent asks for: the objects of the commit, then the release's identity and files."""
        if isinstance(event, events.SourceNeeded):
            assert self.checkout is not None
            for chunk in self.checkout.pack(event.commit, event.have):
                yield wire.data(chunk)
            yield wire.data(b"")
        elif isinstance(event, events.SourceReady):
            id = release_id(self.began, event.commit)
            render = renderer(self.inventory.base)
            files = release_files(self.app, host, render, id, event.commit, os.environ, self.inventory.base)
            yield wire.message({"release": {"id": id, **files}})


def release_id(began: float, commit: str) -> str:
    """UTC time and short commit: the same on all hosts of a deploy, sorted by time."""
    return time.strftime("%Y%m%dt%H%M%S", time.gmtime(began)) + "-" + commit[:7]


def deploy(what: Deploy, hosts: Sequence[Host], logins: Logins, output: Output) -> Report:
    """Deploy to each host; errors of single hosts are in the report.

    Raises:
        SourceError
    """
    fleet = Fleet(hosts, logins.connect, output, forward_agent=what.app.forward_agent)
    return fleet.run(what.request_for, answer=what.answer)


def rollback(
    inventory: Inventory,
    app: App,
    hosts: Sequence[Host],
    logins: Logins,
    output: Output,
    *,
    to: str,
    wait: float,
) -> Report:
    """Go back to an earlier release on each host."""

    def request_for(host: Host, transport: Transport) -> dict[str, Any]:
        what = f"rollback {app.name} {to}".strip()
        return request(
            "rollback",
            inventory.project,
            what,
            wait=wait,
            app=app.name,
            to=to,
            keep_releases=app.keep_releases,
            secrets=[],
        )

    return Fleet(hosts, logins.connect, output).run(request_for)
