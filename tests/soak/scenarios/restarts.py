"""`inv restart` and a changed environment: a new instance of the same code beside the old one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from tests.soak.bench import Bench
from tests.soak.counting import Switch
from tests.soak.traffic import Plan, Record
from tests.soak.verdict import Verdict, judge


@dataclass(frozen=True)
class Restarted:
    """What restarts and changes of the environment cost.

    Attributes:
        pairs: old and new instance of the same version which both answered at the same time.
    """

    switches: tuple[Switch, ...]
    verdict: Verdict
    pairs: tuple[tuple[str, str], ...]


def restarts(bench: Bench, plan: Plan, count: int, pause: float = 1.0) -> Restarted:
    """Restart and change the environment, `count` times in turns."""
    witness = bench.witness()
    done = []
    with bench.visitors(plan, "restarts") as traffic:
        for number in range(count):
            if number % 2:
                bench.shop.next_colour()
            done.append(bench.shop.switch("deploy" if number % 2 else "restart"))
            traffic.waits_for(pause)
    records = traffic.records()
    return Restarted(tuple(done), judge(records, witness.evidence()), tuple(side_by_side(records)))


def side_by_side(records: list[Record]) -> list[tuple[str, str]]:
    """Instances of one version where the later one answered before the earlier one was done."""
    by_instance: dict[str, list[Record]] = {}
    for record in records:
        if record.instance and not record.failed:
            by_instance.setdefault(record.instance, []).append(record)
    order = sorted(by_instance.values(), key=lambda found: min(record.start for record in found))
    return [
        (old[0].instance, new[0].instance)
        for old, new in pairwise(order)
        if old[0].version == new[0].version
        and min(record.end for record in new) < max(record.end for record in old)
    ]
