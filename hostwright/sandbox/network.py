"""The network of one checkout: a bridge, and address translation so that its servers reach the world."""

from __future__ import annotations

import json
import socket
from ipaddress import IPv4Network
from pathlib import Path

from ..errors import SandboxError
from .command import run, succeeds
from .registry import Checkout

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


def routes() -> list[IPv4Network]:
    """Where this machine's routes lead, default routes left out."""
    listed = json.loads(run("ip", "-j", "-4", "route", "show", "table", "all") or "[]")
    named = (route.get("dst", "default") for route in listed)
    return [IPv4Network(name, strict=False) for name in named if name[:1].isdigit()]


def ensure_network(checkout: Checkout) -> None:
    """Makes bridge, translation and forwarding of a checkout when missing. Under the registry's lock."""
    bridge = checkout.bridge
    if not has_interface(bridge):
        run("ip", "link", "add", bridge, "type", "bridge")
    run("ip", "addr", "replace", f"{checkout.gateway}/{checkout.servers.prefixlen}", "dev", bridge)
    run("ip", "link", "set", bridge, "up")
    if FORWARDING.read_text().strip() != "1":
        FORWARDING.write_text("1")
    run("nft", "-f", "-", stdin=ruleset(checkout))
    _open_forwarding(bridge)


def remove_network(checkout: Checkout) -> None:
    """Takes it all away again. Forwarding stays on: somebody else may have come to rely on it."""
    remove_interface(checkout.bridge)
    if succeeds("nft", "list", "table", "ip", _table(checkout)):
        run("nft", "delete", "table", "ip", _table(checkout))
    _close_forwarding(checkout.bridge)


def has_interface(name: str) -> bool:
    """Whether this machine has an interface called `name`."""
    return any(name == there for _, there in socket.if_nameindex())


def remove_interface(name: str) -> None:
    """Deletes an interface, its other end with it, unless it is gone."""
    if has_interface(name) and not succeeds("ip", "link", "delete", name) and has_interface(name):
        raise SandboxError(f"interface {name} cannot be deleted")


def ruleset(checkout: Checkout) -> str:
    """What nft(8) reads: the table is made anew, in one transaction."""
    table = _table(checkout)
    return "\n".join(
        (
            f"table ip {table}",
            f"delete table ip {table}",
            f"table ip {table} {{",
            "  chain postrouting {",
            "    type nat hook postrouting priority 100",
            f"    ip saddr {checkout.servers} ip daddr != {checkout.network} masquerade",
            "  }",
            "}",
            "",
        )
    )


def _table(checkout: Checkout) -> str:
    return f"hostwright_{checkout.id}"


def _open_forwarding(bridge: str) -> None:
    """Docker and ufw drop what is forwarded unless their own chain lets it through."""
    listed = _forward_rules()
    if listed is None or f'"{bridge}"' in listed:
        return
    for end in ("iifname", "oifname"):
        run("nft", "insert", "rule", "ip", "filter", "FORWARD", end, bridge, "accept")


def _close_forwarding(bridge: str) -> None:
    for line in (_forward_rules() or "").splitlines():
        if f'"{bridge}"' in line and "# handle " in line:
            run("nft", "delete", "rule", "ip", "filter", "FORWARD", "handle", line.rsplit(" ", 1)[1])


def _forward_rules() -> str | None:
    chain = ("nft", "-a", "list", "chain", "ip", "filter", "FORWARD")
    return run(*chain) if succeeds(*chain) else None
