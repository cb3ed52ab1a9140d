"""A run asks the controller: the question goes down as an event, the answer comes up as a control frame."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hostwright.remote import asked, events, lock, wire
from hostwright.remote.conversation import Conversation
from hostwright.remote.paths import Paths
from hostwright.remote.run import Run
from hostwright.remote.session import Session


class Asks:
    """A run in a thread that asks one question; a session beside it, which the controller speaks to."""

    def __init__(self, folder: Path, timeout: float = 5.0) -> None:
        self.paths = Paths(str(folder / "state"), str(folder / "run"))
        self.paths.make()
        self.heard: list[events.Event] = []
        self.cancelled = False
        self.watched = True
        asking = asked.Asking(
            lambda name: self.paths.answer("r1", name), lambda: self.watched, lambda: self.cancelled
        )
        self.run = Run(self.heard.append, lambda: self.cancelled, asking=asking)
        self.answer: Any = "none yet"
        self.thread = threading.Thread(target=self._ask, args=(timeout,))
        up, self.controller = os.pipe()
        self.session = Session(Conversation(up, 1), self.paths)

    def _ask(self, timeout: float) -> None:
        self.answer = self.run.ask("reachable", {"names": ["a.test"]}, timeout)

    def question(self) -> events.Asked:
        self.thread.start()
        end = time.monotonic() + 5
        while not self.heard:
            assert time.monotonic() < end
            time.sleep(0.01)
        (event,) = self.heard
        assert isinstance(event, events.Asked)
        return event

    def say(self, **frame: Any) -> str:
        os.write(self.controller, wire.message(frame))
        return self.session._control(lambda: None, "r1")

    def end(self) -> Any:
        self.thread.join(10)
        assert not self.thread.is_alive()
        return self.answer


def test_question_and_answer(tmp_path: Path) -> None:
    asks = Asks(tmp_path)
    question = asks.question()
    assert (question.question, question.data, question.timeout) == ("reachable", {"names": ["a.test"]}, 5.0)
    assert events.from_wire(json.loads(json.dumps(question.to_wire()))) == question
    assert asks.say(control="answer", id=question.id, data={"now": 1}) == "answer"
    assert asks.end() == {"now": 1}
    assert list(Path(asks.paths.live).glob("*answer*")) == []


@pytest.mark.parametrize(
    "frame",
    [
        {"id": "../../etc", "data": {}},
        {"id": "00000000", "data": []},
        {"id": "00000000", "data": {"x": "y" * (asked.LARGEST + 1)}},
        {},
    ],
)
def test_what_is_no_answer_of_ours_is_passed_over(tmp_path: Path, frame: dict[str, Any]) -> None:
    asks = Asks(tmp_path)
    assert asks.say(control="answer", **frame) == "answer"
    assert list(Path(asks.paths.live).iterdir()) == []


def test_an_answer_to_another_question_is_none(tmp_path: Path) -> None:
    asks = Asks(tmp_path, timeout=0.5)
    asks.question()
    asks.say(control="answer", id="00000000", data={"now": 1})
    assert asks.end() is None


def test_nobody_watches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "UNWATCHED", 0.2)
    asks = Asks(tmp_path, timeout=60)
    asks.watched = False
    began = time.monotonic()
    asks.question()
    assert asks.end() is None
    assert time.monotonic() - began < 5


def test_a_cancelled_run_does_not_wait(tmp_path: Path) -> None:
    asks = Asks(tmp_path, timeout=60)
    asks.question()
    asks.cancelled = True
    assert asks.end() is None


def test_a_run_without_a_controller_has_nobody_to_ask() -> None:
    heard: list[events.Event] = []
    assert Run(heard.append, lambda: False).ask("reachable", {}, 5.0) is None
    assert heard == []


def test_a_viewer_is_seen(tmp_path: Path) -> None:
    """As worker.py tells whether somebody watches: sessions hold a shared lock."""
    path = str(tmp_path / "viewer")
    assert not lock.held(path)
    handle = lock.hold(path, exclusive=False)
    assert lock.held(path)
    assert handle is not None
    os.close(handle)
    assert not lock.held(path)
