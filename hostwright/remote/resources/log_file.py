"""A log that others must not read: it exists with its mode and owner before the first program opens it.

Who opens a log that is not there makes it readable for everybody, and logs of web servers tell who was here.
"""

from __future__ import annotations

from .base import Failed, Resource, names_to_ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from ..system import System
    from .base import Change, Context, State


class LogFile(Resource):
    """`name` is the absolute path. What is in it is not looked at, and never lost.

    Args:
        mode: permission bits.
        owner, group: names.
    """

    kind = "log_file"
    exclusive = True

    def __init__(
        self,
        *,
        name: str,
        mode: int = 0o640,
        owner: str = "www-data",
        group: str = "adm",
        app: str = "",
        notify: Sequence[str] = (),
    ) -> None:
        super().__init__(name=name, app=app, notify=notify)
        self.mode = mode
        self.owner = owner
        self.group = group

    def desired(self, system: System) -> State:
        return {"type": "file", "mode": "%04o" % self.mode, "owner": self.owner, "group": self.group}

    def read(self, system: System) -> State:
        found = system.stat(self.name)
        if found is None:
            return {"type": None, "mode": None, "owner": None, "group": None}
        if (
            found.kind == "link"
        ):  # somebody wants it elsewhere, and that it can be read there is their decision
            return self.desired(system)
        if found.kind != "file":
            raise Failed("%s is not a file" % self.name, "Move it away: ls -ld %s" % self.name)
        return {
            "type": "file",
            "mode": "%04o" % found.mode,
            "owner": system.user_name(found.uid),
            "group": system.group_name(found.gid),
        }

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        uid, gid = names_to_ids(system, self.owner, self.group)
        if system.stat(self.name) is None:
            system.write_atomic(self.name, b"", mode=self.mode, uid=uid, gid=gid)
            return
        system.chown(self.name, uid, gid)
        system.chmod(self.name, self.mode)
