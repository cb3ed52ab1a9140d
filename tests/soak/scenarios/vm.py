"""What only a VM shows (tests/machine, marked `soak`), as a piece of a soak: it takes minutes in software emulation."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tests.soak.bench import Bench
from tests.soak.result import Result
from tests.soak.traffic import Plan

ROOT = Path(__file__).resolve().parents[3]
ARGV = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "soak", "tests/machine")


def vm(_bench: Bench, _plan: Plan) -> Result:
    """Run them; what fails is a problem."""
    began = time.monotonic()
    done = subprocess.run(ARGV, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout)
    lines = done.stdout.splitlines()
    result = Result("vm")
    result.problems += [line for line in lines if line.startswith(("FAILED ", "ERROR "))]
    last = lines[-1].strip("= ") if lines else "no output"
    result.insist(done.returncode == 0, f"pytest ended with {done.returncode}: {last}")
    result.notes.append(f"{last}; {time.monotonic() - began:.0f} s in all")
    return result
