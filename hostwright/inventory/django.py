"""What a Django project's settings say about how it is built and deployed; read with `ast`, never run."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hostwright.inventory.scan import Source

COLLECT = "python manage.py collectstatic --noinput"
MIGRATE = "python manage.py migrate --noinput"
READ_ONLY = (
    "The SQLite database lies in the code, which the app cannot write on the server. Take its path from the "
    "environment, e.g. /var/lib/APP/db.sqlite3; then let `release_command` migrate it."
)


@dataclass(frozen=True)
class Django:
    """What was found.

    Attributes:
        build_command: empty when no static files are collected.
        static: URL path -> directory of the app.
        release_command: empty without a manage.py, or where the database could not be written.
        notes: what the user should know, in sentences.
    """

    build_command: str = ""
    static: tuple[tuple[str, str], ...] = ()
    release_command: str = ""
    notes: tuple[str, ...] = ()


def django(repository: Path, directory: str, sources: list[Source]) -> Django:
    """Look at the settings.

    Args:
        directory: the import root in the repository, where manage.py lies.
        sources: of the repository, see `scan`.
    """
    if not (repository / directory / "manage.py").is_file():
        return Django()
    names: dict[str, ast.expr] = {}
    for source in sources:
        # settings/production.py says more than settings/base.py, and is seen later
        names.update(_settings(source))
    root, url = _directory(names.get("STATIC_ROOT")), _url(names.get("STATIC_URL"))
    read_only = "DATABASES" in names and _database_in_code(names["DATABASES"])
    return Django(
        build_command=COLLECT if root else "",
        static=((url, root),) if root and url else (),
        release_command="" if read_only else MIGRATE,
        notes=(READ_ONLY,) if read_only else (),
    )


def _settings(source: Source) -> dict[str, ast.expr]:
    """The constants of a file that is called settings, or lies in a folder of that name."""
    if "settings" not in (source.path.stem, source.path.parent.name):
        return {}
    return {
        target.id: node.value
        for node in source.tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id.isupper()
    }


def _directory(value: ast.expr | None) -> str | None:
    """BASE_DIR / "a" / "b", os.path.join(BASE_DIR, "a", "b"): "a/b"; None for anything else."""
    parts: list[str] = []
    while isinstance(value, ast.BinOp) and isinstance(value.op, ast.Div):
        if not _is_text(value.right):
            return None
        parts.insert(0, ast.literal_eval(value.right))
        value = value.left
    if (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and value.func.attr in ("join", "joinpath")
    ):
        arguments = list(value.args)
        value = arguments.pop(0) if value.func.attr == "join" and arguments else value.func.value
        if not all(map(_is_text, arguments)):
            return None
        parts = [*(ast.literal_eval(argument) for argument in arguments), *parts]
    if not (isinstance(value, ast.Name) and value.id == "BASE_DIR") or not parts:
        return None
    path = PurePosixPath(*parts)
    return None if path.is_absolute() or ".." in path.parts else str(path)


def _is_text(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _url(value: ast.expr | None) -> str:
    """Django's default is none; a URL with a host is served elsewhere."""
    text = ast.literal_eval(value) if value is not None and _is_text(value) else "static/"
    return "" if "://" in text or not text.strip("/") else "/" + text.strip("/")


def _database_in_code(value: ast.expr) -> bool:
    return any(
        isinstance(key, ast.Constant) and key.value == "NAME" and _directory(name) is not None
        for node in ast.walk(value)
        if isinstance(node, ast.Dict)
        for key, name in zip(node.keys, node.values, strict=True)
    )
