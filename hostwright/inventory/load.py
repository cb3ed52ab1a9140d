"""inventory.yaml -> Inventory: the only place where the file is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hostwright import __version__
from hostwright.errors import InventoryError
from hostwright.inventory.app import App
from hostwright.inventory.checks import check_references, merged
from hostwright.inventory.explain import explain
from hostwright.inventory.frozen import FrozenDict
from hostwright.inventory.host import Host, HostSettings
from hostwright.inventory.model import Document, Inventory
from hostwright.inventory.parse import Parsed, Problem, parse
from hostwright.inventory.trusted import display_name, read_trusted

# characters of a problem that are shown: a key may be a megabyte
LONGEST = 800
EXTENSION = "x-"  # top-level keys that we leave to the user, for anchors
NEW = "`inv init` writes one for this project."


def load(path: Path, environ: Mapping[str, str]) -> Inventory:
    """Read and check an inventory. Nothing is contacted and no secret is looked up.

    Args:
        path: the file; what it names relatively is relative to its directory.
        environ: this machine's environment; `SUDO_UID` tells whose files to trust under sudo.

    Raises:
        InventoryError: all problems of the file, each with its line and column.
        UsageError: there is no such file, or others can write it.
    """
    absolute = path.absolute()
    shown = display_name(absolute)
    parsed = parse(read_trusted(absolute, environ, missing=NEW))
    if isinstance(parsed.data, dict):
        parsed.data = {key: value for key, value in parsed.data.items() if not key.startswith(EXTENSION)}
    context = {"base": absolute.parent}
    problems = _problems(parsed, context)
    if problems:
        lines = [f"{shown}:{place.line}:{place.column}  {_printable(text)}" for place, text in problems]
        raise InventoryError(lines, hint=NEW if parsed.empty else None)
    return _build(absolute, shown, parsed, context)


def _printable(text: str) -> str:
    """One line that cannot play tricks on a terminal, whatever a key or a value holds."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _problems(parsed: Parsed, context: dict[str, Any]) -> list[Problem]:
    """Everything that is wrong, in the order of the file."""
    problems = list(parsed.problems)
    if parsed.data is not None or not problems:
        known = {place for place, _ in problems}
        problems += [problem for problem in _invalid(parsed, context) if problem.place not in known]
        problems += check_references(parsed, __version__)
    return sorted(set(problems))


def _invalid(parsed: Parsed, context: dict[str, Any]) -> list[Problem]:
    try:
        Document.model_validate(parsed.data, context=context)
    except ValidationError as error:
        return explain(error.errors(include_url=False), parsed, Document)
    return []


def _build(path: Path, shown: str, parsed: Parsed, context: dict[str, Any]) -> Inventory:
    """The inventory of a file that is known to be right."""
    data = parsed.data
    apps = {
        name: App.model_validate(
            {**keys, "name": name, "places": _places(shown, parsed, name, keys)}, context=context
        )
        for name, keys in (data.get("apps") or {}).items()
    }
    hosts = {}
    for name in data.get("hosts") or {}:
        keys = merged(data, name)
        running = keys.get("apps")
        keys |= {
            "name": name,
            "address": keys.get("address") or name,
            "apps": apps if running is None else running,
        }
        hosts[name] = Host.model_validate({**keys, "apps": tuple(keys["apps"])}, context=context)
    groups = dict.fromkeys(
        [*(data.get("groups") or {}), *(group for host in hosts.values() for group in host.groups)]
    )
    return Inventory(
        path=path,
        project=data.get("project") or _project_name(path.parent),
        apps=FrozenDict(apps),
        groups=FrozenDict(
            {group: tuple(host.name for host in hosts.values() if group in host.groups) for group in groups}
        ),
        hosts=FrozenDict(hosts),
        defaults=HostSettings.model_validate(data.get("defaults") or {}, context=context),
    )


def _places(shown: str, parsed: Parsed, app: str, keys: Mapping[str, Any]) -> dict[str, str]:
    """Where an app's variables stand, for errors that show only when they are needed."""
    paths: list[tuple[str, ...]] = [("env_file",)] if "env_file" in keys else []
    paths += [(key, name) for key in ("env", "build_env") for name in keys.get(key) or {}]
    places = {".".join(path): parsed.values[("apps", app, *path)] for path in paths}
    return {name: f"{shown}:{place.line}:{place.column}  apps.{app}.{name}" for name, place in places.items()}


def _project_name(directory: Path) -> str:
    """A directory's name as far as a project may have it."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", directory.resolve().name).strip("._-")
    return name[:64] or "project"
