"""What a person reads, whole runs at a time. After a wanted change: HOSTWRIGHT_WRITE_CASES=1 pytest ..."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from hostwright.errors import HostUnreachable, HostwrightError
from hostwright.remote import events
from hostwright.report import Look, Report
from hostwright.report.demo import BEGAN, SCENES, change, hello, started
from hostwright.report.lines import Lines
from hostwright.report.plain import PlainOutput
from hostwright.report.text import cells, text_of

from .conftest import Clock

CASES = Path(__file__).parents[2] / "cases/report"
POISON = "\x1b[2J\x1b]0;pwned\x07\x9b31m\u202e\x07[bold]:smile:"


def show(name: str, width: int | None, verbose: bool = False) -> str:
    """A recorded run as it looks on a stream."""
    title, hosts, scene = SCENES[name]
    clock, stream, report = Clock(), io.StringIO(), Report()

    def wall() -> float:
        return BEGAN + 38 + clock.now

    output = PlainOutput(stream, Look(width=width), clock=clock, wall=wall, verbose=verbose, heartbeat=1e9)
    output.begin(hosts, title)
    for pause, host, what in scene:
        clock.now += pause
        if isinstance(what, str):
            output.notice(what)
        elif isinstance(what, HostwrightError):
            report.error(host, what)
            output.error(host, what)
        else:
            report.feed(host, what)
            output.event(host, what)
    output.end(report)
    return stream.getvalue() + f"(exit code {report.exit_code})\n"


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("width", [None, 80, 40])
def test_whole_runs(name: str, width: int | None) -> None:
    text = show(name, width)
    case = CASES / f"{name}-{width or 'pipe'}.txt"
    if os.environ.get("HOSTWRIGHT_WRITE_CASES"):
        case.write_text(text)
    assert text == case.read_text()
    assert not [line for line in text.splitlines() if line != line.rstrip()]


def test_verbose_shows_what_commands_print() -> None:
    text = show("failed-apt", None, verbose=True)
    assert "      | Err:1 http://deb.example bookworm/main amd64 nginx\n" in text


def lines_of(*told: events.Event, width: int | None = None, hosts: tuple[str, ...] = ("web1",)) -> list[str]:
    lines = Lines(Look(width=width), hosts, wall=lambda: BEGAN + 38)
    return [text_of(parts) for event in told for parts in lines.event(hosts[0], event, 0.41)]


@pytest.mark.parametrize("width", [None, 80, 40])
def test_a_server_cannot_reach_the_terminal(width: int | None) -> None:
    p = POISON
    told = [
        hello(os_version=p, hostname=p),
        events.Attached({"run": p, "what": p, "by": p, "began": BEGAN}),
        events.Waited({"run": p + "2", "what": p, "by": p, "began": p}, 1, 60),
        events.SourceReady(p, p, {"commit": p}),
        events.Noticed(p, p),
        events.ResourceStarted(p, p),
        events.Output(p, p),
        events.Output("other", p),
        events.ResourceChanged(p, p, [change(p, p, p + "2"), change("target", p, [p])], 0.1, [p], p),
        events.ResourceUnknown(p, p, p),
        events.HandlerRan(p, [p], 0.1, False),
        events.StepFinished(p, p, 0.1),
        events.ResourceFailed(p, p, p, 0.1, [p], 1, [p], p),
        events.StepFailed(p, p, 0.1, [p], 1, [p], p, p),
        events.RunFinished(p, 0.1, message=p + "3", state=p),
    ]
    shown = lines_of(*told, width=width)
    assert len(shown) > len(told)
    lines = Lines(Look(width=width), (p, "web2"))
    more = [
        *lines.title((p, "web2"), p),
        *lines.notice(p),
        *lines.error(p, HostwrightError(p, host=p, evidence=[p], hint=p)),
    ]
    for text in (*shown, *(text_of(parts) for parts in more)):
        assert text.isprintable(), text
    assert any("[bold]:smile:" in text for text in shown)


@pytest.mark.parametrize("width", [40, 48, 60, 80, 120])
@pytest.mark.parametrize("name", ["fresh", "deploy", "two-deploys"])
def test_rows_fit_the_terminal(name: str, width: int) -> None:
    # only commands and evidence, which are there to be copied, may be longer
    free = ("$ ", "| ", "ssh-keygen", "apt-get")
    text = show(name, width)
    long = [row for row in text.splitlines() if cells(row) > width and not row.strip().startswith(free)]
    assert long == []


def test_a_run_without_changes_is_one_line() -> None:
    told = [hello(), started(), *(events.ResourceUnchanged(f"file:/{n}", f"file /{n}") for n in range(53))]
    assert lines_of(*told, events.RunFinished("done", 0.7, unchanged=53)) == [
        "web1  0 changed, 53 unchanged                                              0.7 s"
    ]


def test_a_failed_command_can_be_copied_from_any_terminal() -> None:
    argv = ("apt-get", "install", "-o", "DPkg::Lock::Timeout=60", "--", "libpq-dev", "a package with spaces")
    event = events.ResourceFailed(
        "packages:base", "packages base", "exit code 100", 4.2, argv, 100, ["E: no"], "Fix."
    )
    for width in (None, 40):
        shown = lines_of(event, width=width)
        assert (
            "      $ apt-get install -o DPkg::Lock::Timeout=60 -- libpq-dev 'a package with spaces'" in shown
        )
    assert lines_of(event) == [
        "  ! packages base FAILED on web1 after 4.2 s: exit code 100",
        "      $ apt-get install -o DPkg::Lock::Timeout=60 -- libpq-dev 'a package with spaces'",
        "      | E: no",
        "      Fix.",
    ]


def test_what_broke_off_says_why_once() -> None:
    message = "No space left on device (/var/lib/hostwright/records)"
    end = events.RunFinished("failed", 1.0, failed=1, message=message)
    assert lines_of(started(), end)[0].startswith(f"web1  failed: {message}")
    assert lines_of(events.Noticed(message, "Make room: df -h /var"), end) == [
        f"      {message}",
        "      Make room: df -h /var",
        "web1  failed                                                               1.0 s",
    ]
    changed = events.ResourceChanged("file:/a", "file /a", [change("mode", "0644", "0600")], 0.1)
    assert lines_of(started(), changed, end)[1:] == [
        "web1  1 changed, 0 unchanged, 1 failed                                     1.0 s",
        f"      {message}",
    ]


def test_waiting_is_said_once_and_says_for_whom() -> None:
    holder = {"run": "9c1b", "what": "deploy hello 4f2c1d9", "by": "deploy@laptop", "began": BEGAN}
    told = [events.Waited(holder, seconds, 60) for seconds in (0.0, 5.0, 10.0, 60.1)]
    assert lines_of(*told) == [
        'web1  another run holds this server: "deploy hello 4f2c1d9" by deploy@laptop, since 14:02:11 (38 s).',
        "      Waiting up to 60 s (--wait) ...",
    ]
    assert (
        lines_of(events.Waited({}, 0, 60))[0] == "web1  another run holds this server: one that just began."
    )
    yesterday = {**holder, "began": BEGAN - 86400}
    assert "since 2026-11-20 14:02 (24 h)" in lines_of(events.Waited(yesterday, 0, 60))[0]
    ahead = {**holder, "began": BEGAN + 100}  # the server's clock
    assert lines_of(events.Waited(ahead, 0, 60))[0].endswith("since 14:03:51.")


def test_output_that_belongs_to_no_step_is_what_was_asked_for() -> None:
    step, log = events.Output("build", "compiling"), events.Output("hello@1", '{"level":"info"}')
    assert lines_of(
        hello(), events.StepStarted("build"), step, events.StepFinished("build", "", 1.0), step, log
    )[2:] == [
        "compiling",
        '{"level":"info"}',
    ]
    assert lines_of(hello(), log) == ['{"level":"info"}']
    assert lines_of(hello(), log, hosts=("web1", "worker2"))[-1] == 'web1     {"level":"info"}'


def test_a_carriage_return_may_be_the_difference() -> None:
    event = events.ResourceChanged("file:/a", "file /a", [change("content", "a", "b")], 0.1, ["-a\r", "+a"])
    assert lines_of(event)[1:] == ["      -a\\r", "      +a"]


def test_hosts_of_a_later_batch_do_not_claim_to_have_connected_for_long() -> None:
    lines = Lines(Look(), ("web1", "web2"))
    lines.event("web1", events.RunFinished("done", 30.0, unchanged=1), 31.0)
    lines.event("web2", hello(hostname="web2"), 31.5)
    (header, _) = lines.event("web2", events.Noticed("hello"), 31.6)
    assert text_of(header) == "web2  Ubuntu 24.04, 2 cores, 2.0 GiB, nginx none"


def test_only_a_busy_host_is_to_be_cancelled() -> None:
    report = Report(("db1", "web1"))
    report.feed("web1", events.RunFinished("busy", 4.0))
    report.error("db1", HostwrightError("no route to host"))
    shown = [text_of(parts) for parts in Lines(Look(), ("db1", "web1")).end(list(report.hosts.values()), 4.0)]
    assert "2 not done: db1, web1" in shown[0]
    assert shown[1].endswith("`inv cancel --host web1`.")


def test_the_next_command() -> None:
    def last(outcome: str, action: str = "provision", unchanged: int = 1, apply: bool = True) -> str:
        report = Report()
        report.feed("web1", started(action, apply=apply))
        report.feed("web1", events.RunFinished(outcome, 1.0, unchanged=unchanged))
        shown = Lines(Look(), ("web1",)).end(list(report.hosts.values()), 1.0)
        return text_of(shown[-1]) if shown else ""

    assert last("done") == ""
    assert last("failed") == "What is done stays done. The same command goes on from there."
    assert last("failed", "deploy") == ""
    assert last("failed", unchanged=0) == "", "it was refused before it began, and that has said what to do"
    assert last("failed", apply=False) == "", "a check has done nothing"
    assert last("busy").endswith("`inv cancel --host web1`.")
    assert last("detached") == "The same command watches it again: it attaches, nothing runs twice."


def test_an_error_of_one_of_several_hosts() -> None:
    error = HostUnreachable("timed out after 5 s", hint="Is it up? ping 203.0.113.10")
    shown = Lines(Look(), ("web1", "worker2")).error("web1", error)
    assert [text_of(parts) for parts in shown] == [
        "web1     timed out after 5 s",
        "         Is it up? ping 203.0.113.10",
    ]
