"""A virtual environment that is made beside apt, and gets its name when it is its turn."""

from __future__ import annotations

import time
from typing import Any

import pytest

from hostwright.remote.ahead import Ahead
from hostwright.remote.resources.base import Context
from hostwright.remote.resources.virtual_environment import MARKER, VirtualEnvironment
from hostwright.remote.system import CommandFailed
from hostwright.testing import FakeSystem

NAME, NEW = "/opt/tools/uv", "/opt/tools/uv.tmp"
PIP = "/usr/share/python-wheels/pip-23.0.1-py3-none-any.whl"
VENV = {
    "files": {f"{NEW}/pyvenv.cfg": "home = /usr/bin\n", f"{NEW}/bin/python": {"link": "/usr/bin/python3"}}
}
INSTALLED = {"files": {f"{NEW}/bin/uv": "binary"}}
OFFLINE = {"exit": 1, "err": "Max retries exceeded"}


def environment(**fields: Any) -> VirtualEnvironment:
    return VirtualEnvironment(name=NAME, requirements="uv==1 --hash=sha256:00\n", **fields)


def server(*installs: dict[str, Any], **files: Any) -> FakeSystem:
    there = {
        "/usr/bin/python3": {"link": "python3.11"},
        "/usr/bin/python3.11": "",
        "/opt/tools": None,
        PIP: "x",
    }
    return FakeSystem(
        {**there, **files},
        commands={"/usr/bin/python3 -m venv ...": VENV, f"{NEW}/bin/python ...": list(installs)},
    )


def turn(system: FakeSystem) -> None:
    environment().apply(system, [], Context(print, {}))


def test_only_the_last_rename_is_left_for_its_turn() -> None:
    system = server(INSTALLED)
    environment().ahead(system)
    assert environment().read(system) == {"python": None, "requirements": None}, "nobody uses it yet"
    done = len(system.ran)
    turn(system)
    assert len(system.ran) == done
    assert environment().read(system) == environment().desired(system)
    assert system.read(f"{NAME}/bin/uv") == b"binary"
    assert not system.exists(NEW)


@pytest.mark.parametrize("marker", ["", "python=/usr/bin/python3.11\nrequirements=000000000000\n"])
def test_half_of_one_or_another_one_is_not_taken(marker: str) -> None:
    system = server(INSTALLED, **{f"{NEW}/bin/python": "", f"{NEW}/{MARKER}": marker, f"{NEW}/old": ""})
    turn(system)
    assert system.read(f"{NAME}/bin/uv") == b"binary"
    assert not system.exists(f"{NAME}/old")


def test_what_failed_ahead_leaves_nothing_and_is_done_when_it_is_its_turn() -> None:
    system = server(OFFLINE, INSTALLED)
    with pytest.raises(Exception, match="cannot reach its Python package index"):
        environment().ahead(system)
    assert not system.exists(NEW)
    assert "--retries=0" in system.ran[-1], "the time of a network that is not there is not spent twice"
    turn(system)
    assert "--retries=0" not in system.ran[-1]
    assert environment().read(system) == environment().desired(system)


def test_it_begins_when_pip_and_the_folder_are_there() -> None:
    system = server(INSTALLED)
    assert environment().ready(system)
    for missing in (PIP, "/opt/tools"):
        without = server()
        without.happen({"removed": [missing]})
        assert not environment().ready(without), missing
    half = server()
    half.happen({"removed": [PIP], "files": {f"{PIP}.dpkg-new": "half"}})
    assert not environment().ready(half), "dpkg is writing it"


def test_with_uv_it_begins_when_uv_is_there() -> None:
    system = server()
    assert not environment(uv="/opt/uv/bin/uv").ready(system)
    system.put("/opt/uv/bin/uv", "")
    assert environment(uv="/opt/uv/bin/uv").ready(system)


def test_apt_brings_what_it_waits_for() -> None:
    system = server(INSTALLED)
    system.happen({"removed": [PIP]})
    resource = environment()
    ahead = Ahead([resource], system)
    time.sleep(0.1)
    assert system.ran == []
    system.put(PIP, "x")
    end = time.monotonic() + 10
    while not system.exists(f"{NEW}/{MARKER}") and time.monotonic() < end:
        time.sleep(0.01)
    ahead.wait(resource)
    assert system.exists(f"{NEW}/{MARKER}")


def test_what_never_came_is_not_waited_for() -> None:
    system = server()
    system.happen({"removed": [PIP]})
    resource = environment()
    began = time.monotonic()
    Ahead([resource], system).wait(resource)
    assert time.monotonic() - began < 5
    assert system.ran == []


def test_a_cancelled_run_ends_what_was_begun() -> None:
    system = server({"exit": 1, "err": "no room"})
    system.cancelled = lambda: True
    resource = environment()
    given: list[bool] = []
    apart = FakeSystem()
    system.apart = lambda: apart  # type: ignore[method-assign]
    resource.ready = lambda system: True  # type: ignore[method-assign]
    resource.ahead = lambda system: given.append(system.cancelled())  # type: ignore[method-assign]
    Ahead([resource], system).wait(resource)
    assert given == [True]


def test_a_command_that_fails_ahead_is_not_told() -> None:
    system = server()
    resource = environment()

    def fail(system: object) -> None:
        raise CommandFailed(("pip",), 1, [])

    resource.ahead = fail  # type: ignore[assignment, method-assign]
    Ahead([resource], system).wait(resource)
