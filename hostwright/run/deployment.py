"""One deploy of one app to several hosts: what each is asked, what each is answered, one release for all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from hostwright.errors import SourceError
from hostwright.inventory import App, Host
from hostwright.recipes.release import Release, Values, deploy_fields, release_id, release_message, secrets
from hostwright.recipes.render import Render
from hostwright.remote import events, wire
from hostwright.run.source import LocalSource, pack


@dataclass
class Deployment:
    """Made once for a deploy; used from the threads of all its hosts.

    Args:
        app: what is deployed.
        render: fills in templates.
        env, build_env: resolved.
        local: the commit, when it comes from this machine; without, the servers fetch the app's git URL.
        ref: instead of the app's, for a git URL.
    """

    app: App
    render: Render
    env: Values
    build_env: Values
    local: LocalSource | None = None
    ref: str | None = None
    release: Release | None = None
    _first: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fields(self, host: Host) -> dict[str, Any]:
        """What the request to a host says: for `run.request.request("deploy", ..., **fields)`."""
        source: dict[str, Any]
        if self.local is not None:
            source = {"kind": "push", "commit": self.local.commit, "prefix": self.local.prefix}
        else:
            source = {
                "kind": "git",
                "url": self.app.source,
                "ref": self.ref or self.app.ref or "",
                "forward_agent": self.app.forward_agent,
            }
        return {
            **deploy_fields(self.app, host, source, self.build_env),
            "secrets": secrets(self.env, self.build_env),
        }

    def answer(self, host: Host, event: events.Event) -> Iterator[bytes]:
        """The frames for an agent's question.

        Raises:
            SourceError: the pack could not be made, or this host fetched another commit than the first one.
            RenderError
        """
        if isinstance(event, events.SourceNeeded) and self.local is not None:
            for chunk in pack(self.local, event.have):
                yield wire.data(chunk)
            yield wire.data(b"")
        elif isinstance(event, events.SourceReady):
            release = self._identify(host, event)
            yield wire.message({"release": release_message(self.app, host, release, self.env, self.render)})

    def _identify(self, host: Host, event: events.SourceReady) -> Release:
        """The release is named when the first host has its commit."""
        with self._lock:
            if self.release is None:
                now = datetime.now(timezone.utc)
                self.release = Release(release_id(event.commit, now), event.commit, event.subject)
                self._first = host.name
            if self.release.commit != event.commit:
                raise SourceError(
                    f"{self.ref or self.app.ref or 'HEAD'} is {event.commit[:7]} here, and {self.release.commit[:7]} "
                    f"on {self._first}: it moved meanwhile",
                    host=host.name,
                    hint="Deploy again, or name the commit: --ref",
                )
            return self.release
