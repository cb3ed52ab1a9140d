"""The app's processes die: once, and again and again because the database is away. Nobody helps."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.soak.bench import Bench
from tests.soak.counting import APP
from tests.soak.traffic import Plan, Record
from tests.soak.verdict import Verdict, judge

# prints CLOCK_MONOTONIC before the kill and when all of them are gone
KILL = """\
import os, signal, subprocess, sys, time
show = ("systemctl", "show", "--property=MainPID", "--value", sys.argv[1])
main = int(subprocess.run(show, check=True, capture_output=True, text=True).stdout)
with open(f"/proc/{main}/task/{main}/children") as file:
    pids = [main, *map(int, file.read().split())]
began = time.monotonic()
os.kill(main, signal.SIGKILL)
while any(os.path.exists(f"/proc/{pid}") for pid in pids) and time.monotonic() < began + 30:
    time.sleep(0.001)
print(began, time.monotonic())
"""
AWAY = f"/var/lib/{APP}/database-is-away"


@dataclass(frozen=True)
class Survived:
    """What a death of the app cost.

    Attributes:
        cut: requests that were being answered when the app died; they are lost, and nothing else may be.
        same_socket: whether it is still the same socket that listens.
        restarts: by systemd, on its own.
        outage: seconds from the death, or from the database's return, to the end of the first answer.
        longest: seconds that a request waited and then was answered.
    """

    verdict: Verdict
    cut: int
    same_socket: bool
    restarts: int
    outage: float
    longest: float


def killed(bench: Bench, plan: Plan, after: float = 6.0) -> Survived:
    """Kill -9 of the gunicorn master under load, and look at the visitors for `after` seconds more."""
    socket = _socket(bench)
    with bench.visitors(plan, "killed") as traffic:
        began, gone = _kill(bench)
        traffic.waits_for(1)
        witness = bench.witness()
        traffic.waits_for(after)
    records = traffic.records()
    cut = [record for record in records if record.failed and in_flight(record, began, gone)]
    verdict = judge(records, witness.evidence(), lambda record: in_flight(record, began, gone))
    return Survived(
        verdict, len(cut), _socket(bench) == socket, _restarts(bench), _first(records, gone) - gone,
        max(record.seconds for record in records if record.kind in ("get", "post") and not record.failed),
    )  # fmt: skip


def database_away(bench: Bench, plan: Plan, seconds: float, after: float = 6.0) -> Survived:
    """The app crashes, and crashes at each start for `seconds`; then the database is back.

    The visitors wait for up to `plan.timeout`; those who waited that long in vain are foreseen, others are not.
    """
    socket = _socket(bench)
    with bench.visitors(plan, "away") as traffic:
        bench.sh(f"touch {AWAY}")
        began, gone = _kill(bench)
        traffic.waits_for(1)
        witness = bench.witness()
        traffic.waits_for(seconds - 1)
        restarts = _restarts(bench)
        bench.sh(f"rm {AWAY}")
        back = time.monotonic()
        traffic.waits_for(after)
    records = traffic.records()
    first = _first(records, back)

    def foreseen(record: Record) -> bool:
        """Patience ended before an answer was possible: the queue is worked off within a second."""
        possible = first + 1 + (plan.slow_seconds if record.kind == "slow" else 0)
        in_vain = record.start >= began and record.seconds >= plan.timeout - 1 and record.end < possible
        return in_vain or in_flight(record, began, gone)

    cut = [record for record in records if record.failed and in_flight(record, began, gone)]
    longest = max(
        record.seconds for record in records if not record.failed and record.kind in ("get", "post")
    )
    return Survived(
        judge(records, witness.evidence(), foreseen), len(cut), _socket(bench) == socket, restarts,
        first - back, longest,
    )  # fmt: skip


def in_flight(record: Record, began: float, gone: float) -> bool:
    """Whether it was under way while the processes died."""
    return record.start <= gone and record.end >= began


def unit(bench: Bench, kind: str = "service") -> str:
    """The unit of the live instance."""
    release = bench.sh(f"basename $(readlink /srv/{APP}/current)")
    return f"{APP}@{release}.{kind}"


def _kill(bench: Bench) -> tuple[float, float]:
    done = bench.sandbox.exec(bench.server.name, ("python3", "-c", KILL, unit(bench)))
    assert done.returncode == 0, done.stderr
    began, gone = str(done.stdout).split()
    return float(began), float(gone)


def _socket(bench: Bench) -> str:
    """What identifies the socket: its inode, and when systemd began to listen."""
    name = unit(bench, "socket")
    path = f"/run/{APP}/{name.partition('@')[2].removesuffix('.socket')}.sock"
    return bench.sh(
        f"stat -c %i {path}; systemctl show -p ActiveState -p ActiveEnterTimestampMonotonic {name}"
    )


def _restarts(bench: Bench) -> int:
    return int(bench.sh(f"systemctl show -p NRestarts --value {unit(bench)}"))


def _first(records: list[Record], since: float) -> float:
    """End of the first answer that is later than `since`."""
    ends = [record.end for record in records if record.kind in ("get", "post") and not record.failed]
    return min(end for end in ends if end > since)
