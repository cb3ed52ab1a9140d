"""A file: content, mode, owner. Atomic; a foreign file is backed up first; a validator can refuse it."""

from __future__ import annotations

import os

from ..digest import sha256
from .base import Failed, Resource, names_to_ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from ..system import System
    from .base import Change, Context, State

BACKUPS = "/var/lib/hostwright/backups"
MACHINE_ID = "/etc/machine-id"


class File(Resource):
    """`name` is the absolute path.

    Args:
        content: text, UTF-8.
        mode: permission bits.
        owner, group: names; they may be made earlier in the same run.
        validate: a command that must accept the new file where it lies (nginx -t, visudo -cf PATH, sshd -t);
            when it does not, the old file is put back and the resource fails.
        judges_all: `validate` judges other files too: where it refused already what was there before, the new
            file is kept, and the last word is left to the handlers. Else two broken files block each other.
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
        judges_all: bool = False,
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
        self.judges_all = judges_all
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

    def _digest(self, system: System, content: bytes) -> str:
        """A short name for content in changes and records.

        A secret's is mixed with the machine's id, which no event carries: no guess can be checked with it.
        """
        if self.sensitive:
            content = (system.read(MACHINE_ID) or b"") + content
        return sha256(content)[:12]

    def desired(self, system: System) -> State:
        return {
            "type": "file",
            "content": self._digest(system, self._wanted(system)),
            "mode": "%04o" % self.mode,
            "owner": self.owner,
            "group": self.group,
        }

    def read(self, system: System) -> State:
        found = system.stat(self.name)
        if found is None:
            return {"type": None, "content": None, "mode": None, "owner": None, "group": None}
        if found.kind not in ("file", "link"):
            kind = "directory" if found.kind == "directory" else "device, pipe or socket"
            raise Failed("%s is a %s" % (self.name, kind), "Move it away: ls -ld %s" % self.name)
        content = system.read(self.name) if found.kind == "file" else None
        return {
            "type": found.kind,
            "content": None if content is None else self._digest(system, content),
            "mode": "%04o" % found.mode,
            "owner": system.user_name(found.uid),
            "group": system.group_name(found.gid),
        }

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        uid, gid = names_to_ids(system, self.owner, self.group)
        new, old = self._wanted(system), system.read(self.name)
        before = Before(system, self.name)
        if old is not None and old != new and context.recorded.get("content") != self._digest(system, old):
            context.kept = back_up(system, self.name, old, self._digest(system, old))
        folder = os.path.dirname(self.name)
        if not system.exists(folder):
            system.mkdir(folder)
        system.write_atomic(self.name, new, mode=self.mode, uid=uid, gid=gid)
        if self.validate and not self._valid(system, before):
            context.note = "not accepted yet: other files are wrong too"
            system.write_atomic(self.name, new, mode=self.mode, uid=uid, gid=gid)

    def _valid(self, system: System, before: Before) -> bool:
        """Whether the new file is accepted; the old one is back where it is not.

        Raises:
            CommandFailed: it is refused, and the file is to blame.
        """
        from ..system import CommandFailed

        try:
            system.run(self.validate, timeout=60, read_only=True)
            return True
        except CommandFailed as error:
            before.restore()
            if self.judges_all and not system.run(self.validate, timeout=60, read_only=True, check=False).ok:
                return False
            reason = "refused the new %s (%s); the old state was put back" % (self.name, error.reason)
            raise CommandFailed(error.argv, error.exit_code, error.tail, reason) from None
        except BaseException:
            before.restore()
            raise

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


def back_up(system: System, path: str, content: bytes, digest: str) -> str:
    """Keep what was at a path; returns where. `digest` is a short name for the content."""
    kept = "%s%s.%s" % (BACKUPS, path, digest)
    if system.stat(kept) is None:
        if system.stat(BACKUPS) is None:
            system.mkdir(BACKUPS, mode=0o700)
        if system.stat(os.path.dirname(kept)) is None:
            system.mkdir(os.path.dirname(kept))
        system.write_atomic(kept, content, mode=0o600)
    return kept


class Before:
    """What was at a path, to put it back."""

    def __init__(self, system: System, path: str) -> None:
        self._system = system
        self._path = path
        self._found = system.stat(path)
        self._target = system.readlink(path)
        self._content = system.read(path)

    def restore(self) -> None:
        """Put it back, or remove what came where nothing was."""
        if self._target is not None:
            self._system.symlink_atomic(self._target, self._path)
        elif self._content is not None and self._found is not None:
            found = self._found
            self._system.write_atomic(
                self._path, self._content, mode=found.mode, uid=found.uid, gid=found.gid
            )
        else:
            self._system.unlink(self._path)
