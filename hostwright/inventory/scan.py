"""What a repository's Python files say about the app in them, read with `ast` and never imported."""

from __future__ import annotations

import ast
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

# class or function that makes an app -> framework
MAKERS = {
    "fastapi.FastAPI": "fastapi",
    "fastapi.applications.FastAPI": "fastapi",
    "starlette.applications.Starlette": "starlette",
    "litestar.Litestar": "litestar",
    "litestar.app.Litestar": "litestar",
    "quart.Quart": "quart",
    "flask.Flask": "flask",
    "flask.app.Flask": "flask",
    "django.core.wsgi.get_wsgi_application": "django",
}
FACTORIES = ("create_app", "make_app", "build_app", "get_app", "create_application", "get_application")
SKIPPED = frozenset(
    {
        *(
            "venv",
            "env",
            "node_modules",
            "site-packages",
            "build",
            "dist",
            "__pycache__",
            "static",
            "templates",
        ),
        *(
            "tests",
            "test",
            "testing",
            "docs",
            "doc",
            "examples",
            "scripts",
            "benchmarks",
            "migrations",
            "alembic",
        ),
    }
)
FOLDER = re.compile(r"\w[\w .+@-]*\Z")  # hidden ones and oddities are left out
MAX_DEPTH, MAX_FILES, MAX_BYTES = 4, 2000, 500_000


@dataclass
class Source:
    """One file: where it is imported from and what it defines."""

    path: Path  # relative to the repository
    tree: ast.Module
    makers: dict[str, str] = field(default_factory=dict)  # attribute, or factory with (), -> framework
    calls: list[str] = field(default_factory=list)  # attributes that are the result of a factory
    strings: list[str] = field(default_factory=list)  # first arguments of calls: routes are among them


def scan(directory: Path) -> list[Source]:
    """The Python files of a repository that parse, those near its root first."""
    sources = []
    for path in sorted(_files(directory), key=lambda path: (len(path.parts), str(path)))[:MAX_FILES]:
        try:
            content = (directory / path).read_bytes()[:MAX_BYTES]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # invalid escapes in somebody else's code
                tree = ast.parse(content)
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        sources.append(_read(Source(path, tree)))
    return sources


def _files(directory: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(directory):
        here = Path(folder).relative_to(directory)
        folders[:] = sorted(
            name
            for name in folders
            if name not in SKIPPED
            and FOLDER.match(name)
            and len(here.parts) < MAX_DEPTH
            # a virtual environment under any name
            and not (Path(folder) / name / "pyvenv.cfg").exists()
        )
        yield from (
            here / name
            for name in names
            if name.endswith(".py")
            and not name.startswith("test_")
            and name not in ("conftest.py", "setup.py")
        )


def _read(source: Source) -> Source:
    imports = _imports(source.tree)
    for node in _top_level(source.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name in FACTORIES:
            framework = _maker_in(node, imports)
            if framework and not _required_arguments(node):
                source.makers.setdefault(f"{node.name}()", framework)
        for name, value in _assignments(node):
            framework = _maker(value, imports)
            if framework:
                source.makers[name] = framework
            elif isinstance(value, ast.Call) and _dotted(value.func).rpartition(".")[2] in FACTORIES:
                source.calls.append(name)
    source.strings = [
        node.args[0].value
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    ]
    return source


def _imports(tree: ast.Module) -> dict[str, str]:
    """Local name -> what it stands for, e.g. {"FastAPI": "fastapi.FastAPI", "f": "flask"}."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _top_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """The module's statements, also those inside if, try and with."""
    pending: list[ast.stmt] = list(tree.body)
    while pending:
        node = pending.pop(0)
        yield node
        if isinstance(node, (ast.If, ast.Try, ast.With)):
            # what `python main.py` alone does is not there when the module is imported
            main = isinstance(node, ast.If) and "__main__" in ast.dump(node.test)
            pending[:0] = (
                [] if main else [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
            )


def _assignments(node: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Assign):
        yield from ((target.id, node.value) for target in node.targets if isinstance(target, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
        yield node.target.id, node.value


def _maker(value: ast.AST, imports: dict[str, str]) -> str | None:
    """The framework whose app a call makes."""
    if not isinstance(value, ast.Call):
        return None
    head, _, rest = _dotted(value.func).partition(".")
    full = f"{imports.get(head, head)}.{rest}" if rest else imports.get(head, head)
    return MAKERS.get(full)


def _maker_in(function: ast.AST, imports: dict[str, str]) -> str | None:
    return next(filter(None, (_maker(node, imports) for node in ast.walk(function))), None)


def _required_arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a factory cannot be called as `factory()`; an async one cannot either."""
    args = function.args
    positional = len(args.posonlyargs) + len(args.args) - len(args.defaults)
    return positional > 0 or None in args.kw_defaults or isinstance(function, ast.AsyncFunctionDef)


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
