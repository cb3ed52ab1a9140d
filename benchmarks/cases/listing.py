"""`inv --list` of a user's project, against that of a tasks.py with nothing of ours."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.model import Options, Result, Target
from benchmarks.peers.hostwright import TASKS
from benchmarks.peers.peer import ROOT, Done, Work, measured
from benchmarks.turns import in_turn

NAME = "listing"
TITLE = "`inv --list` of a user's project"
LIMIT = "invoke alone"
EMPTY = """\
from invoke.tasks import task


@task
def nothing(c):
    \"\"\"Nothing.\"\"\"
"""
MORE = 2  # times the rounds: each takes a quarter of a second
BOUND = 1.3


def run(options: Options, say: Callable[[str], None]) -> Result:
    """No server takes part."""
    with TemporaryDirectory(prefix="hostwright-bench-") as folder:
        runs = {
            LIMIT: _listing(Path(folder, "empty"), EMPTY),
            "hostwright": _listing(Path(folder, "ours"), TASKS),
        }
        for once in runs.values():
            once()  # compiles what has changed since
        turns = in_turn(runs, MORE * options.rounds, say)
    wall, cpu = turns.samples("wall", "s"), turns.samples("CPU", "s", lambda done: done.cpu)
    found = Result(NAME, TITLE, (*wall, *cpu), limit=LIMIT, notes=turns.notes)
    text = "`inv --list`: at most 1.3 times that of an empty tasks.py"
    target = Target(text, found.ratio("hostwright", LIMIT, "wall"), BOUND, smoke=2.5)
    return replace(found, targets=(target,))


def _listing(folder: Path, tasks: str) -> Callable[[], Done]:
    folder.mkdir()
    (folder / "tasks.py").write_text(tasks)
    work = Work((), folder, "", (), folder, folder, "", "", folder=folder, home=folder)
    env = work.environ(PYTHONPATH=str(ROOT))
    return lambda: measured((sys.executable, "-m", "invoke", "--list"), work, env)
