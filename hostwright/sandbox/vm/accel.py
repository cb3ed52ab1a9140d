"""How fast a VM can be here: with KVM where a stock kernel boots with it, in software otherwise.

That /dev/kvm is there says little: inside some clouds' VMs it takes only kernels made for it, and a stock one
hangs before its first line. So one is booted, once for each kernel of this machine.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from ..command import run
from .image import Image

QEMU = "qemu-system-x86_64"
KVM = ("-accel", "kvm", "-cpu", "host")
SOFTWARE = ("-accel", "tcg,thread=multi", "-cpu", "max")
DEVICE = Path("/dev/kvm")
PROBE_TIMEOUT = 15.0  # a kernel that boots with KVM does so in a second
SPOKEN = b"Kernel command line:"


def qemu_version() -> str:
    """The first line of what it says of itself."""
    return run(QEMU, "--version").partition("\n")[0]


def acceleration(image: Image, device: Path = DEVICE) -> tuple[str, ...]:
    """The arguments for qemu, KVM or SOFTWARE. The answer is kept beside the image.

    Args:
        image: whose kernel is tried.
        device: what KVM is reached through.
    """
    if not os.access(device, os.R_OK | os.W_OK):
        return SOFTWARE
    here = hashlib.sha256(f"{os.uname().release}\0{qemu_version()}".encode()).hexdigest()[:12]
    kept = image.folder / f"kvm-{here}"
    if not kept.exists():
        aside = kept.with_name(f".{kept.name}.{os.getpid()}")
        aside.write_text("yes" if boots(image, KVM, PROBE_TIMEOUT) else "no")
        aside.replace(kept)
    return KVM if kept.read_text() == "yes" else SOFTWARE


def boots(image: Image, accelerator: tuple[str, ...], seconds: float) -> bool:
    """Whether the image's kernel says a word within `seconds`."""
    with tempfile.TemporaryDirectory() as folder:
        console = Path(folder, "console")
        argv = (
            *(
                QEMU,
                "-machine",
                "pc",
                *accelerator,
                "-m",
                "256",
                "-no-user-config",
                "-nodefaults",
                "-no-reboot",
            ),
            *("-display", "none", "-kernel", str(image.kernel), "-append", "console=ttyS0 panic=-1"),
            *("-serial", f"file:{console}"),
        )
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + seconds
        try:
            while time.monotonic() < deadline:
                with suppress(FileNotFoundError):
                    if SPOKEN in console.read_bytes():
                        return True
                if process.poll() is not None:
                    return console.exists() and SPOKEN in console.read_bytes()
                time.sleep(0.05)
            return False
        finally:
            process.kill()
            process.wait()


def is_software(accelerator: tuple[str, ...]) -> bool:
    """Whether timeouts need slack."""
    return accelerator == SOFTWARE
