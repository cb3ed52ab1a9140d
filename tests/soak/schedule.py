"""The pieces of a soak. A scenario of your own: a function from Bench and Plan to Result, and a line in `schedule`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from tests.soak.bench import Bench
from tests.soak.result import Piece, Result
from tests.soak.scenarios.in_place import in_place
from tests.soak.scenarios.killed import Survived, database_away, killed
from tests.soak.scenarios.power import every_step, random_moments
from tests.soak.scenarios.power_cut import power_cut
from tests.soak.scenarios.restarts import restarts
from tests.soak.scenarios.switches import switches
from tests.soak.scenarios.vm import vm
from tests.soak.traffic import HTTP, Plan

CHUNK = 20  # switches in one piece
AWAY = 180.0  # seconds without a database
KILLS = CUTS = 3
BACK = 15.0  # seconds until the app answers again; a machine with other work on it is slow to boot an app


def schedule(count: int) -> list[Piece]:
    """A soak of `count` switches, and everything else once."""
    others: list[tuple[str, Callable[[Bench, Plan], Result]]] = [
        ("control", _control),
        ("killed", _killed),
        ("restarts", _restarts),
        ("power", _power),
        ("database", _database),
        ("cuts", every_step),
        ("moments", random_moments),
        ("vm", vm),
    ]
    starts = range(0, count, CHUNK)
    chunks = [Piece(f"switches-{at:04}", partial(_switches, at, min(CHUNK, count - at))) for at in starts]
    return [*chunks, *(Piece(name, run) for name, run in others)]


def _switches(first: int, count: int, bench: Bench, plan: Plan) -> Result:
    done = switches(bench, plan, count, first=first)
    result = Result.of("switches", done.verdict)
    result.quiet, result.switching = list(done.quiet), list(done.switching)
    result.switches = [one.ended - one.typed for one in done.switches]
    for one in done.switches:
        for step, seconds in one.steps().items():
            result.steps.setdefault(step, []).append(seconds)
    share = done.rate / done.saturation
    result.facts = {"rate": done.rate, "saturation": done.saturation, "share": share, "lag": done.lag}
    result.facts["stale"] = done.verdict.stale
    result.insist(share <= 0.3, f"the load is {100 * share:.0f} % of saturation")
    result.insist(set(HTTP) <= set(done.verdict.counts), "a kind of request is missing")
    return result


def _control(bench: Bench, plan: Plan) -> Result:
    """What is lost here is what is to be lost: it proves that the visitors see it."""
    verdict = in_place(bench, plan, 5)
    result = Result("control", {kind: list(pair) for kind, pair in verdict.counts.items()})
    for kind in ("get", "post", "kept", "slow"):
        result.insist(
            verdict.counts[kind][1] > 0, f"a restart in place lost no {kind}: the visitors see nothing"
        )
    return result


def _killed(bench: Bench, plan: Plan) -> Result:
    runs = [killed(bench, plan) for _ in range(KILLS)]
    return _survived("kill -9 of the master", runs)


def _database(bench: Bench, plan: Plan) -> Result:
    """Few visitors, who all wait in the socket's queue: it holds 2048."""
    few = replace(plan.scaled(8), slow=0.2, timeout=60)
    return _survived(f"database away for {AWAY:.0f} s", [database_away(bench, few, AWAY, after=20)])


def _survived(scenario: str, runs: list[Survived]) -> Result:
    result = Result(scenario)
    for one in runs:
        _add(result, Result.of(scenario, one.verdict))
        result.insist(one.same_socket, "it is another socket that listens")
        result.insist(one.restarts > 0, "systemd did not start the app again")
        result.insist(one.outage < BACK, f"the first answer came after {one.outage:.1f} s")
        result.notes.append(
            f"{one.cut} requests were being answered and are lost; first answer {one.outage:.2f} s later; the longest "
            f"wait that ended with an answer {one.longest:.1f} s; {one.restarts} restarts; "
            f"same socket: {one.same_socket}"
        )
    return result


def _restarts(bench: Bench, plan: Plan) -> Result:
    done = restarts(bench, plan, 10)
    result = Result.of("inv restart and changes of the environment", done.verdict)
    pairs, wanted = len(done.pairs), len(done.switches)
    result.insist(pairs == wanted, f"{pairs} of {wanted} pairs of instances answered side by side")
    result.notes.append(f"{pairs} of {wanted} times two instances of the same code answered at the same time")
    return result


def _power(bench: Bench, plan: Plan) -> Result:
    result = Result("power cut and boot")
    for _ in range(CUTS):
        one = power_cut(bench, plan)
        _add(result, Result.of("", one.verdict))
        result.insist(one.refused > 0, "nobody noticed the power cut")
        result.notes.append(
            f"{one.refused} requests found no server or were cut; first answer {one.down:.2f} s after the power's "
            f"return, it had waited {one.first:.2f} s; 50x: none"
            if not one.verdict.lost
            else "see what was lost"
        )
    return result


def _add(total: Result, part: Result) -> None:
    for kind, (count, failed) in part.counts.items():
        before = total.counts.get(kind, [0, 0])
        total.counts[kind] = [before[0] + count, before[1] + failed]
    for end, count in part.ends.items():
        total.ends[end] = total.ends.get(end, 0) + count
    total.lost += part.lost
    total.problems += part.problems
    total.notes += part.notes


def merged(results: list[Result]) -> list[Result]:
    """One for each scenario."""
    found: dict[str, Result] = {}
    for part in results:
        total = found.setdefault(part.scenario, Result(part.scenario))
        _add(total, part)
        total.quiet += part.quiet
        total.switching += part.switching
        total.switches += part.switches
        for step, seconds in part.steps.items():
            total.steps.setdefault(step, []).extend(seconds)
    return list(found.values())
