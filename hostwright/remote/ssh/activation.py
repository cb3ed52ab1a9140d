"""How sshd comes to listen: by itself, or systemd listens for it. They take a new port in different ways."""

from __future__ import annotations

from ..resources.base import Failed
from ..system import CommandFailed
from . import handover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from ..system import System

SERVICE, SOCKET = "ssh.service", "ssh.socket"
# since Ubuntu 23.10 or so it makes the socket's addresses from sshd_config, at daemon-reload
GENERATORS = (
    "/usr/lib/systemd/system-generators/sshd-socket-generator",
    "/lib/systemd/system-generators/sshd-socket-generator",
)
SOCKET_DROP_IN = "/etc/systemd/system/ssh.socket.d/zz-hostwright.conf"
# seconds until a port must be open
PATIENCE = 8.0


def kind(system: System) -> str:
    """ "service"; "generator" or "socket": systemd listens, at what sshd_config says or at what its own unit says;
    "none": neither runs.
    """
    if system.unit(SOCKET)["ActiveState"] == "active":
        return "generator" if any(system.exists(path) for path in GENERATORS) else "socket"
    return "service" if system.unit(SERVICE)["ActiveState"] in ("active", "reloading") else "none"


def socket_text(system: System, ports: Sequence[int]) -> str:
    """The drop-in of ssh.socket that lets it listen at these ports alone, over IPv4 and IPv6."""
    lines = ["# made by Hostwright", "[Socket]", "ListenStream="]
    for port in ports:
        lines.append("ListenStream=0.0.0.0:%d" % port)
        if system.exists("/proc/net/if_inet6"):
            lines.append("ListenStream=[::]:%d" % port)
    return "\n".join([*lines, "BindIPv6Only=ipv6-only"]) + "\n"


def socket_ports(text: str) -> list[int]:
    """The ports of a socket's ListenStream lines; an empty one forgets those before it."""
    found: list[int] = []
    for line in text.splitlines():
        name, _, value = line.strip().partition("=")
        if name == "ListenStream":
            port = value.strip().rpartition(":")[2]
            found = [*found, int(port)] if port.isdigit() else [] if not value.strip() else found
    return sorted(set(found))


def current_ports(system: System, files: Sequence[int]) -> list[int]:
    """Where it listens now; `files`: where sshd_config lets it listen."""
    if kind(system) != "socket":
        return list(files)
    text = system.run(("systemctl", "cat", SOCKET), timeout=30, check=False, read_only=True).out
    return socket_ports(text) or [22]


def put_into_use(system: System) -> None:
    """Let sshd act on its files, and wait until it has. Sessions that are open stay: ssh.service has KillMode=process.

    Raises:
        CommandFailed, Failed
    """
    how = kind(system)
    if how == "service":
        _reload(system)
    elif how != "none":
        system.run(("systemctl", "daemon-reload"), timeout=60)
        # the socket is not started while the service that it starts is running
        if system.unit(SERVICE)["ActiveState"] == "active":
            system.run(("systemctl", "stop", "--", SERVICE), timeout=60)
        system.run(("systemctl", "restart", "--", SOCKET), timeout=60)


def _reload(system: System) -> None:
    """Not a restart: too many of those within 10 s, and systemd starts it no more.

    One that ssh.socket had started, before somebody switched that off, ends at a reload, since it cannot listen by
    itself: before `systemctl reload` returns, or just after.

    Raises:
        CommandFailed, Failed
    """
    old = handover.sockets(system, SERVICE)
    try:
        system.run(("systemctl", "reload", "--", SERVICE), timeout=60)
    except CommandFailed:
        if system.unit(SERVICE)["ActiveState"] == "active":
            raise
    else:
        if not old or handover.wait(system, SERVICE, old):
            return
    system.run(("systemctl", "start", "--", SERVICE), timeout=60)


def listening(system: System) -> set[int]:
    """The TCP ports that anything listens at, from proc(5)."""
    return {port for port, _ in handover.listeners(system)}


def wait_for(system: System, ports: Sequence[int]) -> None:
    """Wait until all of them are open.

    Raises:
        Failed: one is not, in time.
    """
    end = system.monotonic() + PATIENCE
    while not set(ports) <= listening(system):
        if system.monotonic() > end:
            journal = ("journalctl", "-u", SERVICE, "-u", SOCKET, "-n", "10", "-o", "cat", "--no-pager")
            said = system.run(journal, timeout=30, check=False, read_only=True).out.splitlines()
            closed = sorted(set(ports) - listening(system))
            raise Failed(
                "sshd does not listen at port %s" % ", ".join(map(str, closed)),
                "Does something else? On the server: sudo ss -ltnp",
                tail=said[-10:],
            )
        system.sleep(0.1)
