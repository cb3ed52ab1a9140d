"""A key pair made on the server, whose private half never leaves it: a deploy key for git."""

from __future__ import annotations

import os

from .base import Failed, Resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from ..system import System
    from .base import Change, Context, State

TIMEOUT = 60.0


class SshKey(Resource):
    """`name` is the path of the private key; the public one is beside it, with `.pub`.

    Ed25519, no passphrase, root only. A key that is there is never replaced, whatever its type.

    Args:
        comment: ends the line of the public key, so that people recognise it: "deploy hello on web1".
    """

    kind = "ssh_key"

    def __init__(self, *, name: str, comment: str = "", app: str = "", notify: Sequence[str] = ()) -> None:
        super().__init__(name=name, app=app, notify=notify)
        self.comment = comment

    @property
    def public(self) -> str:
        """The path of the public key."""
        return self.name + ".pub"

    def desired(self, system: System) -> State:
        return {"private key": "present", "mode": "0600", "owner": "root", "public key": "present"}

    def read(self, system: System) -> State:
        found = system.stat(self.name)
        if found is not None and found.kind != "file":
            raise Failed("%s is no file" % self.name, "Move it away: ls -ld %s" % self.name)
        return {
            "private key": "present" if found else None,
            "mode": "%04o" % found.mode if found else None,
            "owner": system.user_name(found.uid) if found else None,
            "public key": "present" if system.exists(self.public) else None,
        }

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        if system.which("ssh-keygen") is None:
            raise Failed("ssh-keygen is not installed", "It is in the package openssh-client.")
        folder = os.path.dirname(self.name)
        if system.stat(folder) is None:
            system.mkdir(folder, mode=0o700)
        made = system.stat(self.name) is None
        if made:
            self._make(system)
        system.chown(self.name, 0, 0)
        system.chmod(self.name, 0o600)
        if not system.exists(self.public):
            line = system.run(("ssh-keygen", "-y", "-f", self.name), timeout=TIMEOUT).out.strip()
            if self.comment and len(line.split()) < 3:  # -y knows the comment only of newer key files
                line += " " + self.comment
            system.write_atomic(self.public, line.encode() + b"\n", mode=0o644)
        if made:
            public = (system.read(self.public) or b"").decode().strip()
            context.notice("deploy key of %s: %s" % (self.app or self.name, public))
            context.notice("add it to the repository as a deploy key (read access is enough), then deploy")

    def _make(self, system: System) -> None:
        """Under another name first: a key that a power cut left half written would never be replaced."""
        new = self.name + ".new"
        for path in (new, new + ".pub"):
            system.unlink(path)
        argv = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.comment, "-f", new)
        system.run(argv, timeout=TIMEOUT)
        system.rename(new + ".pub", self.public)
        system.rename(new, self.name)
        system.fsync_directory(os.path.dirname(self.name))
