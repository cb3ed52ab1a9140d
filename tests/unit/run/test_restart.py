"""What `inv restart` asks of a host and answers it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hostwright.inventory import load
from hostwright.remote import events, wire
from hostwright.run.restart import Restart

INVENTORY = """\
project: shop
apps:
  hello:
    module: app.main:app
    release_command: ./migrate
    drain: 7
    health: {contains: "{commit}"}
    env: {TOKEN: {from_env: TOKEN}, LEVEL: info}
hosts:
  web1: {address: 203.0.113.10}
  web2: {address: 203.0.113.11}
"""
READY = events.SourceReady("4f2c1d9" + "0" * 33, "Fix totals", {"id": "r1"})


@pytest.fixture
def restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Restart:
    monkeypatch.setenv("TOKEN", "s3cret")
    path = tmp_path / "inventory.yaml"
    path.write_text(INVENTORY)
    inventory = load(path, {})
    found = Restart(inventory, inventory.apps["hello"], 60)
    found.prepare()
    return found


def answer(restart: Restart, host: str) -> dict[str, Any]:
    (frame,) = restart.answer(restart.inventory.hosts[host], READY)
    rest = [frame]

    def read(size: int) -> bytes:
        taken, rest[0] = rest[0][:size], rest[0][size:]
        return taken

    found = wire.read_frame(read)
    assert isinstance(found, dict)
    release: dict[str, Any] = found["release"]
    return release


def test_the_request_has_all_that_a_release_is_made_with(restart: Restart) -> None:
    asked = restart.request_for(restart.inventory.hosts["web1"], None)  # type: ignore[arg-type]
    assert (asked["action"], asked["app"], asked["drain"]) == ("restart", "hello", 7)
    assert asked["health"]["contains"] == "{commit}"
    assert asked["secrets"] == ["s3cret"]
    assert "s3cret" not in json.dumps({key: value for key, value in asked.items() if key != "secrets"})


def test_hosts_get_one_identity(restart: Restart) -> None:
    one, other = answer(restart, "web1"), answer(restart, "web2")
    assert one["id"] == other["id"]
    assert one["id"].endswith("-4f2c1d9")
    assert 'TOKEN="s3cret"' in one["files"]["env"]["content"]
    assert "HOSTWRIGHT_COMMIT" in one["files"]["env"]["content"]


def test_a_restart_with_other_variables_is_another_one(
    restart: Restart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same again attaches to what goes on; with a changed variable it has to run."""
    web1 = restart.inventory.hosts["web1"]
    digest = restart.request_for(web1, None)["digest"]  # type: ignore[arg-type]
    assert restart.request_for(web1, None)["digest"] == digest  # type: ignore[arg-type]
    monkeypatch.setenv("TOKEN", "another")
    restart.prepare()
    assert restart.request_for(web1, None)["digest"] != digest  # type: ignore[arg-type]
