"""How the agent grows with its catalog: files, packages and units, hundreds to thousands of them."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

from benchmarks.memory import largest
from benchmarks.model import Options, Result, Samples, Target
from benchmarks.peers.hostwright import Hostwright
from benchmarks.peers.peer import Work
from benchmarks.work import Bench, opened
from hostwright.inventory import load
from hostwright.remote import wire
from hostwright.remote.catalog import Catalog
from hostwright.remote.events import Event, ResourceFailed, RunFinished
from hostwright.remote.resources.base import Resource
from hostwright.remote.resources.file import File
from hostwright.remote.resources.packages import Packages
from hostwright.remote.resources.unit import Unit
from hostwright.run.dialogue import Dialogue
from hostwright.run.fleet import PING
from hostwright.run.login import Logins
from hostwright.run.request import request
from hostwright.transport.base import Channel
from hostwright.transport.bundle import BOOT, agent

NAME = "catalog"
TITLE = "A catalog of hundreds and of thousands of resources"
SIZES, SIZES_QUICK = (100, 1000, 5000), (100, 300, 1000)
OURS = "hostwright"
FOLDER = "/srv/bench-catalog"
UNITS = "/etc/systemd/system"
BOUND, SMOKE = 1.3, 3.0
# the agent's own process says at its end how much memory it had
TELL = "import atexit,os,resource as u\natexit.register(lambda:os.write(2,b'RSS %d\\n'%u.getrusage(0).ru_maxrss))\n"
NOTE = (
    "of ten resources seven are files of 1 KB, one is a package that is installed, one a unit file and one its unit, a "
    "running target; time from the request's first byte until the agent's last word, login excluded"
)


@dataclass(frozen=True)
class Pass:
    """One run of the agent.

    Attributes:
        seconds: from the first byte of its request to its last word.
        mib: of the agent; of its worker where there was something to apply.
        finished: its last word.
    """

    seconds: float
    mib: float
    finished: RunFinished


def run(options: Options, say: Callable[[str], None]) -> Result:
    """Each size is applied to a server that has nothing of it, then found as it should be, again and again."""
    sizes = SIZES_QUICK if options.quick else SIZES
    samples: list[Samples] = []
    with opened(say) as bench:
        work = bench.work(NAME, apps=())
        Hostwright().prepare(work)
        driver = Driver(bench, work)
        for size in sizes:
            samples += _size(driver, size, options.rounds, say)
    found = Result(NAME, TITLE, tuple(samples), notes=(NOTE,))
    return replace(found, targets=tuple(_targets(found, sizes)))


def _size(driver: Driver, size: int, rounds: int, say: Callable[[str], None]) -> Iterator[Samples]:
    catalog = make_catalog(size, driver.packages)
    first = driver.apply(catalog)
    if first.finished.changed < size * 8 // 10:
        raise RuntimeError(f"the first run changed {first.finished.changed} of {size}")
    again = [driver.apply(catalog) for _ in range(rounds)]
    if any(one.finished.changed or one.finished.failed for one in again):
        raise RuntimeError("a later run found something to change")
    say(f"{size}: first {first.seconds:.2f} s, then " + " ".join(f"{one.seconds:.3f}" for one in again))
    yield Samples(OURS, f"{size} resources, first time", "s", (first.seconds,))
    yield Samples(OURS, f"{size} resources, nothing to do", "s", tuple(one.seconds for one in again))
    each = tuple(1000 * one.seconds / size for one in again)
    yield Samples(OURS, f"{size} resources, nothing to do, each", "ms", each)
    yield Samples(OURS, f"{size} resources, memory of the worker, first time", "MiB", (first.mib,))
    yield Samples(OURS, f"{size} resources, memory of the agent", "MiB", tuple(one.mib for one in again))


def _targets(found: Result, sizes: Sequence[int]) -> Iterator[Target]:
    """Each costs the same among thousands as among hundreds."""
    fewer, more = (found.of(OURS, f"{size} resources, nothing to do, each").median for size in sizes[1:])
    text = f"each of {sizes[2]:,} resources: at most 1.3 times the time of each of {sizes[1]:,}"
    yield Target(text, more / fewer, BOUND, smoke=SMOKE)


def make_catalog(size: int, packages: Sequence[str]) -> Catalog:
    """Ten kinds of numbers: resource 10n+8 is a unit, 10n+7 its file, 10n+9 a package, the others are files."""
    return Catalog([_resource(number, size, packages) for number in range(size)])


def _resource(number: int, size: int, packages: Sequence[str]) -> Resource:
    place, kind = number // 10, number % 10
    unit = f"bench-{size}-{place}.target"
    if kind == 9:
        return Packages(name=f"bench-{size}-{place}", packages=(packages[place % len(packages)],))
    if kind == 8:
        return Unit(name=unit, running=True)
    if kind == 7:
        return File(name=f"{UNITS}/{unit}", content=f"[Unit]\nDescription=Resource {number} of {size}\n")
    lines = (f"setting_{number}_{line} = {number * line * 7919 % 99991}\n" for line in range(40))
    return File(name=f"{FOLDER}/{size}/{place}/{number}.conf", content="".join(lines))


class Driver:
    """Sends catalogs to the agent on a server, as `inv provision` does."""

    def __init__(self, bench: Bench, work: Work) -> None:
        inventory = load(work.folder / "inventory.yaml", os.environ)
        (self._host,) = inventory.hosts.values()
        known = work.home / ".ssh" / "known_hosts"
        self._logins = Logins(lambda *_: None, inventory, environ=work.environ(), known_hosts=known)
        listing = bench.root(work.servers[0], "dpkg-query --show --showformat '${Package}\\n'")
        self.packages = listing.splitlines()

    def apply(self, catalog: Catalog) -> Pass:
        """One run, on a connection of its own.

        Raises:
            RuntimeError: a resource failed.
        """
        wanted = request(
            "provision", "bench", "bench", adopt=True, total=len(catalog.resources), catalog=catalog.to_wire(),
            login={}, secrets=[],
        )  # fmt: skip
        failed: list[ResourceFailed] = []

        def hear(event: Event) -> None:
            if isinstance(event, ResourceFailed):
                failed.append(event)

        with closing(self._logins.connect(self._host)) as transport:
            channel = transport.open(_told(agent().argv()), patience=60)
            with largest(str(wanted["run"])) as worker, signs_of_life(channel):
                began = time.monotonic()
                finished = Dialogue(channel, self._host.name, hear).hold(wanted)
                seconds = time.monotonic() - began
            channel.exit_code()
            tail = "\n".join(channel.stderr_tail())
            channel.close()
        if failed:
            raise RuntimeError(f"{failed[0].id}: {failed[0].message}")
        told = re.search(r"^RSS (\d+)$", tail, re.MULTILINE)
        own = int(told[1]) / 1024 if told else 0.0
        return Pass(seconds, worker.most if finished.changed else own, finished)


@contextmanager
def signs_of_life(channel: Channel) -> Iterator[None]:
    """An agent that hears none for a minute leaves."""
    ended = threading.Event()

    def ping() -> None:
        while not ended.wait(PING):
            channel.send(wire.message({"control": "ping"}))

    thread = threading.Thread(target=ping, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _told(argv: Sequence[str]) -> tuple[str, ...]:
    return tuple(TELL + word if word == BOOT else word for word in argv)
