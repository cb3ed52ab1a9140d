"""A server's disk: what it changed lies over the base system it shares with the others (overlayfs).

The changes go into a folder beside it, or into an ext4 file system of a given size in a file: when the disk
must be able to fill up, and where the folder's own file system cannot be the upper layer of an overlay (it
is an overlay itself, in most containers, or a network mount). A tmpfs would be as simple, but takes memory.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from ..errors import SandboxError
from .command import run, succeeds

DEFAULT_IMAGE_MIB = 16 * 1024  # sparse: takes what is written
SMALLEST_MIB = 64


@dataclass(frozen=True)
class Disk:
    """The disk kept in `folder`. `size_mib` is none for one as large as the machine's own."""

    folder: Path
    size_mib: int | None = None

    @property
    def root(self) -> Path:
        """Where the whole file system is seen while attached."""
        return self.folder / "root"

    def make(self) -> None:
        """Makes it, empty.

        Raises:
            SandboxError: the size is too small, or mkfs failed.
        """
        self.folder.mkdir(mode=0o700)
        for part in (self._layers, self.root):
            part.mkdir()
        size = self.size_mib
        if size is not None and size < SMALLEST_MIB:
            raise SandboxError(f"a disk of {size} MiB is too small: {SMALLEST_MIB} MiB at least")
        if size is None and not self._usable_as_upper():
            size = DEFAULT_IMAGE_MIB
        if size is not None:
            with self._image.open("wb") as file:
                os.truncate(file.fileno(), size << 20)
            run("mkfs.ext4", "-q", "-F", "-m", "0", str(self._image))

    def attach(self, base: Path) -> None:
        """Mounts it over `base` at `root`, unless it is mounted already (after a power cut it still is)."""
        if os.path.ismount(self.root):
            return
        if self._image.exists() and not os.path.ismount(self._layers):
            run("mount", "-o", "loop", str(self._image), str(self._layers))
        _mount_overlay(base, self._layers, self.root)

    def remove(self) -> None:
        """Unmounts and deletes it. Also one that was only half made."""
        for place in (self.root, self._layers):
            while os.path.ismount(place):
                if not succeeds("umount", str(place)):
                    run("umount", "--lazy", str(place))
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _layers(self) -> Path:
        return self.folder / "layers"

    @property
    def _image(self) -> Path:
        return self.folder / "disk.img"

    def _usable_as_upper(self) -> bool:
        """Tries, because the rules differ between kernels and file systems."""
        lower = self.folder / "probe"
        lower.mkdir()
        try:
            _mount_overlay(lower, self._layers, self.root)
        except SandboxError:
            return False
        else:
            run("umount", str(self.root))
            return True
        finally:
            lower.rmdir()


def _mount_overlay(lower: Path, layers: Path, root: Path) -> None:
    upper, work = layers / "upper", layers / "work"
    for part in (upper, work):
        part.mkdir(mode=0o755, exist_ok=True)
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    run("mount", "-t", "overlay", "overlay", "-o", options, str(root))
