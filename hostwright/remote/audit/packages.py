"""Updates that wait, how old that knowledge is, and who installs them. Nothing is fetched and nothing written."""

from __future__ import annotations

import os
import re

from .. import dpkg
from ..release.processes import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from ..system import System

SECONDS = 18.0
LISTS = "/var/lib/apt/lists"
STAMP = "/var/lib/apt/periodic/update-success-stamp"
# nobody cannot write apt's caches: where they are old, apt works in memory
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
UPGRADE = ("apt-get", "-s", "-q", "-o", "Debug::NoLocking=1", "--with-new-pkgs", "upgrade")
INSTALL = re.compile(
    r"Inst (?P<name>\S+) (?:\[(?P<old>[^\]]*)\] )?\((?P<new>\S+) (?P<origins>.*) \[[^\]]*\]\)"
)
TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer")
UNATTENDED = re.compile(r'APT::Periodic::(Update-Package-Lists|Unattended-Upgrade) "([^"]*)"')


def updates(system: System) -> dict[str, Any]:
    """security and others: name, old, new of each; fetched: when the lists came (Unix seconds, None: never);
    reboot: why one is needed, empty for no; automatic: installed, lists and upgrades switched on, timers active."""
    done = system.run((*NOBODY, *UPGRADE), timeout=SECONDS, read_only=True)
    pending = [found.groupdict() for found in map(INSTALL.match, done.out.splitlines()) if found]
    rows = [(is_security(one.pop("origins")), one) for one in pending]
    return {
        "security": [one for security, one in rows if security],
        "others": [one for security, one in rows if not security],
        "fetched": _fetched(system),
        "reboot": _reboot(system),
        "automatic": _automatic(system),
    }


def is_security(origins: str) -> bool:
    """`Debian-Security:12/stable-security`, `Ubuntu:24.04/noble-updates, Ubuntu:24.04/noble-security`."""
    return any("security" in origin.lower() for origin in origins.split(","))


def _fetched(system: System) -> Optional[float]:
    """When the lists were asked for last. Their own times are the mirror's."""
    if not any(name.endswith(("Packages", "Release")) for name in system.listdir(LISTS)):
        return None
    seen = [system.stat(path) for path in (LISTS, LISTS + "/partial", STAMP)]
    return max((found.mtime for found in seen if found), default=None)


def _reboot(system: System) -> str:
    if system.exists("/run/reboot-required"):
        packages = (system.read("/run/reboot-required.pkgs") or b"").decode("utf-8", "replace").split()
        return ", ".join(sorted(set(packages))) or "an update"
    running = os.uname().release
    kernels = {name[8:]: system.stat("/boot/" + name) for name in system.listdir("/boot")
               if name.startswith("vmlinuz-")}  # fmt: skip
    mine = kernels.get(running)
    newer = [name for name, found in kernels.items() if mine and found and found.mtime > mine.mtime]
    return "the kernel %s" % sorted(newer)[-1] if newer else ""


def _automatic(system: System) -> dict[str, Any]:
    installed = dpkg.states(system, ("unattended-upgrades",))["unattended-upgrades"] == "installed"
    told = dict(UNATTENDED.findall(system.run(("apt-config", "dump"), timeout=SECONDS, read_only=True).out))
    timers = show(system, TIMERS, ("Id", "ActiveState"))
    return {
        "installed": installed,
        "lists": told.get("Update-Package-Lists", "0") not in ("", "0"),
        "upgrades": told.get("Unattended-Upgrade", "0") not in ("", "0"),
        "timers": all(timers.get(name, {}).get("ActiveState") == "active" for name in TIMERS),
    }
