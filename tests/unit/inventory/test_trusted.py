from __future__ import annotations

import os
from pathlib import Path

import pytest

from hostwright.errors import UsageError
from hostwright.inventory import load
from hostwright.inventory.trusted import read_trusted

OTHER = 54321


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("inventory.yaml")
    path.write_text("hosts: {}\n")
    path.chmod(0o644)
    return path


def owned_by_another(path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Give the file to another user; without the right to, become another user ourselves."""
    if os.geteuid() == 0:
        os.chown(path, OTHER, -1)
        return OTHER
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)
    return path.stat().st_uid


def test_a_missing_inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        load(Path("inventory.yaml"), {})
    assert str(caught.value) == "inventory.yaml does not exist\n  `inv init` writes one for this project."
    assert caught.value.exit_code == 2


def test_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x").mkdir()
    with pytest.raises(UsageError, match=r"^x cannot be read: Is a directory$"):
        load(Path("x"), {})


def test_not_utf_8(file: Path) -> None:
    file.write_bytes(b"hosts: {}\n# \xff\n")
    with pytest.raises(UsageError, match=r"^inventory.yaml:2 is not UTF-8 text$"):
        load(file, {})


def test_writable_by_everybody(file: Path) -> None:
    file.chmod(0o666)
    with pytest.raises(UsageError) as caught:
        load(file, {})
    assert str(caught.value) == (
        "inventory.yaml can be written by everybody; what it says runs as root on servers\n"
        "  If it is yours: chmod o-w inventory.yaml"
    )


def test_writable_by_the_group_is_fine(file: Path) -> None:
    file.chmod(0o664)
    assert load(file, {})


def test_of_another_user(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uid = owned_by_another(file, monkeypatch)
    with pytest.raises(UsageError) as caught:
        load(file, {})
    assert str(caught.value) == (
        f"inventory.yaml belongs to another user (uid {uid}); what it says runs as root on servers\n"
        "  If it is yours: chown $(id -u) inventory.yaml"
    )


def test_of_the_user_behind_sudo(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uid = owned_by_another(file, monkeypatch)
    assert load(file, {"SUDO_UID": str(uid)})
    with pytest.raises(UsageError, match="belongs to another user"):
        load(file, {"SUDO_UID": "no number"})


def test_a_pipe(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"hosts: {}\n")
    os.close(writing)
    assert read_trusted(Path(f"/dev/fd/{reading}"), {}) == "hosts: {}\n"
    os.close(reading)


def test_env_files_are_held_to_the_same(file: Path) -> None:
    file.write_text("apps: {a: {module: 'a:b', env_file: .env}}\n")
    Path(".env").write_text("A=1\n")
    Path(".env").chmod(0o602)
    with pytest.raises(
        UsageError,
        match=r"apps.a.env_file: .env can be written by everybody; .* If it is yours: chmod o-w .env",
    ):
        load(file, {}).apps["a"].resolve_env({}, Path())
