"""Each kind of resource on real servers, twice; and apt when others hold it or were interrupted.

The tests of a server run in this order and build on one another: installing packages takes most of the time.
"""

from __future__ import annotations

import base64
import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hostwright.sandbox import Sandbox

from .conftest import REPOSITORY, SUITES

UNPACK = """
import base64, io, sys, tarfile
tarfile.open(fileobj=io.BytesIO(base64.b64decode(sys.stdin.read()))).extractall("/opt/converge")
"""
HOLD = """
import fcntl, sys, time
file = open(sys.argv[1], "a+")
fcntl.lockf(file, fcntl.LOCK_EX)
open("/run/held", "w").close()
time.sleep(float(sys.argv[2]))
"""
# a dpkg that is killed while a package's script runs; the script itself ends soon after
INTERRUPT = """
mkdir -p /tmp/p/DEBIAN && cd /tmp && rm -f began go
printf '%s: %s\\n' Package slowpost Version 1 Architecture all Maintainer 'a <a@b.c>' Description x >p/DEBIAN/control
printf '#!/bin/sh\\ntouch /tmp/began; until test -e /tmp/go; do sleep 0.05; done\\n' >p/DEBIAN/postinst
chmod 755 p/DEBIAN/postinst && dpkg-deb -b p p.deb >/dev/null
dpkg -i p.deb >/dev/null 2>&1 &
until test -e began; do sleep 0.05; done
kill -9 $! ; touch go; sleep 0.2
"""
SOURCE = """
git init -q -b main /srv/source && cd /srv/source && git config user.email a@b.c && git config user.name a
date >f && git add f && git commit -q -m one && git tag -a v1 -m v1
"""
SERVICE = "[Service]\nExecStart=/bin/sleep {seconds}\n[Install]\nWantedBy=multi-user.target\n"


class Machine:
    """A server with the agent's code on it."""

    def __init__(self, sandbox: Sandbox, name: str) -> None:
        self._sandbox = sandbox
        self._name = name
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            tar.add(REPOSITORY / "hostwright/remote", "remote", filter=without_bytecode)
            tar.add(Path(__file__).with_name("driver.py"), "driver.py")
        self.run("python3", "-c", UNPACK, input=base64.b64encode(archive.getvalue()).decode())

    def run(self, *argv: str, input: str | None = None, timeout: float = 60) -> str:
        """What a command prints; it must end well."""
        result = self._sandbox.exec(self._name, argv, timeout, input)
        assert result.returncode == 0, f"{argv}: {result.stdout}{result.stderr}"
        return result.stdout.strip()

    def converge(self, *resources: dict[str, Any]) -> list[dict[str, Any]]:
        """One outcome for each resource, as driver.py tells them."""
        text = json.dumps(resources)
        printed = self.run("python3", "-S", "-B", "/opt/converge/driver.py", input=text, timeout=240)
        outcomes: list[dict[str, Any]] = [json.loads(line) for line in printed.splitlines()]
        assert len(outcomes) == len(resources)
        return outcomes

    def converge_one(self, kind: str, name: str, **fields: object) -> dict[str, Any]:
        """The outcome of one resource."""
        return self.converge({"kind": kind, "name": name, **fields})[0]


