"""A cgroup of its own for each server (cgroups(7), version 2): two servers' systemds never share one."""

from __future__ import annotations

import errno
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import SandboxError, SandboxUnavailable

KILL_TIMEOUT = 15.0


def mount_point(mountinfo: str, kind: str = "cgroup2", option: str = "rw") -> Path | None:
    """Where a hierarchy is mounted, given the text of /proc/self/mountinfo (proc(5)).

    Args:
        mountinfo: the text.
        kind: file system type.
        option: must be among the options of the superblock.
    """
    for line in mountinfo.splitlines():
        place, _, rest = line.partition(" - ")
        found, _, *options = rest.split(" ")
        if found == kind and option in options[-1].split(","):
            return Path(place.split(" ")[4])
    return None


@dataclass(frozen=True)
class Cgroup:
    """The cgroup of one server; it exists while the server runs.

    Attributes:
        folder: in the version 2 hierarchy.
        mirror: the same path in systemd's own version 1 hierarchy, on machines that still mount it beside
            the other: systemd-nspawn makes it and leaves it behind.
    """

    folder: Path
    mirror: Path | None = None

    @classmethod
    def named(cls, name: str) -> Cgroup:
        """The cgroup called `name` at the top of this machine's hierarchy.

        Raises:
            SandboxUnavailable: there is no version 2 hierarchy.
        """
        mountinfo = Path("/proc/self/mountinfo").read_text()
        unified = mount_point(mountinfo)
        if unified is None:
            raise SandboxUnavailable("this machine has no cgroup v2 hierarchy; systemd in a server needs one")
        legacy = mount_point(mountinfo, "cgroup", "name=systemd")
        return cls(unified / name, legacy / name if legacy else None)

    @property
    def launcher(self) -> Path:
        """Where the process is that starts the server again when it reboots."""
        return self.folder / "launcher"

    @property
    def machine(self) -> Path:
        """Where systemd-nspawn and all that runs in the server are."""
        return self.folder / "machine"

    def make(self) -> None:
        """Makes it, with whatever controllers the machine hands down, so that memory limits bind."""
        self.folder.mkdir(exist_ok=True)
        for controller in (self.folder / "cgroup.controllers").read_text().split():
            try:
                (self.folder / "cgroup.subtree_control").write_text(f"+{controller}")
            except OSError:  # not delegable here; the server then has limits that do not bind
                continue
        self.launcher.mkdir(exist_ok=True)

    def pids(self) -> list[int]:
        """All processes in it, in the machine's numbering."""
        found: list[int] = []
        for folder, _, files in os.walk(self.folder):
            if "cgroup.procs" in files:
                try:
                    found += map(int, (Path(folder) / "cgroup.procs").read_text().split())
                except OSError:  # it ended while we looked
                    continue
        return found

    def init(self) -> int | None:
        """The server's init process: the one that is number 1 in its own pid namespace."""
        return next((pid for pid in self.pids() if is_init(_status(pid))), None)

    def wait_empty(self, seconds: float) -> bool:
        """Whether its last process ended in time."""
        deadline = time.monotonic() + seconds
        while self.pids():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def kill(self) -> None:
        """Kills what is left in it and removes it.

        Raises:
            SandboxError: a process does not die.
        """
        deadline = time.monotonic() + KILL_TIMEOUT
        while not self._removed():
            if time.monotonic() > deadline:
                raise SandboxError(f"processes of {self.folder.name} do not end: {self.pids()[:5]}")
            for pid in self.pids():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)

    def _removed(self) -> bool:
        """Removes it and all below it if they are empty."""
        places = [self.folder, *([self.mirror] if self.mirror else [])]
        try:
            for place in places:
                for folder, _, _ in os.walk(place, topdown=False):
                    Path(folder).rmdir()
        except FileNotFoundError:  # the kernel or the launcher removes it too
            return False
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            return False
        return not any(place.exists() for place in places)


def _status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return ""


def is_init(status: str) -> bool:
    """Whether the text of /proc/PID/status is that of number 1 in a pid namespace just below ours."""
    for line in status.splitlines():
        if line.startswith("NSpid:"):
            numbers = line.split()[1:]
            return len(numbers) > 1 and numbers[1:] == ["1"]
    return False
