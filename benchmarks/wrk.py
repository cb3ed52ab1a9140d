"""wrk, a load generator that keeps a server busy from one thread: https://github.com/wg/wrk."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True)
class Rate:
    """What came out.

    Attributes:
        requests: how many were answered.
        per_second: of them.
        p99: seconds.
        problems: answers with another status than 2xx or 3xx, connections that failed; empty: none.
    """

    requests: int
    per_second: float
    p99: float
    problems: str


def ensure(say: Callable[[str], None]) -> None:
    """Install it where it is missing, with apt."""
    if not shutil.which("wrk"):
        say("installing wrk")
        subprocess.run(("apt-get", "install", "-q", "-y", "wrk"), check=True, capture_output=True)


def load(url: str, connections: int, seconds: int, *, new: bool) -> Rate:
    """Keep so many connections busy.

    Args:
        new: another connection for each request.
    """
    header = ("-H", "Connection: close") if new else ()
    argv = ("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *header, url)
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=seconds + 60)
    return parsed(done.stdout)


def parsed(text: str) -> Rate:
    """What wrk printed.

    Raises:
        ValueError: it has another form.
    """
    p99 = re.search(r"^\s+99%\s+([\d.]+)([a-z]+)$", text, re.M)
    total = re.search(r"^\s+(\d+) requests in", text, re.M)
    rate = re.search(r"^Requests/sec:\s+([\d.]+)$", text, re.M)
    if not (p99 and total and rate):
        raise ValueError(f"not what wrk prints: {text}")
    problems = re.findall(r"^\s+(?:Non-2xx or 3xx responses|Socket errors): .*$", text, re.M)
    seconds = float(p99[1]) * UNITS[p99[2]]
    return Rate(int(total[1]), float(rate[1]), seconds, " ".join(" ".join(problems).split()))
