"""What the app's processes may not do: systemd.exec(5) settings of its service, its release command and `inv run`.

Measured together on Debian 12: uvloop, httptools, asyncpg, pydantic, ctypes and threads work. Left out on
purpose: MemoryDenyWriteExecute=, which ends compilers at run time (numba), and ProcSubset=pid, which hides
/proc/meminfo from psutil.
"""

from __future__ import annotations

from hostwright.remote.release.layout import Layout

SANDBOX = (
    "UMask=0027",
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "RestrictSUIDSGID=yes",
    "RemoveIPC=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "DevicePolicy=closed",
    "ProtectProc=invisible",
    "InaccessiblePaths=-/etc/hostwright -/etc/ssh -/etc/letsencrypt -/root -/boot",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectControlGroups=yes",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
    "RestrictNamespaces=yes",
    "PrivateUsers=yes",
    "KeyringMode=private",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
    "SystemCallErrorNumber=EPERM",
)


def sandbox(app: str) -> tuple[str, ...]:
    """The settings for an app, and what it may write: /var/lib/APP, and its shared directories if it has some."""
    return (
        f"StateDirectory={app}",
        "StateDirectoryMode=0700",
        f"ReadWritePaths=-{Layout(app).shared}",
        *SANDBOX,
    )
