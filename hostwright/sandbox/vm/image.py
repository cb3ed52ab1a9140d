"""The disk that all VMs of a release begin with, its kernel and its initrd: built once, kept beside the bases."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import SandboxError
from ..base import PACKAGES as BARE
from ..base import Recipe, kept, write
from ..command import run

RECIPE = 1  # raise it when what is built below changes
PACKAGES = ("initramfs-tools", "busybox", "zstd", "kmod", "e2fsprogs", "qemu-guest-agent")
KERNELS = {"debian": "linux-image-cloud-amd64", "ubuntu": "linux-image-virtual"}
SIZE = "8G"  # sparse: takes what is written
INODES = "32768"  # bytes for each; their tables are zeroed here, or the first boot would be busy with it
FSTAB = "/dev/vda / ext4 errors=remount-ro 0 1\n"
GROUP = "vm-{suite}"


@dataclass(frozen=True)
class Image:
    """What is kept in `folder`."""

    folder: Path

    @property
    def disk(self) -> Path:
        """A raw ext4 file system; servers write to layers over it."""
        return self.folder / "disk.img"

    @property
    def kernel(self) -> Path:
        """Its kernel."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """Its initial file system."""
        return self.folder / "initrd.img"


def ensure_image(suite: str, say: Callable[[str], None], in_use: Callable[[], Iterable[str]]) -> Path:
    """The folder of the image of `suite`, built when there is none. Arguments and errors as `ensure_base`."""
    recipe = Recipe.here(suite)
    recipe = replace(recipe, packages=(*BARE, *PACKAGES, KERNELS[recipe.distribution]))
    text = f"building a disk with {recipe.distribution} {suite} and its kernel: about two minutes, once"
    group = GROUP.format(suite=suite)
    return kept(group, key(group, recipe), lambda aside: _build(aside, recipe), lambda: say(text), in_use)


def key(group: str, recipe: Recipe) -> str:
    """What an image is kept under: it changes when anything that goes into it does."""
    ingredients = [RECIPE, recipe.key(), recipe.packages, SIZE, INODES, FSTAB]
    return f"{group}-{hashlib.sha256(json.dumps(ingredients).encode()).hexdigest()[:12]}"


def _build(aside: Path, recipe: Recipe) -> None:
    image, tree = Image(aside), aside / "tree"
    aside.mkdir(mode=0o700)
    try:
        recipe.build(tree)
        write(tree, "/etc/fstab", FSTAB)
        for kept_as, pattern in ((image.kernel, "vmlinuz-*"), (image.initrd, "initrd.img-*")):
            found = sorted((tree / "boot").glob(pattern))
            if not found:
                raise SandboxError(f"the kernel package of {recipe.suite} left no {pattern} in /boot")
            shutil.copyfile(found[-1], kept_as)
        options = (
            "-q",
            "-t",
            "ext4",
            "-m",
            "0",
            "-i",
            INODES,
            "-E",
            "lazy_itable_init=0,lazy_journal_init=0",
        )
        run("mke2fs", *options, "-d", str(tree), str(image.disk), SIZE, timeout=300)
        shutil.rmtree(tree)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
