"""The host itself: packages, updates, time zone, locale, the folders we keep things in."""

from __future__ import annotations

from hostwright.inventory import Host
from hostwright.recipes.hardening import CLOCKS, TIMESYNCD
from hostwright.recipes.hardening import packages as hardening_packages
from hostwright.remote.resources.base import Resource
from hostwright.remote.resources.directory import Directory
from hostwright.remote.resources.locale import Locale
from hostwright.remote.resources.packages import Packages, Upgrade
from hostwright.remote.resources.timezone import Timezone

# what every app needs on the server: its Python, git to fetch it, nginx in front of it
PACKAGES = (
    "ca-certificates",
    "curl",
    "git",
    "iproute2",
    "nginx",
    "openssh-client",
    "python3",
    "python3-venv",
    "tzdata",
)


def base(host: Host) -> list[Resource]:
    """Folders need nothing, and what is made beside apt goes there. Then packages: everything else may need them."""
    resources: list[Resource] = [
        Directory(name="/opt/hostwright", mode=0o755),
        Directory(name="/etc/hostwright", mode=0o755),
        Directory(name="/etc/hostwright/keys", mode=0o700),
    ]
    if host.update_packages:
        resources.append(Upgrade(name="packages"))
    # one transaction for everything: each costs seconds
    wanted = sorted(
        {*PACKAGES, *host.packages, *hardening_packages(host), *(["sudo"] if host.bootstrap_user else [])}
    )
    resources.append(Packages(name="base", packages=wanted, unless={TIMESYNCD: CLOCKS}))
    if host.timezone:
        resources.append(Timezone(name=host.timezone))
    if host.locale:
        resources.append(Locale(name=host.locale))
    return resources
