"""What was lost: from what the visitors saw and what the server says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tests.soak.evidence import Evidence
from tests.soak.traffic import KINDS, Record
from tests.soak.traffic.records import OK

# nginx passed something on to a WebSocket that its other side was closing: its end is counted, and no request is lost
UPGRADED = "while proxying upgraded connection"
CROSSED = "crossed its own closing"
SERVER_ERRORS = ("500", "502", "503", "504")


@dataclass(frozen=True)
class Verdict:
    """About one stretch of time.

    Attributes:
        counts: kind -> requests, failed.
        lost: one line for everything that a visitor lost, or that nginx or the app say went wrong.
        ends: how WebSockets ended.
        stale: assets that came after a page's version was not the one that answers any more.
    """

    counts: dict[str, tuple[int, int]]
    lost: tuple[str, ...]
    ends: dict[str, int]
    stale: int

    @property
    def requests(self) -> int:
        """How many there were of all kinds."""
        return sum(total for total, _ in self.counts.values())


def judge(
    records: Sequence[Record], evidence: Evidence, excused: Callable[[Record], bool] = lambda record: False
) -> Verdict:
    """Who lost what.

    Args:
        evidence: of a time without foreseen failures, as far as it comes from nginx.
        excused: failures that are foreseen, for example of what was being answered when a process was killed.
    """
    lost = [str(record) for record in records if record.failed and not excused(record)]
    lost += [f"nginx: {line}" for line in evidence.errors if UPGRADED not in line]
    crossed = sum(UPGRADED in line for line in evidence.errors)
    lost += [
        f"nginx answered {count} times {status}"
        for status, count in sorted(evidence.answers.items())
        if status in SERVER_ERRORS
    ]
    lost += [f"nginx asked twice: {line}" for line in evidence.retried]
    ended = ends(records) | ({CROSSED: crossed} if crossed else {})
    return Verdict(counts(records), (*lost, *miscounted(records, evidence.counted)), ended, stale(records))


def counts(records: Iterable[Record]) -> dict[str, tuple[int, int]]:
    """kind -> how many, how many failed."""
    total: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for record in records:
        total[record.kind] += 1
        failed[record.kind] += record.failed
    return {kind: (total[kind], failed[kind]) for kind in KINDS if total[kind]}


def ends(records: Iterable[Record]) -> dict[str, int]:
    """How WebSockets ended, and how often."""
    return dict(Counter(record.outcome for record in records if record.kind == "ws").most_common())


def miscounted(records: Sequence[Record], counted: Counter[str]) -> list[str]:
    """Bodies that the app was given twice, or that it does not know although it said so."""
    sent = {record.id: record for record in records if record.id and record.kind != "static"}
    twice = [f"{id} was given to the app {counted[id]} times" for id in sent if counted[id] > 1]
    missing = [
        f"{id} was answered and is not counted" for id, record in sent.items()
        if record.outcome == OK and not counted[id]
    ]  # fmt: skip
    return twice + missing


def stale(records: Iterable[Record]) -> int:
    """Assets that came while another version than their page's answered."""
    live, found = "", 0
    for record in sorted(records, key=lambda record: record.start):
        if record.kind == "get" and record.version:
            live = record.version
        if record.kind == "static" and record.outcome == OK and live and record.id != live:
            found += 1
    return found
