"""Security updates that install themselves, without restarting the apps and without asking anybody."""

from __future__ import annotations

from hostwright.inventory import Host
from hostwright.recipes.render import Render
from hostwright.remote.resources.base import Resource
from hostwright.remote.resources.file import File

# debsums tells whether what packages brought is still what they brought
PACKAGES = ("debsums", "needrestart", "unattended-upgrades")


def updates(host: Host, render: Render) -> list[Resource]:
    """What is updated, when the server may reboot, what is restarted. apt's timers are left as they are.

    Raises:
        RenderError
    """
    wanted = host.hardening.updates
    if wanted is None:
        return []
    return [
        File(
            name="/etc/apt/apt.conf.d/52hostwright",
            content=render("updates/apt.conf.j2", reboot=wanted.reboot),
            # a file that apt cannot read would stop every package tool of the server
            validate=("apt-config", "dump"),
        ),
        File(
            name="/etc/needrestart/conf.d/hostwright.conf",
            content=render("updates/needrestart.conf.j2"),
            validate=("perl", "-c", "/etc/needrestart/conf.d/hostwright.conf"),
        ),
    ]
