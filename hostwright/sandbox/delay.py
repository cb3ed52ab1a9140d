"""A path to sandbox servers with a round-trip time, at the level of packets.

A client in a network namespace of its own reaches this machine through two tun devices and a process that
holds each packet back. Handshakes, Nagle's algorithm and slow start behave as over a real distance, which a
TCP relay would hide; the kernel's own netem is not there on every machine.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import SandboxError
from .command import run
from .locks import try_lock
from .network import has_interface, remove_interface
from .registry import STATE, Checkout, registry_locked

NAMESPACES = Path("/run/netns")
PATHS = 64  # a /30 each
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # linux/if_tun.h
PATIENCE = 2.0  # seconds
QUEUE = "5000"  # packets; a long path holds many


@dataclass(frozen=True)
class DelayedPath:
    """An open path.

    Attributes:
        prefix: argv that begins a command whose packets take the path: `(*path.prefix, "ssh", ...)`.
        client: the address the server sees it come from.
    """

    prefix: tuple[str, ...]
    client: str
    _shuttle: subprocess.Popen[bytes]

    def set_rtt(self, rtt_ms: float) -> None:
        """Packets sent from now on take `rtt_ms` milliseconds there and back."""
        line = f"{rtt_ms:g}\n".encode()
        assert self._shuttle.stdin
        assert self._shuttle.stdout
        self._shuttle.stdin.write(line)
        self._shuttle.stdin.flush()
        if self._shuttle.stdout.readline() != line:
            raise SandboxError("the process that delays packets ended")


@dataclass(frozen=True)
class _Slot:
    """Names and addresses of the `number`th path of a checkout."""

    checkout: Checkout
    number: int

    @property
    def namespace(self) -> str:
        return f"hw-{self.checkout.id}-{self.number}"

    @property
    def here(self) -> str:
        return f"hw{self.checkout.id}p{self.number}h"

    @property
    def there(self) -> str:
        return f"hw{self.checkout.id}p{self.number}c"

    def address(self, place: int) -> str:
        return str(self.checkout.paths.network_address + 4 * self.number + place)

    def clear(self) -> None:
        """Deletes the namespace and both devices. Those of a killed run go by themselves, a moment later."""
        if (NAMESPACES / self.namespace).exists():
            run("ip", "netns", "delete", self.namespace)
        deadline = time.monotonic() + PATIENCE
        while has_interface(self.here) and time.monotonic() < deadline:
            time.sleep(0.01)
        remove_interface(self.here)


@contextmanager
def delayed_path(address: str, rtt_ms: float) -> Iterator[DelayedPath]:
    """Opens a path to the servers of the checkout that has the server at `address`; closes it afterwards.

    Args:
        address: of a running sandbox server.
        rtt_ms: round-trip time in milliseconds, on top of what the machine itself needs (about 0.1).

    Raises:
        SandboxError: no such server, /dev/net/tun is missing, or all paths of the checkout are taken.
    """
    slot, held = _take_slot(address)
    try:
        devices = [_open_tun(slot.here), _open_tun(slot.there)]
        try:
            _connect(slot)
            shuttle = _start_shuttle(devices)
        finally:
            for device in devices:
                os.close(device)
        try:
            path = DelayedPath(("ip", "netns", "exec", slot.namespace), slot.address(2), shuttle)
            path.set_rtt(rtt_ms)
            yield path
        finally:
            shuttle.communicate()  # closes its standard input, which ends it
    finally:
        slot.clear()
        _lock_file(slot).unlink()
        os.close(held)


def path_locks(checkout: Checkout) -> Iterator[Path]:
    """The lock files of a checkout's open paths."""
    yield from (STATE / checkout.id / "paths").glob("*")


def sweep_paths(checkout: Checkout) -> None:
    """Removes paths whose process was killed. Under the registry's lock."""
    for file in list(path_locks(checkout)):
        held = try_lock(file)
        if held is not None:
            _Slot(checkout, int(file.name)).clear()
            file.unlink()
            os.close(held)


def _lock_file(slot: _Slot) -> Path:
    return STATE / slot.checkout.id / "paths" / str(slot.number)


def _take_slot(address: str) -> tuple[_Slot, int]:
    """A free path, and the descriptor that holds it."""
    with registry_locked() as registry:
        checkout = registry.of_address(address)
        sweep_paths(checkout)
        taken = {int(file.name) for file in path_locks(checkout)}
        number = next((number for number in range(PATHS) if number not in taken), None)
        if number is None:
            raise SandboxError(f"this checkout has {PATHS} delayed paths already")
        slot = _Slot(checkout, number)
        _lock_file(slot).parent.mkdir(parents=True, exist_ok=True)
        held = try_lock(_lock_file(slot), wait=True)
        assert held is not None
        return slot, held


def _open_tun(name: str) -> int:
    """A new tun device without packet headers; it goes when its last descriptor is closed."""
    try:
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise SandboxError("a delayed path needs /dev/net/tun", evidence=(str(error),)) from error
    request = struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI)
    fcntl.ioctl(descriptor, TUNSETIFF, request)
    return descriptor


def _connect(slot: _Slot) -> None:
    """Puts one device into a new namespace, and addresses and routes on both."""
    run("ip", "netns", "add", slot.namespace)
    run("ip", "addr", "add", f"{slot.address(1)}/30", "dev", slot.here)
    run("ip", "link", "set", slot.here, "up", "txqueuelen", QUEUE)
    run("ip", "link", "set", slot.there, "netns", slot.namespace)
    inside = ("ip", "-n", slot.namespace)
    run(*inside, "addr", "add", f"{slot.address(2)}/30", "dev", slot.there)
    run(*inside, "link", "set", slot.there, "up", "txqueuelen", QUEUE)
    run(*inside, "link", "set", "lo", "up")
    run(*inside, "route", "add", "default", "via", slot.address(1))


def _start_shuttle(devices: list[int]) -> subprocess.Popen[bytes]:
    script = Path(__file__).with_name("shuttle.py")
    return subprocess.Popen(
        (sys.executable, "-I", "-S", str(script), *map(str, devices)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=devices,
    )
