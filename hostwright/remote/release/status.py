"""`inv status` on the server: is the app well, and is the host?"""

from __future__ import annotations

from .. import events, maintenance
from ..tls import x509
from . import disk
from .ask import ask
from .instance import Instances, dead
from .layout import Layout
from .memory import meminfo, proportional
from .processes import Processes
from .record import Log
from .shelf import Shelf
from .timers import job_states, moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Optional

    from ..conversation import Conversation
    from ..system import System

PROBE_TIMEOUT = 5.0
# systemd's "no value", UINT64_MAX
NO_VALUE = ("", "[not set]", str(2**64 - 1))


def query(request: Mapping[str, Any], system: System, conversation: Conversation) -> events.RunFinished:
    """Answer with the state of the `apps` (names), with what they take on the disk, and of the host.

    Args:
        request: also `certificates`: app -> path of its certificate, where it has one.
    """
    layouts = {name: Layout(name) for name in request["apps"]}
    apps = {name: {**app_status(system, at), "disk": disk.usage(system, at)} for name, at in layouts.items()}
    for name, path in request.get("certificates", {}).items():
        apps[name]["certificate"] = _certificate(system, path)
    conversation.emit(events.Answered({"apps": apps, "host": host_status(system)}))
    return events.RunFinished("done", 0.0)


def app_status(system: System, layout: Layout) -> dict[str, Any]:
    """What is live and how it does.

    Returns:
        provisioned; maintenance: since (Unix seconds) and by, None while it is off; release: id, commit, subject,
        since (Unix seconds), by; health: status, ms, expect, ok, problem; units: state of the live instance and of
        others that still run; memory_bytes, connections, restarts; processes: running, state, since, restarts,
        memory_bytes by name; timers: active, next and last (Unix seconds), result (success, running, exit-code,
        timeout ...; empty: not known) and status (exit code) by name. Without a release only the first ones.
    """
    shelf, instances = Shelf(system, layout), Instances(system, layout)
    current = shelf.current()
    found: dict[str, Any] = {"provisioned": system.exists(layout.template), "release": None}
    found["maintenance"] = maintenance.state(system, layout.app)
    if not current:
        return found
    about, entry = shelf.about(current), Log(system, layout).known().get(current)
    found["release"] = {
        "id": current,
        "commit": about.get("commit", ""),
        "subject": about.get("subject", ""),
        "since": entry.live if entry else None,
        "by": entry.by if entry else "",
    }
    shown = instances.show(current)
    found["health"] = _health(layout, current, about)
    found["units"] = {
        layout.unit(release, kind): state
        for release, kinds in instances.states().items()
        for kind, state in kinds.items()
    }
    found["running"] = shown.get("ActiveState") == "active" and not dead({**shown, "NRestarts": "0"})
    found["restarts"] = int(shown.get("NRestarts") or 0)
    found["memory_bytes"] = _memory(system, shown)
    found["connections"] = instances.connections(current)
    _add_beside(found, system, layout, current)
    return found


def _certificate(system: System, path: str) -> dict[str, Any]:
    """not_before and not_after (Unix seconds) of a certificate; None where there is none that can be read."""
    found = x509.read(system, path)
    return {name: getattr(found, name, None) for name in ("not_before", "not_after")}


def _add_beside(found: dict[str, Any], system: System, layout: Layout, current: str) -> None:
    """The live release's processes and timers; what still runs of others is in `units`."""
    processes = Processes(system, layout)
    beside = processes.found()
    mine = {item.name: item for item in beside if item.release == current}
    found["processes"] = {}
    for name in processes.declared(current):
        shown = mine[name].shown if name in mine else {}
        found["processes"][name] = {
            "running": shown.get("ActiveState") == "active",
            "state": shown.get("ActiveState") or "inactive",
            "since": moment(shown.get("ActiveEnterTimestamp", "")),
            "restarts": int(shown.get("NRestarts") or 0),
            "memory_bytes": _memory(system, shown),
        }
    found["timers"] = job_states(system, layout, beside)
    for item in beside:
        if item.release != current and item.runs:
            found["units"][item.unit] = item.shown["ActiveState"]


def _health(layout: Layout, release: str, about: Mapping[str, Any]) -> dict[str, Any]:
    health = about.get("health") or {}
    expect = health.get("expect", 200)
    reply = ask(layout.socket(release), health.get("path", "/"), health.get("headers", {}), PROBE_TIMEOUT)
    return {
        "status": reply.status,
        "ms": round(reply.seconds * 1000, 1),
        "expect": expect,
        "ok": reply.status == expect,
        "problem": reply.problem,
    }


def _memory(system: System, shown: Mapping[str, str]) -> Optional[int]:
    """Bytes of all its processes: the cgroup's count, else the sum of their shares."""
    value = shown.get("MemoryCurrent", "")
    return int(value) if value not in NO_VALUE else proportional(system, shown)


def host_status(system: System) -> dict[str, Any]:
    """uptime_seconds, load (1, 5, 15 minutes), cores, memory and disk in bytes, failed units, reboot_required."""
    import os

    uptime = (system.read("/proc/uptime") or b"0").split()[0]
    load = (system.read("/proc/loadavg") or b"0 0 0").split()[:3]
    memory = meminfo(system)
    free, size = disk.room("/srv")
    argv = ("systemctl", "list-units", "--failed", "--plain", "--no-legend", "--full")
    failed = system.run(argv, timeout=30, check=False, read_only=True).out
    return {
        "uptime_seconds": float(uptime),
        "load": [float(value) for value in load],
        "cores": os.cpu_count() or 1,
        "memory_total": memory.get("MemTotal", 0),
        "memory_available": memory.get("MemAvailable", 0),
        "disk_total": size,
        "disk_free": free,
        "failed_units": [line.split()[0] for line in failed.splitlines() if line.split()],
        "reboot_required": system.exists("/run/reboot-required"),
    }
