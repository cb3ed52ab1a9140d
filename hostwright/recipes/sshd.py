"""The SSH server: its keys, and what it lets people do."""

from __future__ import annotations

from hostwright.inventory import Host, Inventory
from hostwright.recipes.render import Render
from hostwright.recipes.users import GROUP, root_login
from hostwright.remote.resources.base import Resource
from hostwright.remote.resources.host_key import HostKey
from hostwright.remote.resources.moduli import Moduli
from hostwright.remote.resources.sshd import Sshd
from hostwright.remote.ssh.config import DROP_IN

ED25519, RSA = "/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_rsa_key"
# beside the one that came with the server: somebody may know it by that
LONG_RSA = "/etc/ssh/ssh_host_hostwright_rsa_key"


def host_keys(host: Host) -> list[Resource]:
    """What takes a while and changes nothing by itself: it comes before what is guarded."""
    if not host.hardening.ssh:
        return []
    return [
        HostKey(name=ED25519, type="ed25519"),
        HostKey(name=LONG_RSA, type="rsa", instead_of=RSA),
        Moduli(name="/etc/ssh/moduli"),
    ]


def sshd(inventory: Inventory, host: Host, render: Render) -> list[Resource]:
    """What sshd says, where it listens, whom it lets in. Guarded, and the last of all.

    Args:
        inventory: which of its hosts jump through this one, which apps need a forwarded agent.
        host: with `ssh`, `port`, `host_key`.
        render: fills in templates.
    """
    if not host.hardening.ssh:
        return []
    wanted = host.ssh
    jumped = any(other.jump in (host.name, host.address) for other in inventory.hosts.values())
    forwards = any(inventory.apps[name].forward_agent for name in host.apps)
    template = render(
        "ssh/sshd.conf.j2",
        root_login=root_login(host),
        password_login=wanted.password_login,
        tcp_forwarding=jumped if wanted.tcp_forwarding is None else wanted.tcp_forwarding,
        agent_forwarding=forwards if wanted.agent_forwarding is None else wanted.agent_forwarding,
        trusted=host.firewall.ssh_from,
    )
    return [
        Sshd(
            name=DROP_IN,
            template=template,
            user=host.user,
            # `port` is where we reach it, which something on the way may lead to another: only this says that it moves
            port=host.port if host.bootstrap_port else 0,
            groups=wanted.groups or (GROUP,),
            host_keys=(ED25519, RSA, LONG_RSA),
            pinned=host.host_key or "",
            old_clients=wanted.old_clients,
        )
    ]
