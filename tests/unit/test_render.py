"""Templates: whose wins, and what a broken one says."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostwright.errors import RenderError
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
