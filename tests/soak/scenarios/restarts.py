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
    first: dict[str, float] = {}
    last: dict[str, float] = {}
    version: dict[str, str] = {}
    for record in records:
        if record.instance and not record.failed:
            first[record.instance] = min(record.end, first.get(record.instance, record.end))
            last[record.instance] = max(record.end, last.get(record.instance, record.end))
            version[record.instance] = record.version
    order = sorted(first, key=first.__getitem__)
    return [
        (old, new) for old, new in pairwise(order) if version[old] == version[new] and first[new] < last[old]
    ]
