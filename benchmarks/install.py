"""The peers, from their packages, into `.bench/venv`: `peers/requirements.txt` says which versions."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.peers.peer import ROOT, VENV

REQUIREMENTS = ROOT / "benchmarks" / "peers" / "requirements.txt"
PATIENCE = 1800.0  # seconds


def ensure(say: Callable[[str], None], venv: Path = VENV, requirements: Path = REQUIREMENTS) -> None:
    """Install what is missing or another version than the file says.

    Raises:
        RuntimeError: a package cannot be had.
    """
    stamp = venv / "installed"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    say(f"installing {requirements.name} into {venv}")
    _run(sys.executable, "-m", "venv", "--clear", str(venv))
    _run(str(venv / "bin" / "pip"), "install", "--quiet", "--requirement", str(requirements))
    stamp.write_text(wanted)


def versions(requirements: Path = REQUIREMENTS) -> dict[str, str]:
    """Package -> version, of those that the file names for their own sake: with a comment."""
    lines = [line.partition("#") for line in requirements.read_text().splitlines()]
    named = [line.strip().partition("==") for line, _, comment in lines if line.strip() and comment.strip()]
    return {name: version for name, _, version in named}


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=PATIENCE)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)} ended with {done.returncode}\n{done.stderr[-2000:]}")
