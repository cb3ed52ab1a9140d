"""What a machine needs before it can run throw-away servers, and how to get it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import SandboxError, SandboxUnavailable
from .base import machine_release
from .cgroup import mount_point
from .command import run, succeeds

# program -> Debian package that has it
PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "nft": "nftables",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "mkfs.ext4": "e2fsprogs",
    "mount": "mount",
    "nsenter": "util-linux",
    "gpgv": "gpgv",
}
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
CAPABILITIES = (12, 21)  # CAP_NET_ADMIN, CAP_SYS_ADMIN: linux/capability.h
DISTRIBUTIONS = ("debian", "ubuntu")
INSTEAD = "The same commands work on any Ubuntu or Debian VM: ./run provision --host USER@ADDRESS"
WITH_ROOT = "Run it with sudo (sudo ./run ...), or use any VM: ./run provision --host USER@ADDRESS"


@dataclass(frozen=True)
class Machine:
    """What matters about a machine.

    Attributes:
        platform: as `sys.platform`.
        root: whether we are root.
        capable: whether root may mount and configure networks: not in most containers.
        apt: whether it has apt-get.
        distribution: `ID` of os-release(5).
        overlay: whether its kernel has overlayfs, loaded or loadable.
        cgroup2: whether a cgroup v2 hierarchy is mounted and can be written.
        missing: names in PROGRAMS that are not there.
    """

    platform: str = "linux"
    root: bool = True
    capable: bool = True
    apt: bool = True
    distribution: str = "debian"
    overlay: bool = True
    cgroup2: bool = True
    missing: tuple[str, ...] = ()


def obstacle(machine: Machine) -> tuple[str, str] | None:
    """What no package can mend, and what to do instead; none when it can run servers."""
    if machine.platform != "linux":
        names = {"darwin": "macOS", "win32": "Windows"}
        system = names.get(machine.platform, machine.platform)
        return f"throw-away servers need Linux, and this is {system}", INSTEAD
    if machine.distribution not in DISTRIBUTIONS or (machine.missing and not machine.apt):
        return "throw-away servers are built with apt from a Debian or Ubuntu machine's own sources", INSTEAD
    if not machine.root:
        return "throw-away servers need root: for mounts, a network and a cgroup of their own", WITH_ROOT
    if not machine.capable:
        return (
            "throw-away servers need mounts and a network, and this container's root may have neither",
            "Start the container with --privileged, or use any VM: ./run provision --host USER@ADDRESS",
        )
    if not machine.overlay:
        return "this kernel has no overlayfs, on which throw-away servers are built", INSTEAD
    if not machine.cgroup2:
        return "this machine has no writable cgroup v2 hierarchy, and systemd in a server needs one", INSTEAD
    return None


def packages(missing: tuple[str, ...]) -> list[str]:
    """The Debian packages that have the missing programs."""
    return sorted({PROGRAMS[program] for program in missing})


def survey() -> Machine:
    """This machine."""
    linux = sys.platform.startswith("linux")
    path = os.environ.get("PATH", os.defpath) + ":" + SYSTEM_PATH
    return Machine(
        platform="linux" if linux else sys.platform,
        root=os.geteuid() == 0 if hasattr(os, "geteuid") else False,
        capable=not linux or is_capable(Path("/proc/self/status").read_text()),
        apt=shutil.which("apt-get", path=path) is not None,
        distribution=machine_release()[0] if linux else "",
        overlay=linux and _has_overlay(),
        cgroup2=linux and _has_cgroup2(),
        missing=tuple(name for name in PROGRAMS if shutil.which(name, path=path) is None),
    )


def is_capable(status: str) -> bool:
    """Whether the text of /proc/self/status (proc(5)) has the capabilities a server takes to set up.

    The bounding set, because a user without any may still be about to use sudo.
    """
    needed = sum(1 << bit for bit in CAPABILITIES)
    bounds = (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapBnd:"))
    return any(bound & needed == needed for bound in bounds)


def require() -> Machine:
    """This machine, if servers can run on it once packages are installed.

    Raises:
        SandboxUnavailable: says why not, and what works instead.
    """
    machine = survey()
    problem = obstacle(machine)
    if problem:
        raise SandboxUnavailable(problem[0], hint=problem[1])
    return machine


def ensure(say: Callable[[str], None]) -> None:
    """Installs the programs that are missing, saying so first.

    Raises:
        SandboxUnavailable: this machine cannot run servers, or apt could not install what it needs.
    """
    _find_system_programs()
    machine = require()
    if not machine.missing:
        return
    wanted = packages(machine.missing)
    say(f"installing {' '.join(wanted)}: throw-away servers need {', '.join(machine.missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ("apt-get", "install", "-y", "--no-install-recommends", "-oDPkg::Lock::Timeout=300", *wanted)
    try:
        run("apt-get", "update", "-q", timeout=300, env=environment)
        run(*install, timeout=600, env=environment)
    except SandboxError as error:
        raise SandboxUnavailable(
            f"could not install {' '.join(wanted)}", evidence=error.evidence, hint=INSTEAD
        ) from error


def _find_system_programs() -> None:
    """Some users' PATH has no sbin, where nft and mkfs.ext4 are."""
    parts = os.environ.get("PATH", os.defpath).split(":")
    os.environ["PATH"] = ":".join([*parts, *(part for part in SYSTEM_PATH.split(":") if part not in parts)])


def _has_overlay() -> bool:
    filesystems = Path("/proc/filesystems")
    return "\toverlay\n" in filesystems.read_text() or (
        succeeds("modprobe", "overlay") and "\toverlay\n" in filesystems.read_text()
    )


def _has_cgroup2() -> bool:
    place = mount_point(Path("/proc/self/mountinfo").read_text())
    return place is not None and (os.geteuid() != 0 or os.access(place / "cgroup.procs", os.W_OK))
