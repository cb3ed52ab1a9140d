"""First contact: what of this server's own a firewall would cut. Only reads."""

from __future__ import annotations

import re

from ..audit.network import listeners
from .foreign import opened
from .ufw import Ufw

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, Mapping

    from ..brownfield import Cut
    from ..resources.firewall import Firewall
    from ..system import System
    from .foreign import Opened

RANGE = re.compile(r"([0-9]+)(?:-([0-9]+))?\Z")
ALLOW = "To keep it open, say in the inventory: firewall: {allow: [%s]}"
# leases of DHCP, which our firewalls let in; names of the local network, which resolvers ask for by themselves
QUIET = {("udp", 68), ("udp", 546), ("udp", 5353), ("udp", 5355), ("tcp", 5355)}
EPHEMERAL = "/proc/sys/net/ipv4/ip_local_port_range"


def cuts(firewall: Firewall, system: System) -> Iterator[Cut]:
    """What can be reached now and could not be with this firewall: programs first, then rules of others."""
    from ..brownfield import Cut

    ufw = Ufw(system)
    told: set[tuple[str, str]] = set()
    for found in _heard(system):
        port, protocol = found["port"], found["protocol"]
        if (str(port), protocol) in told or _stays(firewall, ufw, port, protocol):
            continue
        told.add((str(port), protocol))
        program = found["program"] or "a program"
        who = "%s (%s)" % (program, found["unit"]) if found["unit"] else program
        message = "%s listens on port %d/%s, which the firewall would close" % (who, port, protocol)
        yield Cut(message, ALLOW % _key(str(port), protocol))
    for rule in opened(system):
        if (rule.port, rule.protocol) in told or not _closes(firewall, ufw, rule):
            continue
        told.add((rule.port, rule.protocol))
        does = "leads port %s/%s to somewhere else" if rule.leads else "opens port %s/%s"
        what = does % (rule.port, rule.protocol)
        message = "a rule in the table %s %s, which the firewall would close" % (rule.table, what)
        yield Cut(message, ALLOW % _key(rule.port, rule.protocol))
    if system.unit("firewalld.service")["ActiveState"] == "active":
        yield Cut(
            "firewalld runs on this server and filters too: what it does not let in stays closed, also HTTP and HTTPS",
            "Switch it off (sudo systemctl disable --now firewalld), or open the ports there too.",
        )


def _closes(firewall: Firewall, ufw: Ufw, rule: Opened) -> bool:
    """Would what this rule opens be closed? Where ufw filters on, only what is led elsewhere."""
    numbers = RANGE.match(rule.port)
    if numbers is None or (ufw.active and not rule.leads):
        return False
    first = int(numbers[1])
    return (rule.protocol, first) not in QUIET and not _opens(firewall, first, rule.protocol)


def _heard(system: System) -> list[Mapping[str, Any]]:
    """Programs that others than this server can talk to, without those that only ask: from a port that nobody knows."""
    low, high = (int(word) for word in (system.read(EPHEMERAL) or b"32768 60999").split())
    return [
        found
        for found in listeners(system)["found"]
        if (found["protocol"], found["port"]) not in QUIET
        and not (found["protocol"] == "udp" and low <= found["port"] <= high)
    ]


def _key(port: str, protocol: str) -> str:
    """A port as the inventory takes it."""
    return port if protocol == "tcp" and port.isdigit() else '"%s/%s"' % (port, protocol)


def _stays(firewall: Firewall, ufw: Ufw, port: int, protocol: str) -> bool:
    """Is it open afterwards too: by us, by what others told ufw where that filters on; or does sshd leave it anyway?"""
    if protocol == "tcp" and port in firewall.leaves:
        return True
    theirs = ufw.active and any(entry.covers(port, protocol) for entry in ufw.entries)
    return theirs or _opens(firewall, port, protocol)


def _opens(firewall: Firewall, port: int, protocol: str) -> bool:
    return any(rule.covers(port, protocol) for rule in firewall.rules)
