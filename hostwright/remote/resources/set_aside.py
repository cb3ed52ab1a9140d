"""A file or symlink of somebody else's that is in the way: it leaves its place, its content is kept."""

from __future__ import annotations

import os

from ..digest import sha256
from .base import Failed, Resource
from .file import back_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from ..system import System
    from .base import Change, Context, State


class SetAside(Resource):
    """`name` is the absolute path. A file is kept under /var/lib/hostwright/backups, a symlink's target stays."""

    kind = "set_aside"

    def desired(self, system: System) -> State:
        return {"type": None}

    def read(self, system: System) -> State:
        found = system.stat(self.name)
        if found is not None and found.kind not in ("file", "link"):
            raise Failed("%s is neither a file nor a symlink" % self.name, "Look at: ls -ld %s" % self.name)
        return {"type": found.kind if found else None}

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        target = system.readlink(self.name)
        if target is not None:
            context.kept = os.path.normpath(os.path.join(os.path.dirname(self.name), target))
        else:
            content = system.read(self.name) or b""
            context.kept = back_up(system, self.name, content, sha256(content)[:12])
        system.unlink(self.name)
