"""A key that may log in as a user. Other keys in the file are left alone."""

from __future__ import annotations

import os

from .base import Failed, Resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from ..system import System
    from .base import Change, Context, State


class AuthorizedKey(Resource):
    """`name` is the user, `key` a line of authorized_keys (sshd(8)): type, base64, comment."""

    kind = "authorized_key"

    def __init__(self, *, name: str, key: str, app: str = "", notify: Sequence[str] = ()) -> None:
        super().__init__(name=name, app=app, notify=notify)
        self.key = key

    def desired(self, system: System) -> State:
        return {"key": "present"}

    def read(self, system: System) -> State:
        found = system.user(self.name)
        content = system.read(os.path.join(found[2], ".ssh/authorized_keys")) if found else None
        blob = self.key.split()[1]
        lines = (content or b"").decode("utf-8", "replace").splitlines()
        return {"key": "present" if any(blob in line.split() for line in lines) else None}

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        found = system.user(self.name)
        if found is None:
            raise Failed("there is no user %s" % self.name)
        uid, gid, home, _ = found
        folder = os.path.join(home, ".ssh")
        path = os.path.join(folder, "authorized_keys")
        if system.stat(folder) is None:
            system.mkdir(folder, mode=0o700, uid=uid, gid=gid)
        old = system.read(path) or b""
        if old and not old.endswith(b"\n"):
            old += b"\n"
        system.write_atomic(path, old + self.key.strip().encode() + b"\n", mode=0o600, uid=uid, gid=gid)
