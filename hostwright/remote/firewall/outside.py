"""By which interfaces strangers come in: read from sysfs and proc(5), for what containers publish.

Real network cards, whatever a default route leads through, and what lies on top of either (a VLAN, a bond, a bridge).
Bridges of containers and tunnels are inside, also those that are made later.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..system import System

NET = "/sys/class/net"
LOWER = "lower_"
REJECT = 0x0200  # RTF_REJECT: "unreachable" routes, which IPv6 always has on lo


def interfaces(system: System) -> list[str]:
    """Sorted names."""
    names = [name for name in system.listdir(NET) if name != "lo"]
    routed = {*_default4(system), *_default6(system)} - {"lo"}
    found = {name for name in names if name in routed or system.exists("%s/%s/device" % (NET, name))}
    below = {
        name: {
            entry[len(LOWER) :] for entry in system.listdir("%s/%s" % (NET, name)) if entry.startswith(LOWER)
        }
        for name in names
        if name not in found
    }
    while True:
        more = {name for name, lower in below.items() if name not in found and lower & found}
        if not more:
            return sorted(found)
        found |= more


def _lines(system: System, path: str) -> list[list[str]]:
    return [line.split() for line in (system.read(path) or b"").decode("ascii", "replace").splitlines()]


def _default4(system: System) -> set[str]:
    rows = _lines(system, "/proc/net/route")[1:]
    return {
        row[0]
        for row in rows
        if len(row) > 7 and row[1] == row[7] == "00000000" and not int(row[3], 16) & REJECT
    }


def _default6(system: System) -> set[str]:
    rows = [row for row in _lines(system, "/proc/net/ipv6_route") if len(row) > 9]
    return {row[9] for row in rows if row[0] == "0" * 32 and row[1] == "00" and not int(row[8], 16) & REJECT}
