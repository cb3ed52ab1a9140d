"""Has sshd acted on a reload? That is only a signal: until sshd has seen it, logins are accepted by the old settings.

Such a login proves nothing. sshd executes itself anew and then listens with other sockets than before.
"""

from __future__ import annotations

from ..resources.base import Failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

    from ..system import System

TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
LISTEN = "0A"
# seconds until it must have happened
PATIENCE = 8.0


def listeners(system: System) -> Iterator[tuple[int, str]]:
    """(port, inode) of each TCP socket that anything listens with, from proc(5)."""
    for table in TABLES:
        for line in (system.read(table) or b"").decode("ascii", "replace").splitlines()[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == LISTEN:
                yield int(fields[1].rpartition(":")[2], 16), fields[9]


def sockets(system: System, unit: str) -> set[str]:
    """The inodes of those that a unit's main process listens with."""
    folder = "/proc/%s/fd" % system.unit(unit)["MainPID"]
    held = {system.readlink("%s/%s" % (folder, name)) for name in system.listdir(folder)}
    return {inode for _, inode in listeners(system) if "socket:[%s]" % inode in held}


def wait(system: System, unit: str, old: set[str]) -> bool:
    """Until nobody is accepted any more with the old sockets, and a unit's main process has others.

    Returns:
        False when it ended instead.

    Raises:
        Failed: not in time.
    """
    end = system.monotonic() + PATIENCE
    gone = False
    while True:
        gone = gone or not old & {inode for _, inode in listeners(system)}
        if gone:
            system.forget_units()
            if sockets(system, unit):
                return True
            if system.unit(unit)["ActiveState"] in ("failed", "inactive"):
                return False
        if system.monotonic() > end:
            raise Failed(
                "sshd has not acted on its new settings within %d s" % PATIENCE,
                "On the server: systemctl status ssh",
            )
        system.sleep(0.02)
