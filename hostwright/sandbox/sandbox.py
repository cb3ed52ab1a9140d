"""The throw-away servers of one checkout."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from ..errors import SandboxError
from . import store
from .base import ensure_base, machine_release
from .identity import ensure_identity
from .locks import locked, try_lock
from .model import Server, check_name
from .network import ensure_network, routes
from .preflight import ensure, require
from .registry import STATE, Checkout, Registry, registry_locked
from .store import Place, Record
from .vm.image import ensure_image
from .vm.machine import VirtualMachine

AT_ONCE = 4  # servers booted at the same time; more only compete for the machine


def _silent(_: str) -> None:
    """What `say` is when nobody listens."""


@contextmanager
def _working_on(place: Place) -> Iterator[None]:
    """Holds the lock of a server that another run may remove while we wait for it."""
    try:
        held = try_lock(place.lock, wait=True)
    except FileNotFoundError as error:
        raise SandboxError("was just removed by another run", host=place.folder.name) from error
    try:
        yield
    finally:
        if held is not None:
            os.close(held)


class Sandbox:
    """The throw-away servers of the checkout at `checkout`.

    Servers outlive the process that made them. Any number of processes may use the same checkout's servers
    at once, and any number of checkouts the same machine.
    """

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout.resolve()
        self._owned: dict[str, int] = {}

    def up(
        self,
        *names: str,
        suite: str | None = None,
        disk_mib: int | None = None,
        ephemeral: bool = False,
        vm: bool = False,
        like: str | None = None,
        say: Callable[[str], None] = _silent,
    ) -> list[Server]:
        """Makes and boots servers, all at the same time, and waits until they take logins.

        One that exists is started if it is down, and kept as it is.

        Args:
            names: host names; none means `web1`.
            suite: release code name; none means this machine's own.
            disk_mib: size of the disk of a new container, MiB; none means the machine's free space.
            ephemeral: remove a new server when this process is gone, if nobody did before.
            vm: a new server is a VM with a kernel of its own, not a container.
            like: name of a saved VM (`save`): a new server is a VM that goes on from there in seconds, with
                another address; its host name and host keys are the other's.
            say: told what takes long.

        Raises:
            SandboxUnavailable: this machine cannot run servers.
            SandboxError: one did not come up (a new one is removed again), or exists with another suite.
        """
        wanted = [check_name(name) for name in dict.fromkeys(names or ("web1",))]
        new = self._plan(suite, disk_mib, ephemeral, vm, like, say)
        with registry_locked() as registry:
            store.sweep(registry)
            checkout = registry.add(self.checkout, routes())
            (STATE / checkout.id).mkdir(exist_ok=True)
            key = ensure_identity(self.checkout)
            ensure_network(checkout)
            made = {name: self._claim(registry, replace(new, name=name), suite) for name in wanted}
        say(f"booting {', '.join(wanted)}")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            jobs = [
                pool.submit(self.start, name) if held is None else pool.submit(self._make, name, key, held)
                for name, held in made.items()
            ]
        return [job.result() for job in jobs]

    def servers(self) -> list[Server]:
        """All servers of the checkout, by name."""
        checkout = self._registered()
        if checkout is None:
            return []
        known = store.records(checkout)
        return [self._place(checkout, name).server(record) for name, record in known.items()]

    def get(self, name: str) -> Server:
        """One server.

        Raises:
            SandboxError: there is none of that name; names those there are.
        """
        place, record = self._find(name)
        return place.server(record)

    def down(self, *names: str) -> None:
        """Removes servers and all that was made for them; no names means every server of the checkout.

        Raises:
            SandboxError: a name is unknown.
        """
        require()
        found = [self._find(name)[0] for name in dict.fromkeys(names)]
        if not names:
            checkout = self._registered()
            found = list(store.places(checkout)) if checkout else []
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for job in [pool.submit(self._remove, place) for place in found]:
                job.result()
        with registry_locked() as registry:
            store.sweep(registry)

    def crash(self, name: str) -> None:
        """Cuts a server's power: its init is killed with all its processes; what is on its disk stays."""
        require()
        place, record = self._find(name)
        with _working_on(place):
            place.box(record).power_cut()

    def save(self, name: str) -> None:
        """Keeps the running state of a VM and ends it, so that others begin like it: `up(..., like=name)`.

        It stays down from now on. A VM made like it rests on its disk: remove this one last.

        Raises:
            SandboxError: unknown name, no VM, not running, or its state cannot be written.
        """
        require()
        place, record = self._find(name)
        with _working_on(place):
            box = place.box(record)
            if not isinstance(box, VirtualMachine):
                raise SandboxError("is a container: it boots in a second", host=name)
            box.save()

    def start(self, name: str) -> Server:
        """Boots a server that is down and waits until it takes logins; one that runs is left alone."""
        require()
        place, record = self._find(name)
        with _working_on(place):
            if not place.ready.exists():
                raise SandboxError("was never finished", host=name, hint=f"./run sandbox.down {name}")
            if not place.server(record).running:
                with registry_locked():
                    ensure_network(place.checkout)  # gone when the machine itself was restarted
                place.box(record).start()
            server = replace(place.server(record), running=True)
            place.box(record).wait_for_login(server)
            return server

    def exec(
        self,
        name: str,
        argv: Sequence[str],
        timeout: float = 60,
        input: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Runs `argv` as root in a server, not through its sshd or network, so it works with both broken.

        In a container through its namespaces, in a VM through its guest agent.

        Args:
            name: of the server.
            argv: program and arguments, run by no shell.
            timeout: seconds.
            input: text for its standard input.

        Raises:
            SandboxError: unknown name, or the server is down.
            subprocess.TimeoutExpired: it took longer, and was killed.
        """
        require()
        place, record = self._find(name)
        return place.box(record).execute(argv, timeout, input)

    def _plan(
        self,
        suite: str | None,
        disk_mib: int | None,
        ephemeral: bool,
        vm: bool,
        like: str | None,
        say: Callable[[str], None],
    ) -> Record:
        """What a new server will be, all but its name and address; builds what it rests on. Arguments: `up`."""
        vm = vm or like is not None
        if vm and disk_mib is not None:
            raise SandboxError("the size of a VM's disk cannot be chosen")
        ensure(say, vm=vm)
        release = suite or machine_release()[1]
        if like is None:
            build = ensure_image if vm else ensure_base
            base = build(release, say, store.bases_in_use).name
        else:
            other = self._find(like)[1]
            base, release = other.base, other.suite
        return Record("", release, 0, base, disk_mib, ephemeral, vm, like)

    def _registered(self) -> Checkout | None:
        return Registry(STATE / "registry.json").checkouts.get(str(self.checkout))

    def _place(self, checkout: Checkout, name: str) -> Place:
        return Place(checkout, STATE / checkout.id / "servers" / name)

    def _find(self, name: str) -> tuple[Place, Record]:
        checkout = self._registered()
        known = store.records(checkout) if checkout else {}
        if checkout is None or name not in known:
            names = ", ".join(known)
            there = f"There are: {names}" if known else "There are none. Make one: ./run sandbox.up"
            raise SandboxError(f'no server is called "{name}"', hint=there)
        return self._place(checkout, name), known[name]

    def _claim(self, registry: Registry, record: Record, suite: str | None) -> int | None:
        """Reserves name and address of a new server and takes its lock; none when there is one already."""
        checkout = registry.checkouts[str(self.checkout)]
        place = self._place(checkout, record.name)
        known = store.records(checkout)
        if record.name in known:
            if record.vm > known[record.name].vm:
                hint = f"./run sandbox.down {record.name}"
                raise SandboxError("exists already, as a container", host=record.name, hint=hint)
            if suite not in (None, known[record.name].suite):
                raise SandboxError(
                    f"exists already, with {known[record.name].suite} instead of {suite}",
                    host=record.name,
                    hint=f"./run sandbox.down {record.name}",
                )
            return None
        octet = registry.take_octet(self.checkout, {other.octet for other in known.values()})
        place.folder.mkdir(parents=True)
        held = try_lock(place.lock, wait=True)
        place.write_record(replace(record, octet=octet))
        if record.ephemeral:
            owner = try_lock(place.owner, wait=True)
            assert owner is not None
            self._owned[record.name] = owner
        return held

    def _make(self, name: str, public_key: str, held: int) -> Server:
        """Makes and boots the server whose lock is `held`; leaves nothing when that fails."""
        place, record = self._find(name)
        try:
            box = place.box(record)
            place.known_hosts.write_text(box.make(public_key))
            place.ready.touch()
            box.start()
            server = replace(place.server(record), running=True)
            box.wait_for_login(server)
        except BaseException:
            self._forget(name)
            place.remove()
            raise
        finally:
            os.close(held)
        return server

    def _remove(self, place: Place) -> None:
        with suppress(FileNotFoundError), locked(place.lock):  # another process may just have removed it
            place.remove()
        self._forget(place.folder.name)

    def _forget(self, name: str) -> None:
        owner = self._owned.pop(name, None)
        if owner is not None:
            os.close(owner)
