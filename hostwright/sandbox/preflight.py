"""What a machine needs before it can run throw-away servers, and how to get it."""

from __future__ import annotations

import os
import platform
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
VM_PROGRAMS = {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils", "mke2fs": "e2fsprogs"}
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
CAPABILITIES = (12, 21)  # CAP_NET_ADMIN, CAP_SYS_ADMIN: linux/capability.h
DISTRIBUTIONS = ("debian", "ubuntu")
INSTEAD = "The same commands work on any Ubuntu or Debian VM: ./run provision --host USER@ADDRESS"
WITHOUT_VM = "Throw-away containers work here: the same command without --vm"
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
        missing: names in PROGRAMS, and in VM_PROGRAMS for a VM, that are not there.
        processor: as `platform.machine()`.
        tun: whether it can make virtual network cables: /dev/net/tun.
    """

    platform: str = "linux"
    root: bool = True
    capable: bool = True
    apt: bool = True
    distribution: str = "debian"
    overlay: bool = True
    cgroup2: bool = True
    missing: tuple[str, ...] = ()
    processor: str = "x86_64"
    tun: bool = True


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


def vm_obstacle(machine: Machine) -> tuple[str, str] | None:
    """What keeps a machine that can run containers from running VMs, and what to do instead."""
    if machine.processor != "x86_64":
        return f"throw-away VMs need an x86_64 processor, and this is {machine.processor}", WITHOUT_VM
    if not machine.tun:
        return "throw-away VMs need /dev/net/tun for their network, and it is not here", WITHOUT_VM
    return None


def packages(missing: tuple[str, ...]) -> list[str]:
    """The Debian packages that have the missing programs."""
    return sorted({{**PROGRAMS, **VM_PROGRAMS}[program] for program in missing})


def survey(*, vm: bool = False) -> Machine:
    """This machine; `vm`: what VMs need is looked for too."""
    programs = {**PROGRAMS, **(VM_PROGRAMS if vm else {})}
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
        missing=tuple(name for name in programs if shutil.which(name, path=path) is None),
        processor=platform.machine(),
        tun=Path("/dev/net/tun").exists(),
    )


def is_capable(status: str) -> bool:
    """Whether the text of /proc/self/status (proc(5)) has the capabilities a server takes to set up.

    The bounding set, because a user without any may still be about to use sudo.
    """
    needed = sum(1 << bit for bit in CAPABILITIES)
    bounds = (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapBnd:"))
    return any(bound & needed == needed for bound in bounds)


def require(*, vm: bool = False) -> Machine:
    """This machine, if servers can run on it once packages are installed; VMs too, with `vm`.

    Raises:
        SandboxUnavailable: says why not, and what works instead.
    """
    machine = survey(vm=vm)
    problem = obstacle(machine) or (vm_obstacle(machine) if vm else None)
    if problem:
        raise SandboxUnavailable(problem[0], hint=problem[1])
    return machine


def ensure(say: Callable[[str], None], *, vm: bool = False) -> None:
    """Installs the programs that are missing, saying so first; those for VMs only when one is wanted.

    Raises:
        SandboxUnavailable: this machine cannot run servers, or apt could not install what it needs.
    """
    _find_system_programs()
    machine = require(vm=vm)
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
