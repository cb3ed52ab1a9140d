"""What is recorded on a host: who owns what, in which state we left it, which reloads are still due.

/var/lib/hostwright/records.json (root, 0600), an integer `format`: an older tool refuses a newer one's.
Two projects may share a host; what both declare must be equal.
"""

from __future__ import annotations

import json
import os

from .catalog import Catalog, Handler
from .digest import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from .resources.base import Resource, State
    from .system import System

FORMAT = 1
# what a run takes back when it leaves the catalog, in this order
REMOVABLE = (
    "unit",
    "drop_in",
    "account",
    "firewall",
    "sshd",
    "swap",
    "file",
    "symlink",
    "sysctl",
    "tightened",
)


class Conflict(Exception):
    """Two projects want different things of this host, or something belongs to somebody else."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Records:
    """The records of one host, read once, written when they changed.

    Args:
        system: the server.
        folder: /var/lib/hostwright.
        project: whose run this is.

    Raises:
        Conflict: the records were written by a newer format.
    """

    def __init__(self, system: System, folder: str, project: str) -> None:
        self._system = system
        self.path = os.path.join(folder, "records.json")
        self.project = project
        self._data: dict[str, Any] = {}
        self.reload()
        if self._data["format"] > FORMAT:
            raise Conflict(
                "this server is managed by a newer hostwright (records format %s, ours is %s)"
                % (self._data["format"], FORMAT),
                "Upgrade hostwright here, then run the command again.",
            )

    def reload(self) -> None:
        """Read them again: they have been put back with what they are about."""
        raw = self._system.read(self.path)
        empty: dict[str, Any] = {"format": FORMAT, "apps": {}, "owned": {}, "pending": {}}
        self._data = json.loads(raw) if raw else empty
        self.unsaved = False

    @property
    def owned(self) -> Mapping[str, Any]:
        """Resource id -> {projects: {project: {app, digest}}, state}."""
        owned: dict[str, Any] = self._data["owned"]
        return owned

    # -- conflicts ---------------------------------------------------------------------------------------

    def admit(self, catalog: Catalog) -> Catalog:
        """The part of the catalog that this project may have here, before anything is changed.

        A resource that yields is left out where another project declares the same.

        Raises:
            Conflict: another project declares the same thing differently.
        """
        mine = []
        for resource in catalog.resources:
            yields = getattr(resource, "yields", False)
            others = {
                name: entry for name, entry in self._others(resource.id).items() if not entry.get("yields")
            }
            if yields and others:
                continue
            for project, entry in others.items():
                self._refuse(resource, project, entry)
            mine.append(resource)
        return Catalog(mine, catalog.handlers, catalog.guarded)

    def admit_apps(self, catalog: Catalog) -> None:
        """May this project have apps of these names here?

        Raises:
            Conflict: another project has one, or something that we did not make.
        """
        for app in sorted({resource.app for resource in catalog.resources if resource.app}):
            self._check_app(app)

    def _check_app(self, app: str) -> None:
        """An app's name is its user, its units and its folders: they must be ours, or not be there."""
        project = self._data["apps"].get(app)
        if project == self.project:
            return
        if project:
            raise Conflict(
                "the app %r on this server belongs to the project %r, not to %r"
                % (app, project, self.project),
                "Give this app another name. If it is the same project, say `project: %s` in inventory.yaml."
                % project,
            )
        taken = ["the user %s" % app] if self._system.user(app) else []
        for path in (
            "/srv/%s",
            "/var/lib/%s",
            "/etc/systemd/system/%s.service",
            "/lib/systemd/system/%s.service",
        ):
            if self._system.stat(path % app):
                taken.append(path % app)
        if taken:
            raise Conflict(
                "the app cannot be called %r on this server, Hostwright did not make what is there: %s"
                % (app, ", ".join(taken)),
                "Give the app another name in the inventory, or remove what is left of the old one.",
            )

    def _refuse(self, resource: Resource, project: str, entry: Mapping[str, Any]) -> None:
        if resource.exclusive and entry["digest"] != fingerprint(resource):
            raise Conflict(
                "the projects %r and %r want different things of %s"
                % (project, self.project, resource.title),
                "Both inventories must agree on this host's settings.",
            )

    def _others(self, id: str) -> dict[str, Any]:
        projects = self.owned.get(id, {}).get("projects", {})
        return {name: entry for name, entry in projects.items() if name != self.project}

    def claim_apps(self, catalog: Catalog) -> None:
        """Record whose the catalog's apps are, on disk before the first of their parts is made."""
        wanted = {resource.app: self.project for resource in catalog.resources if resource.app}
        if {**self._data["apps"], **wanted} != self._data["apps"]:
            self._data["apps"].update(wanted)
            self.save(force=True)

    # -- owners ------------------------------------------------------------------------------------------

    def claim(self, resource: Resource, state: State) -> None:
        """Record that the resource is ours and in which state it is."""
        entry = self._data["owned"].setdefault(resource.id, {"projects": {}})
        mine: dict[str, Any] = {"app": resource.app, "digest": fingerprint(resource)}
        if getattr(resource, "yields", False):
            mine["yields"] = True
        if resource.notify:
            mine["notify"] = list(resource.notify)
        recorded = plain(state)
        if entry["projects"].get(self.project) != mine or entry.get("state") != recorded:
            entry["projects"][self.project] = mine
            entry["state"] = recorded
            self.unsaved = True

    def state_of(self, id: str) -> State:
        """The state we left a resource in; empty when it was never ours."""
        state: dict[str, Any] = self.owned.get(id, {}).get("state", {})
        return state

    def notified_by(self, id: str) -> list[str]:
        """Names of the handlers that have to hear when our resource of this id goes."""
        names: list[str] = self.owned.get(id, {}).get("projects", {}).get(self.project, {}).get("notify", [])
        return names

    def forget(self, id: str) -> None:
        """A resource is gone, or no longer ours."""
        entry = self._data["owned"].get(id)
        if entry:
            entry["projects"].pop(self.project, None)
            if not entry["projects"]:
                del self._data["owned"][id]
            self.unsaved = True

    def dropped(self, catalog: Catalog) -> list[tuple[str, str]]:
        """(kind, name) of what only we own and the catalog no longer has: units first, then files and links.

        What belongs to an app that is not in the catalog stays: orphaned apps are listed, never removed. So do
        kinds that cannot be taken back without losing something (users, packages, directories).
        """
        ids = {resource.id for resource in catalog.resources}
        apps = {resource.app for resource in catalog.resources} | {""}
        found = []
        for id, entry in self.owned.items():
            mine = entry["projects"].get(self.project)
            kind, name = id.split(":", 1)
            if id in ids or mine is None or len(entry["projects"]) > 1 or mine["app"] not in apps:
                continue
            # a unit that a package brought is not ours to switch off
            if kind in REMOVABLE and (kind != "unit" or "file:/etc/systemd/system/" + name in self.owned):
                found.append((kind, name))
        return sorted(found, key=lambda item: REMOVABLE.index(item[0]))

    def app_of(self, id: str) -> str:
        """The app that a resource of ours belongs to; empty: the host."""
        return str(self.owned.get(id, {}).get("projects", {}).get(self.project, {}).get("app", ""))

    def orphans(self, catalog: Catalog) -> list[str]:
        """Our apps that are on the host and not in the catalog."""
        wanted = {resource.app for resource in catalog.resources}
        return sorted(
            app
            for app, project in self._data["apps"].items()
            if project == self.project and app not in wanted
        )

    # -- pending handlers --------------------------------------------------------------------------------

    def pending(self) -> list[tuple[Handler, list[str]]]:
        """Handlers that are due, with the ids of what asked for them."""
        return [(Handler(**item["handler"]), item["why"]) for item in self._data["pending"].values()]

    def add_pending(self, handler: Handler, why: str) -> None:
        """A reload is due; on disk before the change that needs it."""
        item = self._data["pending"].setdefault(handler.name, {"handler": handler.to_wire(), "why": []})
        item["handler"] = handler.to_wire()
        if why not in item["why"]:
            item["why"].append(why)
            self.save(force=True)

    def done(self, handler: Handler) -> None:
        """A reload has happened."""
        self._data["pending"].pop(handler.name, None)
        self.save(force=True)

    def save(self, force: bool = False) -> None:
        """Write the records if they changed."""
        if not (self.unsaved or force):
            return
        folder = os.path.dirname(self.path)
        if self._system.stat(folder) is None:
            self._system.mkdir(folder, mode=0o700)
        content = json.dumps(self._data, indent=1, sort_keys=True).encode()
        self._system.write_atomic(self.path, content, mode=0o600)
        self.unsaved = False


def plain(state: State) -> dict[str, Any]:
    """A state as it comes back from JSON: sequences are lists."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in state.items()}


def fingerprint(resource: Resource) -> str:
    """A short name for what is declared."""
    return sha256(json.dumps(resource.to_wire(), sort_keys=True).encode())[:16]
