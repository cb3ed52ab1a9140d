"""Every mistake in an inventory gets the line a user needs; the cases are files in tests/cases/inventory."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from hostwright.errors import InventoryError, UsageError
from hostwright.inventory import load
from tests.unit.inventory.conftest import Loader

CASES = sorted((Path(__file__).parents[2] / "cases" / "inventory").glob("*.yaml"))
MARK = "# => "


def test_there_are_cases() -> None:
    assert len(CASES) > 40


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_problems(case: Path, inventory_of: Loader) -> None:
    text = case.read_text(encoding="utf-8")
    expected = tuple(
        f"inventory.yaml:{line[len(MARK) :]}" for line in text.split("\n") if line.startswith(MARK)
    )
    with pytest.raises(InventoryError) as caught:
        inventory_of(text)
    assert caught.value.problems == expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_problems_are_the_same_without_libyaml(
    case: Path, inventory_of: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    test_problems(case, inventory_of)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_no_problem_shows_a_password(case: Path, inventory_of: Loader) -> None:
    with pytest.raises(InventoryError) as caught:
        inventory_of(case.read_text(encoding="utf-8"))
    assert "hunter2" not in str(caught.value)


def test_the_whole_message(inventory_of: Loader) -> None:
    with pytest.raises(InventoryError) as caught:
        inventory_of("hosts: {a: {port: x}, b: {prot: 1}}\n")
    assert str(caught.value) == (
        'inventory.yaml:1:19  hosts.a.port: expected an integer from 1 to 65535, got "x"\n'
        'inventory.yaml:1:27  hosts.b.prot: unknown key. Did you mean "port"?\n'
        "2 problems, nothing was contacted."
    )
    assert caught.value.exit_code == 2


def test_an_empty_file_hints_at_init(inventory_of: Loader) -> None:
    with pytest.raises(InventoryError) as caught:
        inventory_of("")
    assert str(caught.value) == (
        "inventory.yaml:1:1  the file is empty\n"
        "1 problem, nothing was contacted.\n"
        "  `inv init` writes one for this project."
    )


def test_the_file_is_named_relative_to_where_the_user_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "deploy"
    folder.mkdir()
    (folder / "prod.yaml").write_text("port: 1\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InventoryError, match=r"^deploy/prod.yaml:1:1  port: unknown key"):
        load(Path("deploy/prod.yaml"), {})
    monkeypatch.chdir(folder)
    with pytest.raises(InventoryError, match=r"^prod.yaml:1:1  "):
        load(folder / "prod.yaml", {})
    monkeypatch.chdir("/")
    with pytest.raises(InventoryError) as caught:
        load(folder / "prod.yaml", {})
    assert caught.value.message.startswith(str(folder.relative_to("/") / "prod.yaml"))


def test_deep_nesting(inventory_of: Loader) -> None:
    depth = sys.getrecursionlimit() * 2
    with pytest.raises(UsageError, match="nested too deeply"):
        inventory_of("[" * depth + "]" * depth)


def test_windows_line_ends_and_a_byte_order_mark(inventory_of: Loader) -> None:
    with pytest.raises(InventoryError) as caught:
        inventory_of("\ufeffhosts:\r\n  web1:\r\n    prot: 1\r\n")
    assert caught.value.problems == (
        'inventory.yaml:3:5  hosts.web1.prot: unknown key. Did you mean "port"?',
    )


def test_columns_count_characters_not_bytes(inventory_of: Loader) -> None:
    with pytest.raises(InventoryError) as caught:
        inventory_of('hosts: {web1: {user: "ü", port: x}}')
    assert [problem.split("  ")[0] for problem in caught.value.problems] == [
        "inventory.yaml:1:22",
        "inventory.yaml:1:33",
    ]
