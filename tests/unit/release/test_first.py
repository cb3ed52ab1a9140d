"""The environment of an app that was never deployed, made beside the provision."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest

from hostwright.remote import provision
from hostwright.remote.catalog import Catalog
from hostwright.remote.release import first
from hostwright.remote.release.dependencies import Lock
from hostwright.remote.release.first import FirstEnvironments, ready
from hostwright.remote.release.layout import Layout
from hostwright.remote.resources.directory import Directory
from hostwright.remote.run import Run

from .uv import FULL, Server, build, builds

ANSWER = {"lock": FULL, "modules": ["gunicorn"]}
THERE: dict[str, Any] = {
    "/usr/bin/python3": "",
    "/opt/hostwright/uv-1/bin/uv": "",
    "/srv/hello/venvs": None,
    "/srv/hello/releases": None,
    "/run/hello": None,
    "/proc/self/exe": {"link": "/usr/bin/python3.11"},
}


class Asked(Run):
    """A run whose controller answers as the test says."""

    def __init__(self, answer: dict[str, Any] | None) -> None:
        super().__init__(lambda event: None, lambda: False)
        self.answer = answer
        self.questions: list[tuple[str, Mapping[str, Any]]] = []

    def ask(self, question: str, data: Mapping[str, Any], timeout: float) -> dict[str, Any] | None:
        self.questions.append((question, data))
        return self.answer


def server(**files: Any) -> Server:
    return builds(Server({**THERE, **files}))


def made(system: Server, answer: dict[str, Any] | None) -> list[str]:
    """The environments that are there afterwards."""
    environments = FirstEnvironments(["hello"], system, Asked(answer), "/run/hostwright")
    environments._thread.join(10)
    environments.end()
    assert not system.exists("/srv/hello/build")
    return [name for name in system.listdir("/srv/hello/venvs") if name.endswith(".ok")]


def test_the_first_deploy_finds_it() -> None:
    system = server()
    assert len(made(system, ANSWER)) == 1
    done = len(system.ran)
    assert build(system, Lock(FULL, "g", "as committed")).reused
    assert len(system.ran) == done


@pytest.mark.parametrize("answer", [None, {}, {"lock": ""}, {"lock": FULL}, {"lock": FULL, "modules": "os"}])
def test_without_an_answer_nothing_is_made(answer: dict[str, Any] | None) -> None:
    system = server()
    assert made(system, answer) == []
    assert system.ran == []


def test_what_fails_leaves_nothing_and_is_not_told() -> None:
    system = Server(THERE, failing="no such package")
    assert made(system, ANSWER) == []
    assert system.listdir("/srv/hello/venvs") == []


def test_an_interpreter_that_was_updated_meanwhile_makes_none() -> None:
    """The deploy runs on the new one, and would not take what belongs to the old."""
    system = server(**{"/proc/self/exe": {"link": "/usr/bin/python3.11 (deleted)"}})
    assert made(system, ANSWER) == []


def test_what_has_not_begun_when_the_rest_is_done_never_does(monkeypatch: pytest.MonkeyPatch) -> None:
    system = server()
    system.happen({"removed": ["/opt/hostwright/uv-1/bin/uv"]})
    assert not ready(system, Layout("hello"))
    environments = FirstEnvironments(["hello"], system, Asked(ANSWER), "/run/hostwright")
    began = time.monotonic()
    environments.end()
    assert time.monotonic() - began < 5
    environments._thread.join(10)
    system.put("/opt/hostwright/uv-1/bin/uv", "")
    time.sleep(0.1)
    assert system.listdir("/srv/hello/venvs") == []


def test_what_takes_long_is_left_to_the_deploy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first, "PATIENCE", 0.05)
    system = server()

    def slow(system: Server, *_: object) -> None:
        end = time.monotonic() + 10
        while not system.cancelled() and time.monotonic() < end:
            time.sleep(0.01)
        stopped.append(system.cancelled())
        raise first.RunCancelled("stopped")

    stopped: list[bool] = []
    monkeypatch.setattr(first, "ensure_venv", slow)
    environments = FirstEnvironments(["hello"], system, Asked(ANSWER), "/run/hostwright")
    while not environments._building:
        time.sleep(0.001)
    began = time.monotonic()
    environments.end()
    assert time.monotonic() - began < 5
    assert stopped == [True]


def test_only_apps_that_were_never_deployed() -> None:
    apps = ("live", "failed", "new")
    catalog = Catalog(
        [Directory(name="/etc/x"), *(Directory(name=f"/srv/{app}", app=app) for app in apps)], []
    )
    system = Server(
        {
            "/srv/live/current": {"link": "releases/1"},
            "/srv/failed/releases/1": None,
            "/srv/new/releases": None,
        }
    )
    assert provision._never_deployed(catalog, system) == ["new"]
