"""Where the controller comes from, as this server sees it: sshd's SSH_CONNECTION, which sudo does not hand on."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from .system import System

DEPTH = 8  # python, sudo, its monitor, a shell, sshd


class Peer:
    """One end of our connection and the port of the other."""

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        self.port = port


def peer(system: System) -> Optional[Peer]:
    """The controller's IP address and the port of sshd it came by; None: not over SSH, or it cannot be told."""
    pid = "self"
    for _ in range(DEPTH):
        try:
            environ = system.read("/proc/%s/environ" % pid) or b""
            status = system.read("/proc/%s/status" % pid) or b""
        except OSError:
            return None
        for entry in environ.split(b"\0"):
            name, _, value = entry.partition(b"=")
            words = value.decode("ascii", "replace").split()
            if name == b"SSH_CONNECTION" and len(words) == 4 and words[3].isdigit():
                return Peer(words[0], int(words[3]))
        parents = [line.split()[1] for line in status.splitlines() if line.startswith(b"PPid:")]
        pid = parents[0].decode() if parents else "0"
        if pid in ("0", "1"):
            return None
    return None
