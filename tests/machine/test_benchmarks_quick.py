"""`inv bench --quick`, case by case: what is measured runs, and nothing is so far off that it must be broken."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.peers.peer import ROOT
from benchmarks.runner import CASES
from hostwright.sandbox import Sandbox

pytestmark = [pytest.mark.alone, pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.mark.parametrize("case", CASES)
def test_a_case(sandbox: Sandbox, tmp_path: Path, case: str) -> None:
    argv = (sys.executable, "-m", "benchmarks", "--quick", f"--case={case}", f"--out={tmp_path}")
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert f"{case}: " in done.stdout
    found = json.loads((tmp_path / "results.json").read_text())
    assert list(found) == [case]
    assert all(sample["values"] for sample in found[case]["samples"])
    assert "## What was promised" in (tmp_path / "RESULTS.md").read_text()
