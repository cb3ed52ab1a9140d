"""The machine and the versions that figures were measured with."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks import install
from benchmarks.peers.peer import ROOT


def surroundings() -> dict[str, Any]:
    """When, where, and of what."""
    return {
        "when": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _said("git", "-C", str(ROOT), "describe", "--always", "--dirty") or "unknown",
        "machine": machine(),
        "load": os.getloadavg()[0],
        "versions": versions(),
    }


def machine() -> str:
    """Processor, memory, kernel."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    name = models[0] if models else platform.machine()
    return f"{name}, {os.cpu_count()} processors, {memory:.0f} GiB, Linux {platform.release()}"


def versions() -> dict[str, str]:
    """Of the peers and of what they run on."""
    ssh = subprocess.run(("ssh", "-V"), capture_output=True, text=True, check=False).stderr
    return {
        "Python": platform.python_version(),
        "OpenSSH": ssh.partition(",")[0].removeprefix("OpenSSH_"),
        **install.versions(),
    }


def _said(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()
