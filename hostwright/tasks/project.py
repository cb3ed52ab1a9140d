"""`inv init` and `inv inventory.schema`: what a project needs to begin."""

from __future__ import annotations

import json as json_module
import re
from pathlib import Path

from invoke.context import Context
from invoke.tasks import task

from hostwright.errors import UsageError
from hostwright.tasks import frame

TASKS = '''"""Deployment: `inv --list` shows the commands. See inventory.yaml."""

from hostwright.tasks import ns

__all__ = ["ns"]
'''
DEBUG = {"debug": frame.HELP["debug"]}


@task(auto_shortflags=False, help={"app": "The app's name (default: the folder's).", **DEBUG})
def init(c: Context, app: str | None = None, debug: bool = False) -> None:
    """Write inventory.yaml and tasks.py for the project in this folder."""
    with frame.errors(debug):
        from hostwright.inventory import detect, render_inventory
        from hostwright.inventory.reserved import check_app_name

        here = Path.cwd()
        try:
            name = check_app_name(app or name_of(here))
        except ValueError as error:
            raise UsageError(f"the app cannot be called that: {error}", hint="inv init --app NAME") from error
        written = []
        for path, text in (
            (here / "inventory.yaml", lambda: render_inventory(detect(here), name)),
            (here / "tasks.py", lambda: TASKS),
        ):
            if path.exists():
                print(f"kept     {path.name} (it was there already)")
                continue
            path.write_text(text(), encoding="utf-8")
            written.append(path.name)
            print(f"wrote    {path.name}")
        tasks = (here / "tasks.py").read_text(encoding="utf-8")
        if "hostwright" not in tasks:
            print("Add this to your tasks.py:  from hostwright.tasks import ns")
        if written:
            print("Look inventory.yaml over and commit it. Then: inv provision --host USER@ADDRESS")


def name_of(folder: Path) -> str:
    """An app name out of a folder's."""
    name = re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-")[:31]
    return name if name[:1].isalpha() else f"app-{name}".strip("-")[:31]


@task(auto_shortflags=False, help={"out": "Write it there instead of printing it.", **DEBUG})
def schema(c: Context, out: str | None = None, debug: bool = False) -> None:
    """The JSON Schema of inventory.yaml, for editors."""
    with frame.errors(debug):
        from hostwright.inventory import json_schema

        text = json_module.dumps(json_schema(), indent=2) + "\n"
        if out:
            Path(out).write_text(text, encoding="utf-8")
            print(f"wrote    {out}")
        else:
            print(text, end="")
