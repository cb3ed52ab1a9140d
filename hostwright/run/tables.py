"""The answers of `inv status` and `inv releases` as tables."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hostwright.errors import HostwrightError
from hostwright.report import Column, Look, table
from hostwright.run.certificate_health import SOON, ends_soon
from hostwright.run.certificate_table import expiry

Answers = Mapping[str, Mapping[str, Any]]
Errors = Mapping[str, HostwrightError]
# from here on a disk is worth a word
FULL = 0.85
MIB = 1 << 20


def releases_table(answers: Answers, errors: Errors, environ: Mapping[str, str]) -> str:
    """One row a release."""
    several = len(answers) + len(errors) > 1
    rows = []
    for host, data in answers.items():
        for release in data["releases"]:
            row = (
                release["id"], state(release), ago(release["live"] or release["when"]), duration(release["seconds"]),
                release["who"], told(release),
            )  # fmt: skip
            rows.append((host, *row) if several else row)
    columns: list[Column | str] = ["release", "state", "when", Column("took", right=True), "who", "subject"]
    text = table([*(["host"] if several else []), *columns], rows, Look.of(sys.stdout, environ))
    if not rows and not errors:
        text = "Nothing was deployed yet. Next: inv deploy"
    disks = [
        (f"{host}  " if several else "") + disk_line(data["disk"])
        for host, data in answers.items()
        if data["releases"]
    ]
    return "\n".join([text, *disks, *(f"{host}  {error.message}" for host, error in errors.items())])


def state(release: Mapping[str, Any]) -> str:
    """What a release is: draining only where there is nothing better to say."""
    return "draining" if release["draining"] and release["state"] == "good" else str(release["state"])


def told(release: Mapping[str, Any]) -> str:
    """Its subject, why it went wrong, and what it ran that a rollback does not undo."""
    ran = f"ran: {release['ran']}" if release["ran"] else ""
    drains = "draining" if release["draining"] and state(release) != "draining" else ""
    return "; ".join(word for word in (release["subject"], release["why"], ran, drains) if word)


def disk_line(disk: Mapping[str, Any]) -> str:
    """/srv/hello 182 MiB: trees 12, environments 160, git 10; 4.1 GiB free of 20"""
    parts = sorted(disk["parts"].items(), key=lambda part: -part[1])
    named = ", ".join(f"{name} {mib(size)}" for name, size in parts if size >= MIB / 2)
    total = ("" if disk["whole"] else "more than ") + f"{mib(sum(disk['parts'].values()))} MiB"
    room = f"{gib(disk['free'])} GiB free of {disk['size'] / 2**30:.0f}"
    return f"{disk['path']} {total}" + (f": {named}" if named else "") + f"; {room}"


def status_table(answers: Answers, errors: Errors, environ: Mapping[str, str]) -> str:
    """One row an app on a host, what is wrong beside it."""
    rows: list[tuple[object, ...]] = []
    for host, data in answers.items():
        machine = data["host"]
        about_host = (
            ago_seconds(machine["uptime_seconds"]),
            f"{machine['load'][0]:.1f}/{machine['cores']}",
            f"{gib(machine['memory_total'] - machine['memory_available'])}/{gib(machine['memory_total'])} GiB",
            f"{used(machine):.0%}",
        )
        for name, app in data["apps"].items() or {"-": {}}.items():
            beside = (certificate(app), ", ".join(notes(machine, app)) or "-")
            rows.append((host, *about_app(name, app), *about_host, *beside))
    for host, error in errors.items():
        rows.append((host, *["-"] * 9, f"unreachable: {error.message}"))
    columns: list[Column | str] = [
        "host", "app", "release", "since", Column("health", right=True), "up", Column("load", right=True),
        Column("mem", right=True), Column("disk", right=True), Column("cert", right=True), "notes",
    ]  # fmt: skip
    lines = [table(columns, rows, Look.of(sys.stdout, environ))]
    several = len(answers) > 1
    lines += beside_table(answers, Look.of(sys.stdout, environ))
    for host, data in answers.items():
        for app in data["apps"].values():
            if app["disk"]["parts"]:
                lines.append((f"{host}  " if several else "") + disk_line(app["disk"]))
    return "\n".join(lines)


def beside_table(answers: Answers, look: Look) -> list[str]:
    """One row a process or timer, in one table; none when no app has any."""
    rows: list[tuple[object, ...]] = []
    for host, data in answers.items():
        for app, about in data["apps"].items():
            for name, process in about.get("processes", {}).items():
                size = process["memory_bytes"]
                state = "running" if process["running"] else process["state"]
                memory = f"{mib(size)} MiB" if size is not None else "-"
                rows.append((host, app, name, state, ago(process["since"]), process["restarts"], memory, "-"))
            for name, timer in about.get("timers", {}).items():
                state = "waiting" if timer["active"] else "off"
                state = "running" if timer["result"] == "running" else state
                rows.append((host, app, name, state, ago(timer["last"]), "-", "-", next_run(timer)))
    columns: list[Column | str] = [
        "host", "app", "beside", "state", "since", Column("restarts", right=True), Column("mem", right=True), "timer",
    ]  # fmt: skip
    return ["", table(columns, rows, look), ""] if rows else []


def next_run(timer: Mapping[str, Any]) -> str:
    """When a job runs next, and how it ended last."""
    result = {"": "", "running": "", "success": "last: done"}.get(timer["result"], f"last: {timer['result']}")
    if timer["result"] == "exit-code":
        result = f"last: exit code {timer['status']}"
    following = f"in {ago_seconds(timer['next'] - time.time())}" if timer["next"] else ""
    return ", ".join(word for word in (following, result) if word) or "-"


def about_app(name: str, app: Mapping[str, Any]) -> tuple[object, ...]:
    """name, release, since when, health."""
    release = app.get("release")
    if not release:
        return name, "-", "-", "-"
    health = app["health"]
    answer = f"{health['status']}  {health['ms']:.0f} ms" if health["status"] else "none"
    return name, release["commit"][:7] or release["id"], ago(release["since"]), answer


def certificate(app: Mapping[str, Any]) -> str:
    """How long its certificate is good for: 64 d; "-" where it needs none."""
    found = app.get("certificate")
    if found is None:
        return "-"
    if found["not_after"] is None:
        return "none"
    return expiry(found, time.time(), dated=False)


def notes(machine: Mapping[str, Any], app: Mapping[str, Any]) -> list[str]:
    """What somebody should look at."""
    found = []
    if app.get("maintenance"):
        found.append(f"maintenance since {moment(app['maintenance']['since'])}")
    if app and not app["provisioned"]:
        found.append("not provisioned")
    elif app and not app["release"]:
        found.append("nothing deployed")
    elif app and not app["health"]["ok"]:
        found.append(f"not healthy: {app['health']['problem'] or app['health']['status']}")
    held = app.get("certificate")
    if held and (held["not_after"] is None or ends_soon(held, time.time(), SOON)):
        found.append("certificate: see inv cert.status")
    silent = [name for name, process in app.get("processes", {}).items() if not process["running"]]
    if silent:
        found.append(f"not running: {', '.join(silent)}")
    if app.get("restarts"):
        found.append(f"{app['restarts']} restarts")
    others = {_short(unit) for unit in app.get("units", {}) if app["release"]["id"] not in unit}
    if others:
        found.append(f"draining: {', '.join(sorted(others))}")
    if used(machine) > FULL:
        found.append("disk nearly full")
    if machine["failed_units"]:
        found.append(f"failed: {', '.join(machine['failed_units'])}")
    if machine["reboot_required"]:
        found.append("reboot needed")
    return found


def _short(unit: str) -> str:
    """APP@RELEASE.service and its socket as RELEASE, APP.PROCESS@RELEASE.service as PROCESS@RELEASE."""
    name, _, rest = unit.partition("@")
    process, release = name.partition(".")[2], rest.rpartition(".")[0]
    return f"{process}@{release}" if process else release


def used(machine: Mapping[str, Any]) -> float:
    """How full the disk is, 0 to 1."""
    return 1 - machine["disk_free"] / machine["disk_total"] if machine["disk_total"] else 0.0


def mib(count: float) -> str:
    """Bytes as MiB, whole ones."""
    return f"{count / MIB:.0f}"


def gib(count: float) -> str:
    """Bytes as GiB."""
    return f"{count / 2**30:.1f}"


def ago(when: float | None) -> str:
    """How long ago a Unix time is."""
    return "-" if not when else ago_seconds(time.time() - when)


def moment(when: float) -> str:
    """A Unix time by this machine's clock: 14:05 today, 2026-11-26 14:05 on another day."""
    local = datetime.fromtimestamp(when).astimezone()
    today = local.date() == datetime.now().astimezone().date()
    return f"{local:%H:%M}" if today else f"{local:%Y-%m-%d %H:%M}"


def ago_seconds(seconds: float) -> str:
    """A span of time in one unit: 40 s, 12 min, 5 h, 41 d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def duration(seconds: float | None) -> str:
    """How long a deploy took."""
    return "-" if seconds is None else f"{seconds:.1f} s"
