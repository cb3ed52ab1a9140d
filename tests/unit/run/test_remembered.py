"""`inv deploy` after `inv provision --host ADDRESS`, with no hosts in the inventory."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostwright.inventory import Inventory, load
from hostwright.run.remembered import place, recall, remember


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    path = tmp_path / "inventory.yaml"
    path.write_text("project: shop\napps:\n  hello: {module: 'main:app'}\n")
    return load(path, {})


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home")}


def test_nothing_yet(inventory: Inventory, environ: dict[str, str]) -> None:
    assert recall(inventory, environ) == []


def test_there_and_back(inventory: Inventory, environ: dict[str, str], tmp_path: Path) -> None:
    key = tmp_path / "key"
    plain = inventory.bare_host("203.0.113.10", user="ubuntu")
    other = inventory.bare_host("2001:db8::1", user="root", port=2222).model_copy(
        update={"identity_file": key}
    )
    remember(inventory, [plain, other], environ)
    assert place(inventory, environ).is_relative_to(tmp_path / "home" / ".local" / "state")
    found = recall(inventory, environ)
    assert [(host.name, host.user, host.port, host.identity_file, host.apps) for host in found] == [
        ("203.0.113.10", "ubuntu", 22, None, ("hello",)),
        ("[2001:db8::1]:2222", "root", 2222, key, ("hello",)),
    ]


def test_a_damaged_file_is_nothing(inventory: Inventory, environ: dict[str, str]) -> None:
    path = place(inventory, environ)
    path.parent.mkdir(parents=True)
    for text in ("{", "{}", '[{"address": "x"}]', '[{"address": "..", "user": "", "port": 99999}]'):
        path.write_text(text)
        assert recall(inventory, environ) == []


def test_a_disk_that_cannot_be_written(inventory: Inventory) -> None:
    remember(inventory, [], {"XDG_STATE_HOME": "/dev/null/nowhere"})
