"""Secrets that an app reads from files: what a release holds, whom it is told, what a rollback makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hostwright.inventory import Secret
from hostwright.remote import dpkg
from hostwright.remote.release import credentials
from hostwright.remote.release.layout import Layout
from hostwright.remote.release.shelf import Shelf
from hostwright.remote.run import StepError
from hostwright.testing import FakeSystem

from .test_rendered import RELEASED, message

ENV = {"TOKEN": Secret("s3cret"), "LINES": Secret('a\nb="c"\n'), "LOG_LEVEL": "info"}
FOLDER = f"/srv/hello/releases/{RELEASED.id}"


def test_secret_variables_are_files_and_plain_ones_stay(tmp_path: Path) -> None:
    found = message(tmp_path, "    secrets: credentials\n    processes: {worker: python w.py}\n", ENV)
    files: dict[str, Any] = found["files"]
    assert files["credentials/TOKEN"] == {"content": "s3cret", "mode": 0o600}
    assert files["credentials/LINES"] == {"content": 'a\nb="c"\n', "mode": 0o600}
    assert files["env"]["content"].startswith('LOG_LEVEL="info"\nHOSTWRIGHT_RELEASE=')
    wanted = {f"LoadCredential={name}:{FOLDER}/credentials/{name}" for name in ("TOKEN", "LINES")}
    worker = f"units/extra/hello.worker@{RELEASED.id}.service"
    for name in ("units/service.conf", worker):
        assert wanted <= set(files[name]["content"].splitlines()), name
    assert wanted <= set(found["properties"])
    assert "s3cret" not in json.dumps([*files["env"], files[worker], found["properties"]])


def test_by_default_they_are_variables(tmp_path: Path) -> None:
    found = message(tmp_path, "", ENV)
    assert not [name for name in found["files"] if name.startswith("credentials")]
    assert 'TOKEN="s3cret"' in found["files"]["env"]["content"]
    assert not any(line.startswith("LoadCredential") for line in found["properties"])


# -- the server ------------------------------------------------------------------------------------------------------


def server(version: str) -> FakeSystem:
    status = f"Package: systemd\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\nDepends: x\n\n"
    return FakeSystem({dpkg.STATUS: status})


def release(*values: str) -> dict[str, Any]:
    files = {f"credentials/N{index}": {"content": value, "mode": 0o600} for index, value in enumerate(values)}
    return {"files": {"env": {"content": "", "mode": 0o600}, **files}}


@pytest.mark.parametrize("version", ["250.4-1", "252.39-1~deb12u2", "257.13-1~deb13u1", "255.4-1ubuntu8"])
def test_a_newer_systemd_can(version: str) -> None:
    credentials.check(server(version), release("x"))


@pytest.mark.parametrize(("version", "number"), [("247.3-7+deb11u7", 247), ("249.11-0ubuntu3.12", 249)])
def test_an_older_one_cannot(version: str, number: int) -> None:
    credentials.check(server(version), release())
    with pytest.raises(StepError) as caught:
        credentials.check(server(version), release("x"))
    assert caught.value.message == f"`secrets: credentials` needs systemd 250, and this server has {number}"
    assert caught.value.hint == "Say `secrets: env` in the inventory, or upgrade the server."


def test_too_much_is_refused_before_anything_is_built() -> None:
    credentials.check(server("252"), release("x" * (1 << 20)))
    with pytest.raises(StepError) as caught:
        credentials.check(server("252"), release("x" * (1 << 20), "y"))
    assert "1048577 bytes, and systemd takes 1048576 at most" in caught.value.message


def test_a_release_gets_those_of_today() -> None:
    """rollback --keep-env: the files, what the units load, and what a command of it gets."""
    unit = "[Service]\nUser=hello\nLoadCredential=OLD:/srv/hello/releases/r1/credentials/OLD\n"
    system = FakeSystem(
        {
            "/tmp/r/units/service.conf": "[Service]\nLoadCredential=OLD:/x\nUMask=0027\n",
            "/tmp/r/units/extra/hello.w@r2.service": unit,
            "/tmp/r/units/extra/hello.w.timer": "[Timer]\n",
            "/tmp/r/credentials/OLD": {"content": "old", "mode": "600"},
            "/tmp/r/release.json": json.dumps(
                {"id": "r2", "properties": ["User=hello", "LoadCredential=OLD:/x"]}
            ),
        }
    )
    credentials.exchange(system, "/tmp/r", "/srv/hello/releases/r2", {"NEW": b"new"})
    line = "LoadCredential=NEW:/srv/hello/releases/r2/credentials/NEW"
    assert credentials.read(system, "/tmp/r") == {"NEW": b"new"}
    assert system.stat("/tmp/r/credentials/NEW").mode == 0o600  # type: ignore[union-attr]
    assert system.stat("/tmp/r/credentials").mode == 0o700  # type: ignore[union-attr]
    assert system.read("/tmp/r/units/service.conf") == f"[Service]\nUMask=0027\n{line}\n".encode()
    assert system.read("/tmp/r/units/extra/hello.w@r2.service") == f"[Service]\nUser=hello\n{line}\n".encode()
    assert system.read("/tmp/r/units/extra/hello.w.timer") == b"[Timer]\n"
    about = json.loads(system.read("/tmp/r/release.json") or b"")
    assert about == {"id": "r2", "properties": ["User=hello", line]}
    credentials.exchange(system, "/tmp/r", "/srv/hello/releases/r2", {})
    assert credentials.read(system, "/tmp/r") == {}
    assert system.stat("/tmp/r/credentials") is None
    assert b"LoadCredential" not in (system.read("/tmp/r/units/service.conf") or b"")


def test_they_are_compared_by_name_and_never_shown() -> None:
    from hostwright.remote.release.environment import between, told

    root = "/srv/hello/releases"
    system = FakeSystem(
        {
            f"{root}/r1/env": 'LOG="a"\nMOVED="v"\n',
            f"{root}/r1/credentials/SAME": "x",
            f"{root}/r1/credentials/OTHER": "s3cret-1",
            f"{root}/r2/env": 'LOG="a"\n',
            f"{root}/r2/credentials/SAME": "x",
            f"{root}/r2/credentials/OTHER": "s3cret-2",
            f"{root}/r2/credentials/MOVED": "v",
        }
    )
    shelf = Shelf(system, Layout("hello"))
    differ = between(shelf, "r1", "r2")
    assert differ == {"MOVED": "changed", "OTHER": "changed"}
    assert told(differ) == "environment: MOVED changed, OTHER changed"
    assert not shelf.alike("r1", "r2")
