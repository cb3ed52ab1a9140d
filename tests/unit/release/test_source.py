"""Getting the commit onto the server, before the worker starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hostwright.remote import events
from hostwright.remote.release import source as module
from hostwright.remote.release.layout import Layout
from hostwright.remote.release.source import check_provisioned, prepare
from hostwright.remote.run import StepError
from hostwright.testing import FakeSystem

from .repositories import Work
from .test_git import Plain, pack

RELEASE = {"id": "20261121t141502-4f2c1d9", "files": {}}


class Controller:
    """Answers what an agent asks."""

    def __init__(self, work: Work, commit: str) -> None:
        self.work, self.commit = work, commit
        self.heard: list[events.Event] = []

    def emit(self, event: events.Event) -> None:
        self.heard.append(event)

    def receive_stream(self) -> Iterator[bytes]:
        yield pack(self.work, self.commit)

    def receive(self) -> dict[str, Any]:
        return {"release": RELEASE}


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plain:
    """A server that is provisioned, whose /srv/hello is a temporary folder."""
    monkeypatch.setattr(module, "check_provisioned", lambda system, layout: None)
    original = Layout.__init__

    def elsewhere(self: Layout, app: str) -> None:
        original(self, app)
        self.root = str(tmp_path / "srv")
        self.repository = self.root + "/repo.git"
        self.releases, self.current = self.root + "/releases", self.root + "/current"

    monkeypatch.setattr(Layout, "__init__", elsewhere)
    (tmp_path / "srv").mkdir()
    return Plain()


def request(tmp_path: Path, commit: str, **more: str) -> dict[str, Any]:
    return {
        "app": "hello", "source": {"kind": "push", "commit": commit}, "directory": ".", "module": "app.main:app",
        "requirements": "requirements.txt", "paths": {"runtime": str(tmp_path / "run"), "state": str(tmp_path)}, **more,
    }  # fmt: skip


def test_the_commit_is_asked_for_once(tmp_path: Path, system: Plain) -> None:
    work = Work(tmp_path / "work")
    first = work.commit("first")
    controller = Controller(work, first)
    found = prepare(request(tmp_path, first), system, controller)  # type: ignore[arg-type]
    assert controller.heard == [events.SourceNeeded(first, []), events.SourceReady(first, "first", None)]
    assert (found["commit"], found["subject"], found["release"]) == (first, "first", RELEASE)
    again = Controller(work, first)
    prepare(request(tmp_path, first), system, again)  # type: ignore[arg-type]
    assert [event.event for event in again.heard] == ["source_ready"]
    work.write("n", "")
    second = work.commit("second")
    third = Controller(work, second)
    prepare(request(tmp_path, second), system, third)  # type: ignore[arg-type]
    assert third.heard[0] == events.SourceNeeded(second, [first])


def test_what_is_live_is_told(tmp_path: Path, system: Plain) -> None:
    work = Work(tmp_path / "work")
    commit = work.commit()
    folder = tmp_path / "srv/releases/r1"
    folder.mkdir(parents=True)
    (folder / "release.json").write_text('{"commit": "abc", "subject": "before"}')
    (tmp_path / "srv/current").symlink_to("releases/r1")
    controller = Controller(work, commit)
    prepare(request(tmp_path, commit), system, controller)  # type: ignore[arg-type]
    ready = controller.heard[-1]
    assert isinstance(ready, events.SourceReady)
    assert ready.current == {"id": "r1", "commit": "abc", "subject": "before"}


def test_what_cannot_be_deployed_is_refused_on_the_server_too(tmp_path: Path, system: Plain) -> None:
    work = Work(tmp_path / "work")
    commit = work.commit()
    with pytest.raises(StepError, match=r"shop\.main: there is no shop/main\.py in this commit"):
        prepare(request(tmp_path, commit, module="shop.main:app"), system, Controller(work, commit))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "missing",
    ["user", "/srv/hello/releases", "/etc/systemd/system/hello@.service", "/opt/hostwright/uv/bin/uv"],
)
def test_a_server_that_is_not_provisioned(missing: str) -> None:
    paths = ("/srv/hello/releases", "/etc/systemd/system/hello@.service", "/opt/hostwright/uv/bin/uv")
    users = {} if missing == "user" else {"hello": (999, 999, "/var/lib/hello", "/usr/sbin/nologin")}
    full = FakeSystem(files=dict.fromkeys(paths, ""), users={"hello": (999, 999, "/", "/")})
    check_provisioned(full, Layout("hello"))
    system = FakeSystem(files=dict.fromkeys([path for path in paths if path != missing], ""), users=users)
    with pytest.raises(StepError) as error:
        check_provisioned(system, Layout("hello"))
    assert error.value.message == "this server is not provisioned for the app hello"
    assert error.value.hint == "First: inv provision --host HOST"
