"""`inv init` and `inv inventory.schema`: what a project needs to begin."""

from __future__ import annotations

import json as json_module
from collections.abc import Callable
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
        from hostwright.inventory import detect, json_schema, render_inventory
        from hostwright.inventory.reserved import check_app_name
        from hostwright.inventory.starter import app_name

        here = Path.cwd()
        try:
            name = check_app_name(app) if app else app_name(here.name)
        except ValueError as error:
            raise UsageError(f"the app cannot be called that: {error}", hint="inv init --app NAME") from error
        texts: dict[str, Callable[[], str]] = {
            "inventory.yaml": lambda: render_inventory(detect(here), name),
            "inventory.schema.json": lambda: schema_text(json_schema()),
            "tasks.py": lambda: TASKS,
        }
        written = [file for file, text in texts.items() if write(here / file, text)]
        tasks = (here / "tasks.py").read_text(encoding="utf-8")
        if "hostwright" not in tasks:
            print("Add this to your tasks.py:  from hostwright.tasks import ns")
        if written:
            print("Look inventory.yaml over and commit it. Then: inv provision --host USER@ADDRESS")


def write(path: Path, text: Callable[[], str]) -> bool:
    """Write a file that is not there yet; one that is stays as it is."""
    if path.exists():
        print(f"kept     {path.name} (it was there already)")
        return False
    path.write_text(text(), encoding="utf-8")
    print(f"wrote    {path.name}")
    return True


def schema_text(schema: object) -> str:
    """A JSON Schema as a file."""
    return json_module.dumps(schema, indent=2) + "\n"


@task(auto_shortflags=False, help={"out": "Write it there instead of printing it.", **DEBUG})
def schema(c: Context, out: str | None = None, debug: bool = False) -> None:
    """The JSON Schema of inventory.yaml, for editors."""
    with frame.errors(debug):
        from hostwright.inventory import json_schema

        text = schema_text(json_schema())
        if out:
            Path(out).write_text(text, encoding="utf-8")
            print(f"wrote    {out}")
        else:
            print(text, end="")
