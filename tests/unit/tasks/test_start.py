"""What keeps a command's start quick."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def listing(folder: Path, **more: str) -> str:
    """`inv --list` in a project, with a copy of our package beside it."""
    shutil.copytree(ROOT / "hostwright", folder / "hostwright", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tasks.py").write_text("from hostwright.tasks import ns\n")
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        (sys.executable, "-m", "invoke", "--list"),
        cwd=folder, env={**kept, "PYTHONPATH": str(folder), **more}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def test_a_checkout_is_compiled_once_and_a_project_is_kept_clean(tmp_path: Path) -> None:
    assert "provision" in listing(tmp_path)
    assert list((tmp_path / "hostwright" / "tasks" / "__pycache__").glob("provision.*.pyc"))
    assert not (tmp_path / "__pycache__").exists()


@pytest.mark.parametrize("said", ["1", "yes"])
def test_who_wants_no_bytecode_gets_none(tmp_path: Path, said: str) -> None:
    listing(tmp_path, PYTHONDONTWRITEBYTECODE=said)
    assert not list(tmp_path.rglob("*.pyc"))


def test_nothing_is_looked_through_at_the_end() -> None:
    script = "import hostwright.tasks, atexit, gc; atexit._run_exitfuncs(); print(gc.get_freeze_count())"
    argv = (sys.executable, "-c", script)
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 10_000
