"""The shape of the code: who may import whom, what is fit to be shipped, how long a file may be."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "hostwright"
REMOTE = PACKAGE / "remote"
LONGEST_FILE = 320  # lines

# standard library modules that not every Python from 3.9 to 3.14 has (docs.python.org, "What's New" of each)
ADDED = {"annotationlib", "compression", "tomllib"}
REMOVED = {
    *("asynchat", "asyncore", "binhex", "distutils", "formatter", "imp", "parser", "smtpd", "symbol"),
    *("aifc", "audioop", "cgi", "cgitb", "chunk", "crypt", "imghdr", "lib2to3", "mailcap", "msilib", "nis"),
    *("nntplib", "ossaudiodev", "pipes", "sndhdr", "spwd", "sunau", "telnetlib", "uu", "xdrlib"),
}
COSTLY = {"dataclasses", "typing"}  # each costs milliseconds in every run on a server
BUILT_IN_TYPES = {
    "bool",
    "bytes",
    "dict",
    "float",
    "frozenset",
    "int",
    "list",
    "object",
    "set",
    "str",
    "tuple",
    "type",
}


def sources(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.py"))
    assert found, f"no Python files in {folder}"
    return found


def under(path: Path) -> str:
    return str(path.relative_to(ROOT))


def run_time_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes that are evaluated when annotations are not: skips annotations and `if TYPE_CHECKING:`."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns"}:
            continue
        if isinstance(node, ast.If) and name == "body" and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from run_time_nodes(child)


def imports(nodes: Iterator[ast.AST]) -> Iterator[tuple[int, int, str]]:
    """(line, level, module) of each import; level 0 is absolute, 1 is `from .`, 2 is `from ..`."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, 0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.level, node.module or ""


def looks_like_a_type(node: ast.AST) -> bool:
    """True for None, "Name", int, Sequence, list[str]; False for flags, sets and masks: O_RDWR, a_set."""
    if isinstance(node, ast.Constant):
        return node.value is None or isinstance(node.value, str)
    if isinstance(node, ast.Subscript):
        return looks_like_a_type(node.value)
    if isinstance(node, ast.Attribute):
        return re.fullmatch(r"([A-Z]+[a-z0-9]+)+", node.attr) is not None
    return isinstance(node, ast.Name) and (
        node.id in BUILT_IN_TYPES or re.fullmatch(r"_*([A-Z]+[a-z0-9]+)+", node.id) is not None
    )


def is_union(node: ast.AST) -> bool:
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)):
        return False
    return any(looks_like_a_type(side) or is_union(side) for side in (node.left, node.right))


def annotations_are_text(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(alias.name == "annotations" for alias in node.names)
        for node in tree.body
    )


def unfit_to_ship(source: str, depth: int) -> list[str]:
    """What keeps a file from running under a bare Python 3.9 to 3.14, `depth` folders below remote/."""
    try:
        tree = ast.parse(source, feature_version=(3, 9))
    except SyntaxError as error:
        return [f"line {error.lineno}: not Python 3.9: {error.msg}"]
    text = annotations_are_text(tree)
    problems = []
    for line, level, module in imports(run_time_nodes(tree)):
        top = module.partition(".")[0]
        if level > depth + 1:
            problems.append(f"line {line}: leaves remote/")
        elif level == 0 and (top not in sys.stdlib_module_names or top in ADDED | REMOVED):
            problems.append(f"line {line}: {module} is not in every standard library from 3.9 to 3.14")
        elif level == 0 and top in COSTLY:
            problems.append(f"line {line}: {module} is slow to import")
    evaluated = run_time_nodes(tree) if text else ast.walk(tree)
    unions = sorted({node.lineno for node in evaluated if isinstance(node, ast.BinOp) and is_union(node)})
    return problems + [f"line {line}: X | Y for types needs Python 3.10" for line in unions]


@pytest.mark.parametrize("path", sources(REMOTE), ids=under)
def test_what_is_shipped_runs_on_a_bare_python(path: Path) -> None:
    assert unfit_to_ship(path.read_text(), len(path.relative_to(REMOTE).parents) - 1) == []


FUTURE = "from __future__ import annotations\n"


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("match x:\n    case 1: pass\n", "not Python 3.9"),
        ("try: pass\nexcept* ValueError: pass\n", "not Python 3.9"),
        ("import yaml\n", "line 1: yaml is not in every standard library"),
        ("def f():\n    from jinja2.sandbox import x\n", "line 2: jinja2.sandbox is not in every"),
        ("import hostwright.errors\n", "line 1: hostwright.errors is not in every"),
        ("import tomllib\n", "line 1: tomllib is not in every"),
        ("import crypt\n", "line 1: crypt is not in every"),
        ("from dataclasses import dataclass\n", "line 1: dataclasses is slow"),
        ("from typing import Any\n", "line 1: typing is slow"),
        ("from ... import errors\n", "line 1: leaves remote/"),
        ("def f(x: int | None): pass\n", "line 1: X | Y"),
        (FUTURE + "Value = int | str\n", "line 2: X | Y"),
        (FUTURE + "Value = list[str] | None\n", "line 2: X | Y"),
        (FUTURE + "isinstance(1, Result | State | Other)\n", "line 2: X | Y"),
        (FUTURE + "Value = events.Started | events.Finished\n", "line 2: X | Y"),
    ],
)
def test_the_check_finds(source: str, problem: str) -> None:
    (found,) = unfit_to_ship(source, depth=1)
    assert problem in found


@pytest.mark.parametrize(
    "source",
    [
        FUTURE + "def f(x: int | None) -> str | None: ...\n",
        FUTURE + "x: int | None = None\n",
        FUTURE + "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from typing import Any\n    V = int | str\n",
        "import os\nflags = os.O_RDWR | os.O_CREAT | 0o600\n",
        "names = this | that\nthings = {1} | {2}\nmode |= S_ISUID | EX_OK\n",
        "from . import wire\nfrom ..system import System\n",
    ],
)
def test_the_check_lets_pass(source: str) -> None:
    assert unfit_to_ship(source, depth=1) == []


@pytest.mark.parametrize("path", sources(PACKAGE / "sandbox"), ids=under)
def test_the_sandbox_needs_nothing_installed(path: Path) -> None:
    tops = {
        module.partition(".")[0]
        for _, level, module in imports(ast.walk(ast.parse(path.read_text())))
        if level == 0
    }
    assert tops - sys.stdlib_module_names <= {"hostwright"}


def test_imports_flow_down() -> None:
    argv = (str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo")
    result = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


@pytest.mark.parametrize("path", sources(PACKAGE), ids=under)
def test_no_file_is_too_long_to_read(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= LONGEST_FILE, f"{under(path)} has {lines} lines: find the part that stands on its own"
