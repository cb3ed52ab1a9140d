from __future__ import annotations

from pathlib import Path

import pytest

from hostwright.errors import InventoryError
from hostwright.inventory import App, FromEnv, Secret
from hostwright.inventory.environment import read_env_file
from tests.unit.inventory.conftest import Loader

TEXT = """
apps:
  hello:
    module: app.main:app
    env_file: .env.production
    env:
      LOG_LEVEL: info
      TOKEN: {from_env: CI_TOKEN}
      OTHER: {from_env: CI_OTHER}
    build_env:
      INDEX: {from_env: CI_INDEX}
      PLAIN: x
"""


def test_the_env_file_then_env_over_it(inventory_of: Loader) -> None:
    app = inventory_of(TEXT).apps["hello"]
    Path(".env.production").write_text("LOG_LEVEL=debug\nDATABASE_URL=postgres://u:p@db/x\n")
    values = app.resolve_env({"CI_TOKEN": "t", "CI_OTHER": ""}, Path())
    assert values == {
        "LOG_LEVEL": "info",
        "DATABASE_URL": Secret("postgres://u:p@db/x"),
        "TOKEN": Secret("t"),
        "OTHER": Secret(""),
    }
    assert app.resolve_build_env({"CI_INDEX": "i"}) == {"INDEX": Secret("i"), "PLAIN": "x"}


def test_everything_missing_is_named_at_once(inventory_of: Loader) -> None:
    app = inventory_of(TEXT).apps["hello"]
    Path(".env.production").write_text("GOOD=1\nNO_VALUE\n1BAD=2\nnot a line\n")
    with pytest.raises(InventoryError) as caught:
        app.resolve_env({}, Path())
    shown = [problem.replace(f"{Path.cwd()}/", "") for problem in caught.value.problems]
    assert shown == [
        ".env.production:2  NO_VALUE has no value; for an empty one write NO_VALUE=",
        ".env.production:3  not the name of an environment variable: letters, digits, underscores",
        ".env.production:4  expected NAME=value",
        "inventory.yaml:8:14  apps.hello.env.TOKEN: the environment variable CI_TOKEN is not set here",
        "inventory.yaml:9:14  apps.hello.env.OTHER: the environment variable CI_OTHER is not set here",
    ]
    with pytest.raises(InventoryError) as caught:
        app.resolve_build_env({})
    assert caught.value.problems == (
        "inventory.yaml:11:14  apps.hello.build_env.INDEX: the environment variable CI_INDEX is not set here",
    )


def test_loading_needs_neither_the_file_nor_the_variables(inventory_of: Loader) -> None:
    assert inventory_of(TEXT).apps["hello"].env["TOKEN"] == FromEnv(from_env="CI_TOKEN")


def test_a_missing_env_file(inventory_of: Loader) -> None:
    with pytest.raises(InventoryError) as caught:
        inventory_of(TEXT).apps["hello"].resolve_env({"CI_OTHER": "o"}, Path())
    assert caught.value.problems == (
        "inventory.yaml:5:15  apps.hello.env_file: .env.production does not exist",
        "inventory.yaml:8:14  apps.hello.env.TOKEN: the environment variable CI_TOKEN is not set here",
    )


def test_an_app_made_in_code(tmp_path: Path) -> None:
    (tmp_path / "x.env").write_text("A=1")
    app = App(name="x", module="a:b", env_file=Path("x.env"), env={"B": FromEnv(from_env="B")})
    assert app.resolve_env({"B": "2"}, tmp_path) == {"A": Secret("1"), "B": Secret("2")}
    with pytest.raises(InventoryError, match=r"^apps.x.env.B: the environment variable B is not set here"):
        app.resolve_env({}, tmp_path)


LINES = {
    "A=1": "1",
    "A=": "",
    "export A=1": "1",
    "A = 1": "1",
    "A='it is $HOME #1'": "it is $HOME #1",
    'A="two\\nlines"': "two\nlines",
    'A="two\nlines"': "two\nlines",
    "A=$HOME/${X}": "$HOME/${X}",
    "A=x # a comment": "x",
    "A=x#y": "x#y",
    "A=ünï": "ünï",
    "A=a=b": "a=b",
    "# A=0\n\nA=1\n": "1",
    "A=1\nA=2": "2",
    "A=1\r\n": "1",
    "\ufeffA=1": "1",
}


@pytest.mark.parametrize(("text", "value"), LINES.items())
def test_env_files_read_as_python_dotenv_does(tmp_path: Path, text: str, value: str) -> None:
    (tmp_path / ".env").write_bytes(text.encode())
    assert read_env_file(tmp_path / ".env", {"HOME": "/root", "X": "x"}) == {"A": Secret(value)}


def test_a_broken_env_file_shows_no_value(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("hunter2 hunter2\nA-B=hunter2\nC='hunter2\nD=a\0hunter2\n")
    with pytest.raises(InventoryError) as caught:
        read_env_file(tmp_path / ".env", {})
    assert "hunter2" not in str(caught.value)
    assert [problem.rpartition(".env:")[2] for problem in caught.value.problems] == [
        "1  expected NAME=value",
        "2  not the name of an environment variable: letters, digits, underscores",
        "3  expected NAME=value",
        "4  D holds a NUL character",
    ]
