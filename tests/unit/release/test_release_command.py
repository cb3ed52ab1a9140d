"""The release command: on record before it runs, and a limit that names its key."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hostwright.remote import events
from hostwright.remote.release.deploy import _release_command
from hostwright.remote.release.transaction import Transaction
from hostwright.remote.run import Run, StepError
from hostwright.remote.system import CommandFailed
from hostwright.testing import FakeSystem

ROOT = "/srv/hello"
FOLDER = f"{ROOT}/releases/r2"


def deploy(answer: Any = "", system: FakeSystem | None = None) -> tuple[Transaction, list[events.Event]]:
    files = {FOLDER + "/release.json": json.dumps({"properties": ["User=hello"]}), "/usr/bin/sleep": ""}
    found = system or FakeSystem()
    found.happen({"files": files})
    found.commands |= {"systemctl stop ...": "", "systemd-run ...": answer}
    heard: list[events.Event] = []
    request = {"app": "hello", "by": "ann@laptop", "release_command": ["sleep", "an hour"]}
    asked = {**request, "release_command_timeout": 90.0}
    return Transaction(asked, found, Run(heard.append, lambda: False), "deploy"), heard


def test_it_is_on_record_before_it_runs() -> None:
    class Server(FakeSystem):
        def run(self, argv: Any, **options: Any) -> Any:
            if argv[0] == "systemd-run":
                assert b'"did":"ran","id":"r2"' in (self.read(f"{ROOT}/releases.jsonl") or b"")
            return super().run(argv, **options)

    transaction, heard = deploy(system=Server())
    _release_command(transaction, "r2")
    line = json.loads(transaction.log.lines()[0])
    assert (line["did"], line["command"]) == ("ran", ["sleep", "an hour"])
    assert isinstance(heard[-1], events.StepFinished)
    assert heard[-1].detail == "sleep 'an hour'"


def test_out_of_time() -> None:
    class Server(FakeSystem):
        def run(self, argv: Any, **options: Any) -> Any:
            if argv[0] == "systemd-run":
                assert options["timeout"] == 90.0
                raise CommandFailed(argv, -15, ("locking the table",), "ended after its deadline of 90 s")
            return super().run(argv, **options)

    transaction, _ = deploy(system=Server())
    with pytest.raises(StepError) as error:
        _release_command(transaction, "r2")
    assert error.value.message == (
        "sleep 'an hour' was ended after 90 s: `release_command_timeout` in the inventory"
    )
    assert error.value.tail == ("locking the table",)
    assert error.value.hint.endswith("What the command changed in a database stays changed.")
    assert transaction.system.ran[-1] == ("systemctl", "stop", "hostwright-release-hello.service")  # type: ignore[attr-defined]


def test_what_systemd_does_not_do_in_time_is_not_the_commands_fault() -> None:
    class Server(FakeSystem):
        def run(self, argv: Any, **options: Any) -> Any:
            raise CommandFailed(argv, -15, (), "ended after its deadline of 30 s")

    transaction, _ = deploy(system=Server())
    with pytest.raises(CommandFailed):
        _release_command(transaction, "r2")


def test_it_fails() -> None:
    transaction, _ = deploy({"exit": 3, "err": "no such table\n"})
    with pytest.raises(StepError) as error:
        _release_command(transaction, "r2")
    assert error.value.message == "sleep 'an hour' ended with exit code 3"
    assert error.value.tail == ("no such table",)
    assert error.value.hint == "What the command changed in a database stays changed."


def test_it_fails_where_it_may_not_write() -> None:
    """As Django's db.sqlite3 beside manage.py does."""
    transaction, _ = deploy({"exit": 1, "err": "OperationalError: unable to open database file\n"})
    with pytest.raises(StepError) as error:
        _release_command(transaction, "r2")
    assert error.value.hint == (
        "The app may write below /var/lib/hello (its HOME), in its `shared:` directories and in /tmp. "
        "What the command changed in a database stays changed."
    )
