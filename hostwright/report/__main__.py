"""`python -m hostwright.report`: plays recorded runs, so that a person can look at them."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence

from hostwright.errors import HostwrightError
from hostwright.report.demo import SCENES
from hostwright.report.monitor import Report
from hostwright.report.output import Output, choose


def play(name: str, output: Output, speed: float) -> Report:
    """Show a recorded run; returns its report. `speed` 0 leaves the pauses out."""
    title, hosts, scene = SCENES[name]
    report = Report()
    output.begin(hosts, title)
    for pause, host, what in scene:
        if speed:
            time.sleep(pause / speed)
        if isinstance(what, str):
            output.notice(what)
        elif isinstance(what, HostwrightError):
            report.error(host, what)
            output.error(host, what)
        else:
            report.feed(host, what)
            output.event(host, what)
    output.end(report)
    return report


def main(arguments: Sequence[str]) -> int:
    """Parse flags and play; returns the exit code of the last scene."""
    parser = argparse.ArgumentParser(prog="python -m hostwright.report", description=__doc__)
    parser.add_argument("scene", nargs="*", help=f"{', '.join(SCENES)} (default: all)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--plain", action="store_true", help="lines without motion, and what commands print")
    parser.add_argument("--speed", type=float, default=1.0, help="2 is twice as fast, 0 has no pauses")
    chosen = parser.parse_args(arguments)
    unknown = [name for name in chosen.scene if name not in SCENES]
    if unknown:
        parser.error(f"there is no scene {unknown[0]!r}; there are {', '.join(SCENES)}")
    code = 0
    for name in chosen.scene or SCENES:
        if not chosen.json:
            print(f"\n$ {name}", flush=True)
        output = choose(sys.stdout, json=chosen.json, environ=os.environ, debug=chosen.plain)
        try:
            code = play(name, output, chosen.speed).exit_code
        except KeyboardInterrupt:
            return 130
        finally:
            output.close()
        if not chosen.json:
            print(f"(exit code {code})")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
