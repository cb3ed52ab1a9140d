"""`inv audit`: what is asked of a host, and what of its answer somebody should know. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hostwright.inventory import Host, Inventory
from hostwright.run import audit_accounts, audit_files, audit_network, audit_ssh, audit_system
from hostwright.run.audit_finding import MEDIUM, SEVERITIES, Finding, Findings, View
from hostwright.run.audit_network import WEB
from hostwright.run.certificates import wanted

Judge = Callable[[View], Findings]
State = Callable[[View], str]

# in the order of the table: area -> (what is judged, how it stands in a few words)
AREAS: Mapping[str, tuple[Judge, State]] = {
    "ssh": (audit_ssh.findings, audit_ssh.state),
    "firewall": (audit_network.firewall, audit_network.firewall_state),
    "ports": (audit_network.ports, audit_network.ports_state),
    "accounts": (audit_accounts.accounts, audit_accounts.accounts_state),
    "keys": (audit_accounts.keys, audit_accounts.keys_state),
    "updates": (audit_system.updates, audit_system.updates_state),
    "units": (audit_files.units, audit_files.units_state),
    "certificates": (audit_files.certificates, audit_files.certificates_state),
    "logins": (audit_system.logins, audit_system.logins_state),
    "files": (audit_files.files, audit_files.files_state),
    "kernel": (audit_system.kernel, audit_system.kernel_state),
}


def asked(inventory: Inventory, host: Host) -> dict[str, Any]:
    """What the request to the agent says: remote/audit/report.py."""
    paths = {one["name"]: one["certificate"] for one in wanted(inventory, host)}
    return {"apps": list(host.apps), "certificates": paths, "sysctl": sorted(audit_system.SYSCTL)}


def view(inventory: Inventory, host: Host, answer: Mapping[str, Any], flags: str = "") -> View:
    """How the inventory looks at the answer of a host."""
    users = {"root", host.user, *host.users, *filter(None, [host.bootstrap_user])}
    return View(
        host=host,
        answer=answer,
        now=answer["now"],
        flags=flags,
        users=frozenset(users),
        open_ports=frozenset(opened(host)),
        root_login=host.ssh.root_login,
        password_login=host.ssh.password_login,
        forwarding=bool(host.ssh.tcp_forwarding or host.ssh.agent_forwarding),
    )


def opened(host: Host) -> Iterator[tuple[str, int]]:
    """(protocol, port) of what `firewall: {allow: ...}` opens: 8443/tcp, 60000-61000/udp."""
    for allow in host.firewall.allow:
        ports, _, protocol = allow.port.partition("/")
        first, _, last = ports.partition("-")
        for port in range(int(first), int(last or first) + 1):
            yield protocol, port


def wanted_ports(host: Host) -> frozenset[tuple[str, int]]:
    """(protocol, port) of all that may be open: SSH's, the web's, and what the inventory opens."""
    return frozenset({("tcp", host.port), *(("tcp", port) for port in WEB), *opened(host)})


def findings(view: View) -> list[Finding]:
    """All, the worst first; an area that could not be looked at is one too."""
    found = []
    for area, (judge, _) in AREAS.items():
        problem = view.answer[area].get("problem")
        if problem:
            what = f"{area} could not be looked at"
            found.append(Finding(MEDIUM, area, what, (str(problem),), view.command("audit --debug")))
        found += judge(view)
    return sorted(found, key=lambda one: SEVERITIES.index(one.severity))


def worst(found: list[Finding], area: str = "") -> str:
    """The worst severity, of an area or of all; empty for none."""
    severities = [one.severity for one in found if area in ("", one.area)]
    return min(severities, key=SEVERITIES.index, default="")


def needs_work(found: list[Finding]) -> bool:
    """Is anything medium or worse?"""
    return any(SEVERITIES.index(one.severity) <= SEVERITIES.index(MEDIUM) for one in found)


def told(view: View, found: list[Finding]) -> dict[str, Any]:
    """A host for programs: everything that was seen, and what was found."""
    counts = {severity: sum(one.severity == severity for one in found) for severity in SEVERITIES}
    return {"findings": [vars(one) for one in found], "counts": counts, "facts": dict(view.answer)}
