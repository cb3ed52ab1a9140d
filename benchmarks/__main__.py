"""python -m benchmarks [--case X,Y] [--peer Y] [--rounds N] [--quick] [--out DIR]: see `inv bench` and README.md."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import install, report
from benchmarks.model import Options
from benchmarks.peers import PEERS
from benchmarks.peers.peer import BENCH
from benchmarks.runner import CASES, run

HERE = Path(__file__).resolve().parent
ROUNDS, ROUNDS_QUICK = 10, 3
OURS = "hostwright"


def say(line: str) -> None:
    """Progress."""
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)


def names(text: str, known: Sequence[str], what: str) -> list[str]:
    """A comma list of known names; all of them when it is empty.

    Raises:
        SystemExit: one is unknown; exit code 2, as for all wrong usage.
    """
    wanted = [name.strip() for name in text.split(",") if name.strip()] or list(known)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        print(f"there is no {what} {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        sys.exit(2)
    return wanted


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 1 when a case failed or, with --quick, a smoke bound does not hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--case", default="", help="comma list; all without it")
    parser.add_argument(
        "--peer", default="", help="comma list of those who take part besides us; all without it"
    )
    parser.add_argument(
        "--rounds", type=int, default=0, help=f"default {ROUNDS}, {ROUNDS_QUICK} with --quick"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a smoke test of ten minutes; changes no page of ours"
    )
    parser.add_argument(
        "--out", type=Path, default=None, help="folder of RESULTS.md, results.json and plots/"
    )
    chosen = parser.parse_args(argv)
    cases = names(chosen.case, CASES, "case")
    peers = names(chosen.peer, tuple(PEERS), "peer")
    peers = [OURS, *(peer for peer in peers if peer != OURS)]
    options = Options(chosen.rounds or (ROUNDS_QUICK if chosen.quick else ROUNDS), peers, chosen.quick)
    if peers != [OURS]:
        install.ensure(say)
    out = chosen.out or (BENCH / "quick" if chosen.quick else HERE)
    outcomes = []
    for case in cases:  # written one by one: a run that is stopped has not been for nothing
        outcomes += run([case], options, say)
        report.write(out, outcomes[-1:], options, say)
    found = [target for outcome in outcomes if outcome.result for target in outcome.result.targets]
    broken = [target for target in found if not target.passes_smoke]
    for target in broken:
        say(f"far off: {target.text}: {target.figure:.2f}")
    failed = [outcome.case for outcome in outcomes if outcome.result is None]
    say(f"{len(found)} targets, {sum(target.holds for target in found)} hold")
    if failed:
        say(f"failed cases: {', '.join(failed)}")
    return 1 if failed or (options.quick and broken) else 0


if __name__ == "__main__":
    sys.exit(main())
