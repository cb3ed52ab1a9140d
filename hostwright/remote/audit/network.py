"""Who can be reached from outside, and what stands in between: listening sockets, and the firewall's policy."""

from __future__ import annotations

import json
import sys

from .. import ports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

    from ..system import System

SECONDS = 10.0
# the kernel's tables, and the state in which a socket waits for anybody (TCP_LISTEN; UDP has TCP_CLOSE)
TABLES = (
    ("tcp", "/proc/net/tcp", "0A"),
    ("tcp", "/proc/net/tcp6", "0A"),
    ("udp", "/proc/net/udp", "07"),
    ("udp", "/proc/net/udp6", "07"),
)
OURS = "hostwright"


def listeners(system: System) -> dict[str, Any]:
    """found: protocol, address, port, program, unit of each socket that others than this machine may reach."""
    sockets = {link: about for table in TABLES for link, about in _sockets(system, *table)}
    programs = ports.programs(system, sockets)
    rows = set()
    for link, (protocol, address, port) in sockets.items():
        if not loopback(address):
            rows.add((protocol, port, address, *programs.get(link, ("", ""))))
    names = ("protocol", "port", "address", "program", "unit")
    return {"found": [dict(zip(names, row)) for row in sorted(rows)]}


def _sockets(
    system: System, protocol: str, table: str, state: str
) -> Iterator[tuple[str, tuple[str, str, int]]]:
    for line in (system.read(table) or b"").decode("ascii", "replace").splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == state:
            address, _, port = fields[1].rpartition(":")
            yield "socket:[%s]" % fields[9], (protocol, address_of(address), int(port, 16))


def address_of(digits: str) -> str:
    """An address as the kernel's tables write it: words of four bytes in the machine's own order."""
    import socket

    raw = bytes.fromhex(digits)
    if sys.byteorder == "little":
        raw = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def loopback(address: str) -> bool:
    """Does it only hear this machine?"""
    return address == "::1" or address.startswith(("127.", "::ffff:127."))


def firewall(system: System) -> dict[str, Any]:
    """tool: hostwright, ufw, nftables, iptables or empty; ipv4, ipv6: "drop" where what nobody allowed is dropped."""
    rules = _nftables(system)
    if rules is None:
        return {"tool": "", "ipv4": "accept", "ipv6": "accept", "problem": "nft could not be asked"}
    tables = {(rule["table"]["family"], rule["table"]["name"]) for rule in rules if "table" in rule}
    policies = {"ipv4": "accept", "ipv6": "accept"}
    for family in _closed(rules):
        for kind in ("ipv4", "ipv6"):
            if family == "inet" or family == {"ipv4": "ip", "ipv6": "ip6"}[kind]:
                policies[kind] = "drop"
    if system.exists("/proc/net/ip_tables_names"):
        policies = _legacy(system, policies)
    tool = "nftables" if "drop" in policies.values() else ""
    if ("inet", OURS) in tables:
        tool = OURS
    elif b"ENABLED=yes" in (system.read("/etc/ufw/ufw.conf") or b"").replace(b" ", b""):
        tool = "ufw"
    return {"tool": tool, **policies, "tables": sorted("%s %s" % table for table in tables)}


def _nftables(system: System) -> Any:
    """The rules as JSON, libnftables-json(5); None where nft cannot tell; nothing without nft."""
    if not system.which("nft"):
        return []
    code, out, _ = system.capture(("nft", "--json", "list", "ruleset"), timeout=SECONDS)
    try:
        return json.loads(out or b"{}").get("nftables", []) if code == 0 else None
    except ValueError:
        return None


def _closed(rules: Any) -> set[str]:
    """Families whose input hook drops what no rule accepts: by its policy, or by its last rule."""
    found, last = set(), {}
    chains = {}
    for entry in rules:
        if "chain" in entry and entry["chain"].get("hook") == "input":
            chain = entry["chain"]
            chains[chain["family"], chain["table"], chain["name"]] = chain.get("policy", "accept")
        elif "rule" in entry:
            rule = entry["rule"]
            last[rule["family"], rule["table"], rule["chain"]] = rule.get("expr", [])
    for chain, policy in chains.items():
        words = [key for part in last.get(chain, ()) for key in part if key not in ("counter", "log")]
        if policy == "drop" or (len(words) == 1 and words[0] in ("drop", "reject")):
            found.add(chain[0])
    return found


def _legacy(system: System, policies: dict[str, str]) -> dict[str, str]:
    """iptables without nftables: only asked where its tables are there already, for asking makes them."""
    found = dict(policies)
    for kind, program in (("ipv4", "iptables"), ("ipv6", "ip6tables")):
        argv = (program, "-S", "INPUT")
        if "-P INPUT DROP" in system.run(argv, timeout=SECONDS, check=False, read_only=True).out:
            found[kind] = "drop"
    return found
