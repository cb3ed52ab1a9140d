"""What hosts answer to `inv maintenance.on` and `.off`, for people and for programs. Pure."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from hostwright.report import Report
from hostwright.run.tables import ago_seconds, moment


def told(answer: Mapping[str, Any]) -> str:
    """One line about a host: what is so now, and whether it was so before."""
    app, since = answer["app"], answer["since"]
    if answer["on"] and answer["changed"]:
        return f"maintenance is on: visitors of {app} get the maintenance page (503)"
    if answer["on"]:
        return f"maintenance is already on, since {moment(since)}" + (
            f" by {answer['by']}" if answer["by"] else ""
        )
    if answer["changed"]:
        return f"maintenance is off, after {ago_seconds(time.time() - since)}: visitors get {app} again"
    return "maintenance is already off"


def as_json(answers: Mapping[str, Mapping[str, Any]], report: Report) -> dict[str, Any]:
    """Host -> its answer, or why there is none and the exit code that it alone would give."""
    found: dict[str, Any] = {}
    for name, host in report.hosts.items():
        if name in answers:
            found[name] = dict(answers[name])
            continue
        message = host.error.message if host.error else host.message
        found[name] = {"error": message, "exit_code": host.exit_code}
    return found
