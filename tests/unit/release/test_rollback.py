"""Choosing what to roll back to, on a server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hostwright.remote import events
from hostwright.remote.release.environment import environment_file, variables
from hostwright.remote.release.rollback import select
from hostwright.remote.release.transaction import Transaction
from hostwright.remote.run import Run, StepError
from hostwright.testing import FakeSystem

ROOT = "/srv/hello"
COMMITS = {"r1": "a" * 40, "r2": "b" * 40}
ENV = {"GREETING": "Hi", "TOKEN": "s3cret"}


class Story:
    """Two releases, the second one live, and a rollback."""

    def __init__(
        self, env: dict[str, str] | None = None, live: str = "r2", log: Any = (), **request: Any
    ) -> None:
        entries: list[dict[str, Any]] = [
            {"did": "live", "id": "r1", "commit": COMMITS["r1"], "subject": "one"}
        ]
        entries += log
        entries.append({"did": "live", "id": "r2", "commit": COMMITS["r2"], "subject": "two", "before": "r1"})
        files: dict[str, Any] = {
            f"{ROOT}/releases.jsonl": "".join(json.dumps(entry) + "\n" for entry in entries),
            "/run/hello": None,
        }
        for name, commit in COMMITS.items():
            values = {**(env if env is not None and name == "r2" else ENV), "HOSTWRIGHT_RELEASE": name}
            files |= self.folder(name, {**values, "HOSTWRIGHT_COMMIT": commit})
        if live:
            files[f"{ROOT}/current"] = {"link": f"releases/{live}"}
        self.heard: list[events.Event] = []
        asked = {"app": "hello", "by": "bob@ci", "keep_releases": 5, "stamp": "20261121t141502417", **request}
        self.system = FakeSystem(
            files=files, commands={"systemctl list-units ...": "", "systemctl show ...": ""}
        )
        self.rollback = Transaction(asked, self.system, Run(self.heard.append, lambda: False), "rollback")
        self.rollback.before = live

    @staticmethod
    def folder(name: str, values: dict[str, str]) -> dict[str, Any]:
        folder = f"{ROOT}/releases/{name}"
        about = {"id": name, "commit": COMMITS[name], "by": "ann@laptop", "release_command": ["alembic"]}
        about["properties"] = [f"WorkingDirectory={folder}/code"]
        return {
            f"{ROOT}/trees/t{name[1:]}/app.py": "",
            f"{ROOT}/venvs/v1/bin/python": "",
            f"{folder}/release.json": json.dumps(about),
            f"{folder}/code": {"link": f"../../trees/t{name[1:]}"},
            f"{folder}/venv": {"link": "../../venvs/v1"},
            f"{folder}/link.sock": {"link": f"/run/hello/{name}.sock"},
            f"{folder}/gunicorn.conf.py": f'bind = "unix:/run/hello/{name}.sock"\n',
            f"{folder}/env": {"content": environment_file(values), "mode": 0o600},
            f"{folder}/units/service.conf": "[Service]\n",
            f"{folder}/units/extra/hello-worker@{name}.service": f"WorkingDirectory={folder}/code\n",
        }

    def tell(self) -> str:
        return select(self.rollback)

    @property
    def notices(self) -> list[str]:
        return [event.message for event in self.heard if isinstance(event, events.Noticed)]


def test_to_the_previous_release() -> None:
    story = Story()
    assert story.tell() == "r1"
    (finished,) = [event for event in story.heard if isinstance(event, events.StepFinished)]
    assert finished.detail == 'r1  aaaaaaa "one"'
    assert story.notices == []


def test_to_a_commit() -> None:
    assert Story(to="aaaa").tell() == "r1"


def test_what_release_commands_did_since_then_is_said() -> None:
    """Of all releases in between, whatever became of them."""
    log = [
        {"did": "ran", "id": "r0", "command": ["alembic", "upgrade", "the head"]},
        {"did": "bad", "id": "r0", "commit": "c" * 40, "why": "GET /health -> 500"},
        {"did": "ran", "id": "r2", "command": ["./migrate"]},
    ]
    story = Story(log=log)
    story.tell()
    said = "%s ran its release command, and a rollback does not undo that: %s"
    assert story.notices == [
        said % ("ccccccc", "alembic upgrade 'the head'"),
        said % ("bbbbbbb", "./migrate"),
    ]


def test_nothing_was_deployed() -> None:
    with pytest.raises(StepError) as error:
        Story(live="").tell()
    assert error.value.message == "nothing was deployed yet"


def test_damaged() -> None:
    story = Story()
    story.system.remove_tree(f"{ROOT}/trees/t1")
    with pytest.raises(StepError) as error:
        Story.tell(story)
    assert error.value.message == "there is no release to go back to"
    story.rollback.request = {**story.rollback.request, "to": "r1"}
    with pytest.raises(StepError) as error:
        Story.tell(story)
    assert error.value.message == "r1 is damaged: its code is missing on this server"


# -- environment -------------------------------------------------------------------------------------------------

TODAY = {"GREETING": "Hello", "TOKEN": "s3cret", "NEW": 'a "quoted" $value\n'}


def test_variables_that_differ_are_named() -> None:
    story = Story(env=TODAY)
    assert story.tell() == "r1"
    assert story.notices == [
        "it goes back with its own environment, which differs from today's: GREETING, NEW"
    ]
    hints = [event.hint for event in story.heard if isinstance(event, events.Noticed)]
    assert hints == ["With today's: inv rollback --keep-env"]
    assert "s3cret" not in repr([event.to_wire() for event in story.heard])


def test_with_todays_environment_a_release_is_made() -> None:
    story = Story(env=TODAY, keep_env=True)
    made = "20261121t141502417-aaaaaaa"
    assert story.tell() == made
    assert (story.rollback.of, story.rollback.made, story.rollback.release) == ("r1", True, made)
    folder = f"{ROOT}/releases/{made}"
    system = story.system
    assert variables((system.read(f"{folder}/env") or b"").decode()) == {
        **TODAY, "HOSTWRIGHT_RELEASE": made, "HOSTWRIGHT_COMMIT": COMMITS["r1"],
    }  # fmt: skip
    found = system.stat(f"{folder}/env")
    assert found is not None
    assert found.mode == 0o600
    about = json.loads(system.read(f"{folder}/release.json") or b"")
    assert (about["id"], about["by"], about["commit"]) == (made, "bob@ci", COMMITS["r1"])
    assert about["release_command"] == []
    assert about["properties"] == [f"WorkingDirectory={folder}/code"]
    assert system.readlink(f"{folder}/link.sock") == f"/run/hello/{made}.sock"
    assert system.readlink(f"{folder}/code") == "../../trees/t1"
    assert system.listdir(f"{folder}/units/extra") == [f"hello-worker@{made}.service"]
    texts = [content for path, node in system.nodes.items() if path.startswith(folder)
             for content in [node.get("content", b"")]]  # fmt: skip
    assert not any(b"/r1" in text for text in texts)
    assert system.listdir(f"{ROOT}/releases") == [made, "r1", "r2"]


def test_the_same_environment_needs_no_new_release() -> None:
    assert Story(keep_env=True).tell() == "r1"


def test_an_id_that_is_taken_is_left_to_the_other_run() -> None:
    story = Story(env=TODAY, keep_env=True)
    story.system.put(f"{ROOT}/releases/20261121t141502417-aaaaaaa", None)
    assert story.tell() == "20261121t141502418-aaaaaaa"
