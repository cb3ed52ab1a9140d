"""A provision that finds everything as it should be, over three distances."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

from benchmarks.model import Options, Result, Samples, Target
from benchmarks.path import distance, round_trips
from benchmarks.peers.hostwright import Hostwright
from benchmarks.peers.peer import Done, Work
from benchmarks.peers.ssh import LIMIT, nothing
from benchmarks.sites import sites
from benchmarks.turns import in_turn
from benchmarks.work import opened

NAME = "noop"
TITLE = "A provision that changes nothing, at round-trip times of 0, 50 and 150 ms"
APPS = ("hello", "shop", "blog")
RTTS, RTTS_QUICK = (0, 50, 150), (0, 50)
NO_PEERS = ("fujin",)  # it deploys, and leaves the server to others
QUICK_PEERS = ("hostwright", "ansible", "pyinfra")
SLOW_ROUNDS, SLOW_ROUNDS_QUICK = 3, 1  # of others: they take half a minute and more
OURS = "hostwright"
ALLOWED = 0.150  # seconds, at no distance: a Python that imports a client


def run(options: Options, say: Callable[[str], None]) -> Result:
    """Each peer brings servers of its own to its end state, then does it again and again."""
    names = [
        name for name in options.peers if name not in NO_PEERS and (not options.quick or name in QUICK_PEERS)
    ]
    apps = APPS[:1] if options.quick else APPS
    rtts = RTTS_QUICK if options.quick else RTTS
    slow = SLOW_ROUNDS_QUICK if options.quick else SLOW_ROUNDS
    with opened(say) as bench:
        ready, notes = sites(bench, names, apps, say, twice=not options.quick)
        ours = ready[OURS][1]
        samples: list[Samples] = [*_resources(ours)]
        with distance(ours) as path:
            runs: dict[str, Callable[[], Done]] = {LIMIT: partial(nothing, path.over(ours))}
            for name, (peer, work) in ready.items():
                peer.prepare(path.over(work))  # connections that it keeps did not take the path
                runs[name] = partial(peer.provision, path.over(work))
            for rtt in rtts:
                path.set(rtt)
                say(f"RTT {rtt} ms")
                fewer = {name: slow for name in ready if name != OURS}
                turns = in_turn(runs, options.rounds, say, fewer)
                samples += turns.samples(_at(rtt), "s")
                notes += turns.notes
    samples += _round_trips(samples)
    found = Result(NAME, TITLE, tuple(samples), limit=LIMIT, notes=tuple(dict.fromkeys(notes)))
    return replace(found, targets=tuple(_targets(found, options.quick)))


def _at(rtt: float) -> str:
    return f"RTT {rtt:g} ms"


def _resources(work: Work) -> Iterator[Samples]:
    """How much our run looks at, and that it found nothing to do."""
    lines = Hostwright.run(work, "provision", "--host", "all", "--json").out.splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    (finished,) = (event for event in events if event["event"] == "run_finished")
    if finished["changed"]:
        raise RuntimeError(f"the second run changed {finished['changed']} resources")
    yield Samples(OURS, "resources", "resources", (float(finished["unchanged"]),))
    yield Samples(OURS, "time on the server", "s", (float(finished["seconds"]),))


def _round_trips(samples: Iterable[Samples]) -> list[Samples]:
    """From the slope between 50 and 150 ms, where both were measured."""
    found = {(one.peer, one.what): one.median for one in samples}
    note = "slope of the median over the round-trip time, 50 to 150 ms"
    return [
        Samples(
            peer,
            "SSH round trips",
            "round trips",
            (round_trips((50, near), (150, found[peer, _at(150)])),),
            note,
        )
        for (peer, what), near in found.items()
        if what == _at(50) and (peer, _at(150)) in found
    ]


def _targets(found: Result, quick: bool) -> Iterator[Target]:
    measured = {one.what for one in found.samples}
    near = (found.of(OURS, _at(0)).median - ALLOWED) / found.of(LIMIT, _at(0)).median
    yield Target(
        "no-op at 0 ms, less 150 ms: at most 1.5 times ssh that starts a Python", near, 1.5, smoke=12
    )
    for rtt in (50, 150):
        if _at(rtt) in measured:
            text = f"no-op at {rtt} ms: at most 1.2 times ssh that starts a Python"
            yield Target(text, found.ratio(OURS, LIMIT, _at(rtt)), 1.2, smoke=8)
    for peer, times in (("ansible", 30.0), ("pyinfra", 10.0)):
        if any((one.peer, one.what) == (peer, _at(50)) for one in found.samples):
            text = f"no-op at 50 ms: {peer} takes at least {times:.0f} times as long"
            yield Target(text, found.ratio(peer, OURS, _at(50)), times, at_least=True, smoke=times / 5)
    if not quick:  # which has one app
        yield Target("resources looked at", found.of(OURS, "resources").median, 100, at_least=True)
