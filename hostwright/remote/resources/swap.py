"""A swap file where memory is small and nothing swaps yet. Somebody else's swap is never touched.

A .swap unit of our own puts it to use, now and at boot: /etc/fstab is somebody else's file.
"""

from __future__ import annotations

import re

from .base import Failed, Resource
from .said import keep, said

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Sequence

    from ..system import System
    from .base import Change, Context, State

K, M, G = 1 << 10, 1 << 20, 1 << 30
UNITS = {"K": K, "M": M, "G": G, "T": 1 << 40}
# a server with less memory gets swap by itself: 2 GB, as they are sold
SMALL = 2_000_000_000
# what `auto` makes: as much as there is memory, within these
LEAST, MOST = 512 * M, 2 * G
# free space that is left: the disk is for the apps
LEAVE = G
# file systems that swapon(8) takes a file of as it is; btrfs wants it without copy-on-write, overlays never do
FILE_SYSTEMS = ("ext2", "ext3", "ext4", "xfs")
CONTAINER = "/run/systemd/container"
WANTS = "/etc/systemd/system/swap.target.wants"
UNIT = """\
# Managed by Hostwright.
[Unit]
Description=Swap file for a server with little memory
[Swap]
What=%s
[Install]
WantedBy=swap.target
"""
MAKE_TIMEOUT, QUICK, OFF_TIMEOUT = 600.0, 60.0, 600.0


