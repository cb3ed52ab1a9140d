"""Where errors become exit codes, and where the inventory is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostwright import errors
from hostwright.tasks import frame

CASES = [
    (errors.UsageError("x"), 2),
    (errors.InventoryError(["inventory.yaml:1:1  x"]), 2),
    (errors.HostNotFound("x"), 3),
    (errors.SourceError("x"), 1),
    (KeyboardInterrupt(), 130),
    (RuntimeError("surprise"), 1),
]


@pytest.mark.parametrize(("error", "code"), CASES, ids=lambda case: type(case).__name__)
def test_exit_codes(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end, frame.errors(debug=False):
        raise error
    assert end.value.code == code
    said = capsys.readouterr().err
    assert said
    assert "Traceback" not in said


def test_a_bug_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), frame.errors(debug=False):
        raise RuntimeError("surprise")
    assert capsys.readouterr().err == (
        "unexpected RuntimeError: surprise\n  This is a bug in Hostwright; --debug shows where.\n"
    )


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(RuntimeError), frame.errors(debug=True):
        raise RuntimeError("surprise")


@pytest.mark.parametrize("text", ["", "x", "1.5", "-1", "99999999999", None])
def test_a_bad_number_is_a_usage_error(text: str) -> None:
    with pytest.raises(errors.UsageError, match="--wait: expected an integer from 0 to 86400, got"):
        frame.number(text, "wait", 0, 86400)


def test_a_good_number() -> None:
    assert frame.number("60", "wait", 0, 86400) == 60


@pytest.mark.parametrize("value", [None, "", "--host", "-x"])
def test_a_missing_word_and_a_flag_in_its_place(value: str | None) -> None:
    with pytest.raises(errors.UsageError, match=r"usage: inv sandbox\.ssh NAME"):
        frame.required(value, "inv sandbox.ssh NAME")


def test_the_inventory_is_found_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inventory.yaml").write_text("")
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert frame.find_inventory(None, {}) == tmp_path / "inventory.yaml"
    assert frame.find_inventory("other.yaml", {}) == Path("other.yaml")
    assert frame.find_inventory(None, {"HOSTWRIGHT_INVENTORY": "env.yaml"}) == Path("env.yaml")


def test_no_inventory_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "tasks", raising=False)
    with pytest.raises(errors.InventoryError, match="inv init"):
        frame.find_inventory(None, {})
