"""One VM: its layer over the image's disk, its qemu process, its address on the checkout's bridge."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import SandboxError
from .. import login
from ..cgroup import Cgroup
from ..command import run
from ..container import INSIDE
from ..model import Server
from ..network import remove_interface
from ..registry import Checkout
from . import saved
from .accel import QEMU, acceleration, is_software
from .agent import Agent, Silent
from .image import Image
from .seed import write_initrd

MEMORY_MIB = 1024
CPUS = 2
# seconds with KVM, and in software; that takes a while on a machine that is busy
BOOT_TIMEOUT = {False: 90.0, True: 600.0}
FIRST_WORD = {False: 2.0, True: 10.0}
KERNEL = "root=/dev/vda ro console=ttyS0 net.ifnames=0 quiet"


@dataclass(frozen=True)
class Card:
    """Its network card.

    Attributes:
        checkout: whose bridge it is on.
        octet: last octet of its address.
    """

    checkout: Checkout
    octet: int

    @property
    def interface(self) -> str:
        """The bridge's end of its cable, named as a container's is."""
        return f"vb-{self.checkout.machine(self.octet)}"

    @property
    def address(self) -> str:
        """Its IPv4 address."""
        return self.checkout.address(self.octet)

    @property
    def mac(self) -> str:
        """Its hardware address: no two of a machine's are the same."""
        digits = self.checkout.id
        return f"52:54:{digits[:2]}:{digits[2:4]}:{digits[4:]}:{self.octet:02x}"

    def plug(self) -> None:
        """Makes the cable."""
        run("ip", "tuntap", "add", "dev", self.interface, "mode", "tap")
        run("ip", "link", "set", "dev", self.interface, "master", self.checkout.bridge, "up")


@dataclass(frozen=True)
class VirtualMachine:
    """A server that is a VM; a `Box`.

    Attributes:
        name: its host name.
        folder: what belongs to it alone; for root alone.
        image_folder: of the image its disk lies over.
        card: its network.
        cgroup: where its qemu is: what is in there is ours to end, and nothing else is.
        console: file that gets what it writes on its console.
        like: folder of the saved VM that it goes on from; none for one that boots.
    """

    name: str
    folder: Path
    image_folder: Path
    card: Card
    cgroup: Cgroup
    console: Path
    like: Path | None = None

    @property
    def image(self) -> Image:
        """What it begins with."""
        return Image(self.image_folder)

    @property
    def disk(self) -> Path:
        """Its layer (qcow2)."""
        return self.folder / "disk.qcow2"

    @property
    def monitor(self) -> Path:
        """Socket of qemu's monitor."""
        return self.folder / "qmp.sock"

    @property
    def agent(self) -> Path:
        """Socket of its guest agent."""
        return self.folder / "agent.sock"

    @property
    def _fresh(self) -> Path:
        """There until it has gone on from what was saved."""
        return self.folder / "fresh"

    def make(self, public_key: str) -> str:
        """As in `Box`."""
        self.folder.mkdir(mode=0o700)
        if self.like is not None:
            self._fresh.touch()
            return saved.known_hosts(self.like, self.card.address)
        _layer(self.disk, self.image.disk, "raw")
        own = self.folder / "initrd.img"
        return write_initrd(
            own, self.image.initrd, self.name, self.card.octet, self.card.checkout, public_key
        )

    def start(self) -> None:
        """As in `Box`; one made like another goes on from there, the first time."""
        if saved.is_saved(self.folder):
            hint = f"./run sandbox.up --name NEW --like {self.name}"
            raise SandboxError(
                "is saved, so that others begin like it; it stays down", host=self.name, hint=hint
            )
        if self.like is None or not self._fresh.exists():
            self._launch()
            return
        saved.check(self.like, self.argv())
        self.disk.unlink(missing_ok=True)
        _layer(self.disk, self.like / self.disk.name, "qcow2")
        self._launch("-incoming", saved.source(self.like))
        saved.go_on(self)
        self._fresh.unlink()

    def _launch(self, *more: str) -> None:
        self.clear()
        self.cgroup.make()
        self.card.plug()
        arguments = (str(self.cgroup.folder), self.card.interface, str(self.console), *self.argv(), *more)
        environment = {"PATH": os.defpath + ":/usr/sbin:/sbin"}
        launcher = Path(__file__).parents[1] / "launcher.py"
        run(sys.executable, "-I", "-S", str(launcher), *arguments, env=environment)

    def argv(self) -> tuple[str, ...]:
        """The argv of qemu(1)."""
        own = self.folder / "initrd.img"
        drive = f"if=none,id=disk,file={self.disk},format=qcow2,cache=writeback,discard=unmap"
        net = f"tap,id=net,ifname={self.card.interface},script=no,downscript=no"
        return (
            *(QEMU, "-name", self.name, "-machine", "pc", *acceleration(self.image)),
            *("-m", str(MEMORY_MIB), "-smp", str(CPUS), "-rtc", "base=utc"),
            *("-no-user-config", "-nodefaults", "-display", "none"),
            *("-kernel", str(self.image.kernel), "-append", KERNEL),
            *("-initrd", str(own if own.exists() else self.image.initrd)),
            *("-drive", drive, "-device", "virtio-blk-pci,drive=disk"),
            *("-netdev", net, "-device", f"virtio-net-pci,netdev=net,mac={self.card.mac},romfile="),
            *("-device", "virtio-rng-pci", "-device", "virtio-serial-pci"),
            *("-chardev", f"socket,id=agent,path={self.agent},server=on,wait=off"),
            *("-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"),
            *("-chardev", f"file,id=console,path={self.console},append=on", "-serial", "chardev:console"),
            *("-qmp", f"unix:{self.monitor},server=on,wait=off"),
        )

    def running(self) -> bool:
        """As in `Box`."""
        return bool(self.cgroup.pids())

    def wait_for_login(self, server: Server) -> None:
        """As in `Box`."""
        slow = is_software(acceleration(self.image))
        login.wait(server, self.running, BOOT_TIMEOUT[slow], FIRST_WORD[slow])

    def execute(
        self, argv: Sequence[str], timeout: float, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """As in `Box`; through its guest agent.

        Raises:
            SandboxError: it does not run, or so early or late in its life that no agent does.
        """
        if not self.running():
            raise SandboxError("is not running", host=self.name, hint="./run sandbox.start")
        try:
            return Agent(self.agent).run(argv, timeout, stdin, INSIDE)
        except Silent as error:
            seen = (*login.console_tail(self.console), str(error))
            raise SandboxError("its guest agent does not answer", host=self.name, evidence=seen) from error

    def save(self) -> None:
        """Keeps memory and disk as they are now, ends it, and lets others begin like it."""
        saved.save(self)
        self.clear()

    def power_cut(self) -> None:
        """Kills its qemu: its memory is gone, and with it what it had not brought to its disk."""
        self.clear()

    def clear(self) -> None:
        """Removes what is left of its process, cgroup, cable and sockets."""
        if self.cgroup.folder.exists():
            self.cgroup.kill()
        remove_interface(self.card.interface)
        for socket in (self.monitor, self.agent):
            socket.unlink(missing_ok=True)

    def remove(self) -> None:
        """As in `Box`."""
        self.clear()
        shutil.rmtree(self.folder, ignore_errors=True)


def _layer(disk: Path, below: Path, kind: str) -> None:
    """Makes a disk that keeps what differs from the one below it, which must not change any more."""
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(below), "-F", kind, str(disk))
