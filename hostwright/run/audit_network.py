"""`inv audit`: the firewall, and open ports against the inventory. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hostwright.run.audit_finding import HIGH, INFO, LOW, MEDIUM, Finding, Findings, View, many

FIREWALL, PORTS = "firewall", "ports"
WEB = (80, 443)
# answers to a DHCP client: RFC 2131, RFC 8415
DHCP = (("udp", 68), ("udp", 546))
# who reaches one of these needs no password by default, or finds everything: TCP port -> what usually is there
DATABASES = {
    2375: "Docker without TLS",
    2379: "etcd",
    3306: "MySQL",
    5432: "PostgreSQL",
    5672: "RabbitMQ",
    5984: "CouchDB",
    6379: "Redis",
    8086: "InfluxDB",
    9200: "Elasticsearch",
    11211: "memcached",
    27017: "MongoDB",
}
OURS = ("hostwright", "ufw")
FAMILIES = (("ipv4", "IPv4"), ("ipv6", "IPv6"))


def firewall(view: View) -> Findings:
    """Is there one, and does it close what nobody opened?"""
    found = view.area(FIREWALL)
    if found.get("problem"):
        yield Finding(INFO, FIREWALL, f"nobody knows whether packets are filtered: {found['problem']}")
        return
    open_ = [name for key, name in FAMILIES if found[key] != "drop"]
    if open_:
        tables = tuple(found["tables"]) or ("no table of nftables filters what comes in",)
        what = f"nothing drops packets that nobody allowed, over {' and '.join(open_)}"
        yield Finding(MEDIUM, FIREWALL, what, tables, view.harden("firewall"))
    elif view.host.hardening.firewall and found["tool"] not in OURS:
        what = "a firewall is there, and it is not the one of the inventory"
        yield Finding(LOW, FIREWALL, what, tuple(found["tables"]), view.command("provision --check"))


def ports(view: View) -> Findings:
    """What others could reach, and the inventory does not know."""
    rows = view.area(PORTS).get("found", [])
    wall = view.area(FIREWALL)
    seen: dict[tuple[str, int, str, str], list[str]] = {}
    for row in rows:
        if not _expected(view, row):
            key = (row["protocol"], row["port"], row["program"], row["unit"])
            seen.setdefault(key, []).append(row["address"])
    for (protocol, port, program, unit), addresses in seen.items():
        closed = all(wall.get("ipv6" if ":" in one else "ipv4") == "drop" for one in addresses)
        # an IPv6 socket without V6ONLY hears IPv4 as well
        closed = closed and (wall.get("ipv4") == "drop" or "::" not in addresses)
        who = program or "a program"
        what = f"{who} listens on {protocol} port {port}, which the inventory does not open"
        if closed:
            yield Finding(
                LOW, PORTS, f"{what}; the firewall drops what comes", _seen(addresses, unit), _stop(unit)
            )
            continue
        usual = DATABASES.get(port, "") if protocol == "tcp" else ""
        evidence = (*_seen(addresses, unit), *([f"usually {usual}"] if usual else []))
        yield Finding(HIGH if usual else MEDIUM, PORTS, what, evidence, _close(view, protocol, port, unit))


def _expected(view: View, row: Mapping[str, Any]) -> bool:
    where = (row["protocol"], row["port"])
    ssh = {int(one) for one in view.area("ssh").get("settings", {}).get("port", ()) if one.isdigit()}
    if row["protocol"] == "tcp" and (row["port"] in WEB or row["port"] == view.host.port):
        return True
    if row["protocol"] == "tcp" and row["port"] in ssh and row["program"] in ("sshd", "systemd"):
        return True
    return where in DHCP or where in view.open_ports


def _seen(addresses: Sequence[str], unit: str) -> tuple[str, ...]:
    return (f"on {', '.join(addresses)}" + (f", of {unit}" if unit else ""),)


def _stop(unit: str) -> str:
    if not unit:
        return "Let it listen on 127.0.0.1 only, or remove it."
    return f"Let it listen on 127.0.0.1 only, or on the server: systemctl disable --now {unit}"


def _close(view: View, protocol: str, port: int, unit: str) -> str:
    entry = str(port) if protocol == "tcp" else f'"{port}/{protocol}"'
    return f"If it is meant to be open: `firewall: {{allow: [{entry}]}}`. {_stop(unit)}"


def firewall_state(view: View) -> str:
    """In a few words."""
    found = view.area(FIREWALL)
    closed = [name for key, name in FAMILIES if found.get(key) == "drop"]
    if not closed:
        return "none"
    return f"{found['tool']}, drops what nobody allowed over {' and '.join(closed)}"


def ports_state(view: View) -> str:
    """In a few words."""
    open_ = sorted({(row["port"], row["protocol"]) for row in view.area(PORTS).get("found", [])})
    named = [str(port) if protocol == "tcp" else f"{port}/{protocol}" for port, protocol in open_]
    return f"{' '.join(named[:10])}{' ...' if len(named) > 10 else ''}" if named else many(0, "port")
