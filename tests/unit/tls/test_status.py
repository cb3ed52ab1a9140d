"""What a server answers to `inv cert.status`."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from hostwright.remote import events
from hostwright.remote.tls import served, status
from hostwright.testing.system import FakeSystem
from tests.unit.tls.certificates import NOW, der, make, name, pem

PATH = "/etc/letsencrypt/live/hello/fullchain.pem"
APP = {
    "name": "hello",
    "kind": "acme",
    "certificate": PATH,
    "names": ["example.com", "b.example.com"],
    "addresses": [],
}
OURS = make(["example.com", "b.example.com"], subject=name("ours"))
OLD = make(["example.com"], subject=name("old"))
SHOW = "systemctl show ..."
SHOWN = """\
Id=nginx.service
LoadState=loaded
ActiveState=active
Result=success
ExecMainStatus=0
ExecMainExitTimestamp=

Id=hostwright-certbot.timer
LoadState=loaded
ActiveState=active
NextElapseUSecRealtime=Sun 2026-11-22 03:12:00 UTC

Id=hostwright-certbot.service
LoadState=loaded
ActiveState=inactive
Result=exit-code
ExecMainStatus=1
ExecMainExitTimestamp=Sat 2026-11-21 03:12:41 UTC
"""


class Heard:
    """A conversation that keeps what is said."""

    def __init__(self) -> None:
        self.events: list[events.Event] = []

    def emit(self, event: events.Event) -> None:
        self.events.append(event)


@pytest.fixture
def nginx(monkeypatch: pytest.MonkeyPatch) -> dict[str, served.Answer]:
    """name -> what nginx answers; add to it."""
    answers: dict[str, served.Answer] = {}

    def handshake(target: str, address: str, port: int) -> served.Answer:
        return answers.get(target) or served.Answer(target, "nothing listens on port 443")

    monkeypatch.setattr(served, "handshake", handshake)
    monkeypatch.setattr(served, "whole_chain", lambda system, answer: answer.chain)
    return answers


def answer(system: FakeSystem, *apps: Any) -> dict[str, Any]:
    heard = Heard()
    finished = status.query({"apps": [*apps]}, system, heard)  # type: ignore[arg-type]
    assert finished.outcome == "done"
    (answered,) = heard.events
    assert isinstance(answered, events.Answered)
    return json.loads(json.dumps(dict(answered.data)))


def serves(name: str, *certificates: Any) -> served.Answer:
    return served.Answer(name, version="TLSv1.3", chain=[der(one) for one in certificates])


def test_everything_about_one_app(nginx: dict[str, served.Answer]) -> None:
    nginx.update({"example.com": serves("example.com", OURS), "b.example.com": serves("b.example.com", OLD)})
    system = FakeSystem({PATH: pem(OURS)}, commands={SHOW: SHOWN}, now=NOW.timestamp())
    found = answer(system, APP)
    assert found["nginx"] is True
    assert found["now"] == NOW.timestamp()
    assert found["renewal"] == {
        "there": True, "active": True, "next": 1795317120.0, "running": False, "result": "exit-code", "status": 1,
        "last": 1795230761.0,
    }  # fmt: skip
    app = found["apps"]["hello"]
    assert app["file"]["names"] == ["example.com", "b.example.com"]
    assert (app["path"], app["readable"], app["missing"], app["failures"], app["retry_after"]) == (
        PATH,
        True,
        [],
        [],
        None,
    )
    assert base64.b64decode(app["chain"][0]) == der(OURS)
    same, other = app["served"]
    assert same == {
        "name": "example.com", "problem": "", "version": "TLSv1.3", "fingerprint": app["file"]["fingerprint"],
        "same": True, "certificate": None,
    }  # fmt: skip
    assert (other["same"], other["certificate"]["subject"]) == (False, "old")
    assert [base64.b64decode(one) for one in app["sent"]] == [der(OURS)]
    assert len([argv for argv in system.ran if argv[0] == "systemctl"]) == 1


def test_a_server_that_was_never_provisioned(nginx: dict[str, served.Answer]) -> None:
    shown = "Id=nginx.service\nLoadState=not-found\nActiveState=inactive\n"
    found = answer(FakeSystem(commands={SHOW: shown}), APP)
    app = found["apps"]["hello"]
    assert (found["nginx"], app["file"], app["readable"], app["chain"], app["sent"]) == (
        False,
        None,
        True,
        [],
        None,
    )
    assert [one["problem"] for one in app["served"]] == ["nothing listens on port 443"] * 2
    assert found["renewal"]["there"] is False
    assert found["renewal"]["result"] == ""


def test_a_file_that_is_damaged(nginx: dict[str, served.Answer]) -> None:
    found = answer(FakeSystem({PATH: "oops"}, commands={SHOW: ""}), APP)["apps"]["hello"]
    assert (found["file"], found["readable"]) == (None, False)


def test_names_that_are_not_in_it(nginx: dict[str, served.Answer]) -> None:
    app = {**APP, "addresses": ["203.0.113.7"]}
    found = answer(FakeSystem({PATH: pem(OLD)}, commands={SHOW: ""}), app)["apps"]["hello"]
    assert found["missing"] == ["b.example.com", "203.0.113.7"]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"failures": 3}', '{"failures": [3]}'])
def test_what_is_remembered_may_be_damaged(content: str) -> None:
    system = FakeSystem({status.REMEMBERED % "hello": content})
    assert status.remembered(system, "hello") == {"failures": [], "retry_after": None}


def test_what_is_remembered() -> None:
    failure = {"at": 5.0, "names": ["example.com"], "reason": "403"}
    kept = {"failures": [failure], "retry_after": 99.0, "limits": []}
    system = FakeSystem({status.REMEMBERED % "hello": json.dumps(kept)})
    assert status.remembered(system, "hello") == {"failures": [failure], "retry_after": 99.0}
