from __future__ import annotations

import json

import pytest

from hostwright.errors import AuthenticationFailed, HostUnreachable, HostwrightError, UsageError
from hostwright.remote import events
from hostwright.report import Report
from hostwright.report.demo import SCENES, started


def finished(outcome: str = "done", **fields: object) -> events.RunFinished:
    return events.RunFinished(outcome, 1.5, **fields)  # type: ignore[arg-type]


def report_of(
    *told: events.Event | HostwrightError, host: str = "web1", into: Report | None = None
) -> Report:
    report = into or Report()
    for what in told:
        if isinstance(what, HostwrightError):
            report.error(host, what)
        else:
            report.feed(host, what)
    return report


CHANGED = events.ResourceChanged("file:/a", "file /a", [], 0.25)
UNKNOWN = events.ResourceUnknown("unit:x", "unit x", "packages are installed")
FAILED = events.ResourceFailed(
    "packages:base", "packages base", "no", 2.0, ["apt-get"], 100, ["E: no"], "do this"
)


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ([finished()], 0),
        ([started(), CHANGED, finished()], 0),
        ([started(), FAILED, finished("failed", failed=1)], 1),
        ([finished("lost", failed=1)], 1),
        ([finished("busy")], 5),
        ([finished("refused", failed=1)], 6),
        ([finished("cancelled")], 130),
        ([finished("detached")], 130),
        ([], 0),
        ([started()], 1),  # the run ended without a last word
        ([started(apply=False), CHANGED, finished()], 4),
        ([started(apply=False), UNKNOWN, finished()], 4),
        ([started(apply=False), events.HandlerRan("reload nginx", [], 0.0, True), finished()], 4),
        ([started(apply=False), events.ResourceUnchanged("file:/a", "file /a"), finished()], 0),
        ([started(apply=False), CHANGED, FAILED, finished("failed")], 1),
        ([HostUnreachable("timed out")], 3),
        ([finished(), HostUnreachable("the new login does not work")], 3),
        ([UsageError("what?")], 2),
        ([HostwrightError("a bug")], 1),
    ],
)
def test_exit_code_of_one_host(told: list[events.Event | HostwrightError], code: int) -> None:
    assert report_of(*told).exit_code == code


@pytest.mark.parametrize(
    ("one", "other", "code"),
    [
        ("done", "failed", 1),
        ("refused", "failed", 1),
        ("busy", "refused", 6),
        ("cancelled", "failed", 130),
        ("done", "busy", 5),
    ],
)
def test_the_worst_host_decides(one: str, other: str, code: int) -> None:
    report = report_of(finished(one))
    assert report_of(finished(other), host="web2", into=report).exit_code == code


def test_a_difference_is_not_a_failure() -> None:
    report = report_of(started(apply=False), CHANGED, finished())
    report_of(HostUnreachable("timed out"), host="web2", into=report)
    assert report.exit_code == 3
    assert report.failed_hosts == ["web2"]


def test_totals_and_evidence() -> None:
    report = report_of(
        started(), CHANGED, CHANGED, FAILED, finished("failed", changed=2, failed=1, skipped=30)
    )
    report_of(started(), CHANGED, finished(unchanged=52), host="web2", into=report)
    assert report.counts == {"changed": 3, "unchanged": 52, "failed": 1, "skipped": 30, "unknown": 0}
    (failure,) = report.hosts["web1"].failures
    assert (failure.what, failure.argv, failure.exit_code, failure.tail) == (
        "packages base",
        ("apt-get",),
        100,
        ("E: no",),
    )
    assert [timing.what for timing in report.hosts["web1"].slowest(1)] == ["file /a"]
    assert report.seconds == 1.5


def test_a_broken_off_run_does_not_forget_what_it_did() -> None:
    report = report_of(
        started(), CHANGED, CHANGED, finished("failed", failed=1, message="No space left on device")
    )
    assert report.counts["changed"] == 2
    assert report.hosts["web1"].message == "No space left on device"


def test_a_replayed_run_is_not_counted() -> None:
    told = [
        events.Attached({"run": "9c1b"}),
        started(),
        CHANGED,
        FAILED,
        finished("failed", changed=1, failed=1),
    ]
    report = report_of(*told)
    assert report.hosts["web1"].outcome == ""  # what was asked for has not begun
    report_of(started(), finished(unchanged=53), into=report)
    assert report.counts == {"changed": 0, "unchanged": 53, "failed": 0, "skipped": 0, "unknown": 0}
    assert (report.exit_code, report.hosts["web1"].attached, report.hosts["web1"].failures) == (0, "9c1b", [])


def test_the_first_error_counts() -> None:
    report = report_of(AuthenticationFailed("no key fits"), HostwrightError("and then"))
    assert str(report.hosts["web1"].error) == "no key fits"


@pytest.mark.parametrize("name", SCENES)
def test_reports_are_json(name: str) -> None:
    _, hosts, scene = SCENES[name]
    report = Report()
    for _, host, what in scene:
        if not isinstance(what, str):
            report_of(what, host=host, into=report)
    data = json.loads(json.dumps(report.to_json()))
    assert set(data["hosts"]) == set(hosts)
    assert data["exit_code"] == report.exit_code
    assert data["changed"] == sum(host["changed"] for host in data["hosts"].values())
    for host in data["hosts"].values():
        assert ("error" in host) == (host["outcome"] == "error")
