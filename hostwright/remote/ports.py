"""Who listens on a TCP port, read from proc(5): a bare server need not have ss. Runs on the server."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Collection

    from .system import System

TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
LISTEN = "0A"  # TCP_LISTEN in the kernel's include/net/tcp_states.h


class Holder:
    """A process that listens on a port. `pid` is 0 where no process is seen, `unit` its system service if any."""

    def __init__(self, port: int, pid: int, name: str, unit: str) -> None:
        self.port = port
        self.pid = pid
        self.name = name
        self.unit = unit


def holders(system: System, ports: Collection[int]) -> list[Holder]:
    """Who listens on these ports, at any address; a program with several processes is named once."""
    sockets = _sockets(system, ports)
    owners: dict[str, int] = {}
    # systemd holds a socket that it hands on: it is named only where nobody else is
    for pid in sorted((int(name) for name in system.listdir("/proc") if name.isdigit()), key=_systemd_last):
        if len(owners) == len(sockets):
            break
        for link in _links(system, pid):
            if link in sockets:
                owners.setdefault(link, pid)
    found = sorted({(port, owners.get(link, 0)) for link, port in sockets.items()})
    return [Holder(port, pid, _name(system, pid), _unit(system, pid)) for port, pid in found]


def programs(system: System, sockets: Collection[str]) -> dict[str, tuple[str, str]]:
    """(program, unit) of who holds each of these sockets, named as /proc/PID/fd/N does: `socket:[1234]`."""
    found: dict[str, tuple[str, str]] = {}
    for pid in sorted((int(name) for name in system.listdir("/proc") if name.isdigit()), key=_systemd_last):
        for link in _links(system, pid):
            if link in sockets and link not in found:
                found[link] = (_name(system, pid), _unit(system, pid))
    return found


def _systemd_last(pid: int) -> tuple[bool, int]:
    return pid == 1, pid


def _sockets(system: System, ports: Collection[int]) -> dict[str, int]:
    """What /proc/PID/fd/N points to -> port."""
    found = {}
    for table in TABLES:
        for line in (system.read(table) or b"").decode("ascii", "replace").splitlines()[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == LISTEN:
                port = int(fields[1].rpartition(":")[2], 16)
                if port in ports:
                    found["socket:[%s]" % fields[9]] = port
    return found


def _links(system: System, pid: int) -> list[str]:
    folder = "/proc/%d/fd" % pid
    try:
        return [system.readlink("%s/%s" % (folder, name)) or "" for name in system.listdir(folder)]
    except OSError:  # it has ended, or it is not ours to look into
        return []


def _text(system: System, path: str) -> str:
    try:
        return (system.read(path) or b"").decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _name(system: System, pid: int) -> str:
    return (pid and _text(system, "/proc/%d/comm" % pid)) or "a program"


def _unit(system: System, pid: int) -> str:
    """The service of the system manager that a process belongs to: cgroups(7), /proc/PID/cgroup."""
    for line in _text(system, "/proc/%d/cgroup" % pid).splitlines():
        path = line.split(":", 2)[-1]
        # below a prefix in containers without a cgroup namespace
        if "/system.slice/" in path and path.endswith(".service"):
            return path.rpartition("/")[2]
    return ""
