"""Facts in words: what a server is, who holds it. Pure."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from hostwright.report.text import elapsed, gibibytes

HALF_A_DAY = 43200.0


def server(facts: Mapping[str, Any], host: str) -> str:
    """A server in a few words, `Ubuntu 24.04, 2 cores, 2.0 GiB`; and its own name, where that is another.

    Args:
        facts: of events.Hello.
        host: its name in the inventory.
    """
    version = facts.get("os_version")
    system = f"{str(facts.get('os_id', '')).capitalize()} {version}" if version else facts.get("os_name")
    words = [str(system or "Linux")]
    if facts.get("cores"):
        words.append(f"{facts['cores']} core" + ("" if facts["cores"] == 1 else "s"))
    if facts.get("memory_bytes"):
        words.append(gibibytes(facts["memory_bytes"]))
    if "nginx" in facts:
        words.append(f"nginx {facts['nginx'] or 'none'}")
    hostname = str(facts.get("hostname") or host)
    also = "" if hostname.partition(".")[0] == host.partition(".")[0] else f"{hostname}  "
    return also + ", ".join(words)


def holder(found: Mapping[str, Any], now: float) -> str:
    """Another run in words: what, whose, since when.

    Args:
        found: run, what or action, by, began (Unix seconds on that machine's clock).
        now: Unix time here; clocks may differ, so an age below zero is not told.
    """
    if not found.get("run"):
        return "one that just began"
    what = found.get("what") or found.get("action") or "run"
    words = f'"{what}" by {found.get("by") or "somebody"}'
    began = found.get("began")
    if not isinstance(began, (int, float)):
        return words
    age = now - began
    stamp = time.strftime("%H:%M:%S" if abs(age) < HALF_A_DAY else "%Y-%m-%d %H:%M", time.localtime(began))
    return f"{words}, since {stamp}" + (f" ({elapsed(age)})" if age >= 1 else "")
