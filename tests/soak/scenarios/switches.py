"""Deploys and rollbacks in turns, with quiet times of the same length between them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.soak.bench import Bench
from tests.soak.counting import Switch
from tests.soak.traffic import Plan, Record
from tests.soak.verdict import Verdict, judge
from tests.soak.windows import Window, seconds_within

# after a command, until its traces are gone: the old instance's end takes time from the new one
SETTLE = 1.0
QUIET = 4.0
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


def switches(bench: Bench, plan: Plan, count: int, *, first: int = 0, pause: float = QUIET) -> Switched:
    """Switch `count` times under load.

    Args:
        first: how many switches there were before, for the turns.
        pause: seconds of quiet after each.
    """
    witness = bench.witness()
    done: list[Switch] = []
    quiet: list[Window] = []
    with bench.visitors(plan, "switches") as traffic:
        for number in range(first, first + count):
            done.append(switch(bench, ACTIONS[number % len(ACTIONS)]))
            traffic.waits_for(SETTLE)
            began = time.monotonic()
            traffic.waits_for(pause)
            quiet.append((began, time.monotonic()))
            bench.say(f"{number + 1}: {done[-1].action}, {done[-1].ended - done[-1].typed:.1f} s")
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
