"""Who tried to log in and could not, during the last day; who is banned for it."""

from __future__ import annotations

import re

from . import bans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..system import System

SECONDS = 10.0
DAY = "-24h"
# of a server under attack the newest are enough
LINES = 20_000
# addresses that are named
MOST = 10
# the user's name comes from whoever tried, and may look like an address: the last one of the line counts
FAILED = re.compile(
    r"(?:Failed \S+ for .*|Invalid user .*|Connection (?:closed|reset) by (?:invalid|authenticating) user .*?"
    r"|Disconnected from (?:invalid|authenticating) user .*?|error: maximum authentication attempts exceeded .*)"
    r" (?:from )?(?P<address>[0-9a-fA-F.:]+) port (?P<port>[0-9]+)(?: ssh2)?(?: \[preauth\])?\Z"
)
JOURNAL = (
    "journalctl", "--quiet", "--no-pager", "--output=cat", "--since=" + DAY, "--lines=%d" % LINES,
    "_COMM=sshd", "+", "_COMM=sshd-session", "+", "_COMM=sshd-auth",
)  # fmt: skip


def attempts(system: System) -> dict[str, Any]:
    """failed: connections that tried in vain; addresses: how many there were; most: [address, connections] of the
    busiest; whole: all of the day was read; fail2ban: bans.py."""
    code, out, _ = system.capture(JOURNAL, timeout=SECONDS)
    lines = out.decode("utf-8", "replace").splitlines() if code == 0 else []
    counted = count(lines)
    busiest = sorted(counted.items(), key=lambda one: (-one[1], one[0]))[:MOST]
    return {
        "failed": sum(counted.values()),
        "addresses": len(counted),
        "most": [list(one) for one in busiest],
        "whole": len(lines) < LINES,
        "fail2ban": bans.fail2ban(system),
    }


def count(lines: list[str]) -> dict[str, int]:
    """Connections by address: one that tried five passwords is one."""
    seen = set()
    for line in lines:
        found = FAILED.match(line)
        if found:
            seen.add((found["address"], found["port"]))
    counted: dict[str, int] = {}
    for address, _ in seen:
        counted[address] = counted.get(address, 0) + 1
    return counted
