"""A file: content, mode, owner. Atomic; a foreign file is backed up first; a validator can refuse it."""

from __future__ import annotations

import os

from .base import Failed, Resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Sequence

    from ..system import System
    from .base import Change, Context, State

BACKUPS = "/var/lib/hostwright/backups"


class File(Resource):
    """`name` is the absolute path.

    Args:
        content: text, UTF-8.
        mode: permission bits.
        owner, group: names; they may be made earlier in the same run.
        validate: a command that must accept the new file where it lies (nginx -t, visudo -cf PATH, sshd -t);
            when it does not, the old file is put back and the resource fails.
        sensitive: content is never shown, not even as a diff or a length.
        conditional: a line that ends in `#?NAME` is kept, without that mark, only where System.has(NAME).
        yields: when another project on this host declares this file, ours is not wanted.

    A file that is not as we left it (another's, or edited by hand) is kept under /var/lib/hostwright/backups
    before it is replaced: nothing is lost.
    """

    kind = "file"
    exclusive = True

    def __init__(
        self,
        *,
        name: str,
        content: str,
        mode: int = 0o644,
        owner: str = "root",
        group: str = "root",
        validate: Sequence[str] = (),
        sensitive: bool = False,
        conditional: bool = False,
        yields: bool = False,
        app: str = "",
        notify: Sequence[str] = (),
    ) -> None:
        super().__init__(name=name, app=app, notify=notify)
        self.content = content
        self.mode = mode
        self.owner = owner
        self.group = group
        self.validate = tuple(validate)
        self.sensitive = sensitive
        self.conditional = conditional
        self.yields = yields

    def _wanted(self, system: System) -> bytes:
        """The content as this server gets it."""
        if not self.conditional:
            return self.content.encode()
        lines = []
        for line in self.content.splitlines():
            text, mark, name = line.rpartition("#?")
            if not mark:
                lines.append(line)
            elif system.has(name.strip()):
                lines.append(text.rstrip())
        return ("\n".join(lines) + "\n").encode()

    def desired(self, system: System) -> State:
        return {
            "type": "file",
            "content": digest(self._wanted(system)),
            "mode": "%04o" % self.mode,
            "owner": self.owner,
            "group": self.group,
        }

    def read(self, system: System) -> State:
        found = system.stat(self.name)
        if found is None:
            return {"type": None, "content": None, "mode": None, "owner": None, "group": None}
        if found.kind == "directory":
            raise Failed("%s is a directory" % self.name, "Move it away, or change the path in the inventory.")
        content = system.read(self.name) if found.kind == "file" else None
        return {
            "type": found.kind,
            "content": None if content is None else digest(content),
            "mode": "%04o" % found.mode,
            "owner": system.user_name(found.uid),
            "group": system.group_name(found.gid),
        }

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        user, group = system.user(self.owner), system.group(self.group)
        if user is None or group is None:
            raise Failed("%s: there is no user %s or no group %s" % (self.name, self.owner, self.group))
        new = self._wanted(system)
        old, found = system.read(self.name), system.stat(self.name)
        if old is not None and old != new and context.recorded.get("content") != digest(old):
            context.say("the file that was there is kept as %s" % self._back_up(system, old))
        folder = os.path.dirname(self.name)
        if system.stat(folder) is None:
            system.mkdir(folder)
        system.write_atomic(self.name, new, mode=self.mode, uid=user[0], gid=group[0])
        if self.validate:
            self._validate(system, old, found.mode if found else 0, (found.uid, found.gid) if found else (0, 0))

    def _validate(self, system: System, old: Optional[bytes], mode: int, ids: tuple[int, int]) -> None:
        from ..system import CommandFailed

        result = system.run(self.validate, timeout=60, check=False)
        if result.ok:
            return
        if old is None:
            system.unlink(self.name)
        else:
            system.write_atomic(self.name, old, mode=mode, uid=ids[0], gid=ids[1])
        raise CommandFailed(
            self.validate,
            result.exit_code,
            result.tail(),
            "refused the new %s (exit code %d); the old state was put back" % (self.name, result.exit_code),
        )

    def _back_up(self, system: System, old: bytes) -> str:
        path = "%s%s.%s" % (BACKUPS, self.name, digest(old))
        if system.stat(path) is None:
            if system.stat(BACKUPS) is None:
                system.mkdir(BACKUPS, mode=0o700)
            if system.stat(os.path.dirname(path)) is None:
                system.mkdir(os.path.dirname(path))
            system.write_atomic(path, old, mode=0o600)
        return path

    def content_diff(self, system: System) -> list[str]:
        old = system.read(self.name)
        new = self._wanted(system)
        if old == new:
            return []
        if self.sensitive:
            return ["(content not shown: it holds secrets)"]
        from difflib import unified_diff

        before = (old or b"").decode("utf-8", "replace").splitlines()
        lines = unified_diff(before, new.decode().splitlines(), "on the server", "wanted", lineterm="", n=2)
        return list(lines)[2:500]


def digest(content: bytes) -> str:
    """A short name for content in changes: equality matters, not the bytes."""
    from hashlib import sha256

    return sha256(content).hexdigest()[:12]
