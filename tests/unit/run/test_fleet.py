"""Several hosts at once: what Ctrl-C means while they connect, while they work, and for a question."""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from hostwright.errors import Cancelled, HostUnreachable
from hostwright.inventory import Host
from hostwright.remote import events, wire
from hostwright.run.fleet import Fleet

HELLO = events.Hello(wire.PROTOCOL, "abc", {"os_id": "debian", "os_like": ""})
STARTED = events.RunStarted("1", "provision", "shop", "ann@laptop", 0.0, True, 3)
CANCELLED = events.RunFinished("cancelled", 1.0, 1, 0, 0, 2)


class Agent:
    """A transport and its channel: says what the test puts, and remembers what it is told."""

    def __init__(self) -> None:
        self.says: queue.Queue[events.Event] = queue.Queue()
        self.told: list[dict[str, Any]] = []
        self.stopped = threading.Event()
        self.label = "ubuntu@web1:22"
        self.public_key = ""

    def open(self, argv: object, **how: object) -> Agent:
        return self

    def send(self, data: bytes) -> None:
        frame = wire.read_frame(iter_reader(data))
        assert isinstance(frame, dict)
        self.told.append(frame)
        if frame.get("control") == "cancel":
            self.stopped.set()
            self.says.put(CANCELLED)

    def lines(self) -> Iterator[bytes]:
        while True:
            yield wire.line(self.says.get(timeout=10).to_wire())[:-1]

    def stderr_tail(self) -> tuple[str, ...]:
        return ()

    def exit_code(self) -> int | None:
        return None

    def close(self) -> None:
        """Nothing to close."""


def iter_reader(data: bytes) -> Any:
    rest = bytearray(data)

    def read(size: int) -> bytes:
        part = bytes(rest[:size])
        del rest[:size]
        return part

    return read


class Seen:
    """An output that presses Ctrl-C at an event, as often as it is told to."""

    def __init__(self, presses: int, at: type[events.Event] = events.RunStarted) -> None:
        self.presses, self.at = presses, at
        self.notices: list[str] = []
        self.errors: list[str] = []

    def event(self, host: str, event: events.Event) -> None:
        if isinstance(event, self.at):
            for _ in range(self.presses):
                os.kill(os.getpid(), signal.SIGINT)

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def error(self, host: str, error: Exception) -> None:
        self.errors.append(str(error))


def host(name: str = "web1") -> Host:
    return Host(name=name, address="203.0.113.1", user="ubuntu", apps=())


def request_for(host: Host, transport: object) -> dict[str, Any]:
    return {"action": "provision"}


def working() -> Agent:
    agent = Agent()
    agent.says.put(HELLO)
    agent.says.put(STARTED)
    return agent


def test_the_first_ctrl_c_asks_the_run_to_stop_and_waits_for_it() -> None:
    agent, seen = working(), Seen(presses=1)
    report = Fleet([host()], lambda _: agent, seen).run(request_for)  # type: ignore[arg-type]
    assert agent.told[1:] == [{"control": "cancel"}]
    assert report.exit_code == 130
    assert seen.notices == [
        "Cancelling on web1: stopping at the next safe point. Press Ctrl-C again to leave it to itself."
    ]


def test_the_second_ctrl_c_leaves_and_says_that_the_run_goes_on() -> None:
    agent, seen = working(), Seen(presses=2)
    agent.send = agent.told.append  # type: ignore[method-assign,assignment]
    with pytest.raises(Cancelled) as error:
        Fleet([host()], lambda _: agent, seen).run(request_for)  # type: ignore[arg-type]
    assert str(error.value) == (
        "Not watching web1 any more: the run there goes on to its next safe point and stops.\n"
        "  The same command attaches to it, shows what it did, and goes on from there."
    )
    assert error.value.exit_code == 130


def test_ctrl_c_while_connecting_starts_nothing() -> None:
    connected, agent = threading.Event(), working()
    threads: list[threading.Thread] = []

    def connect(_: Host) -> Agent:
        threads.append(threading.current_thread())
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        connected.wait(10)
        return agent

    with pytest.raises(Cancelled, match="Stopped before anything was started"):
        Fleet([host()], connect, Seen(0)).run(request_for)  # type: ignore[arg-type]
    connected.set()
    threads[0].join(5)
    assert agent.told == []


