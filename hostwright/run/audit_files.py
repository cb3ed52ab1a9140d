"""`inv audit`: files that others could write or read, what services could reach, certificates. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hostwright.run.audit_finding import (
    HIGH,
    INFO,
    LOW,
    MEDIUM,
    Finding,
    Findings,
    View,
    day,
    many,
    some,
    span,
)
from hostwright.run.certificate_health import SOON, ends_soon

FILES, UNITS, CERTIFICATES = "files", "units", "certificates"
# systemd-analyze(1) calls 5 and more MEDIUM; what we make stays below the first
FINE, EXPOSED = 2.7, 5.0
CERTBOT = ("hostwright-certbot.service", "certbot.service")


def files(view: View) -> Findings:
    """World-writable files, files that are not root's, secrets that anybody on the server may read."""
    found = view.area(FILES)
    if not found:
        return
    for kind, severity, what, todo in (
        ("secrets", HIGH, "may be read by everybody on the server, and holds a secret", "chmod o-rwx"),
        ("writable", HIGH, "may be written by everybody on the server", "chmod o-w"),
        ("foreign", MEDIUM, "should be root's, and is not", "chown -h root:root"),
    ):
        rows = found[kind]
        if rows:
            more = found["counts"][kind] - len(rows)
            lines = [f"{row['path']}  mode {row['mode']:04o}, uid {row['uid']}" for row in rows]
            lines += [""] * more
            first = rows[0]["path"]
            who = first if found["counts"][kind] == 1 else f"{first} and {found['counts'][kind] - 1} more"
            yield Finding(severity, FILES, f"{who} {what}", some(lines), f"On the server: {todo} {first}")
    if not found["whole"]:
        what = f"there are too many files to look at all: {found['looked']:,} were"
        yield Finding(INFO, FILES, what)


def units(view: View) -> Findings:
    """How much of the server the apps, nginx and certbot could reach if somebody took them over."""
    for name, exposure in watched(view):
        if exposure <= FINE:
            continue
        severity = MEDIUM if exposure >= EXPOSED else LOW
        seen = (f"systemd-analyze security: {exposure:.1f} of 10, where 0 reaches nothing",)
        todo = view.harden("nginx") if name == "nginx.service" else _todo(view, name)
        yield Finding(severity, UNITS, f"{name} could reach much of the server", seen, todo)
    for name in view.area(UNITS).get("behind", ()):
        what = f"{name} runs outside its sandbox: it was started before that was written"
        seen = ("NoNewPrivileges=yes in its unit, NoNewPrivs: 0 in its process",)
        # a server that serves was hardened: that does not interrupt it
        todo = (
            "A reload does not do it, and a restart refuses connections for a moment. When that does no harm, "
            f"on the server: sudo systemctl restart {name}"
        )
        yield Finding(MEDIUM, UNITS, what, seen, todo)


def watched(view: View) -> Iterator[tuple[str, float]]:
    """(unit, exposure) of what faces visitors: the live release of each app with its processes, nginx, certbot."""
    found = view.area(UNITS)
    for name, exposure in sorted(found.get("units", {}).items()):
        app, _, release = name.removesuffix(".service").partition("@")
        live = found["live"].get(app.partition(".")[0])
        if (live and release == live) or name in ("nginx.service", *CERTBOT):
            yield name, exposure


def _todo(view: View, name: str) -> str:
    if name in CERTBOT:
        return view.command("provision")
    return f"See what `sandbox: {{relax: ...}}` gives away, or foreign drop-ins: systemctl cat {name}"


def certificates(view: View) -> Findings:
    """Certificates that end, have ended, or are not there."""
    for one in view.area(CERTIFICATES).get("found", []):
        file = one["file"]
        todo = view.command("cert.status")
        if file is None:
            if one["app"]:
                yield Finding(
                    MEDIUM, CERTIFICATES, f"{one['app']} has no certificate yet", (one["path"],), todo
                )
            continue
        seen = (
            f"{one['path']}: {', '.join(file['names'][:4]) or 'no names'}, until {day(file['not_after'])}",
        )
        left = file["not_after"] - view.now
        name = one["app"] or one["path"]
        if left <= 0:
            yield Finding(
                HIGH, CERTIFICATES, f"the certificate of {name} expired {span(-left)} ago", seen, todo
            )
        elif ends_soon(file, view.now, SOON):
            yield Finding(
                MEDIUM, CERTIFICATES, f"the certificate of {name} expires in {span(left)}", seen, todo
            )


def files_state(view: View) -> str:
    """In a few words."""
    found = view.area(FILES)
    return f"{many(found['looked'], 'file')} looked at" if found else "-"


def units_state(view: View) -> str:
    """In a few words: APP 1.2, nginx 2.5."""
    named = [f"{_short(name)} {exposure:.1f}" for name, exposure in watched(view)]
    return ", ".join(named) or "no app, no nginx"


def _short(name: str) -> str:
    return name.partition("@")[0].removesuffix(".service")


def certificates_state(view: View) -> str:
    """In a few words: how long each is good for."""
    named = [f"{_name(one)} {_left(view, one['file'])}" for one in view.area(CERTIFICATES).get("found", [])]
    return ", ".join(named[:4]) or "none"


def _name(one: Mapping[str, Any]) -> str:
    return one["app"] or str(one["path"]).split("/")[-2]


def _left(view: View, file: Mapping[str, Any] | None) -> str:
    return span(file["not_after"] - view.now) if file else "not there"
