"""A new commit goes live, and back again, while visitors ask."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from benchmarks.model import Options, Result, Samples, Target
from benchmarks.peers.peer import Done, Failed, Peer, Work
from benchmarks.sites import OURS, sites
from benchmarks.visitors import Visited, visitors
from benchmarks.work import commit, opened
from tests.machine.boot import boot

NAME = "deploy"
TITLE = "A change of code goes live and back, with visitors"
APP = "hello"
LIMIT = "the app's boot"
QUICK_PEERS = ("hostwright", "bash")
# seconds a release must stay healthy before it gets the traffic: the default of `health: {window: 2}`
WINDOW = 2.0
DEPLOY, ROLLBACK = 1.5, 0.7  # seconds, beyond boot and window
SHARE = 2  # rounds are longer than those of other cases: there are half as many
FIRST, COMMAND, FAILED, ASKED = "first answer", "command", "requests that failed", "requests"


@dataclass
class Measured:
    """Of one peer: what was measured -> values.

    Attributes:
        values: in order.
        before, now: marks of the code that ran and that runs.
    """

    values: dict[str, list[float]] = field(default_factory=dict)
    before: str = "0"
    now: str = "0"

    def add(self, action: str, what: str, value: float) -> None:
        """One value."""
        self.values.setdefault(f"{action}: {what}", []).append(value)


def run(options: Options, say: Callable[[str], None]) -> Result:
    """Each peer on a server of its own, in turn: a deploy, then a rollback."""
    names = [name for name in options.peers if not options.quick or name in QUICK_PEERS]
    rounds = max(1, options.rounds // SHARE)
    boots: list[float] = []
    with opened(say) as bench:
        peers, notes = sites(bench, names, (APP,), say)
        measured = {name: Measured() for name in peers}
        failed: dict[str, str] = {}
        for _ in range(rounds):
            boots.append(boot(bench.sandbox, peers[OURS][1].servers[0], APP))
            for name, (peer, work) in peers.items():
                if name in failed:
                    continue
                try:
                    _there_and_back(peer, work, measured[name])
                except (Failed, RuntimeError) as error:
                    if name == OURS:
                        raise
                    failed[name] = str(error).strip().splitlines()[0][:200]
                    say(f"{name}: {error}")
        for name, found in measured.items():
            say(
                f"{name:12} " + "; ".join(f"{what} {_short(values)}" for what, values in found.values.items())
            )
    notes += [f"{name} took no further part: {why}" for name, why in failed.items()]
    samples = tuple(_samples(measured, boots))
    targets = tuple(_targets(Result(NAME, TITLE, samples)))
    return Result(NAME, TITLE, samples, targets, LIMIT, (*notes, *NOTES))


NOTES = (
    f"Our deploy watches the new release for {WINDOW:g} s (`health: {{window: 2}}`, the default) before it gets the "
    "traffic; no other peer looks.",
    "The others pull from a repository on the server itself, and restart in place.",
    "The app's boot is what systemd and the app need on our server, from `systemctl start` to all workers up.",
)


def _there_and_back(peer: Peer, work: Work, found: Measured) -> None:
    found.before, found.now = found.now, commit(work)
    with visitors(work, APP) as visited:
        _act("deploy", peer.deploy, work, visited, found.now, found)
    _count("deploy", visited, found)
    with visitors(work, APP) as visited:
        done = _act("rollback", peer.rollback, work, visited, found.before, found)
    if done:
        _count("rollback", visited, found)
        # the next deploy of a peer that pulls brings the newest commit, whatever runs
        found.now = found.before


def _act(
    action: str,
    command: Callable[[Work], Done | None],
    work: Work,
    visited: Visited,
    mark: str,
    found: Measured,
) -> Done | None:
    visited.watch.forget()
    began = time.monotonic()
    done = command(work)
    if done:
        found.add(action, FIRST, visited.watch.wait(mark, began))
        found.add(action, COMMAND, done.seconds)
    return done


def _count(action: str, visited: Visited, found: Measured) -> None:
    found.add(action, FAILED, len(visited.load.failures))
    found.add(action, ASKED, visited.asked)


def _samples(measured: dict[str, Measured], boots: list[float]) -> Iterator[Samples]:
    yield Samples(LIMIT, f"deploy: {FIRST}", "s", tuple(boots))
    yield Samples(LIMIT, f"rollback: {FIRST}", "s", tuple(boots))
    for action in ("deploy", "rollback"):
        for what, unit in ((FIRST, "s"), (COMMAND, "s"), (FAILED, "requests"), (ASKED, "requests")):
            for name, found in measured.items():
                values = found.values.get(f"{action}: {what}")
                if values:
                    yield Samples(name, f"{action}: {what}", unit, tuple(values))


def _targets(found: Result) -> Iterator[Target]:
    for action, allowed in (("deploy", DEPLOY), ("rollback", ROLLBACK)):
        what = f"{action}: {FIRST}"
        more = found.of(OURS, what).median - found.of(LIMIT, what).median - WINDOW
        text = f"{action}: seconds to the first answer beyond boot and window, at most {allowed:g}"
        yield Target(text, more, allowed, smoke=allowed + 5)
        lost = sum(found.of(OURS, f"{action}: {FAILED}").values)
        yield Target(f"{action}: requests that failed, all rounds", lost, 0, smoke=0)


def _short(values: list[float]) -> str:
    return " ".join(f"{value:.2f}".rstrip("0").rstrip(".") for value in values)
