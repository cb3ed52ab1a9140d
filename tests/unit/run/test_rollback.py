"""What `inv rollback` asks of a host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hostwright.inventory import load
from hostwright.run import deploy

INVENTORY = """\
project: shop
apps:
  hello:
    module: app.main:app
    build_env: {INDEX: {from_env: INDEX}}
    env: {TOKEN: {from_env: TOKEN}, LEVEL: info}
hosts:
  web1: {address: 203.0.113.10}
"""


@pytest.mark.parametrize("known", [True, False])
def test_todays_secrets_are_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool) -> None:
    """A release that goes back may have them still. What is not set here is no reason to stop."""
    if known:
        monkeypatch.setenv("TOKEN", "s3cret")
        monkeypatch.setenv("INDEX", "pa55")
    asked: list[dict[str, Any]] = []

    class Fleet:
        def __init__(self, hosts: Any, connect: Any, output: Any) -> None:
            self.hosts = hosts

        def run(self, request_for: Any) -> None:
            asked.extend(request_for(host, None) for host in self.hosts)

    monkeypatch.setattr(deploy, "Fleet", Fleet)
    path = tmp_path / "inventory.yaml"
    path.write_text(INVENTORY)
    inventory = load(path, {})
    logins: Any = type("Logins", (), {"connect": None})
    output: Any = None
    app, hosts = inventory.apps["hello"], [inventory.hosts["web1"]]
    deploy.rollback(inventory, app, hosts, logins, output, to="", keep_env=False, wait=60)
    assert asked[0]["secrets"] == (["pa55", "s3cret"] if known else [])
    assert "s3cret" not in str({**asked[0], "secrets": []})