class Swap(Resource):
    """`name` is the absolute path of the file.

    Args:
        size: "auto", or a number with K, M, G or T (powers of 1024), which is made however much memory there is.
    """

    kind = "swap"
    exclusive = True
    isolated = True

    def __init__(self, *, name: str, size: str = "auto", app: str = "", notify: Sequence[str] = ()) -> None:
        super().__init__(name=name, app=app, notify=notify)
        self.size = size

    def desired(self, system: System) -> State:
        size, why_not = self._plan(system)
        if not size:
            told = why_not or said(system, self.kind)
            return {"left alone": why_not or None} if told else {}
        return {"size": size, "in use": True, "unit": "at boot"}

    def read(self, system: System) -> State:
        found = system.stat(self.name)
        return {
            "left alone": said(system, self.kind) or None,
            "size": found.size if found else 0,
            "in use": self.name in swaps(system),
            "unit": self._unit(system),
        }

    def _unit(self, system: System) -> Optional[str]:
        name = unit_name(self.name)
        if (system.read("/etc/systemd/system/" + name) or b"").decode() != UNIT % self.name:
            return None
        return "at boot" if system.readlink("%s/%s" % (WANTS, name)) else "not at boot"

    def _plan(self, system: System) -> tuple[int, str]:
        """(bytes of the file, or 0 for none; why none, where that is worth a word)."""
        exact = self.size != "auto"
        ours = system.stat(self.name)
        if ours and ours.kind == "file" and not exact:
            return ours.size, ""
        memory = memory_of(system, "MemTotal")
        if not exact and (memory >= SMALL or not memory):
            return 0, ""
        size = parse_size(self.size) if exact else min(max(memory // M * M, LEAST), MOST)
        if system.exists(CONTAINER):
            return 0, "a container has the swap of its machine"
        others = sorted({*swaps(system), *in_fstab(system)} - {self.name})
        if others:
            return 0, "there is swap already: %s" % ", ".join(others) if exact else ""
        kind = file_system(system, self.name)
        if kind not in FILE_SYSTEMS:
            return 0, "the file system (%s) takes no swap files" % (kind or "unknown")
        free = system.room(self.name)[0] + (ours.size if ours else 0)
        if free < size + LEAVE:
            return 0, "too little room: %d MB are free, and %d MB are left for the apps" % (
                free // M,
                LEAVE // M,
            )
        return size, ""

    # -- apply -------------------------------------------------------------------------------------------

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        size, why_not = self._plan(system)
        keep(system, self.kind, "" if size else why_not)
        if not size:
            context.note = why_not
            return
        found = system.stat(self.name)
        if found is None or found.size != size:
            self._make(system, size)
        name = unit_name(self.name)
        system.write_atomic("/etc/systemd/system/" + name, (UNIT % self.name).encode(), mode=0o644)
        system.run(("systemctl", "daemon-reload"), timeout=QUICK)
        system.run(("systemctl", "enable", "--", name), timeout=QUICK)
        if self.name not in swaps(system):
            system.run(("systemctl", "start", "--", name), timeout=QUICK)

    def _make(self, system: System, size: int) -> None:
        """A file that nobody else can read, without holes, ready for swapon(8)."""
        if self.name in swaps(system):
            stop(system, self.name)
        folder, new = self.name.rpartition("/")[0], self.name + ".tmp"
        if system.stat(folder) is None:
            system.mkdir(folder, mode=0o700)
        system.unlink(self.name)
        try:
            # first of all: memory ends up in it
            system.write_atomic(new, b"", mode=0o600)
            allocate = ("fallocate", "--length", str(size), new)
            if not system.run(allocate, timeout=MAKE_TIMEOUT, check=False).ok:
                fill = ("dd", "if=/dev/zero", "of=" + new, "bs=1M", "count=%d" % (size // M), "conv=fsync")
                system.run(fill, timeout=MAKE_TIMEOUT)
            system.run(("mkswap", new), timeout=QUICK)
            system.rename(new, self.name)
        except BaseException:
            system.unlink(new)
            raise

    @staticmethod
    def withdraw(system: System, name: str) -> str:
        """No longer wanted: out of use and gone, if what lies in it fits into memory."""
        keep(system, Swap.kind, "")
        if system.stat(name) is None:
            return ""
        unit = unit_name(name)
        system.run(("systemctl", "disable", "--", unit), timeout=QUICK, check=False)
        try:
            if name in swaps(system):
                stop(system, name)
        except Failed as error:
            system.unlink("/etc/systemd/system/" + unit)
            return "%s; it is not used after the next boot, then remove %s" % (error.message, name)
        system.unlink("/etc/systemd/system/" + unit)
        system.unlink(name)
        system.run(("systemctl", "daemon-reload"), timeout=QUICK, check=False)
        return ""


def stop(system: System, name: str) -> None:
    """Take a swap file out of use.

    Raises:
        Failed: what lies in it would not fit into memory.
    """
    used, free = swaps(system)[name], memory_of(system, "MemAvailable")
    if used * 5 > free * 4:
        raise Failed(
            "the swap file holds %d MB, and only %d MB of memory are free" % (used // M, free // M),
            "Stop something, or leave `swap` as it was.",
        )
    system.run(("systemctl", "stop", "--", unit_name(name)), timeout=OFF_TIMEOUT, check=False)
    if name in swaps(system):
        system.run(("swapoff", name), timeout=OFF_TIMEOUT)


def parse_size(text: str) -> int:
    """Bytes of "512M"."""
    return int(text[:-1]) * UNITS[text[-1]]


def unit_name(path: str) -> str:
    """systemd's name for the swap unit of a path: systemd.unit(5), "String Escaping"."""
    escaped = "".join(
        char if char.isalnum() or char in ":_." or (char == "/") else "\\x%02x" % ord(char)
        for char in path.strip("/")
    )
    return escaped.replace("/", "-") + ".swap"


def swaps(system: System) -> dict[str, int]:
    """What is swapped to: path -> bytes that lie there."""
    lines = (system.read("/proc/swaps") or b"").decode("utf-8", "replace").splitlines()[1:]
    rows = [line.split() for line in lines]
    return {row[0]: int(row[3]) * K for row in rows if len(row) > 3}


def in_fstab(system: System) -> list[str]:
    """Swap that fstab(5) names, in use or not."""
    lines = (system.read("/etc/fstab") or b"").decode("utf-8", "replace").splitlines()
    rows = [line.split() for line in lines if not line.lstrip().startswith("#")]
    return [row[0] for row in rows if len(row) > 2 and row[2] == "swap"]


def memory_of(system: System, what: str) -> int:
    """Bytes that /proc/meminfo tells, e.g. of MemTotal; 0 when it does not."""
    found = re.search(r"^%s:\s+([0-9]+) kB" % what, (system.read("/proc/meminfo") or b"").decode(), re.M)
    return int(found[1]) * K if found else 0


def file_system(system: System, path: str) -> str:
    """The kind of file system that a path lies on, from /proc/self/mounts; empty when it cannot be told."""
    best, kind = "", ""
    for line in (system.read("/proc/self/mounts") or b"").decode("utf-8", "replace").splitlines():
        words = line.split()
        if len(words) > 2:
            at = words[1].rstrip("/")
            if (path == at or path.startswith(at + "/")) and len(at) >= len(best):
                best, kind = at, words[2]
    return kind
