"""A symlink, made or turned in one rename(2). Never in the place of a file or directory."""

from __future__ import annotations

import os

from .base import Failed, Resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from ..system import System
    from .base import Change, Context, State


class Symlink(Resource):
    """`name` is the absolute path of the link.

    Args:
        target: what it points to, as text: absolute, or relative to the link's directory. It need not exist.
    """

    kind = "symlink"
    exclusive = True

    def __init__(self, *, name: str, target: str, app: str = "", notify: Sequence[str] = ()) -> None:
        super().__init__(name=name, app=app, notify=notify)
        self.target = target

    def desired(self, system: System) -> State:
        return {"target": self.target}

    def read(self, system: System) -> State:
        found = system.stat(self.name)
        if found is not None and found.kind != "link":
            kind = "directory" if found.kind == "directory" else "file"
            raise Failed(
                "%s is a %s, and we replace none by a symlink" % (self.name, kind),
                "If it is not needed, move it away: mv %s %s.old" % (self.name, self.name),
            )
        return {"target": system.readlink(self.name)}

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        folder = os.path.dirname(self.name)
        if not system.exists(folder):
            system.mkdir(folder)
        system.symlink_atomic(self.target, self.name)
