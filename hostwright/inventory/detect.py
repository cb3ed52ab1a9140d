"""Guesses for `inv init`: what kind of app a repository holds and how it would be served."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from hostwright.inventory.django import Django, django
from hostwright.inventory.fields import MODULE
from hostwright.inventory.scan import Source, scan

WSGI = ("flask", "django")
HEALTH_PATHS = (
    *("/health", "/healthz", "/health/", "/healthz/", "/healthcheck", "/healthcheck/", "/health-check"),
    *("/api/health", "/api/healthz", "/livez", "/ping", "/ping/", "/up", "/up/", "/status"),
)
ATTRIBUTES = ("app", "application", "api", "asgi_app", "wsgi_app", "server")
FILES = ("main", "app", "asgi", "wsgi", "application", "api", "server", "__init__")
REQUIREMENTS = (
    "requirements.txt",
    "requirements/production.txt",
    "requirements/prod.txt",
    "requirements/base.txt",
    "requirements-prod.txt",
)

Candidate = tuple[Source, str, str]  # the file, what in it is served, the framework


@dataclass(frozen=True)
class Detected:
    """What was found in a repository. `module` and `requirements` are None when nothing was.

    Attributes:
        framework: "fastapi", "starlette", "litestar", "quart", "flask", "django" or "none".
        directory: the import root, within the repository.
        health_path: a route that looks made for it, else "/".
        notes: what the user should know, in sentences.
        django: what its settings say; of other frameworks nothing.
    """

    framework: str
    module: str | None
    interface: Literal["asgi", "wsgi"]
    requirements: str | None
    directory: str
    health_path: str
    notes: tuple[str, ...] = ()
    django: Django = field(default_factory=Django)


def detect(directory: Path) -> Detected:
    """Look at a repository's files; nothing is imported or run."""
    sources = scan(directory)
    usable = (item for item in _candidates(sources) if MODULE.match(_served(directory, item)))
    found = min(usable, key=_rank, default=None)
    requirements, notes = _requirements(directory, found[0].path if found else None)
    framework = found[2] if found else _framework_by_requirements(directory, requirements)
    root = str(_import_path(directory, found[0])[0]) if found else "."
    settings = django(directory, root, sources) if framework == "django" and found else Django()
    return Detected(
        framework=framework,
        module=_served(directory, found) if found else None,
        interface="wsgi" if framework in WSGI else "asgi",
        requirements=requirements,
        directory=root,
        health_path=_health_path(sources),
        notes=(*notes, *settings.notes),
        django=settings,
    )


def _candidates(sources: list[Source]) -> Iterable[Candidate]:
    """Everything that could be served."""
    frameworks = [framework for source in sources for framework in source.makers.values()]
    for source in sources:
        for attribute, framework in source.makers.items():
            yield source, attribute, framework
        for attribute in source.calls:
            if frameworks:  # app = create_app(), made in another file
                yield source, attribute, frameworks[0]


def _served(directory: Path, candidate: Candidate) -> str:
    """`package.module:attribute`."""
    source, attribute, _ = candidate
    return f"{_import_path(directory, source)[1]}:{attribute}"


def _rank(candidate: Candidate) -> tuple[int, int, int, int, str]:
    """The smaller the better: an app before a factory, the usual names, near the root."""
    source, attribute, _ = candidate
    name = source.path.stem
    return (
        1 if attribute.endswith("()") else 0,
        FILES.index(name) if name in FILES else len(FILES),
        ATTRIBUTES.index(attribute) if attribute in ATTRIBUTES else len(ATTRIBUTES),
        len(source.path.parts),
        str(source.path),
    )


def _import_path(directory: Path, source: Source) -> tuple[PurePosixPath, str]:
    """The import root and the dotted name of a file.

    The root is above the topmost package that holds the file. A folder without `__init__.py` is a
    package as well when the file imports from it or relatively (PEP 420).
    """
    parts = list(source.path.with_suffix("").parts)
    depth = len(parts) - 1
    while depth and (directory.joinpath(*parts[:depth]) / "__init__.py").exists():
        depth -= 1
    imported = _own_imports(source)
    above = next((index for index in range(depth) if parts[index] in imported), None)
    if above is not None:
        depth = above
    elif depth and depth == len(parts) - 1 and _has_relative_imports(source):
        depth -= 1
    names = parts[depth:]
    if names[-1] == "__init__" and len(names) > 1:
        names = names[:-1]
    return PurePosixPath(*parts[:depth]), ".".join(names)


def _own_imports(source: Source) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def _has_relative_imports(source: Source) -> bool:
    return any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(source.tree))


def _requirements(directory: Path, app: Path | None) -> tuple[str | None, list[str]]:
    """The file that says what to install, in the app's folder or the nearest above it; notes."""
    folders = app.parents if app else (Path(),)
    for folder in folders:
        if (directory / folder / "uv.lock").is_file() and (directory / folder / "pyproject.toml").is_file():
            return (folder / "pyproject.toml").as_posix(), []
        for name in REQUIREMENTS:
            if (directory / folder / name).is_file():
                return (folder / name).as_posix(), []
    if (directory / "pyproject.toml").is_file():
        return "pyproject.toml", ["pyproject.toml has no uv.lock beside it yet: run `uv lock` and commit it."]
    if (directory / "Pipfile.lock").is_file():
        return None, ["Pipfile.lock is not read: `pipenv requirements > requirements.txt`."]
    return None, ["No requirements were found: `pip freeze > requirements.txt` is a start."]


def _framework_by_requirements(directory: Path, requirements: str | None) -> str:
    """A guess from the names of what is installed, when no app was found."""
    if requirements is None:
        return "none"
    text = (directory / requirements).read_text(encoding="utf-8", errors="replace").lower()
    names = ("fastapi", "litestar", "quart", "django", "flask", "starlette")  # most particular first
    return next((name for name in names if re.search(rf"(?<![\w-]){name}(?![\w-])", text)), "none")


def _health_path(sources: list[Source]) -> str:
    routes = {
        string if string.startswith("/") else f"/{string}" for source in sources for string in source.strings
    }
    return next((path for path in HEALTH_PATHS if path in routes), "/")
