"""What lies on disk of an app's releases: which are there, what each is made of."""

from __future__ import annotations

import json

from . import credentials
from .environment import variables
from .layout import LOCK
from .tree import key_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..system import System
    from .layout import Layout

# what a release cannot start without; its environment can be built again from the lock
PARTS = ("release.json", "code", "gunicorn.conf.py", "env")
PYTHON = "venv/bin/python"


class Shelf:
    """What lies on disk: releases that are whole, and what `current` names."""

    def __init__(self, system: System, layout: Layout) -> None:
        self._system = system
        self._layout = layout

    def current(self) -> str:
        """The release that is live, or an empty string before the first deploy."""
        target = self._system.readlink(self._layout.current) or ""
        # somebody's hand may have made it, and a shell completes a folder with a slash
        return target.rstrip("/").rpartition("/")[2]

    def present(self) -> list[str]:
        """Releases that can be gone back to: their folder, their code, and their environment or its lock are there."""
        names = self._system.listdir(self._layout.releases)
        return [name for name in names if not name.startswith(".") and not self.missing(name)]

    def whole(self, release: str) -> bool:
        """Could this release be started as it is?"""
        return not release.startswith(".") and not self._lacks(release) and self._has(release, PYTHON)

    def missing(self, release: str) -> str:
        """What a release lacks to go live and cannot get back, or an empty string."""
        return self._lacks(release) or ("" if self.about(release) else PARTS[0])

    def _lacks(self, release: str) -> str:
        parts = PARTS if self._has(release, LOCK) else (*PARTS, PYTHON)
        return next((part for part in parts if not self._has(release, part)), "")

    def _has(self, release: str, part: str) -> bool:
        return self._system.exists("%s/%s/%s" % (self._layout.releases, release, part))

    def damaged(self) -> dict[str, str]:
        """Releases that are there and not whole -> what they lack."""
        names = [name for name in self._system.listdir(self._layout.releases) if not name.startswith(".")]
        return {name: part for name in names for part in [self.missing(name)] if part}

    def remove(self, release: str) -> None:
        """Remove a release, whole or half made; under a name that says so: half removed, it must not look like one."""
        folder, torn = self._layout.release(release), "%s/.%s.tmp" % (self._layout.releases, release)
        self._system.remove_tree(torn)
        if self._system.stat(folder):
            self._system.rename(folder, torn)
            self._system.remove_tree(torn)

    def environment(self, release: str) -> dict[str, str]:
        """The variables of a release."""
        raw = self._system.read("%s/%s/env" % (self._layout.releases, release)) or b""
        return variables(raw.decode("utf-8", "replace"))

    def credentials(self, release: str) -> dict[str, bytes]:
        """The secrets of a release that are files."""
        return credentials.read(self._system, "%s/%s" % (self._layout.releases, release))

    def settings(self, release: str) -> str:
        """What its service has beside its template: the lines of its sandbox and its limits."""
        path = "%s/%s/units/service.conf" % (self._layout.releases, release)
        return (self._system.read(path) or b"").decode("utf-8", "replace")

    def alike(self, one: str, other: str) -> bool:
        """Do two releases have the same code, packages, configuration and environment?"""
        return self._made_of(one) == self._made_of(other)

    def _made_of(self, release: str) -> list[bytes]:
        folder = "%s/%s" % (self._layout.releases, release)
        links = [name.encode() for name in self._links(release)]
        names = ["gunicorn.conf.py", "env", *self._units(folder)]
        files = [(name, self._system.read("%s/%s" % (folder, name)) or b"") for name in names]
        files += sorted(self.credentials(release).items())
        texts = [(name.encode() + b"\0" + text).replace(release.encode(), b"") for name, text in files]
        return [*links, *texts]

    def _links(self, release: str) -> list[str]:
        """What its code and its environment are; a folder that was damaged and built again is the same."""
        folder = "%s/%s" % (self._layout.releases, release)
        targets = [
            self._system.readlink("%s/%s" % (folder, name)) or "" for name in ("code", "venv", "public")
        ]
        return ["/".join(key_of(part) for part in target.split("/")) for target in targets]

    def _units(self, folder: str) -> list[str]:
        found = ["units/" + name for name in self._system.listdir(folder + "/units") if name != "extra"]
        return found + ["units/extra/" + name for name in self._system.listdir(folder + "/units/extra")]

    def about(self, release: str) -> dict[str, Any]:
        """release.json of a release; empty when there is none."""
        raw = self._system.read("%s/%s/release.json" % (self._layout.releases, release))
        try:
            value = json.loads(raw or b"{}")
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}
