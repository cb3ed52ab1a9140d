"""One, four and sixteen servers at once: time, and what the machine that commands them pays for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from benchmarks.model import Options, Result, Samples, Target
from benchmarks.peers import PEERS
from benchmarks.peers.peer import Failed, Peer, Work
from benchmarks.peers.ssh import LIMIT, nothing
from benchmarks.turns import Runs, in_turn
from benchmarks.work import Bench, opened

NAME = "hosts"
TITLE = "A provision that changes nothing, on 1, 4 and 16 servers at once"
OURS = "hostwright"
COUNTS, COUNTS_QUICK = (1, 4, 16), (1, 2)
PEERS_MEASURED, PEERS_QUICK = (OURS, "ansible", "pyinfra"), (OURS,)
SLOW_ROUNDS = 2
NOTE = (
    "servers and clients share the processors, so much of the wall time is the servers' own work; CPU and memory are "
    "the client's, its children included; memory is what all of its processes had at once, shared pages counted once"
)


def run(options: Options, say: Callable[[str], None]) -> Result:
    """One peer's servers after another's: all at once would not fit every machine. So peers do not take turns here."""
    counts = COUNTS_QUICK if options.quick else COUNTS
    names = [name for name in (PEERS_QUICK if options.quick else PEERS_MEASURED) if name in options.peers]
    samples: list[Samples] = []
    notes = [NOTE]
    for name in names:
        with opened(say) as bench:
            try:
                samples += _peer(bench, name, counts, options.rounds if name == OURS else SLOW_ROUNDS, say)
            except Failed as error:
                if name == OURS:
                    raise
                notes.append(f"{name} is left out: it did not reach its end state on {counts[-1]} servers")
                say(f"{name}: {error}")
    found = Result(NAME, TITLE, tuple(samples), limit=LIMIT, notes=tuple(notes))
    return replace(found, targets=tuple(_targets(found, counts)))


def _peer(
    bench: Bench, name: str, counts: tuple[int, ...], rounds: int, say: Callable[[str], None]
) -> Iterator[Samples]:
    peer, whole = PEERS[name](), bench.work(name, servers=counts[-1])
    peer.prepare(whole)
    first = peer.provision(whole)
    say(f"{name}: {counts[-1]} servers for the first time: {first.seconds:.0f} s")
    yield Samples(name, f"{counts[-1]} servers, first time", "s", (first.seconds,))
    for count in counts:
        work = replace(whole, servers=whole.servers[:count], watch=True)
        peer.prepare(work)
        yield from _measured(peer, work, rounds, say)


def _measured(peer: Peer, work: Work, rounds: int, say: Callable[[str], None]) -> Iterator[Samples]:
    count = len(work.servers)
    runs: Runs = {peer.name: partial(peer.provision, work)}
    if peer.name == OURS:
        runs = {LIMIT: partial(nothing, work), **runs}
    say(f"{count} servers")
    turns = in_turn(runs, rounds, say)
    if turns.failed:
        raise Failed(next(iter(turns.failed.values())))
    servers = "1 server" if count == 1 else f"{count} servers"
    yield from turns.samples(f"{servers}, wall", "s")
    yield from turns.samples(f"{servers}, CPU for each", "s", lambda done: done.cpu / count)
    yield from turns.samples(f"{servers}, memory for each", "MiB", lambda done: done.rss_mib / count)


def _targets(found: Result, counts: tuple[int, ...]) -> Iterator[Target]:
    """Not promised in figures: a server more must cost less than the first."""
    one, many = ("1 server", f"{counts[-1]} servers")
    for what in ("CPU for each", "memory for each"):
        ratio = found.of(OURS, f"{many}, {what}").median / found.of(OURS, f"{one}, {what}").median
        yield Target(f"{counts[-1]} servers, {what}: less than for a single one", ratio, 1.0, smoke=2.0)
