"""python -m tests.soak [--switches N] [--minutes M] [--only NAME,...] [--nice N] [--anew]: see `inv test.soak`.

What is done is kept in .soak/, so that a soak goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path

from hostwright.sandbox import Sandbox, ensure
from hostwright.sandbox.base import machine_release
from tests.soak.bench import Bench
from tests.soak.log import LIMIT, page, ratio, surroundings
from tests.soak.result import Piece, Result
from tests.soak.schedule import merged, schedule

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "measurements" / "soak.md"
NAME = f"soak-{os.getpid()}"


def say(line: str) -> None:
    """Progress."""
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)


class Soak:
    """One soak, maybe done in several sessions.

    Args:
        folder: where what is done is kept.
    """

    def __init__(self, folder: Path, switches: int, only: list[str]) -> None:
        self.folder = folder
        self.switches = switches
        self.whole = not only
        every = schedule(switches)
        self.pieces = [piece for piece in every if not only or piece.name.partition("-")[0] in only]

    def missing(self) -> list[Piece]:
        """Those that are not done."""
        return [piece for piece in self.pieces if not self._path(piece).exists()]

    def _path(self, piece: Piece) -> Path:
        return self.folder / f"{piece.name}.json"

    def go_on(self, minutes: float, nice: int) -> None:
        """Do missing pieces; none is begun after so many minutes."""
        end = time.monotonic() + minutes * 60
        box = Sandbox(ROOT)
        work = self.folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        server = box.up(NAME, suite=machine_release()[1], ephemeral=True, say=say)[0]
        try:
            bench = Bench.make(box, server, work, say)
            bench.shop.nice = nice
            plan = bench.measure()
            begins = self._begins()
            (self.folder / "begins.json").write_text(json.dumps([*begins, surroundings(bench, ROOT)]))
            for piece in self.missing():
                if time.monotonic() > end:
                    return
                say(f"{piece.name} ...")
                result = piece.run(bench, plan)
                result.save(self._path(piece))
                say(
                    f"{piece.name}: lost {len(result.lost)}, problems {result.problems}, p99 ratio {ratio(result):.2f}"
                )
                for line in result.lost[:10]:
                    say(f"  {line}")
        finally:
            box.down(NAME)

    def _begins(self) -> list[dict[str, object]]:
        path = self.folder / "begins.json"
        return list(json.loads(path.read_text())) if path.exists() else []

    def judge(self) -> int:
        """Write the page, unless only some scenarios were asked for; the exit code."""
        parts = [Result.load(self._path(piece)) for piece in self.pieces]
        results = merged(parts)
        facts = [part.facts for part in parts if part.facts]
        command = f"inv test.soak --switches {self.switches}"
        text = page(results, self._begins(), facts, command)
        print(text)
        if self.whole:
            PAGE.parent.mkdir(parents=True, exist_ok=True)
            PAGE.write_text(text)
        bad = sum(len(result.lost) + len(result.problems) for result in results)
        slow = [found for result in results if (found := ratio(result)) > LIMIT]
        say(
            f"{PAGE}: {bad} lost or not as promised"
            + (f"; p99 ratio {slow[0]:.2f} > {LIMIT}" if slow else "")
        )
        return 1 if bad or slow else 0


def main() -> int:
    """Go on, and judge when all is done: 0 good, 1 not, 75 there is more to do."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--switches", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=24 * 60)
    parser.add_argument("--only", default="")
    # of the controller: 0 where much else goes on, as it would never end there
    parser.add_argument("--nice", type=int, default=10)
    parser.add_argument("--anew", action="store_true")
    options = parser.parse_args()
    folder = ROOT / ".soak" / str(options.switches)
    if options.anew:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    ensure(say)
    soak = Soak(folder, options.switches, [name for name in options.only.split(",") if name])
    if soak.missing():
        soak.go_on(options.minutes, options.nice)
    if soak.missing():
        say(
            f"{len(soak.pieces) - len(soak.missing())} of {len(soak.pieces)} pieces are done; run it again to go on"
        )
        return 75  # EX_TEMPFAIL, sysexits(3head)
    return soak.judge()


if __name__ == "__main__":
    sys.exit(main())
