"""How much of the system each service could reach, as systemd counts it; and the certificates that lie here."""

from __future__ import annotations

import json

from ..tls import x509

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from ..system import System

SECONDS = 10.0
COMMAND = ("systemd-analyze", "security", "--no-pager")
LIVE = "/etc/letsencrypt/live"
# what all visitors pass through, and what is restarted by hand alone
FRONT = "nginx.service"


def exposures(system: System) -> dict[str, Any]:
    """units: name -> exposure, 0.0 (reaches nothing) to 10.0, of the services that are loaded; live: app -> release;
    behind: services that run without the sandbox which their units have by now.

    systemd-analyze(1), "security"; before systemd 250 it prints a table only.
    """
    found = system.run((*COMMAND, "--json=short"), timeout=SECONDS, check=False, read_only=True)
    if found.ok:
        units = {row["unit"]: float(row["exposure"]) for row in json.loads(found.out)}
    else:
        units = _table(system.run(COMMAND, timeout=SECONDS, read_only=True).out)
    behind = [FRONT] if FRONT in units and _behind(system, FRONT) else []
    return {"units": units, "live": _live(system), "behind": behind}


def _table(text: str) -> dict[str, float]:
    """UNIT EXPOSURE PREDICATE HAPPY, with a header."""
    rows = [line.split() for line in text.splitlines()[1:]]
    return {row[0]: float(row[1]) for row in rows if len(row) > 1 and row[1].replace(".", "", 1).isdigit()}


def _behind(system: System, unit: str) -> bool:
    """Was it started before its sandbox was written? A reload gives it none; systemd-analyze judges the files alone."""
    argv = ("systemctl", "show", "--property=MainPID,NoNewPrivileges", unit)
    lines = system.run(argv, timeout=SECONDS, check=False, read_only=True).out.splitlines()
    told = dict(line.split("=", 1) for line in lines if "=" in line)
    # proc_pid_status(5); 0 is the process of a unit that does not run
    status = (system.read("/proc/%s/status" % told.get("MainPID", "0")) or b"").split()
    free = b"NoNewPrivs:" in status and status[status.index(b"NoNewPrivs:") + 1] == b"0"
    return told.get("NoNewPrivileges") == "yes" and free


def _live(system: System) -> dict[str, str]:
    """The release that each of our apps serves, by app."""
    links = {app: system.readlink("/srv/%s/current" % app) for app in system.listdir("/srv")}
    return {app: link.rpartition("/")[2] for app, link in links.items() if link}


def certificates(system: System, wanted: Mapping[str, str]) -> dict[str, Any]:
    """What those of the apps (app -> path) say, and all of certbot's; `file` is None where none can be read."""
    paths = {"%s/%s/fullchain.pem" % (LIVE, name): "" for name in system.listdir(LIVE) if name != "README"}
    paths.update({path: app for app, path in wanted.items()})
    return {"found": [_certificate(system, path, app) for path, app in sorted(paths.items())]}


def _certificate(system: System, path: str, app: str) -> dict[str, Any]:
    about = x509.read(system, path)
    fields = ("names", "not_before", "not_after", "key", "self_signed")
    return {"path": path, "app": app, "file": about and {name: getattr(about, name) for name in fields}}
