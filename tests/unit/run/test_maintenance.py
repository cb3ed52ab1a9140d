"""What people and programs read after `inv maintenance.on` and `.off`, and after a deploy while it is on."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from hostwright.errors import HostNotFound
from hostwright.remote import events
from hostwright.report import Report
from hostwright.run.maintenance import as_json, told
from hostwright.tasks.deploy import next_lines

ON = {"app": "hello", "on": True, "changed": True, "since": 1_800_000_000.0, "by": "ann@laptop"}
DAY = datetime.fromtimestamp(1_800_000_000.0).astimezone().strftime("%Y-%m-%d %H:%M")


def finished(outcome: str = "done", **more: object) -> events.RunFinished:
    return events.RunFinished(outcome, 0.1, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (ON, "maintenance is on: visitors of hello get the maintenance page (503)"),
        ({**ON, "changed": False}, f"maintenance is already on, since {DAY} by ann@laptop"),
        ({**ON, "changed": False, "by": ""}, f"maintenance is already on, since {DAY}"),
        ({**ON, "on": False, "changed": False, "since": None}, "maintenance is already off"),
    ],
)
def test_lines(answer: dict[str, object], line: str) -> None:
    assert told(answer) == line


def test_off_says_how_long_it_was_on() -> None:
    answer = {**ON, "on": False, "since": time.time() - 720}
    assert told(answer) == "maintenance is off, after 12 min: visitors get hello again"


def test_programs_read_what_failed_as_well() -> None:
    report = Report(["web1", "web2", "web3"])
    report.feed("web1", events.Answered(ON))
    report.feed("web1", finished(changed=1))
    report.feed("web2", events.StepFailed("prepare", "nginx does not look", 0.1))
    report.feed("web2", finished("failed", failed=1, message="nginx does not look"))
    report.error("web3", HostNotFound("no such host", host="web3"))
    found = as_json({"web1": ON}, report)
    assert found["web1"] == ON
    assert found["web2"] == {"error": "nginx does not look", "exit_code": 1}
    assert found["web3"] == {"error": "no such host", "exit_code": 3}
    assert report.exit_code == 1


def test_the_last_line_of_a_deploy_reminds() -> None:
    report = Report(["web1", "web2"])
    for name, hidden in (("web1", {"since": 1.0, "by": ""}), ("web2", None)):
        report.feed(name, finished(changed=1, data={"before": "r1", "again": False, "maintenance": hidden}))
    assert next_lines(report) == (
        "Undo: inv rollback\nMaintenance is on at web1: visitors get its page until `inv maintenance.off`."
    )
    assert next_lines(report, back=False).startswith("Maintenance is on at web1")
