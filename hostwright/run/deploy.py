"""`inv deploy` and `inv rollback` over hosts: the commit goes up, the server tells the rest of the story."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from hostwright.errors import InventoryError, SourceError
from hostwright.inventory import App, Host, Inventory, Secret
from hostwright.recipes.release import (
    Release,
    Values,
    deploy_fields,
    release_id,
    release_message,
    secrets,
    stamp,
)
from hostwright.recipes.render import renderer
from hostwright.remote import events, wire
from hostwright.report import Output, Report
from hostwright.run.agreement import Agreement, Told
from hostwright.run.fleet import Fleet
from hostwright.run.git_server import published_host_keys
from hostwright.run.login import Logins
from hostwright.run.request import digest, request
from hostwright.run.source import LocalSource, pack, resolve
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
    began: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    local: LocalSource | None = None
    env: Values = field(default_factory=dict)
    build_env: Values = field(default_factory=dict)
    agreement: Agreement = field(default_factory=lambda: Agreement(()))

    def prepare(self, output: Output) -> None:
        """Find the commit and check it, and the environment, before any server is contacted.

        Raises:
            SourceError, InventoryError
        """
        self.env = self.app.resolve_env(os.environ, self.inventory.base)
        self.build_env = self.app.resolve_build_env(os.environ)
        if self.app.is_git_url:
            if self.allow_dirty:
                raise SourceError(
                    "--allow-dirty is for a checkout on this machine, and the source is a git URL"
                )
            return
        self.local = resolve(self.app, self.ref, allow_dirty=self.allow_dirty)
        output.notice(f'{self.app.name}  {self.local.commit[:7]} "{self.local.subject}"')
        if self.local.along:
            output.notice(f"  not committed, and deployed as they are: {', '.join(self.local.along[:10])}")

    def request_for(self, host: Host, transport: Transport) -> dict[str, Any]:
        """The request of a host."""
        ref = self.ref or self.app.ref or ""
        source: dict[str, Any] = {
            "kind": "git",
            "url": self.app.source,
            "ref": ref,
            "forward_agent": self.app.forward_agent,
            "host_keys": published_host_keys(self.app.source),
        }
        if self.local:
            source = {"kind": "push", "commit": self.local.commit, "prefix": self.local.prefix}
        fields = deploy_fields(self.app, host, source, self.build_env)
        revealed = {name: v.reveal() if isinstance(v, Secret) else v for name, v in self.env.items()}
        # a branch of a git URL may have moved on
        same = digest(self.inventory.project, fields, self.app, revealed) if self.local else ""
        return request(
            "deploy",
            self.inventory.project,
            f"deploy {self.app.name} {self.local.commit[:7] if self.local else ref}".strip(),
            wait=self.wait,
            secrets=secrets(self.env, self.build_env),
            digest=same,
            share=self.agreement.several,
            **fields,
        )

    def answer(self, host: Host, event: events.Event) -> Iterable[bytes]:
        """What an agent asks for: the objects of the commit, then the release's identity and files."""
        if isinstance(event, events.SourceNeeded):
            assert self.local is not None
            for chunk in pack(self.local, event.have):
                yield wire.data(chunk)
            yield wire.data(b"")
        elif isinstance(event, events.SourceReady):
            yield wire.message(self._ready(host, event))

    def _ready(self, host: Host, event: events.SourceReady) -> dict[str, Any]:
        """The answer to SourceReady: another commit, or who the release is, and its packages."""
        commit = self.agreement.commit(event.commit)
        if commit != event.commit:
            return {"commit": commit}
        release = Release(release_id(commit, self.began), commit, event.subject)
        render = renderer(self.inventory.base)
        answer: dict[str, Any] = {"release": release_message(self.app, host, release, self.env, render)}
        if event.lock:
            packages = self.agreement.packages(host.name, event.lock["given"], event.lock["text"])
            answer["leads"] = packages.leads
            if packages.text != event.lock["text"]:
                answer["lock"] = {"host": packages.host, "text": packages.text}
        return answer


def deploy(what: Deploy, hosts: Sequence[Host], logins: Logins, output: Output) -> Report:
    """Deploy to each host; errors of single hosts are in the report.

    Raises:
        SourceError
    """
    what.agreement = Agreement([host.name for host in hosts])
    told = Told(output, what.agreement)
    fleet = Fleet(hosts, logins.connect, told, forward_agent=what.app.forward_agent)
    return fleet.run(what.request_for, answer=what.answer)


def rollback(
    inventory: Inventory,
    app: App,
    hosts: Sequence[Host],
    logins: Logins,
    output: Output,
    *,
    to: str,
    keep_env: bool,
    wait: float,
) -> Report:
    """Go back to an earlier release on each host; with `keep_env`, with the variables of what is live."""
    # the same on all hosts, should a release be made of an earlier one and today's variables
    began = stamp(datetime.now(timezone.utc))
    build_env = _build_env(app)

    def request_for(host: Host, transport: Transport) -> dict[str, Any]:
        return request(
            "rollback",
            inventory.project,
            f"rollback {app.name} {to}".strip(),
            wait=wait,
            app=app.name,
            to=to,
            keep_env=keep_env,
            stamp=began,
            keep_releases=app.keep_releases,
            switch=app.switch,
            build_env={name: v.reveal() if isinstance(v, Secret) else v for name, v in build_env.items()},
            digest=digest(inventory.project, app.name, to, keep_env),
            secrets=secrets(build_env, _env(inventory, app)),
        )

    return Fleet(hosts, logins.connect, output).run(request_for)


def _env(inventory: Inventory, app: App) -> Values:
    """Of today, for its secrets: what goes back may have them still, and show one when it fails."""
    try:
        return app.resolve_env(os.environ, inventory.base)
    except InventoryError:
        return {}


def _build_env(app: App) -> Values:
    """For an environment that must be built again. Mostly none must: what is not set here is no reason to stop."""
    try:
        return app.resolve_build_env(os.environ)
    except InventoryError:
        return {}
