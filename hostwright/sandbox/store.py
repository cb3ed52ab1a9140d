"""What is kept on disk about the servers of a checkout, and how what a killed run left is removed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from .base import CACHE
from .box import Box, ContainerBox
from .cgroup import Cgroup
from .container import Container
from .delay import path_locks, sweep_paths
from .disk import Disk
from .identity import private_key, remove_identity
from .locks import try_lock
from .model import Server
from .network import remove_network
from .registry import STATE, Checkout, Registry
from .vm.machine import Card, VirtualMachine

VM_FOLDER = "vm"


@dataclass(frozen=True)
class Record:
    """What must be known about a server that may not be running.

    Attributes:
        name: as in `Server`.
        suite: as in `Server`.
        octet: last octet of its address.
        base: name of the base system its disk lies over.
        disk_mib: size of its disk, MiB; none for no limit of its own.
        ephemeral: whether it goes when the process that made it is gone.
        vm: whether it is a VM, not a container.
        like: name of the saved VM it began as; none for one that booted by itself.
    """

    name: str
    suite: str
    octet: int
    base: str
    disk_mib: int | None = None
    ephemeral: bool = False
    vm: bool = False
    like: str | None = None


@dataclass(frozen=True)
class Place:
    """The folder of one server.

    One without `ready` whose `lock` nobody holds is what a killed run left.
    """

    checkout: Checkout
    folder: Path

    @property
    def lock(self) -> Path:
        """Held by whoever is making, starting or removing the server."""
        return self.folder / "lock"

    @property
    def owner(self) -> Path:
        """Held by the process an ephemeral server is for; not there for others."""
        return self.folder / "owner"

    @property
    def ready(self) -> Path:
        """There once the disk is complete."""
        return self.folder / "ready"

    @property
    def known_hosts(self) -> Path:
        """The server's host keys."""
        return self.folder / "known_hosts"

    def record(self) -> Record:
        """What is kept. FileNotFoundError or ValueError when it was not written to the end."""
        return Record(**json.loads((self.folder / "server.json").read_text()))

    def write_record(self, record: Record) -> None:
        """Keeps it."""
        facts = {
            name: fact for name, fact in asdict(record).items() if fact is not None and fact is not False
        }
        (self.folder / "server.json").write_text(json.dumps(facts))

    def box(self, record: Record) -> Box:
        """What runs it."""
        machine = self.checkout.machine(record.octet)
        cgroup = Cgroup.named(f"hostwright-{machine}")
        console = self.folder / "console.log"
        if record.vm:
            like = self.folder.with_name(record.like) / VM_FOLDER if record.like else None
            card = Card(self.checkout, record.octet)
            folder, image = self.folder / VM_FOLDER, CACHE / record.base
            return VirtualMachine(record.name, folder, image, card, cgroup, console, like)
        disk = Disk(self.folder / "disk", record.disk_mib)
        container = Container(machine, record.name, disk.root, self.checkout.bridge, cgroup, console)
        return ContainerBox(container, disk, CACHE / record.base, self.checkout, record.octet)

    def server(self, record: Record) -> Server:
        """What others see of it, as it is now."""
        return Server(
            name=record.name,
            address=self.checkout.address(record.octet),
            suite=record.suite,
            running=self.box(record).running(),
            identity_file=private_key(Path(self.checkout.path)),
            known_hosts=self.known_hosts,
            console=self.folder / "console.log",
            vm=record.vm,
        )

    def remove(self) -> None:
        """Ends and deletes the server, however far it came. The caller holds `lock`."""
        try:
            record = self.record()
        except (FileNotFoundError, ValueError):  # killed before the record was whole: nothing else was made
            shutil.rmtree(self.folder)
            return
        self.box(record).remove()
        shutil.rmtree(self.folder)


def places(checkout: Checkout) -> Iterator[Place]:
    """The folders of a checkout's servers, by name."""
    folder = STATE / checkout.id / "servers"
    if folder.is_dir():
        for entry in sorted(folder.iterdir()):
            yield Place(checkout, entry)


def records(checkout: Checkout) -> dict[str, Record]:
    """Name -> record of a checkout's servers, those still being made included."""
    found = {}
    for place in places(checkout):
        try:
            found[place.folder.name] = place.record()
        except (FileNotFoundError, ValueError):  # being removed, or just begun
            continue
    return found


def bases_in_use() -> set[str]:
    """Names of the base systems that any server of this machine lies over."""
    checkouts = Registry(STATE / "registry.json").checkouts.values()
    return {record.base for checkout in checkouts for record in records(checkout).values()}


def sweep(registry: Registry) -> None:
    """Removes what killed runs and deleted checkouts left on this machine. Under the registry's lock."""
    for checkout in list(registry.checkouts.values()):
        gone = not Path(checkout.path).is_dir()
        for place in places(checkout):
            if gone or is_stale(place):
                remove_unless_held(place)
        sweep_paths(checkout)
        clear_checkout(checkout)
        if gone and not any(places(checkout)):
            registry.remove(checkout)


def is_stale(place: Place) -> bool:
    """Whether its maker was killed half-way, or the process it was made for is gone."""
    if not place.ready.exists():
        return True
    if not place.owner.exists():
        return False
    held = try_lock(place.owner)
    if held is not None:
        os.close(held)
    return held is not None


def remove_unless_held(place: Place) -> None:
    """Removes a server that no process is working on."""
    held = try_lock(place.lock)
    if held is not None:
        try:
            place.remove()
        finally:
            os.close(held)


def clear_checkout(checkout: Checkout) -> None:
    """Takes network, key and folders of a checkout away when nothing uses them. Under the registry's lock."""
    folder = STATE / checkout.id
    if folder.is_dir() and not any(places(checkout)) and not any(path_locks(checkout)):
        remove_network(checkout)
        remove_identity(Path(checkout.path))
        shutil.rmtree(folder)  # last: it is how the next run knows that the rest is there
