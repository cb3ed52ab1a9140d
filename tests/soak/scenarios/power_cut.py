"""The server loses its power and boots again while visitors come."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.soak.bench import Bench
from tests.soak.traffic import Plan, Record
from tests.soak.verdict import Verdict, judge


@dataclass(frozen=True)
class Booted:
    """What a power cut cost.

    Attributes:
        refused: requests that found no server, or were cut.
        down: seconds from the power's return to the end of the first answer.
        first: seconds that the first answered request took: it waited for the app in the socket's queue.
    """

    verdict: Verdict
    refused: int
    down: float
    first: float


def power_cut(bench: Bench, plan: Plan, off: float = 2.0, after: float = 8.0) -> Booted:
    """Cut the power for `off` seconds. A server that is not there answers nothing; one that is, never 50x."""
    witness = bench.witness()
    with bench.visitors(plan, "power") as traffic:
        cut = time.monotonic()
        bench.sandbox.crash(bench.server.name)
        traffic.waits_for(off)
        on = time.monotonic()
        bench.sandbox.start(bench.server.name)
        traffic.waits_for(after)
    records = traffic.records()
    answered = [record for record in records if record.kind in ("get", "post") and not record.failed]
    first = min((record for record in answered if record.end > on), key=lambda record: record.end)

    def foreseen(record: Record) -> bool:
        no_answer = record.outcome.startswith(("connect: ", "answer: "))
        return no_answer and record.end >= cut and record.start <= first.end

    lost = sum(record.failed and foreseen(record) for record in records)
    return Booted(judge(records, witness.evidence(), foreseen), lost, first.end - on, first.seconds)
