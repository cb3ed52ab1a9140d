"""What cannot be deployed is refused by name, before anything happens."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from hostwright.remote.release.inspect import inspect
from hostwright.remote.release.requirements import Problem

FILES = {"app/main.py": b"", "app/__init__.py": b"", "requirements.txt": b"flask\n"}


def look(files: Mapping[str, bytes], modes: Mapping[str, str], **app: str) -> None:
    wanted = {"directory": ".", "module": "app.main:app", "requirements": "requirements.txt", **app}
    inspect({**dict.fromkeys(files, "100644"), **modes}, files.get, **wanted)


FINE: list[tuple[dict[str, bytes], dict[str, str]]] = [
    (FILES, {}),
    (FILES, {"module": "app:app"}),
    (
        {"backend/wsgi.py": b"", "backend/req.txt": b""},
        {"directory": "backend", "module": "wsgi:app", "requirements": "backend/req.txt"},
    ),
    ({"app/main.cpython-311-x86_64-linux-gnu.so": b"", "requirements.txt": b""}, {}),
    ({"app/main.py": b"", "pyproject.toml": b"[project]"}, {"requirements": "pyproject.toml"}),
    ({**FILES, ".gitattributes": b"# *.bin filter=lfs\n*.txt text\n"}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("files", "app"), FINE)
def test_fine(files: dict[str, bytes], app: dict[str, str]) -> None:
    look(files, {}, **app)


def refused(files: Mapping[str, bytes], modes: Mapping[str, str] | None = None, **app: str) -> Problem:
    with pytest.raises(Problem) as error:
        look(files, modes or {}, **app)
    return error.value


def test_submodules() -> None:
    error = refused(FILES, {"libs/one": "160000", "libs/two": "160000"})
    assert error.message == ".gitmodules: submodules are not carried to the server: libs/one, libs/two"
    assert "git subtree add --prefix=libs/one" in error.hint


def test_lfs() -> None:
    error = refused({**FILES, "data/.gitattributes": b"*.bin filter=lfs diff=lfs merge=lfs -text\n"})
    assert error.message == "data/.gitattributes: Git LFS files are not carried to the server: *.bin"


def test_module_that_is_elsewhere() -> None:
    error = refused({"src/app/main.py": b"", "requirements.txt": b""})
    assert error.message == "app.main: there is no app/main.py in this commit"
    assert error.hint == "See `module:` and `directory:` in the inventory. The commit has src/app/main.py."


def test_directory_that_is_not_there() -> None:
    assert refused(FILES, directory="backend").message == "backend: there is no such directory in this commit"


def test_requirements_that_are_elsewhere() -> None:
    error = refused({"app/main.py": b"", "app/requirements.txt": b"", "pyproject.toml": b""})
    assert error.message == "requirements.txt: there is no such file in this commit"
    assert error.hint.endswith("The commit has app/requirements.txt, pyproject.toml.")


def test_path_dependency() -> None:
    error = refused({**FILES, "requirements.txt": b"flask\n-e ./lib\n"})
    assert error.message == "requirements.txt:2: a dependency that is a path is not carried: -e ./lib"
    assert "`directory:` is its import root" in error.hint


def test_a_symlink_that_would_lead_bytecode_elsewhere() -> None:
    assert "a symlink where Python writes" in refused(FILES, {"app/__pycache__": "120000"}).message
