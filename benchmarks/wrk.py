"""wrk, a load generator that keeps a server busy from one thread: https://github.com/wg/wrk."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# 1: a port that lies in TIME_WAIT may be used again after a second
REUSE = Path("/proc/sys/net/ipv4/tcp_tw_reuse")
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
        install = ("apt-get", "install", "-q", "-y", "-oDPkg::Lock::Timeout=300", "wrk")
        for argv in (("apt-get", "update", "-q"), install):
            subprocess.run(argv, check=True, capture_output=True)


def load(url: str, connections: int, seconds: int, *, new: bool) -> Rate:
    """Keep so many connections busy.

    Args:
        new: another connection for each request.
    """
    header = ("-H", "Connection: close") if new else ()
    argv = ("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *header, url)
    with ports_reused():
        done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=seconds + 60)
    return parsed(done.stdout)


@contextmanager
def ports_reused(setting: Path = REUSE) -> Iterator[None]:
    """Let this machine, which is the client, not run out of ports.

    Who closes first keeps the port for a minute. Where an answer comes in one piece that is wrk, and after 14,000
    connections it gets 500 a second from a server that could give 10,000.
    """
    before = setting.read_text()
    setting.write_text("1\n")
    try:
        yield
    finally:
        setting.write_text(before)


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
