"""Deploys and rollbacks in turns, and quiet times between them in which no old instance is left."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.machine.project import until
from tests.soak.bench import Bench
from tests.soak.counting import Switch
from tests.soak.traffic import Plan, Record
from tests.soak.verdict import Verdict, judge
from tests.soak.windows import Window, seconds_within

SETTLE = 1.0  # seconds after a command
QUIET = 5.0  # seconds of a quiet time
EVERY = 2  # a quiet time after so many switches; the end of old instances is part of what the others cost
ENDED = 60.0  # seconds until the last old instance must be gone
# what a user may do next, and does in turns: roll forward over a rollback, back twice, the same commit again
ACTIONS = ("new", "new", "back", "new", "back", "same", "new", "back", "back", "new")


@dataclass(frozen=True)
class Switched:
    """What many switches cost.

    Attributes:
        quiet, switching: seconds of each quick request begun in a quiet time, or between a command's begin and
            the order to the old instance to end.
    """

    switches: tuple[Switch, ...]
    verdict: Verdict
    quiet: tuple[float, ...]
    switching: tuple[float, ...]
    lag: float
    rate: float
    saturation: float
    records: tuple[Record, ...]


def switches(bench: Bench, plan: Plan, count: int, *, first: int = 0, every: int = EVERY) -> Switched:
    """Switch `count` times under load.

    Args:
        first: how many switches there were before, for the turns.
        every: how many switches between two quiet times.
    """
    witness = bench.witness()
    done: list[Switch] = []
    quiet: list[Window] = []
    with bench.visitors(plan, "switches") as traffic:
        for number in range(first, first + count):
            done.append(switch(bench, ACTIONS[number % len(ACTIONS)]))
            bench.say(f"{number + 1}: {done[-1].action}, {done[-1].ended - done[-1].typed:.1f} s")
            traffic.waits_for(SETTLE)
            if (number + 1) % every == 0:
                until(lambda: len(witness.instances()) <= 1, ENDED, "the end of the old instances")
                traffic.waits_for(SETTLE)
                began = time.monotonic()
                traffic.waits_for(QUIET)
                quiet.append((began, time.monotonic()))
    records = tuple(traffic.records())
    return Switched(
        tuple(done),
        judge(records, witness.evidence()),
        tuple(seconds_within(records, quiet)),
        tuple(seconds_within(records, [(one.began, one.drained) for one in done])),
        traffic.lag,
        plan.rate,
        bench.saturation,
        records,
    )


def switch(bench: Bench, action: str) -> Switch:
    """Deploy a new version, or the same again, or go back."""
    if action == "back":
        return bench.shop.switch("rollback")
    if action == "new":
        bench.shop.next_version()
    return bench.shop.switch("deploy")
