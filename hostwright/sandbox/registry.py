"""Which checkouts have throw-away servers on this machine, and which addresses are theirs.

One JSON file, read and written only under the machine-wide lock, so that two checkouts never share a bridge
or an address. An entry lives as long as its checkout: addresses then go round instead of being handed out
again at once, so that nobody's known_hosts holds another server's key for a fresh one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from ..errors import SandboxError
from .locks import locked

STATE = Path("/var/lib/hostwright-sandbox")
POOL = IPv4Network("10.213.0.0/16")
BLOCKS = tuple(POOL.subnets(new_prefix=23))
FIRST_SERVER, LAST_SERVER = 2, 250
REMEMBERED = len(BLOCKS) // 2  # checkouts; beyond that those without servers lose their addresses
FORMAT = 1


@dataclass(frozen=True)
class Checkout:
    """A checkout's share of the machine.

    Attributes:
        path: its folder, resolved.
        id: six hexadecimal digits that begin the names of everything we make for it.
        block: index in BLOCKS; the lower half is for servers, the upper half for delayed paths.
        last_octet: the address given out last.
    """

    path: str
    id: str
    block: int
    last_octet: int = FIRST_SERVER - 1

    @property
    def network(self) -> IPv4Network:
        """All its addresses."""
        return BLOCKS[self.block]

    @property
    def servers(self) -> IPv4Network:
        """Where its servers are; the bridge has the first address."""
        return next(self.network.subnets(new_prefix=24))

    @property
    def paths(self) -> IPv4Network:
        """Where the two ends of its delayed paths are."""
        return list(self.network.subnets(new_prefix=24))[1]

    @property
    def gateway(self) -> str:
        """The bridge's address."""
        return str(self.servers.network_address + 1)

    @property
    def bridge(self) -> str:
        """The bridge's name (interface names have at most 15 bytes)."""
        return f"hw-{self.id}"

    def address(self, octet: int) -> str:
        """The address of the server with this last octet."""
        return str(self.servers.network_address + octet)

    def machine(self, octet: int) -> str:
        """The name systemd-nspawn knows it by; short, because its interface is named `vb-` plus it."""
        return f"{self.id}-{octet}"


def identify(path: str, taken: Collection[str]) -> str:
    """Six hexadecimal digits for a path, the same each time unless another path has them."""
    for attempt in range(1000):
        candidate = hashlib.sha256(f"{path}\0{attempt or ''}".encode()).hexdigest()[:6]
        if candidate not in taken:
            return candidate
    raise SandboxError("no free name for this checkout")


def choose_block(path: str, taken: Collection[int], routes: Iterable[IPv4Network]) -> int:
    """The block for a path: the one its hash points at, or the next that nobody has and no route leads to.

    Routes wider than our pool (a VPN's 10.0.0.0/8) do not count: ours are more specific and win.

    Raises:
        SandboxError: all are taken.
    """
    narrow = [route for route in routes if route.prefixlen >= POOL.prefixlen]
    start = int(hashlib.sha256(path.encode()).hexdigest(), 16) % len(BLOCKS)
    for step in range(len(BLOCKS)):
        block = (start + step) % len(BLOCKS)
        if block not in taken and not any(BLOCKS[block].overlaps(route) for route in narrow):
            return block
    raise SandboxError(
        f"no free addresses in {POOL}: {len(taken)} checkouts have servers or routes lead there",
        hint="Remove the servers of a checkout you no longer need: ./run sandbox.down",
    )


def next_octet(last: int, taken: Collection[int]) -> int:
    """The free last octet that comes after `last`, going round.

    Raises:
        SandboxError: none is free.
    """
    size = LAST_SERVER - FIRST_SERVER + 1
    for step in range(size):
        octet = FIRST_SERVER + (last - FIRST_SERVER + 1 + step) % size
        if octet not in taken:
            return octet
    raise SandboxError(f"this checkout has {size} servers already", hint="./run sandbox.down")


class Registry:
    """The open registry; only inside `registry_locked`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.checkouts: dict[str, Checkout] = {}
        if file.exists():
            stored = json.loads(file.read_text())
            if stored["format"] != FORMAT:
                raise SandboxError(f"{file} was written by another version of this tool")
            self.checkouts = {entry["path"]: Checkout(**entry) for entry in stored["checkouts"]}

    def add(self, path: Path, routes: Iterable[IPv4Network]) -> Checkout:
        """The entry of a checkout, made when it has none. Its addresses avoid `routes`."""
        key = str(path)
        if key not in self.checkouts:
            if len(self.checkouts) >= REMEMBERED:
                self._forget_idle()
            others = self.checkouts.values()
            name = identify(key, [other.id for other in others])
            block = choose_block(key, [other.block for other in others], routes)
            self._put(Checkout(key, name, block))
        return self.checkouts[key]

    def take_octet(self, path: Path, taken: Collection[int]) -> int:
        """Reserves an address for a new server of a checkout."""
        checkout = self.checkouts[str(path)]
        octet = next_octet(checkout.last_octet, taken)
        self._put(replace(checkout, last_octet=octet))
        return octet

    def of_address(self, address: str) -> Checkout:
        """The checkout whose servers have addresses like this one.

        Raises:
            SandboxError: none has.
        """
        for checkout in self.checkouts.values():
            if IPv4Address(address) in checkout.servers:
                return checkout
        raise SandboxError(f"{address} is no sandbox server's address")

    def remove(self, checkout: Checkout) -> None:
        """Forgets a checkout; its block is free again."""
        self.checkouts.pop(checkout.path, None)
        self._save()

    def _forget_idle(self) -> None:
        """Drops the checkouts that have nothing on this machine just now, i.e. no folder of their own."""
        folders = {name: self._file.with_name(checkout.id) for name, checkout in self.checkouts.items()}
        self.checkouts = {name: self.checkouts[name] for name, folder in folders.items() if folder.is_dir()}

    def _put(self, checkout: Checkout) -> None:
        self.checkouts[checkout.path] = checkout
        self._save()

    def _save(self) -> None:
        entries = [asdict(checkout) for checkout in self.checkouts.values()]
        aside = self._file.with_suffix(".new")
        aside.write_text(json.dumps({"format": FORMAT, "checkouts": entries}, indent=1))
        os.replace(aside, self._file)  # noqa: PTH105


@contextmanager
def registry_locked(state: Path = STATE) -> Iterator[Registry]:
    """The registry under `state`, while no other process has it. Hold it briefly: everybody waits."""
    state.mkdir(mode=0o755, parents=True, exist_ok=True)
    with locked(state / "registry.lock"):
        yield Registry(state / "registry.json")
