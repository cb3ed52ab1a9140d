"""The log of a soak as a page of docs/."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tests.soak.bench import Bench
from tests.soak.counting import APP
from tests.soak.result import Result
from tests.soak.traffic import KINDS
from tests.soak.windows import latency

AIM, LIMIT = 1.2, 1.5  # p99 while switching over p99 while quiet
SHOWN = 20  # lines of what was lost
VERSIONS = f"""\
. /etc/os-release; echo "$PRETTY_NAME"
systemctl --version | head -n 1
nginx -v 2>&1
/srv/{APP}/current/venv/bin/python -VV | cut -d' ' -f1,2
/opt/hostwright/uv/bin/uv pip list --python /srv/{APP}/current/venv/bin/python 2>/dev/null |
    grep -iE '^(gunicorn|uvicorn|uvicorn-worker|uvloop|httptools|websockets) ' | tr -s ' '
"""


def surroundings(bench: Bench, root: Path) -> dict[str, Any]:
    """The machine and the versions on the server."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    head = subprocess.run(
        ("git", "rev-parse", "--short", "HEAD"), cwd=root, capture_output=True, text=True, check=False
    )
    name = cpu[0].partition(":")[2].strip() if cpu else platform.machine()
    return {
        "machine": f"{name}, {os.cpu_count()} processors, {memory:.0f} GiB, Linux {platform.release()}; "
        f"server, visitors and controller (nice {bench.shop.nice}) share it",
        "versions": bench.sh(VERSIONS).splitlines(),
        "commit": head.stdout.strip() or "unknown",
        "time": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "load": os.getloadavg()[0],
    }


def ratio(result: Result) -> float:
    """p99 while switching over p99 while quiet; NaN without both."""
    if not result.quiet or not result.switching:
        return float("nan")
    return latency(result.switching).p99 / latency(result.quiet).p99


def page(
    results: list[Result], begins: list[dict[str, Any]], facts: list[dict[str, Any]], command: str
) -> str:
    """The whole page.

    Args:
        results: one for each scenario.
        begins: `surroundings` of each session; a soak may be done in several.
        facts: of each piece of the switches.
        command: that makes it.
    """
    lines = ["# Soak under load", "", f"Made by `{command}`; a request that fails is never sent again.", ""]
    lines += _about(begins, facts)
    lines += ["", "## Requests, total (failed)", "", *_table(results)]
    for result in results:
        lines += ["", f"## {result.scenario}", "", *_section(result)]
    return "\n".join(lines) + "\n"


def _about(begins: list[dict[str, Any]], facts: list[dict[str, Any]]) -> list[str]:
    first, last = begins[0], begins[-1]
    lines = [f"- {first['time']} to {last['time']}, commit {last['commit']}", f"- {first['machine']}"]
    loads = ", ".join(f"{begin['load']:.1f}" for begin in begins)
    lines.append(f"- load average at the begin of each session: {loads}")
    lines.append("- server: " + "; ".join(first["versions"]))
    if facts:
        rates, shares, limits = (
            [fact[key] for fact in facts] for key in ("rate", "share", "saturation")
        )  # fmt: skip
        lines.append(
            f"- {min(rates):.0f} to {max(rates):.0f} quick requests/s, {100 * max(shares):.0f} % at most of the "
            f"{min(limits):.0f} to {max(limits):.0f}/s that saturated it in the same session; besides a request of 5 s "
            "begun each second, 2 WebSockets, 2 idle kept connections"
        )
        lines.append(f"- visitors came {1000 * max(fact['lag'] for fact in facts):.0f} ms late at most")
        stale = sum(fact["stale"] for fact in facts)
        lines.append(f"- {stale} assets of pages of a version that was not live any more, or not live yet")
    return lines


def _table(results: list[Result]) -> list[str]:
    kinds = [kind for kind in KINDS if kind != "ws" and any(kind in result.counts for result in results)]
    lines = ["| scenario | " + " | ".join(kinds) + " |", "|---" * (len(kinds) + 1) + "|"]
    for result in results:
        cells = [result.counts.get(kind, [0, 0]) for kind in kinds]
        text = " | ".join(f"{count} ({failed})" for count, failed in cells)
        lines.append(f"| {result.scenario} | {text} |")
    return lines


def _section(result: Result) -> list[str]:
    lines = [f"- {note}" for note in result.notes]
    if result.ends:
        lines.append("- WebSockets: " + ", ".join(f"{count} {end}" for end, count in result.ends.items()))
    if result.switches:
        taken = sorted(result.switches)
        lines.append(
            f"- {len(taken)} switches; the command took {statistics.median(taken):.2f} s in the median, "
            f"{taken[-1]:.2f} s at most"
        )
        steps = (f"{step} {statistics.median(seconds):.3f}" for step, seconds in result.steps.items())
        lines.append("- median seconds of each step: " + ", ".join(steps))
    if result.quiet and result.switching:
        lines.append(f"- quiet: {latency(result.quiet)}")
        lines.append(f"- from a command's begin until the old instance may end: {latency(result.switching)}")
        lines.append(f"- **ratio of the p99: {ratio(result):.2f}** (aim {AIM}, limit {LIMIT})")
    if result.scenario == "control":
        lines.append("- a restart in place, for comparison: what failed is what the others must not lose")
    else:
        lines.append(f"- **lost: {len(result.lost)}**")
        lines += [f"  - `{line}`" for line in result.lost[:SHOWN]]
    lines += [f"- PROBLEM: {problem}" for problem in result.problems]
    return lines