def test_a_word_waits_until_the_agent_listens() -> None:
    agent, seen = Agent(), Seen(0)
    fleet = Fleet([host()], lambda _: agent, seen)  # type: ignore[arg-type]
    noticed = seen.notice

    def notice(text: str) -> None:
        noticed(text)
        assert [frame for frame in agent.told if "control" in frame] == []
        agent.says.put(HELLO)

    seen.notice = notice  # type: ignore[method-assign]
    send = agent.send

    def asked(data: bytes) -> None:
        send(data)
        if len(agent.told) == 1:  # the request: nothing has answered yet
            os.kill(os.getpid(), signal.SIGINT)

    agent.send = asked  # type: ignore[method-assign]
    assert fleet.run(request_for).exit_code == 130
    assert agent.told[-1] == {"control": "cancel"}


def test_a_question_is_given_up_without_a_word() -> None:
    agent, seen = working(), Seen(presses=1)
    report = Fleet([host()], lambda _: agent, seen, lasting=False).run(request_for)  # type: ignore[arg-type]
    assert report.exit_code == 130
    assert seen.notices == []


@pytest.mark.parametrize("lasting", [True, False])
@pytest.mark.parametrize("told", [[HELLO], [HELLO, STARTED]], ids=["asked", "started"])
def test_a_lost_connection_says_what_goes_on(lasting: bool, told: list[events.Event]) -> None:
    agent, seen = Agent(), Seen(presses=0)
    agent.lines = lambda: iter([wire.line(event.to_wire())[:-1] for event in told])  # type: ignore[method-assign]
    report = Fleet([host()], lambda _: agent, seen, lasting=lasting).run(request_for)  # type: ignore[arg-type]
    assert report.exit_code == 3
    goes_on = (
        "web1  connection lost; what was started goes on at the server\n"
        "  Watch it with the same command: it attaches, nothing runs twice."
    )
    assert seen.errors == [goes_on if lasting and STARTED in told else "web1  connection lost\n  Try again."]


def test_a_host_that_is_down_is_not_among_those_that_are_cancelled() -> None:
    agent, seen = working(), Seen(presses=1)
    down = threading.Event()

    def connect(wanted: Host) -> Agent:
        if wanted.name == "web2":
            down.set()
            raise HostUnreachable("nobody there")
        down.wait(10)
        return agent

    report = Fleet([host(), host("web2")], connect, seen).run(request_for)  # type: ignore[arg-type]
    assert seen.errors == ["web2  nobody there"]
    assert list(report.hosts) == ["web1", "web2"], "as they were named, not as they were heard of"
    assert seen.notices[0].startswith("Cancelling on web1: ")
    assert report.exit_code == 130


def test_ctrl_c_is_a_traceback_again_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)
    agent, seen = working(), Seen(presses=1)
    Fleet([host()], lambda _: agent, seen).run(request_for)  # type: ignore[arg-type]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_question_of_the_agent_is_answered_while_its_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from hostwright.run import outside

    agent, seen = working(), Seen(presses=0)
    asked: list[tuple[Any, ...]] = []
    told = threading.Event()

    def answer(*question: Any) -> dict[str, Any]:
        asked.append(question)
        return {"now": 1.0}

    def send(data: bytes) -> None:
        frame = wire.read_frame(iter_reader(data))
        assert isinstance(frame, dict)
        agent.told.append(frame)
        if frame.get("control") == "answer":
            told.set()
            agent.says.put(events.RunFinished("done", 1.0))

    monkeypatch.setattr(outside, "answer", answer)
    agent.send = send  # type: ignore[method-assign]
    agent.says.put(events.Asked("0a0b0c0d", "reachable", {"names": []}, 5.0))
    fleet = Fleet([host()], lambda _: agent, seen, names_of=lambda host: {host.name})  # type: ignore[arg-type, return-value]
    report = fleet.run(request_for)
    assert told.wait(5)
    assert asked == [("reachable", {"names": []}, 5.0, {host().name})]
    assert agent.told[1:] == [{"control": "answer", "id": "0a0b0c0d", "data": {"now": 1.0}}]
    assert report.exit_code == 0
