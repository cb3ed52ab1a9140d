"""What runs one server: a container, or a VM (`vm/machine.py`)."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .container import Container
from .disk import Disk
from .model import Server
from .personality import known_hosts, personalise
from .registry import Checkout


class Box(Protocol):
    """A server's disk and processes, whatever kind it is of. Its methods raise SandboxError."""

    def make(self, public_key: str) -> str:
        """Makes its disk, with its name, address and keys on it; returns its known_hosts lines."""

    def start(self) -> None:
        """Boots it and returns at once; removes first what a killed predecessor left."""

    def running(self) -> bool:
        """Whether it runs (not: whether sshd answers)."""

    def wait_for_login(self, server: Server) -> None:
        """Waits until the first user can log in over ssh."""

    def execute(
        self, argv: Sequence[str], timeout: float, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs `argv` as root inside, with sshd or network broken too. TimeoutExpired after `timeout` seconds."""

    def power_cut(self) -> None:
        """Cuts its power. Nothing is written or said."""

    def remove(self) -> None:
        """Ends it and deletes its disk, however far it came."""


@dataclass(frozen=True)
class ContainerBox:
    """A server that is a container.

    Attributes:
        container: its processes.
        disk: its disk.
        base: folder of the base system that the disk lies over.
        checkout: whose it is.
        octet: last octet of its address.
    """

    container: Container
    disk: Disk
    base: Path
    checkout: Checkout
    octet: int

    def make(self, public_key: str) -> str:
        """As in `Box`."""
        self.disk.make()
        self.disk.attach(self.base)
        root = self.disk.root
        personalise(root, self.container.hostname, self.octet, self.checkout, public_key)
        return known_hosts(root / "etc/ssh", self.checkout.address(self.octet))

    def start(self) -> None:
        """As in `Box`."""
        self.disk.attach(self.base)
        self.container.boot()

    def running(self) -> bool:
        """As in `Box`."""
        return self.container.cgroup.init() is not None

    def wait_for_login(self, server: Server) -> None:
        """As in `Box`."""
        self.container.wait_for_login(server)

    def execute(
        self, argv: Sequence[str], timeout: float, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """As in `Box`."""
        return self.container.execute(argv, timeout, stdin)

    def power_cut(self) -> None:
        """As in `Box`."""
        self.container.power_cut()

    def remove(self) -> None:
        """As in `Box`."""
        self.container.power_cut()
        self.disk.remove()
