"""Names that become users, units, directories and socket paths."""

from __future__ import annotations

import pytest

from hostwright.remote.release.layout import Layout

ID = "20261121t141502-4f2c1d9"


def test_paths() -> None:
    layout = Layout("hello")
    assert layout.release(ID) == f"/srv/hello/releases/{ID}"
    assert layout.socket(ID) == f"/run/hello/{ID}.sock"
    assert layout.unit(ID) == f"hello@{ID}.service"
    assert layout.drop_in(ID, "socket") == f"/run/systemd/system/hello@{ID}.socket.d"


def test_the_longest_names_can_be_bound() -> None:
    """sun_path holds 107 bytes, unix(7); nginx's path through `current` is shorter still."""
    layout = Layout("a" * 31)
    assert len(layout.socket("b" * 63)) <= 107
    assert len(f"{layout.current}/link.sock") <= 107


@pytest.mark.parametrize("name", ["", "A", "1a", "../etc", "a/b", "a b", "a" * 32, "a\n", "-a", "a@b"])
def test_names_that_are_no_apps(name: str) -> None:
    with pytest.raises(ValueError, match="not the name of an app"):
        Layout(name)


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "a b", "-a", "a" * 64, "a\n", ".x", "a@b"])
def test_names_that_are_no_releases(name: str) -> None:
    with pytest.raises(ValueError, match="not the id of a release"):
        Layout("hello").release(name)


def test_units_need_no_escaping() -> None:
    """systemd.unit(5): `-` in an instance name means `/` only where %I is used, and we use %i."""
    assert set(ID) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
