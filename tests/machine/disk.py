"""A disk of its own for a folder of a server, whose content can be had as a power cut would leave it."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import time
from pathlib import Path

from hostwright.sandbox import Sandbox, Server

from .project import sh

# data and names reach the disk when somebody asks for it, not because a few seconds went by
OPTIONS = "noatime,commit=300"


def command(*argv: str) -> str:
    """The output of a program on this machine."""
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


class Disk:
    """An ext4 file system in a file, mounted in a server and here.

    The loop device writes past this machine's page cache, so the file holds what a disk would, and nothing that is
    only in memory.

    Args:
        folder: an empty one on this machine.
        mib: its size.
        where: a folder in the server; what is in it is hidden.
    """

    def __init__(self, sandbox: Sandbox, server: Server, folder: Path, mib: int, where: str = "/srv") -> None:
        self._image, self._copies = folder / "disk.img", 0
        self.live, self._copy = folder / "live", folder / "copy"
        for mount in (self.live, self._copy):
            mount.mkdir()
        with self._image.open("wb") as file:
            os.truncate(file.fileno(), mib << 20)
        command("mkfs.ext4", "-q", "-F", "-m", "0", str(self._image))
        self.device = command("losetup", "--direct-io=on", "--find", "--show", str(self._image))
        command("mount", "-o", OPTIONS, self.device, str(self.live))
        number = self.device.removeprefix("/dev/loop")
        node = f"rm -f {self.device}; mknod {self.device} b 7 {number}"
        sh(sandbox, server, f"{node}; mkdir -p {where}; mount -o {OPTIONS} {self.device} {where}")

    def after_a_power_cut(self) -> Path:
        """What the disk holds at this moment, mounted: the file system's journal is replayed, memory is lost."""
        self.forget()
        # another file each time: mount takes a loop device that still has the file of that name, with what it cached
        self._copies += 1
        copy = self._image.with_suffix(f".copy{self._copies}")
        for _ in range(10):
            before = self._written()
            command(
                "dd", f"if={self._image}", f"of={copy}", "bs=1M", "iflag=direct", "conv=sparse", "status=none"
            )
            if before == self._written():
                break
            time.sleep(0.1)
        else:
            raise AssertionError("something writes to the disk all the time")
        command("mount", "-o", "loop", str(copy), str(self._copy))
        copy.unlink()  # gone when it is unmounted
        return self._copy

    def forget(self) -> None:
        """The copy is not needed any more."""
        if os.path.ismount(self._copy):
            command("umount", str(self._copy))

    def _written(self) -> tuple[str, ...]:
        """Sectors written and requests under way: fields 7 and 9 of /sys/block/DEV/stat."""
        fields = Path("/sys/block", Path(self.device).name, "stat").read_text().split()
        return fields[6], fields[8]

    def remove(self) -> None:
        """Once the server is gone."""
        self.forget()
        command("umount", str(self.live))
        command("losetup", "--detach", self.device)
        shutil.rmtree(self._image.parent)


def contents(folder: Path) -> dict[str, str]:
    """All that is in a folder: path -> kind, permissions and owner, and a checksum or where a link leads."""
    found = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        what = ""
        if stat.S_ISREG(about.st_mode):
            what = hashlib.sha256(path.read_bytes()).hexdigest()
        elif stat.S_ISLNK(about.st_mode):
            what = str(path.readlink())
        found[str(path.relative_to(folder))] = f"{about.st_mode:o} {about.st_uid}:{about.st_gid} {what}"
    return found
