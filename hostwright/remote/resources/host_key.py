"""A key that sshd shows for the server. What is there is never replaced: somebody may know the server by it."""

from __future__ import annotations

import os

from ..accounts import rsa_bits
from .base import Failed, Resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Sequence

    from ..system import System
    from .base import Change, Context, State

TIMEOUT = 300.0
RSA_BITS = 4096


class HostKey(Resource):
    """`name` is the path of the private key.

    Args:
        type: ed25519 or rsa (4096 bits).
        instead_of: the path of another RSA key; where that is long enough, this one is not needed.
    """

    kind = "host_key"
    exclusive = True
    # finding primes of 2048 bits takes seconds, and one processor
    early = True

    def __init__(
        self,
        *,
        name: str,
        type: str,
        instead_of: str = "",
        app: str = "",
        notify: Sequence[str] = (),
    ) -> None:
        super().__init__(name=name, app=app, notify=notify)
        self.type = type
        self.instead_of = instead_of

    def desired(self, system: System) -> State:
        return {"key": "present"}

    def read(self, system: System) -> State:
        if self.instead_of and usable_rsa(system, self.instead_of):
            return {"key": "present"}
        there = system.stat(self.name) is not None and public_key(system, self.name) is not None
        return {"key": "present" if there else None}

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        if system.which("ssh-keygen") is None:
            raise Failed("ssh-keygen is not installed", "It is in the package openssh-client.")
        if system.stat(self.name) is not None:
            line = system.run(("ssh-keygen", "-y", "-f", self.name), timeout=60).out.strip()
            system.write_atomic(self.name + ".pub", line.encode() + b"\n", mode=0o644)
            return
        if public_key(system, self._new) is None:
            self._make(system)
        system.rename(self._new + ".pub", self.name + ".pub")
        system.rename(self._new, self.name)
        system.fsync_directory(os.path.dirname(self.name))

    def ahead(self, system: System) -> None:
        # one that an earlier run left may be half of one
        for path in (self._new, self._new + ".pub"):
            system.unlink(path)
        if system.which("ssh-keygen") and system.stat(self.name) is None:
            self._make(system)

    @property
    def _new(self) -> str:
        return self.name + ".new"

    def _make(self, system: System) -> None:
        for path in (self._new, self._new + ".pub"):
            system.unlink(path)
        size = ("-b", str(RSA_BITS)) if self.type == "rsa" else ()
        argv = ("ssh-keygen", "-q", "-t", self.type, *size, "-N", "", "-C", "hostwright", "-f", self._new)
        system.run(argv, timeout=TIMEOUT)


def public_key(system: System, path: str) -> Optional[tuple[str, str]]:
    """(type, base64) of the public half of a host key."""
    words = (system.read(path + ".pub") or b"").decode("ascii", "replace").split()
    return (words[0], words[1]) if len(words) >= 2 else None


def usable_rsa(system: System, path: str) -> bool:
    """An RSA key as long as ssh-audit's policies want it."""
    found = public_key(system, path)
    return bool(found and system.stat(path) is not None and (rsa_bits(found[1]) or 0) >= RSA_BITS)
