"""`inv template.*`: templates of the project's own in place of ours."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.context import Context
from invoke.tasks import task

from hostwright.tasks import frame

if TYPE_CHECKING:
    from hostwright.recipes.overrides import Override

HELP = frame.flags("inventory", "debug")
NAMED = {"name": "The template, as `inv template.list` names it.", **HELP}


def folders(inventory: str | None) -> tuple[Path, Path]:
    """The project's folder and the one of our templates.

    Raises:
        UsageError: there is no inventory.
    """
    from hostwright.recipes.render import templates

    return frame.find_inventory(inventory, os.environ).absolute().parent, templates()


@task(name="list", auto_shortflags=False, help=HELP)
def list_(c: Context, inventory: str | None = None, debug: bool = False) -> None:
    """The templates, and which of them this project overrides."""
    with frame.errors(debug):
        from hostwright.recipes.overrides import names, overrides

        project, ours = folders(inventory)
        notes = {found.name: note(found) for found in overrides(project, ours)}
        width = max(map(len, names(ours)))
        for name in names(ours):
            print(f"{name:{width}}  {notes.get(name, '')}".rstrip())


def note(override: Override) -> str:
    """What is worth knowing of an override."""
    if override.outdated:
        return "overridden; ours has changed since"
    return (
        "overridden" if override.made_from else "overridden; its first line does not say from which of ours"
    )


@task(auto_shortflags=False, positional=["name"], help=NAMED)
def eject(c: Context, name: str | None = None, inventory: str | None = None, debug: bool = False) -> None:
    """Copy one of our templates into this project's templates/, where it overrides ours."""
    with frame.errors(debug):
        from hostwright.recipes.overrides import ejected

        name = frame.required(name, "inv template.eject NAME")
        project, ours = folders(inventory)
        path, text = ejected(project, ours, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote    {path.relative_to(project)}")


@task(auto_shortflags=False, positional=["name"], help=NAMED)
def diff(c: Context, name: str | None = None, inventory: str | None = None, debug: bool = False) -> None:
    """How this project's template differs from ours as it is today."""
    with frame.errors(debug):
        from hostwright.recipes.overrides import difference, mark, override

        name = frame.required(name, "inv template.diff NAME")
        project, ours = folders(inventory)
        found = override(project, ours, name)
        lines = difference(project, ours, name)
        print("\n".join(lines) if lines else f"templates/{name} is the same as ours")
        if found.made_from != found.current:
            known = (
                "Ours has changed since" if found.made_from else "Nobody knows from which of ours it was made"
            )
            line = (
                f"{known}. Once it has what it needs of ours, make this its first line: {mark(found.current)}"
            )
            print(line, file=sys.stderr)
