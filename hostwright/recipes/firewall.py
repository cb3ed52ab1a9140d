"""The firewall of a host. What decides on the server how it is done: hostwright/remote/firewall/."""

from __future__ import annotations

from hostwright.inventory import Host, Inventory
from hostwright.remote.firewall.paths import RULES
from hostwright.remote.firewall.rule import Rule
from hostwright.remote.resources.base import Resource
from hostwright.remote.resources.firewall import Firewall

# nginx is on every host: port 80 is where a CA looks before there is a certificate, 443 where visitors come then
WEB = ("80/tcp", "443/tcp")


def firewall(inventory: Inventory, host: Host) -> list[Resource]:
    """Default deny for what comes in; guarded, so it comes late.

    Args:
        inventory: not needed yet: no app has a port of its own.
        host: the host.
    """
    if not host.hardening.firewall:
        return []
    open_ports = [
        *(Rule.parse(port) for port in WEB),
        *(Rule(allowed.port, allowed.sources) for allowed in host.firewall.allow),
    ]
    ssh = Rule(f"{host.port}/tcp", host.firewall.ssh_from)
    if host.port != 22 and not host.bootstrap_port:
        # a router or a machine around the server may lead `port` to sshd's own
        open_ports.append(Rule("22/tcp", host.firewall.ssh_from))
    return [Firewall(name=RULES, ssh=str(ssh), allow=[str(rule) for rule in open_ports], leaves=leaves(host))]


def leaves(host: Host) -> list[int]:
    """The port that sshd is moved away from in the same run, so that closing it is no surprise."""
    return [host.bootstrap_port] if host.bootstrap_port and host.bootstrap_port != host.port else []
