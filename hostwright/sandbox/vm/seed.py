"""What makes one VM different from the next, brought to its disk by its initrd at the first boot.

Nobody has to mount a disk for it: a second archive (cpio, which the kernel unpacks over the first) adds a
script that runs between the mount of the root and the start of init. Nothing of it is left on the disk.
"""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

from ..personality import known_hosts, personalise
from ..registry import Checkout

INTERFACE = "eth0"  # with net.ifnames=0
BOTTOM = "scripts/init-bottom"  # initramfs-tools(7)
ORDER = f"""\
for script in /{BOTTOM}/*; do
  case $script in */ORDER) ;; *) "$script" "$@" ;; esac
done
"""
SCRIPT = """\
#!/bin/sh
# at the first boot alone: what the server has changed since stays as it is
[ "$1" = prereqs ] && exit 0
[ -s "$rootmnt/etc/machine-id" ] && exit 0
mount -o remount,rw "$rootmnt" && tar -xf /hostwright.tar -C "$rootmnt"
mount -o remount,ro "$rootmnt"
"""


def write_initrd(
    target: Path, plain: Path, name: str, octet: int, checkout: Checkout, public_key: str
) -> str:
    """Writes the initrd of one server, readable by root alone, and returns its known_hosts lines.

    Args:
        target: where to.
        plain: the image's own.
        name: host name of the server.
        octet: last octet of its address.
        checkout: whose it is.
        public_key: opens both users.
    """
    root = target.with_name("seed")
    for folder in ("root", "home/ubuntu", "etc/ssh"):
        (root / folder).mkdir(parents=True)
    try:
        personalise(root, name, octet, checkout, public_key, INTERFACE)
        lines = known_hosts(root / "etc/ssh", checkout.address(octet))
        files = {
            f"{BOTTOM}/ORDER": (0o644, ORDER.encode()),
            f"{BOTTOM}/0hostwright": (0o755, SCRIPT.encode()),
            "hostwright.tar": (0o600, tar(root)),
        }
        target.touch(mode=0o600)
        target.write_bytes(aligned(plain.read_bytes()) + cpio(files))
    finally:
        shutil.rmtree(root)
    return lines


def tar(root: Path) -> bytes:
    """The files below `root`, and those of its folders that a bare system does not have."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(root.rglob("*")):
            if path.is_file() or path.name == ".ssh":
                archive.add(path, str(path.relative_to(root)), recursive=False)
    return buffer.getvalue()


def cpio(files: dict[str, tuple[int, bytes]]) -> bytes:
    """An archive as the kernel unpacks it (Documentation/driver-api/early-userspace/buffer-format).

    Args:
        files: path -> mode bits and content. Their folders must be there.
    """
    entries = [(name, 0o100000 | mode, content) for name, (mode, content) in files.items()]
    archive = b""
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        header = "070701" + "".join(f"{field:08x}" for field in fields) + name + "\0"
        archive += aligned(header.encode()) + aligned(content)
    return archive


def aligned(data: bytes) -> bytes:
    """With zeros up to a multiple of four bytes."""
    return data + b"\0" * (-len(data) % 4)
