"""Servers in memory that a firewall looks at."""

from __future__ import annotations

from typing import Any

from hostwright.remote.firewall.paths import AFTER_NFTABLES, DROPIN, ENABLED, RULES, SERVICE, TABLE, UNIT_FILE
from hostwright.remote.resources.firewall import Firewall
from hostwright.testing import FakeSystem

ROUTE = (
    "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
    "ens3 00000000 0116D50A 0003 0 0 0 00000000 0 0 0\nens3 0016D50A 00000000 0001 0 0 0 00FFFFFF 0 0 0\n"
)
NET: dict[str, Any] = {
    "/proc/net/route": ROUTE,
    "/sys/class/net/ens3/device": None,
    "/sys/class/net/docker0/lower_veth1": None,
    "/sys/class/net/lo": None,
    "/sys/class/net/veth1": None,
}
NFT = {"/usr/sbin/nft": {"content": "", "mode": 0o755}}
UFW = {
    "/usr/sbin/ufw": {"content": "", "mode": 0o755},
    "/etc/ufw/ufw.conf": "# on\nENABLED=yes\nLOGLEVEL=low\n",
    "/etc/default/ufw": 'IPV6=yes\nDEFAULT_INPUT_POLICY="DROP"\n',
}
V4, V6 = "0.0.0.0/0 any 0.0.0.0/0 in", "::/0 any ::/0 in"
COMMENT = " comment=" + b"hostwright".hex()


def firewall(*allow: str, ssh: str = "22/tcp", leaves: tuple[int, ...] = ()) -> Firewall:
    return Firewall(name=RULES, ssh=ssh, allow=["80/tcp", "443/tcp", *allow], leaves=leaves)


def settled(wanted: Firewall, system: FakeSystem) -> FakeSystem:
    """The server when this is in force."""
    ruleset = wanted.ruleset(system)
    system.happen(
        {
            "files": {
                RULES: ruleset.text,
                UNIT_FILE: SERVICE,
                DROPIN: AFTER_NFTABLES,
                ENABLED: {"link": UNIT_FILE},
            },
            "nft": {TABLE: {name: list(about) for name, about in ruleset.shape.items()} or None},
        }
    )
    return system


def tuples(*rules: str) -> str:
    return "*filter\n" + "".join(f"### tuple ### {rule}\n-A x\n" for rule in rules) + "COMMIT\n"