def without_bytecode(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in info.name else info


@pytest.fixture(scope="module", params=SUITES)
def machine(sandbox: Sandbox, request: pytest.FixtureRequest) -> Iterator[Machine]:
    name = f"resources-{os.getpid()}-{request.param}"
    try:
        sandbox.up(name, suite=request.param, ephemeral=True)
        yield Machine(sandbox, name)
    finally:
        if name in [server.name for server in sandbox.servers()]:
            sandbox.down(name)


def requirement(name: str) -> str:
    """The hashed entry of our own requirements for a package."""
    text = (REPOSITORY / "requirements.txt").read_text().replace("\\\n", " ")
    return next(line for line in text.splitlines() if line.startswith(f"{name}==")) + "\n"


def everything() -> list[dict[str, Any]]:
    unit = "/etc/systemd/system/"
    timer = "[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target\n"
    guard = ["test", "-d", "/root/d"]
    return [
        {"kind": "upgrade", "name": "packages"},
        {"kind": "packages", "name": "base", "packages": ["git", "python3-venv", "tzdata", "locales"]},
        {"kind": "group", "name": "deployers"},
        {"kind": "user", "name": "app", "home": "/var/lib/app", "groups": ["deployers"], "comment": "an app"},
        {"kind": "user", "name": "ops", "system": False, "home": "/home/ops", "shell": "/bin/bash"},
        {"kind": "group", "name": "readers", "members": ["app", "ops"]},
        {"kind": "directory", "name": "/srv/app/shared", "mode": 0o750, "owner": "app", "group": "app"},
        {"kind": "symlink", "name": "/srv/app/link", "target": "shared"},
        {"kind": "file", "name": "/etc/app/conf", "content": "x\n", "mode": 0o640, "group": "app"},
        {"kind": "file", "name": unit + "beat@.service", "content": SERVICE.format(seconds="infinity")},
        {"kind": "unit", "name": "beat@one.service", "enabled": True, "running": True},
        {"kind": "file", "name": unit + "tick.service", "content": "[Service]\nExecStart=/bin/true\n"},
        {"kind": "file", "name": unit + "tick.timer", "content": timer},
        {"kind": "unit", "name": "tick.timer", "enabled": True, "running": True},
        {"kind": "unit", "name": "cron.service", "enabled": False, "running": False},
        {"kind": "timezone", "name": "Europe/Berlin"},
        {"kind": "locale", "name": "de_DE.UTF-8"},
        {"kind": "ssh_key", "name": "/etc/app/key", "comment": "deploy app", "app": "app"},
        {"kind": "authorized_key", "name": "ops", "key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZha2U ops"},
        {"kind": "command", "name": "make a file", "argv": ["touch", "/root/made"], "creates": "/root/made"},
        {"kind": "command", "name": "make a directory", "argv": ["mkdir", "/root/d"], "unless": guard},
        {"kind": "virtual_environment", "name": "/opt/tool", "requirements": requirement("idna")},
    ]  # fmt: skip


def test_each_kind_is_as_declared_and_stays(machine: Machine) -> None:
    first = machine.converge(*everything())
    assert [(o["id"], o["outcome"], o.get("left", []), o["message"]) for o in first] == [
        (o["id"], "changed", [], "") for o in first
    ]
    second = machine.converge(*everything())
    assert [o["id"] for o in second if o["outcome"] != "unchanged"] == []

    assert machine.run("id", "-nG", "app") == "app deployers readers"
    assert machine.run("getent", "passwd", "ops").endswith(":/home/ops:/bin/bash")
    assert machine.run("stat", "-c", "%U %a", "/srv/app/shared", "/home/ops", "/etc/app/key").splitlines()[
        ::2
    ] == [
        "app 750",
        "root 600",
    ]
    assert machine.run("systemctl", "is-active", "beat@one.service", "tick.timer") == "active\nactive"
    assert machine.run("systemctl", "is-enabled", "beat@one.service", "tick.timer") == "enabled\nenabled"
    assert machine.run("date", "+%Z", "-d", "2026-01-01") == "CET"
    assert "de_DE.utf8" in machine.run("locale", "-a")
    where = machine.run("/opt/tool/bin/python", "-c", "import idna; print(idna.__file__)")
    assert where.startswith("/opt/tool/lib")
    said, _ = next(o["said"] for o in first if o["id"] == "ssh_key:/etc/app/key")
    assert said == "deploy key of app: " + machine.run("cat", "/etc/app/key.pub")
    assert said.startswith("deploy key of app: ssh-ed25519 ")


def test_reading_costs_milliseconds(machine: Machine) -> None:
    files = [{"kind": "file", "name": f"/etc/many/{n}", "content": str(n)} for n in range(50)]
    machine.converge(*files)
    outcomes = machine.converge(*everything()[1:9], *files)
    assert sum(outcome["seconds"] for outcome in outcomes) < 0.1


@pytest.mark.parametrize("lock", ["/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock"])
def test_a_held_lock_is_waited_for(machine: Machine, lock: str) -> None:
    machine.run("sh", "-c", "rm -f /run/held; dpkg --purge tree 2>/dev/null")
    machine.run("systemd-run", "-q", "--collect", "python3", "-c", HOLD, lock, "1.5")
    machine.run("sh", "-c", "until test -e /run/held; do sleep 0.05; done")
    outcome = machine.converge_one("packages", "tree", packages=["tree"])
    assert outcome["outcome"] == "changed", outcome
    assert outcome["said"][0].startswith("waiting for apt: held by python3 (pid ")
    assert outcome["left"] == []


def test_a_lock_held_too_long_names_its_holder(machine: Machine) -> None:
    machine.run("sh", "-c", "rm -f /run/held; dpkg --purge tree")
    machine.run(
        "systemd-run", "-q", "--unit=holder", "--collect", "python3", "-c", HOLD, "/var/lib/dpkg/lock", "60"
    )
    machine.run("sh", "-c", "until test -e /run/held; do sleep 0.05; done")
    pid = machine.run("systemctl", "show", "-P", "MainPID", "holder.service")
    outcome = machine.converge_one("packages", "tree", packages=["tree"], lock_timeout=1)
    assert machine.run("systemctl", "is-active", "holder.service") == "active"  # nobody ended it
    machine.run("systemctl", "stop", "holder.service")
    assert outcome["message"] == f"apt is held by python3 (pid {pid}); waited 1 s for /var/lib/dpkg/lock"
    assert outcome["hint"] == f"We never end it. See what it does: ps -fp {pid}. Then run this again."


def test_an_interrupted_dpkg_is_cured(machine: Machine) -> None:
    machine.run("bash", "-c", INTERRUPT)
    outcome = machine.converge_one("packages", "base", packages=["slowpost", "tree"])
    assert outcome["outcome"] == "changed", outcome
    assert outcome["changes"] == [["slowpost", "half-configured", "installed"], ["tree", None, "installed"]]
    assert outcome["said"][0] == "dpkg was interrupted on this server: finishing its work first"
    assert outcome["left"] == []
    assert machine.run("dpkg", "--audit") == ""


def test_an_unknown_package_is_named(machine: Machine) -> None:
    outcome = machine.converge_one("packages", "base", packages=["nginxx", "sl"])
    assert outcome["message"] == "this server's package sources have no package nginxx"
    assert outcome["hint"] == "Look for the right name with: apt-cache search nginxx"
    assert outcome["tail"] == ["E: Unable to locate package nginxx"]


def test_an_unknown_name_is_no_regular_expression(machine: Machine) -> None:
    outcome = machine.converge_one("packages", "base", packages=["lib."])
    assert outcome["message"] == "this server's package sources have no package lib."


def test_a_unit_that_dies_shows_why(machine: Machine) -> None:
    content = "[Service]\nExecStart=/bin/sh -c 'echo no such table: users; exit 3'\n"
    file, unit = machine.converge(
        {"kind": "file", "name": "/etc/systemd/system/dies.service", "content": content},
        {"kind": "unit", "name": "dies.service", "running": True},
    )
    assert file["outcome"] == "changed"
    assert unit["message"].endswith("dies.service did not start: its program ended with exit code 3")
    assert "no such table: users" in unit["tail"]


def test_a_changed_unit_file_is_read_once(machine: Machine) -> None:
    unit = {"kind": "unit", "name": "beat@one.service", "enabled": True, "running": True}
    path = "/etc/systemd/system/beat@.service"
    _, outcome, again = machine.converge(
        {"kind": "file", "name": path, "content": SERVICE.format(seconds="1000000")}, unit, unit
    )
    assert outcome["changes"] == [["definition", "stale", "current"]]
    assert again["outcome"] == "unchanged"


def test_a_masked_unit_is_left_alone(machine: Machine) -> None:
    machine.run("systemctl", "mask", "cron.service")
    outcome = machine.converge_one("unit", "cron.service", running=True)
    machine.run("systemctl", "unmask", "cron.service")
    assert outcome["message"] == "cron.service is masked: somebody forbade to start it"
    assert outcome["hint"] == "If that is no longer meant: sudo systemctl unmask cron.service"


def test_a_git_checkout_follows_its_branch(machine: Machine) -> None:
    machine.run("bash", "-c", SOURCE)
    # git refuses to serve what another user owns
    machine.run("git", "config", "--system", "safe.directory", "*")
    checkout = {
        "kind": "git_checkout",
        "name": "/srv/app/co",
        "url": "/srv/source",
        "ref": "main",
        "owner": "app",
    }
    tag = {"kind": "git_checkout", "name": "/srv/app/v1", "url": "/srv/source", "ref": "v1"}
    assert [o["outcome"] for o in machine.converge(checkout, tag)] == ["changed", "changed"]
    assert [o["outcome"] for o in machine.converge(checkout, tag)] == ["unchanged", "unchanged"]
    machine.run("sh", "-c", "cd /srv/source && echo two >f && git commit -q -a -m two")
    assert [o["outcome"] for o in machine.converge(checkout, tag)] == ["changed", "unchanged"]
    assert machine.run("cat", "/srv/app/co/f") == "two"
    assert machine.run("stat", "-c", "%U", "/srv/app/co/f") == "app"
    machine.run(
        "sh", "-c", "cd /srv/source && echo three >f && git commit -q -a -m three; echo mine >/srv/app/co/f"
    )
    (outcome,) = machine.converge(checkout)
    assert outcome["hint"] == "Local changes in /srv/app/co? They were left as they are."
    assert machine.run("cat", "/srv/app/co/f") == "mine"


def test_a_damaged_environment_is_rebuilt(machine: Machine) -> None:
    venv = {"kind": "virtual_environment", "name": "/opt/tool", "requirements": requirement("idna")}
    machine.run("rm", "/opt/tool/bin/python3")
    (outcome,) = machine.converge(venv)
    assert (outcome["outcome"], outcome["left"]) == ("changed", [])
    machine.run("/opt/tool/bin/python", "-c", "import idna")


def test_no_package_index_is_said(machine: Machine) -> None:
    machine.run("sh", "-c", "printf '[global]\\nindex-url = http://127.0.0.1:9/simple\\n' >/etc/pip.conf")
    outcome = machine.converge_one("virtual_environment", "/opt/other", requirements=requirement("idna"))
    machine.run("rm", "/etc/pip.conf")
    assert outcome["message"] == "the server cannot reach its Python package index"
    assert outcome["reason"] == "no_package_index"
    assert any("Connection refused" in line for line in outcome["tail"])
    assert machine.run("ls", "/opt").split() == ["converge", "tool"]
