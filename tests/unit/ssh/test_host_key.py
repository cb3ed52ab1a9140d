"""A host key is made beside what comes before it, and becomes one when it is its turn."""

from __future__ import annotations

import pytest

from hostwright.remote.resources.base import Context
from hostwright.remote.resources.host_key import HostKey
from hostwright.remote.system import CommandFailed
from hostwright.testing import FakeSystem

PATH = "/etc/ssh/ssh_host_hostwright_rsa_key"
PUBLIC = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAACAQ hostwright\n"
MADE = {"files": {f"{PATH}.new": "secret", f"{PATH}.new.pub": PUBLIC}}


def server(*made: dict[str, object], **files: str) -> FakeSystem:
    system = FakeSystem(files, commands={"ssh-keygen ...": list(made)})
    system.which = lambda name: f"/usr/bin/{name}"  # type: ignore[method-assign]
    return system


def key() -> HostKey:
    return HostKey(name=PATH, type="rsa")


def test_what_was_made_ahead_is_taken() -> None:
    system = server(MADE)
    key().ahead(system)
    assert key().read(system) == {"key": None}, "nobody uses it yet"
    key().apply(system, [], Context(print, {}))
    assert len(system.ran) == 1
    assert key().read(system) == {"key": "present"}
    assert system.read(PATH) == b"secret"
    assert not system.exists(f"{PATH}.new")


def test_what_an_earlier_run_left_is_not_taken() -> None:
    system = server(MADE, **{f"{PATH}.new": "half", f"{PATH}.new.pub": PUBLIC})
    key().ahead(system)
    key().apply(system, [], Context(print, {}))
    assert system.read(PATH) == b"secret"


def test_what_failed_ahead_is_made_again() -> None:
    system = server({"exit": 1, "err": "no room", "files": {f"{PATH}.new": "half"}}, MADE)
    with pytest.raises(CommandFailed):
        key().ahead(system)
    key().apply(system, [], Context(print, {}))
    assert len(system.ran) == 2
    assert system.read(PATH) == b"secret"


def test_a_key_that_is_there_is_never_touched() -> None:
    system = server(**{PATH: "theirs"})
    key().ahead(system)
    assert system.ran == []
    assert system.read(PATH) == b"theirs"
