"""A process that does not stay up after the switch turns it back: the old release has the traffic again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hostwright.remote import events
from hostwright.remote.release.beside import Beside
from hostwright.remote.release.layout import Layout
from hostwright.remote.release.logs import _check_name, arguments
from hostwright.remote.release.record import Log
from hostwright.remote.release.shelf import Shelf
from hostwright.remote.run import StepError
from hostwright.remote.system import CommandFailed
from hostwright.testing import FakeSystem

from .test_transaction import ROOT, Story

REFUSED = StepError(
    "the process worker did not stay up: its program ended with exit code 1", ("boom",), refused=True
)


class Turned(Story):
    """`error` is what taking over ends with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> None:
        super().__init__(monkeypatch)
        self.did: list[tuple[str, str, str | None]] = []

        def take_over(beside: Beside, release: str, *, prove: bool = True) -> str:
            self.did.append(("prove" if prove else "give back", release, self.live))
            if error and prove:
                raise error
            return "worker"

        monkeypatch.setattr(Beside, "take_over", take_over)
        monkeypatch.setattr(Beside, "due", lambda beside, release: True)

    def said(self) -> list[str]:
        return [f"{e.step} {e.message}" for e in self.events if isinstance(e, events.StepFailed)]


def test_it_takes_over_after_the_switch_and_before_the_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Turned(monkeypatch)
    assert story.tell().outcome == "done"
    assert story.did == [("prove", "new", "releases/new")]
    steps = [event.step for event in story.events if isinstance(event, events.StepFinished)]
    assert steps == ["start", "health", "switch", "processes", "drain", "prune"]
    assert story.verdict() == ("good", "")


@pytest.mark.parametrize(
    ("error", "outcome", "verdict"),
    [(REFUSED, "refused", "bad"), (CommandFailed(("systemctl", "stop"), 1, ()), "failed", "failed")],
)
def test_it_is_turned_back(
    monkeypatch: pytest.MonkeyPatch, error: Exception, outcome: str, verdict: str
) -> None:
    story = Turned(monkeypatch, error)
    finished = story.tell()
    assert (finished.outcome, finished.state) == (outcome, "aaaaaaa is live again")
    assert story.did == [("prove", "new", "releases/new"), ("give back", "old", "releases/old")]
    assert story.live == "releases/old"
    assert story.verdict()[0] == verdict
    # never a line that it went live
    assert Log(story.system, Layout("hello")).known()["new"].live is None
    # pages of the release that was live for a moment ask for its files
    assert story.system.readlink(f"{ROOT}/previous") == "releases/new"
    assert story.system.exists(f"{ROOT}/releases/new/release.json")
    # it had traffic: what it answers it may finish
    assert story.commands("stop") == ["hello@new.socket", "--no-block hello@new.service"]
    assert story.said()[0].startswith("processes ")


def test_the_first_release_is_turned_back_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Turned(monkeypatch, REFUSED)
    story.system.unlink(f"{ROOT}/current")
    story.system.put(f"{ROOT}/releases.jsonl", "")
    story.system.remove_tree(f"{ROOT}/releases/old")
    finished = story.tell()
    assert finished.outcome == "refused"
    assert finished.state.startswith("nothing is live yet")
    assert story.live is None
    assert story.did[-1] == ("give back", "", None)


# -- what it wrote -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "unit"),
    [
        ({"process": "worker"}, "hello.worker@*.service"),
        ({"process": "worker", "release": "r1"}, "hello.worker@r1.service"),
        ({}, "hello@r9.*"),
    ],
)
def test_the_lines_of_a_process(request_: dict[str, Any], unit: str) -> None:
    assert f"--unit={unit}" in arguments(Layout("hello"), request_, "r9")


def test_a_process_nobody_has() -> None:
    about = json.dumps({"processes": {"worker": {}}, "timers": {"nightly": {}}})
    folder = f"{ROOT}/releases/r1"
    parts = ("code", "venv/bin/python", "gunicorn.conf.py", "env")
    system = FakeSystem(files={f"{folder}/release.json": about, **{f"{folder}/{part}": "" for part in parts}})
    shelf = Shelf(system, Layout("hello"))
    _check_name(shelf, {"app": "hello", "process": "nightly"})
    with pytest.raises(StepError) as caught:
        _check_name(shelf, {"app": "hello", "process": "web"})
    assert caught.value.message == "hello has no process or timer 'web'"
    assert caught.value.hint == "There are: nightly, worker"
