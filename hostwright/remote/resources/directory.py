"""A directory: mode and owner. What is in it is not looked at."""

from __future__ import annotations

from .base import Failed, Resource, names_to_ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from ..system import System
    from .base import Change, Context, State


class Directory(Resource):
    """`name` is the absolute path; missing parents are made (0755, root).

    Args:
        mode: permission bits.
        owner, group: names; they may be made earlier in the same run.
    """

    kind = "directory"
    exclusive = True

    def __init__(
        self,
        *,
        name: str,
        mode: int = 0o755,
        owner: str = "root",
        group: str = "root",
        app: str = "",
        notify: Sequence[str] = (),
    ) -> None:
        super().__init__(name=name, app=app, notify=notify)
        self.mode = mode
        self.owner = owner
        self.group = group

    def desired(self, system: System) -> State:
        return {"type": "directory", "mode": "%04o" % self.mode, "owner": self.owner, "group": self.group}

    def read(self, system: System) -> State:
        found = system.stat(self.name)
        if found is None:
            return {"type": None, "mode": None, "owner": None, "group": None}
        if found.kind != "directory":
            # through a symlink, somebody who may change it would choose which directory root gives away
            kind = "a symlink" if found.kind == "link" else "not a directory"
            raise Failed("%s is %s" % (self.name, kind), "Move it away: ls -ld %s" % self.name)
        return {
            "type": "directory",
            "mode": "%04o" % found.mode,
            "owner": system.user_name(found.uid),
            "group": system.group_name(found.gid),
        }

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        uid, gid = names_to_ids(system, self.owner, self.group)
        if system.stat(self.name) is None:
            system.mkdir(self.name, mode=self.mode, uid=uid, gid=gid)
            return
        system.chown(self.name, uid, gid)
        system.chmod(self.name, self.mode)
