"""Releases of what is there already: restart, ids that two runs want, pruning on demand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hostwright.remote import events
from hostwright.remote.release import clean
from hostwright.remote.release.identity import free, own
from hostwright.remote.release.layout import Layout
from hostwright.remote.release.restart import build, job, prepare
from hostwright.remote.release.transaction import Transaction
from hostwright.remote.run import Run, StepError
from hostwright.testing import FakeSystem

from .test_queries import Controller
from .test_rollback import COMMITS, ROOT, Story

ID = "20261121t141502417-bbbbbbb"


def request(system: FakeSystem, greeting: str = "Hi") -> dict[str, Any]:
    text = f'GREETING="{greeting}"\nTOKEN="s3cret"\nHOSTWRIGHT_RELEASE="{ID}"\n'
    files = {
        "gunicorn.conf.py": {"content": f"# {ID}\n", "mode": 0o644},
        "units/service.conf": {"content": "[Service]\nMemoryMax=1G\n", "mode": 0o644},
        "units/socket.conf": {"content": "", "mode": 0o644},
        "env": {"content": text, "mode": 0o600},
    }
    return {
        "app": "hello", "by": "bob@ci", "keep_releases": 5, "drain": 30, "switch": "overlap", "live": "r2",
        "commit": COMMITS["r2"], "subject": "two", "release_command": ["./migrate"],
        "health": {"path": "/", "expect": 200, "contains": "{release} of {commit}"},
        "release": {"id": ID, "files": files, "properties": [f"WorkingDirectory={ROOT}/releases/{ID}/code"]},
    }  # fmt: skip


def server() -> FakeSystem:
    system = Story().system
    about = json.loads(system.read(f"{ROOT}/releases/r2/release.json") or b"")
    about |= {"tree": "t2", "venv": "v1", "assets": "a1", "given": "digest"}
    system.put(f"{ROOT}/releases/r2/release.json", json.dumps(about))
    system.put(f"{ROOT}/releases/r2/requirements.lock", "flask==3.0\n")
    system.put(f"{ROOT}/releases/r2/code", {"link": "../../trees/t2"})
    return system


def restart(system: FakeSystem, asked: dict[str, Any]) -> tuple[str, list[events.Event]]:
    heard: list[events.Event] = []
    transaction = Transaction(asked, system, Run(heard.append, lambda: False), "restart")
    transaction.before = "r2"
    return build(transaction), heard


def test_a_restart_is_a_release_of_what_is_live() -> None:
    system = server()
    release, heard = restart(system, request(system, "Hello"))
    assert release == ID
    folder = f"{ROOT}/releases/{ID}"
    assert system.readlink(f"{folder}/code") == "../../trees/t2"
    assert system.readlink(f"{folder}/venv") == "../../venvs/v1"
    assert system.readlink(f"{folder}/link.sock") == f"/run/hello/{ID}.sock"
    assert system.readlink(f"{folder}/public") == "../../assets/a1"
    assert system.read(f"{folder}/requirements.lock") == b"flask==3.0\n"
    assert system.read(f"{folder}/units/service.conf") == b"[Service]\nMemoryMax=1G\n"
    about = json.loads(system.read(f"{folder}/release.json") or b"")
    assert (about["tree"], about["venv"], about["given"]) == ("t2", "v1", "digest")
    assert about["release_command"] == [], "nothing of that kind runs in a restart"
    assert about["health"]["contains"] == f"{ID} of {COMMITS['r2']}"
    notices = [event.message for event in heard if isinstance(event, events.Noticed)]
    assert notices == ["environment: GREETING changed"]
    assert "s3cret" not in repr([event.to_wire() for event in heard])


def test_a_restart_that_changes_nothing_says_so() -> None:
    system = server()
    _, heard = restart(system, request(system))
    assert [event.message for event in heard if isinstance(event, events.Noticed)] == [
        "environment as it was"
    ]


def test_another_release_went_live_meanwhile() -> None:
    system = server()
    with pytest.raises(StepError) as error:
        restart(system, {**request(system), "live": "r1"})
    assert error.value.message == "r2 went live meanwhile"


def test_a_damaged_release_is_not_restarted() -> None:
    system = server()
    system.remove_tree(f"{ROOT}/venvs/v1")
    system.unlink(f"{ROOT}/releases/r2/requirements.lock")
    with pytest.raises(StepError) as error:
        restart(system, request(system))
    assert error.value.message == "r2 is damaged: its venv/bin/python is missing"
    assert error.value.hint == "inv deploy makes a new release."


def provisioned(system: FakeSystem) -> FakeSystem:
    system.happen({"users": {"hello": (990, 990, "/var/lib/hello", "/bin/false")}})
    system.put("/etc/systemd/system/hello@.service", "")
    system.put("/opt/hostwright/uv/bin/uv", "")
    return system


def test_the_controller_is_told_what_is_live() -> None:
    controller = Controller()
    controller.say(release={"id": ID, "files": {}})
    found = prepare({"app": "hello"}, provisioned(server()), controller.conversation)
    assert (found["live"], found["commit"], found["release"]["id"]) == ("r2", COMMITS["r2"], ID)
    (told,) = controller.heard()
    assert isinstance(told, events.SourceReady)
    assert told.commit == COMMITS["r2"]
    controller.close()


def test_nothing_to_restart_yet() -> None:
    controller = Controller()
    system = provisioned(FakeSystem(files={f"{ROOT}/releases": None}))
    with pytest.raises(StepError) as error:
        prepare({"app": "hello"}, system, controller.conversation)
    assert (error.value.message, error.value.hint) == (
        "nothing was deployed yet", "inv deploy makes the first release.",
    )  # fmt: skip
    controller.close()


# -- ids ---------------------------------------------------------------------------------------------------------


def test_of_two_runs_in_one_millisecond_the_later_gets_another_id() -> None:
    system = server()
    asked = request(system)
    assert own(asked, system) == asked
    system.put(f"{ROOT}/releases/{ID}", None)
    next_one = ID.replace("417", "418")
    found = own(asked, system)
    assert found["release"]["id"] == next_one
    assert next_one in found["release"]["files"]["env"]["content"]
    assert ID not in json.dumps(found["release"])
    system.put(f"{ROOT}/releases.jsonl", json.dumps({"did": "failed", "id": next_one}) + "\n")
    assert free(system, Layout("hello"), ID) == ID.replace("417", "419"), "what went wrong keeps its id too"


def test_the_last_millisecond_of_a_second() -> None:
    system = FakeSystem(files={f"{ROOT}/releases/20261121t000000999-bbbbbbb": None})
    assert free(system, Layout("hello"), "20261121t000000999-bbbbbbb") == "20261121t000001000-bbbbbbb"


def test_a_restart_is_undone_when_nothing_of_it_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    system = server()
    heard: list[events.Event] = []
    system.commands["systemctl list-units ..."] = (
        "hello@r2.socket loaded active running x\nhello@r2.service loaded active running x\n"
    )
    system.put("/run/systemd/system", None)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device", f"{ROOT}/releases")

    monkeypatch.setattr(system, "write_atomic", full)
    finished = job(request(system), system, Run(heard.append, lambda: False))
    assert (finished.outcome, finished.state) == ("failed", "bbbbbbb is live; nothing was switched")
    assert system.listdir(f"{ROOT}/releases") == ["r1", "r2"]


# -- prune -------------------------------------------------------------------------------------------------------


def test_prune_says_what_went_and_what_that_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    system = provisioned(server())
    entries = [
        {"did": "live", "id": name, "commit": name * 7, "subject": name} for name in ("r0", "r1", "r2")
    ]
    entries[2]["before"] = "r1"
    system.put(f"{ROOT}/releases.jsonl", "".join(json.dumps(entry) + "\n" for entry in entries))
    system.put(f"{ROOT}/releases/r0/release.json", json.dumps({"id": "r0", "tree": "tr0"}))
    system.put(f"{ROOT}/trees/tr0/app.py", "")
    system.put("/run/systemd/system", None)
    system.commands["systemctl list-units ..."] = (
        "hello@r2.socket loaded active running x\nhello@r2.service loaded active running x\n"
    )
    system.commands["du ..."] = [f"9000\t{ROOT}/trees\n", f"5000\t{ROOT}/trees\n"]
    heard: list[events.Event] = []
    run = Run(heard.append, lambda: False)
    finished = clean.job({"app": "hello", "keep_releases": 1}, system, run)
    assert (finished.outcome, finished.changed) == ("done", 1)
    assert finished.state == "1 release removed, 3.9 MiB freed"
    assert finished.data["removed"] == ["r0"]
    assert finished.data["freed"] == 4000 * 1024
    assert [event.message for event in heard if isinstance(event, events.Noticed)] == [
        'removed r0  r0r0r0r "r0"'
    ]
    # the way back stays, whatever `keep` says
    assert system.listdir(f"{ROOT}/releases") == ["r1", "r2"]
    system.commands["du ..."] = [f"5000\t{ROOT}/trees\n"] * 2
    again = clean.job({"app": "hello", "keep_releases": 1}, system, run)
    assert (again.state, again.changed) == ("nothing to remove", 0)
