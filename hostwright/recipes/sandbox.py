"""What the app's processes may not do: systemd.exec(5) settings of its service, processes, jobs and commands.

Measured together on Debian 12 and 13 with gunicorn and socket activation: uvloop, httptools, asyncpg, pydantic, ctypes,
sqlite, subprocesses and threads work, and `systemd-analyze security` says 1.2 (0.7 without network). Left out on
purpose: ProcSubset=pid, which hides /proc/meminfo from psutil and does not change the figure.
"""

from __future__ import annotations

from collections.abc import Iterator

from hostwright.inventory import App
from hostwright.remote.release.layout import Layout

# setting -> its values, each a line; what `relax` names is left out
SANDBOX: dict[str, tuple[str, ...]] = {
    "UMask": ("0027",),
    "NoNewPrivileges": ("yes",),
    "CapabilityBoundingSet": ("",),
    "AmbientCapabilities": ("",),
    "RestrictSUIDSGID": ("yes",),
    "RemoveIPC": ("yes",),
    "ProtectSystem": ("strict",),
    "ProtectHome": ("yes",),
    "PrivateTmp": ("yes",),
    "PrivateDevices": ("yes",),
    "DevicePolicy": ("closed",),
    "ProtectProc": ("invisible",),
    "InaccessiblePaths": ("-/etc/hostwright -/etc/ssh -/etc/letsencrypt -/root -/boot",),
    "ProtectClock": ("yes",),
    "ProtectHostname": ("yes",),
    "ProtectKernelLogs": ("yes",),
    "ProtectKernelModules": ("yes",),
    "ProtectKernelTunables": ("yes",),
    "ProtectControlGroups": ("yes",),
    "LockPersonality": ("yes",),
    "RestrictRealtime": ("yes",),
    "RestrictNamespaces": ("yes",),
    "PrivateUsers": ("yes",),
    "KeyringMode": ("private",),
    "MemoryDenyWriteExecute": ("yes",),
    "RestrictAddressFamilies": ("AF_UNIX AF_INET AF_INET6",),
    "SystemCallArchitectures": ("native",),
    "SystemCallFilter": ("@system-service", "~@privileged @resources"),
    "SystemCallErrorNumber": ("EPERM",),
}
# how a setting is taken back that the unit's template has; others: no
OFF = {
    "UMask": "0022",
    "CapabilityBoundingSet": "~",
    "AmbientCapabilities": "",
    "DevicePolicy": "auto",
    "ProtectProc": "default",
    "InaccessiblePaths": "",
    "KeyringMode": "inherit",
    "RestrictAddressFamilies": "",
    "SystemCallArchitectures": "",
    "SystemCallFilter": "",
    "SystemCallErrorNumber": "",
}
# a second line adds to the first, so the template's is taken back before ours
LISTS = ("InaccessiblePaths", "RestrictAddressFamilies", "SystemCallArchitectures", "SystemCallFilter")
# a release that was made before it was among them may need it
YOUNGER = ("MemoryDenyWriteExecute",)


def sandbox(app: App) -> tuple[str, ...]:
    """The settings of a process, a job or a command of an app, and what it may write."""
    return (*_state(app), *_writable(app), *_lines(app), *_allowed(app))


def template_sandbox(app: App) -> tuple[str, ...]:
    """What the template of the app's service has: that of a release which says nothing itself.

    It does not depend on `sandbox:` in the inventory, which is a release's. So a release from before there was such a
    key, or one whose own settings are lost, is not without a sandbox.
    """
    floor = [(name, values) for name, values in SANDBOX.items() if name not in YOUNGER]
    return (
        *_state(app),
        f"ReadWritePaths=-{Layout(app.name).shared}",
        *(f"{name}={value}" for name, values in floor for value in values),
    )


def release_sandbox(app: App) -> tuple[str, ...]:
    """The same settings as `sandbox`, as a release's service has them: whatever its template says."""
    kept = _kept(app)
    taken_back = (f"{name}={OFF.get(name, 'no')}" for name in SANDBOX if name in LISTS or name not in kept)
    return ("ReadWritePaths=", *_writable(app), *taken_back, *_lines(app), *_allowed(app))


def _kept(app: App) -> dict[str, tuple[str, ...]]:
    """The part of SANDBOX that an app gets."""
    gone = set(app.sandbox.relax)
    if app.sandbox.jit:
        gone.add("MemoryDenyWriteExecute")
    if app.sandbox.devices:  # a /dev of its own would not have them; DevicePolicy forbids the others
        gone.add("PrivateDevices")
    return {name: values for name, values in SANDBOX.items() if name not in gone}


def _lines(app: App) -> Iterator[str]:
    for name, values in _kept(app).items():
        yield from (f"{name}={value}" for value in values)


def _state(app: App) -> tuple[str, ...]:
    return (f"StateDirectory={app.name}", "StateDirectoryMode=0700")


def _writable(app: App) -> tuple[str, ...]:
    return (
        f"ReadWritePaths=-{Layout(app.name).shared}",
        *(f"ReadWritePaths={path}" for path in app.sandbox.writable),
    )


def _allowed(app: App) -> Iterator[str]:
    if not app.sandbox.network:
        # it has a 127.0.0.1 of its own; the second wall says the same
        yield from ("PrivateNetwork=yes", "IPAddressDeny=any", "IPAddressAllow=localhost")
    yield from (f"DeviceAllow={device} rw" for device in app.sandbox.devices)
