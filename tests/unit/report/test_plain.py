from __future__ import annotations

import io
import threading
import time
from collections import Counter

from hostwright.errors import HostUnreachable
from hostwright.remote import events
from hostwright.report import Look, Report
from hostwright.report.demo import hello
from hostwright.report.plain import PlainOutput
from hostwright.report.text import text_of

from .conftest import Clock


def output_of(
    clock: Clock, hosts: tuple[str, ...] = ("web1",), **options: float
) -> tuple[PlainOutput, io.StringIO]:
    stream = io.StringIO()
    output = PlainOutput(stream, Look(), clock=clock, **options)  # type: ignore[arg-type]
    output.begin(hosts, "provision")
    return output, stream


def still(output: PlainOutput, clock: Clock, seconds: float) -> list[str]:
    clock.now += seconds
    return [text_of(parts) for parts in output.still(clock.now)]


def test_a_long_step_gives_signs_of_life(clock: Clock) -> None:
    output, _ = output_of(clock)
    output.event("web1", hello())
    output.event("web1", events.ResourceStarted("packages:base", "packages base"))
    assert still(output, clock, 29.0) == []
    assert still(output, clock, 2.0) == ["  still: packages base, 31 s"]
    assert still(output, clock, 29.0) == []
    output.event("web1", events.Output("packages:base", "\x1b[1mUnpacking nginx"))
    assert still(output, clock, 12.0) == ["  still: packages base, 1 min 12 s  (Unpacking nginx)"]
    output.event("web1", events.ResourceChanged("packages:base", "packages base", [], 73.0))
    assert still(output, clock, 29.0) == []  # it just spoke
    output.event("web1", events.RunFinished("done", 80.0))
    assert still(output, clock, 100.0) == []
    output.close()


def test_each_silent_host_gives_its_own(clock: Clock) -> None:
    output, _ = output_of(clock, ("web1", "web2", "web3"))
    output.event("web2", events.StepStarted("health", "GET /health"))
    output.error("web3", HostUnreachable("timed out"))
    assert still(output, clock, 31.0) == [
        "web1  still: connecting, 31 s",
        "web2  still: health GET /health, 31 s",
    ]
    output.event("web2", events.RunFinished("done", 31.0))
    assert still(output, clock, 31.0) == ["web1  still: waiting, 1 min 2 s"]
    output.close()


def test_the_heart_beats_by_itself_and_stops() -> None:
    output, stream = output_of(time.monotonic, heartbeat=0.05)  # type: ignore[arg-type]
    deadline = time.monotonic() + 10
    while stream.getvalue().count("still: connecting") < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    output.end(Report())
    output.close()
    length = len(stream.getvalue())
    time.sleep(0.2)
    assert len(stream.getvalue()) == length
    assert not [
        thread for thread in threading.enumerate() if thread.name == "heartbeat" and thread.is_alive()
    ]


def test_events_of_several_threads_do_not_mix(clock: Clock) -> None:
    output, stream = output_of(clock, ("a", "b", "c"))

    def work(host: str) -> None:
        for number in range(200):
            event = events.ResourceFailed(
                f"file:/{number}", f"file /{number}", "no", 1.0, ["true"], 1, ["tail"]
            )
            output.event(host, event)
            output.notice(f"{host}  notice")

    threads = [threading.Thread(target=work, args=(host,)) for host in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    output.close()
    rows = stream.getvalue().splitlines()[1:]
    failures = [index for index, row in enumerate(rows) if "FAILED" in row]
    assert len(failures) == 600
    assert all([row.strip() for row in rows[i + 1 : i + 3]] == ["$ true", "| tail"] for i in failures)
    assert Counter(row for row in rows if "notice" in row) == {f"{host}  notice": 200 for host in "abc"}


def test_a_second_command_on_the_same_output(clock: Clock) -> None:
    output, stream = output_of(clock)
    output.end(Report())
    clock.now += 50
    output.begin(["web1", "web2"], "deploy hello")
    clock.now += 1
    output.event("web2", hello(hostname="web2"))
    output.event("web2", events.Noticed("hi"))
    output.close()
    assert stream.getvalue().splitlines()[0] == "deploy hello -> web1, web2"
    assert stream.getvalue().splitlines()[1].endswith("connected 1.0 s")
