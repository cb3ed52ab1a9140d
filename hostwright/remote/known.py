"""Addresses that `inv provision` is run from: fail2ban never bans them. Runs on the server.

One empty file for each, its time of change says when it was last seen. It is no resource: who provisions from
another place tomorrow has changed nothing about the server. Deploys do not count: a CI's address is anybody's.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .system import System

FOLDER = "/var/lib/hostwright/admins"
DAY = 24 * 3600.0
# forgotten after that many seconds, and when more than so many came later
FORGET, MOST = 30 * DAY, 16


def remember(system: System, address: str) -> None:
    """Note an IP address that we come from; nothing is written when it was noted today."""
    name = normal(address)
    path = os.path.join(FOLDER, name)
    now = system.now()
    found = system.stat(path)
    if found is not None and now - found.mtime < DAY:
        return
    for folder in (os.path.dirname(FOLDER), FOLDER):
        if system.stat(folder) is None:
            system.mkdir(folder, mode=0o700)
    system.write_atomic(path, b"", mode=0o600)
    others = []
    for other in system.listdir(FOLDER):
        seen = system.stat(os.path.join(FOLDER, other))
        if other != name and seen is not None:
            others.append((seen.mtime, other))
    others.sort(reverse=True)
    for index, (mtime, other) in enumerate(others):
        if index >= MOST - 1 or now - mtime > FORGET:
            system.unlink(os.path.join(FOLDER, other))


def normal(address: str) -> str:
    """As fail2ban writes it: IPv4 in IPv6 as IPv4, no scope, the shortest form.

    Raises:
        ValueError: not an IP address.
    """
    from ipaddress import IPv6Address, ip_address

    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return str(found)
