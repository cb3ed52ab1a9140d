"""What an app's processes may do and use: the switches of their sandbox, and their limits."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from hostwright.inventory.fields import MemorySize, Positive, as_tuple, matching, no_repeats
from hostwright.inventory.frozen import Settings
from hostwright.inventory.nearest import did_you_mean
from hostwright.inventory.written import describe

# settings of systemd.exec(5) and systemd.resource-control(5) that every app gets; recipes/sandbox.py has their values
DIRECTIVES = (
    "AmbientCapabilities",
    "CapabilityBoundingSet",
    "DevicePolicy",
    "InaccessiblePaths",
    "KeyringMode",
    "LockPersonality",
    "MemoryDenyWriteExecute",
    "NoNewPrivileges",
    "PrivateDevices",
    "PrivateTmp",
    "PrivateUsers",
    "ProtectClock",
    "ProtectControlGroups",
    "ProtectHome",
    "ProtectHostname",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "ProtectProc",
    "ProtectSystem",
    "RemoveIPC",
    "RestrictAddressFamilies",
    "RestrictNamespaces",
    "RestrictRealtime",
    "RestrictSUIDSGID",
    "SystemCallArchitectures",
    "SystemCallErrorNumber",
    "SystemCallFilter",
    "UMask",
)
# they end up in unit files, so neither spaces nor what systemd would read as its own
ABSOLUTE = re.compile(r"(/[A-Za-z0-9_.@+:-]+)+\Z")
# what an app does not see at all, and what hides it
HIDDEN = {
    "/home": "ProtectHome",
    "/root": "ProtectHome",
    "/run/user": "ProtectHome",
    "/etc/hostwright": "InaccessiblePaths",
    "/etc/ssh": "InaccessiblePaths",
    "/etc/letsencrypt": "InaccessiblePaths",
    "/boot": "InaccessiblePaths",
}


def check_path(value: str) -> str:
    """An absolute path of the server, normalised."""
    path = str(PurePosixPath(value))
    if not ABSOLUTE.match(path) or ".." in PurePosixPath(path).parts or path.startswith("//"):
        wanted = "an absolute path of letters, digits and _ . @ + : -, such as /data"
        raise ValueError(f"expected {wanted}, {describe(value)}")
    return path


def check_writable(value: str) -> str:
    """A directory or file that an app may write."""
    if not value.strip("/") and value:
        raise ValueError(f"{value} is the whole server: name a directory, or `relax: [ProtectSystem]`")
    path = check_path(value)
    if _below(path, "/dev"):
        raise ValueError(f"{path} is a device: `devices`")
    if _below(path, "/proc") or _below(path, "/sys"):
        raise ValueError(f"{path} belongs to the kernel: no app may write it")
    return path


def check_device(value: str) -> str:
    """A device file."""
    path = check_path(value)
    if not _below(path, "/dev") or path == "/dev":
        raise ValueError(f"expected a device, such as /dev/ttyUSB0, {describe(value)}")
    return path


def check_directive(value: str) -> str:
    """The name of a setting of the sandbox."""
    if value not in DIRECTIVES:
        near = did_you_mean(value, DIRECTIVES)
        raise ValueError(f'the sandbox has no "{value}".{near} Its settings are: {", ".join(DIRECTIVES)}.')
    return value


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


Writable = Annotated[str, AfterValidator(check_writable)]
Device = Annotated[str, AfterValidator(check_device)]
Directive = Annotated[str, AfterValidator(check_directive)]
CpuQuota = Annotated[
    str, matching(r"[1-9][0-9]{0,4}%", "a share of one processor in percent", '"50%", or "200%" for two')
]


class SandboxSettings(Settings):
    """What the app may do that the sandbox of systemd forbids by default. Most apps need none of it."""

    network: bool = Field(
        default=True,
        description="Whether it may talk to others over the network; false: only to visitors, through nginx.",
    )
    jit: bool = Field(
        default=False,
        description="Whether it makes machine code while it runs: numba, PyPy, JAX, some uses of ctypes.",
    )
    writable: Annotated[tuple[Writable, ...], BeforeValidator(as_tuple), AfterValidator(no_repeats)] = Field(
        default=(),
        description="Paths that it may write beside /var/lib/APP, /tmp and `shared`, e.g. [/data].",
    )
    devices: Annotated[tuple[Device, ...], BeforeValidator(as_tuple), AfterValidator(no_repeats)] = Field(
        default=(), description="Devices that it may use, e.g. [/dev/ttyUSB0]."
    )
    relax: Annotated[tuple[Directive, ...], BeforeValidator(as_tuple), AfterValidator(no_repeats)] = Field(
        default=(),
        description="Settings of systemd.exec(5) to leave out, e.g. [RestrictNamespaces]. The last resort.",
    )

    @model_validator(mode="after")
    def _is_seen(self) -> SandboxSettings:
        for path in self.writable:
            for folder, directive in HIDDEN.items():
                if (_below(path, folder) or _below(folder, path)) and directive not in self.relax:
                    raise ValueError(
                        f"the app does not see {folder}, so it cannot write {path}: use another path, "
                        f"or also `relax: [{directive}]`"
                    )
        return self


class Limits(Settings):
    """What each service of the app may use at most: its web server, each process, each job."""

    memory: MemorySize | None = Field(
        default=None,
        description='Memory, e.g. "512M"; systemd.resource-control(5) MemoryMax. Omit for no limit.',
    )
    tasks: Positive | None = Field(
        default=None, description="Processes and threads; TasksMax. Omit for systemd's default."
    )
    cpu: CpuQuota | None = Field(
        default=None,
        description='Processor time, e.g. "200%" for two processors; CPUQuota. Omit for no limit.',
    )
