"""Choosing what to roll back to, on a server."""

from __future__ import annotations

import json

import pytest

from hostwright.remote import events
from hostwright.remote.release.rollback import select
from hostwright.remote.release.transaction import Transaction
from hostwright.remote.run import Run, StepError
from hostwright.testing import FakeSystem

ROOT = "/srv/hello"


def rollback(ran: list[str] | None = None, live: str = "r2", to: str = "") -> tuple[str, list[events.Event]]:
    log = [{"did": "live", "id": "r1", "commit": "a" * 40, "subject": "one"}]
    log.append({"did": "live", "id": "r2", "commit": "b" * 40, "subject": "two", "before": "r1"})
    files: dict[str, object] = {f"{ROOT}/releases.jsonl": "".join(json.dumps(entry) + "\n" for entry in log)}
    for name, commit in (("r1", "a" * 40), ("r2", "b" * 40)):
        folder = f"{ROOT}/releases/{name}"
        about = {"id": name, "commit": commit, "release_command": ran if name == "r2" else []}
        files[f"{folder}/release.json"] = json.dumps(about)
        files |= {f"{folder}/{part}": "" for part in ("code", "venv/bin/python", "gunicorn.conf.py", "env")}
    if live:
        files[f"{ROOT}/current"] = {"link": f"releases/{live}"}
    heard: list[events.Event] = []
    request = {"app": "hello", "by": "ann@laptop", "keep_releases": 5, "to": to}
    system = FakeSystem(files=files, commands={"systemctl list-units ...": "", "systemctl show ...": ""})
    transaction = Transaction(request, system, Run(heard.append, lambda: False), "rollback")
    transaction.before = live
    return select(transaction), heard


def test_to_the_previous_release() -> None:
    release, heard = rollback()
    assert release == "r1"
    finished = heard[-1]
    assert isinstance(finished, events.StepFinished)
    assert finished.detail == 'r1  aaaaaaa "one"'


def test_to_a_commit() -> None:
    assert rollback(to="aaaa")[0] == "r1"


def test_what_a_migration_did_is_said() -> None:
    _, heard = rollback(["alembic", "upgrade", "the head"])
    assert isinstance(heard[-1], events.Noticed)
    assert heard[-1].message == (
        "bbbbbbb ran its release command, and a rollback does not undo that: alembic upgrade 'the head'"
    )


def test_nothing_was_deployed() -> None:
    with pytest.raises(StepError) as error:
        rollback(live="")
    assert error.value.message == "nothing was deployed yet"
