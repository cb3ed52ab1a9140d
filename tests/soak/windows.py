"""Latencies while nothing happens and while a switch happens, of the same run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.soak.traffic import FAST, Record
from tests.soak.traffic.records import OK

Window = tuple[float, float]


@dataclass(frozen=True)
class Latency:
    """Of quick requests, milliseconds."""

    count: int
    p50: float
    p99: float
    most: float

    def __str__(self) -> str:
        return f"{self.count} requests, p50 {self.p50:.1f}, p99 {self.p99:.1f}, max {self.most:.1f} ms"


def seconds_within(records: Iterable[Record], windows: Sequence[Window]) -> list[float]:
    """How long the quick requests took that were begun in one of the windows and got their answer."""
    starts = sorted(windows)
    found, at = [], 0
    for record in sorted(records, key=lambda record: record.start):
        if record.kind not in FAST or record.outcome != OK:
            continue
        while at < len(starts) and starts[at][1] < record.start:
            at += 1
        if at < len(starts) and starts[at][0] <= record.start:
            found.append(record.seconds)
    return found


def latency(seconds: Sequence[float]) -> Latency:
    """Sum it up. There must be something to sum up."""
    ordered = sorted(seconds)

    def percentile(share: float) -> float:
        """Nearest rank."""
        return 1000 * ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    return Latency(len(ordered), percentile(0.5), percentile(0.99), 1000 * ordered[-1])
