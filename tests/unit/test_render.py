"""Templates: whose wins, and what a broken one says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hostwright.errors import RenderError, UsageError
from hostwright.recipes.render import renderer


def own(folder: Path, text: str) -> Path:
    path = folder / "templates" / "nginx" / "closed.conf.j2"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def test_ours_without_one_of_the_project(tmp_path: Path) -> None:
    assert "return 444" in renderer(tmp_path)("nginx/closed.conf.j2")


def test_the_projects_own_wins(tmp_path: Path) -> None:
    own(tmp_path, "mine {{ x }}\n")
    assert renderer(tmp_path)("nginx/closed.conf.j2", x=1) == "mine 1\n"


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(RenderError) as error:
        renderer(tmp_path)("nginx/nothing.j2")
    assert str(error.value) == f"there is no template nginx/nothing.j2\n  Looked in {tmp_path}/templates."


def test_syntax_error(tmp_path: Path) -> None:
    path = own(tmp_path, "fine\n{% if %}\n")
    with pytest.raises(RenderError) as error:
        renderer(tmp_path)("nginx/closed.conf.j2")
    assert str(error.value) == f"{path}:2: Expected an expression, got 'end of statement block'"


def test_undefined_name(tmp_path: Path) -> None:
    path = own(tmp_path, "fine\nfine\n{{ nobody.gave }}\n")
    with pytest.raises(RenderError) as error:
        renderer(tmp_path)("nginx/closed.conf.j2", host=1, app=2)
    said = "  nginx/closed.conf.j2 is given: app, host (docs/templates.md)."
    assert str(error.value) == f"{path}:3: 'nobody' is undefined\n{said}"


def test_a_template_that_anybody_may_write_is_refused(tmp_path: Path) -> None:
    path = own(tmp_path, "mine\n")
    path.chmod(0o666)
    with pytest.raises(UsageError) as error:
        renderer(tmp_path)("nginx/closed.conf.j2")
    assert str(error.value) == (
        f"{path} can be written by everybody; what it says runs as root on servers\n"
        f"  If it is yours: chmod o-w {path}"
    )


@pytest.mark.parametrize("folder", ["templates/nginx", "templates"])
def test_so_is_one_in_a_folder_that_anybody_may_write(tmp_path: Path, folder: str) -> None:
    own(tmp_path, "mine\n")
    (tmp_path / folder).chmod(0o777)
    with pytest.raises(UsageError) as error:
        renderer(tmp_path)("nginx/closed.conf.j2")
    assert error.value.message.startswith(f"{tmp_path}/{folder} can be written by everybody")
    (tmp_path / folder).chmod(0o1777)  # as /tmp: nobody replaces what is somebody else's there
    assert renderer(tmp_path)("nginx/closed.conf.j2") == "mine\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_and_one_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = own(tmp_path, "mine\n")
    os.chown(path, 4321, 4321)
    with pytest.raises(UsageError) as error:
        renderer(tmp_path)("nginx/closed.conf.j2")
    assert error.value.message.startswith(f"{path} belongs to another user (uid 4321)")
    monkeypatch.setenv("SUDO_UID", "4321")
    assert renderer(tmp_path)("nginx/closed.conf.j2") == "mine\n"


def test_a_template_that_is_included_counts_too(tmp_path: Path) -> None:
    own(tmp_path, "{% include 'nginx/part.j2' %}\n")
    part = tmp_path / "templates" / "nginx" / "part.j2"
    part.write_text("part\n")
    part.chmod(0o602)
    with pytest.raises(UsageError, match=r"part\.j2 can be written by everybody"):
        renderer(tmp_path)("nginx/closed.conf.j2")
