"""Getting the commit onto the server, before the worker starts."""

from __future__ import annotations

import json
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
        "requirements": "requirements.txt", "runtime": ["gunicorn>=23"], "secrets": [],
        "paths": {"runtime": str(tmp_path / "run"), "state": str(tmp_path)}, **more,
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


class Answers(Controller):
    """Answers with what the test says, one after the other."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.heard: list[events.Event] = []

    def receive(self) -> dict[str, Any]:
        return self.answers.pop(0)


def fetched(tmp_path: Path, work: Work) -> dict[str, Any]:
    source = {"kind": "git", "url": f"file://{work.folder}", "ref": "main"}
    return {**request(tmp_path, ""), "source": source}


def test_a_branch_that_moved_between_two_hosts(tmp_path: Path, system: Plain) -> None:
    """This host comes later than the first one, and fetched what nobody else gets."""
    work = Work(tmp_path / "work")
    first, second = work.commit("first"), work.commit("second")
    controller = Answers({"commit": first}, {"release": RELEASE})
    found = prepare(fetched(tmp_path, work), system, controller)  # type: ignore[arg-type]
    assert (found["commit"], found["subject"]) == (first, "first")
    assert controller.heard == [
        events.SourceReady(second, "second"),
        events.Noticed(f"the branch moved meanwhile: all hosts get {first[:7]}"),
        events.SourceReady(first, "first"),
    ]


def test_a_branch_that_moved_after_this_host_fetched_it(tmp_path: Path, system: Plain) -> None:
    work = Work(tmp_path / "work")
    first = work.commit("first")

    class Moves(Answers):
        def receive(self) -> dict[str, Any]:
            if len(self.answers) == 2:
                self.answers[0]["commit"] = work.commit("second")
            return super().receive()

    controller = Moves({}, {"release": RELEASE})
    found = prepare(fetched(tmp_path, work), system, controller)  # type: ignore[arg-type]
    assert found["commit"] != first
    assert found["subject"] == "second"


def test_a_commit_that_is_gone_from_the_repository(tmp_path: Path, system: Plain) -> None:
    work = Work(tmp_path / "work")
    work.commit("first")
    with pytest.raises(StepError, match="there is no 00000"):
        prepare(fetched(tmp_path, work), system, Answers({"commit": "0" * 40}))  # type: ignore[arg-type]


def test_the_other_commit_is_checked_too(tmp_path: Path, system: Plain) -> None:
    work = Work(tmp_path / "work")
    good = work.commit("first")
    (work.folder / "app" / "main.py").unlink()
    bad = work.commit("without the module")
    request = {
        **fetched(tmp_path, work),
        "source": {"kind": "git", "url": f"file://{work.folder}", "ref": good},
    }
    with pytest.raises(StepError, match=r"there is no app/main\.py in this commit"):
        prepare(request, system, Answers({"commit": bad}))  # type: ignore[arg-type]


# -- packages that several hosts share ---------------------------------------------------------------------------------

LOCK = "flask==3.1.0 --hash=sha256:aa\ngunicorn==27 --hash=sha256:bb\n"


def test_what_a_host_has_is_told_to_the_others(tmp_path: Path, system: Plain) -> None:
    work = Work(tmp_path / "work")
    commit = work.commit()
    several = {**request(tmp_path, commit), "share": True}
    controller = Answers({"release": RELEASE, "leads": True})
    controller.work, controller.commit = work, commit
    found = prepare(several, system, controller)  # type: ignore[arg-type]
    (ready,) = [event for event in controller.heard if isinstance(event, events.SourceReady)]
    assert ready.lock is not None
    assert ready.lock["text"] == ""
    assert (found["given"], found["lock"]) == (ready.lock["given"], None), "it finds them for the others"

    folder = tmp_path / "srv/releases/r1"
    (folder / "venv/bin").mkdir(parents=True)
    for name in ("code", "venv/bin/python", "gunicorn.conf.py", "env"):
        (folder / name).touch()
    (folder / "release.json").write_text(json.dumps({"given": ready.lock["given"]}))
    (folder / "requirements.lock").write_text(LOCK)
    controller = Answers({"release": RELEASE})
    found = prepare(several, system, controller)  # type: ignore[arg-type]
    assert controller.heard == [
        events.SourceReady(commit, "first", None, {"given": ready.lock["given"], "text": LOCK})
    ]
    assert (found["given"], found["lock"]) == ("", None)

    controller = Answers({"release": RELEASE, "lock": {"host": "web2", "text": "flask==3.0\n"}})
    found = prepare({**several, "secrets": ["3.1.0"]}, system, controller)  # type: ignore[arg-type]
    assert controller.heard[-1] == events.SourceReady(
        commit, "first", None, {"given": ready.lock["given"], "text": ""}
    ), "a lock that holds a secret stays where it is"
    assert found["lock"] == {"host": "web2", "text": "flask==3.0\n"}


def test_requirements_that_are_complete_need_no_agreement(tmp_path: Path, system: Plain) -> None:
    work = Work(tmp_path / "work")
    work.write("requirements.txt", LOCK)
    commit = work.commit()
    controller = Answers({"release": RELEASE})
    controller.work, controller.commit = work, commit
    prepare({**request(tmp_path, commit), "share": True}, system, controller)  # type: ignore[arg-type]
    assert controller.heard[-1] == events.SourceReady(commit, "first", None, None)


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
