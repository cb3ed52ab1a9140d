"""What all tasks share: common flags, where the inventory is, and the one place where errors become exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from hostwright.errors import HostwrightError, InventoryError, UsageError

HELP = {
    "host": "A name or group of the inventory, `all`, a comma list, or [user@]address[:port]; repeatable.",
    "app": "The app, where the inventory has several.",
    "inventory": "The inventory file (also HOSTWRIGHT_INVENTORY); otherwise inventory.yaml here or above.",
    "identity": "Private key to log in with; wins over the inventory.",
    "check": "Change nothing: tell what would change. Exit code 4 when something would.",
    "diff": "Show the lines of files that change.",
    "json": "Print events as JSON, one object a line.",
    "wait": "Seconds to wait for another run that holds the host (default 60).",
    "yes": "Ask nothing.",
    "debug": "Show tracebacks.",
}


def flags(*names: str, **more: str) -> dict[str, str]:
    """Help texts of the named common flags and of a task's own."""
    return {**{name: HELP[name] for name in names}, **more}


@contextmanager
def errors(debug: bool) -> Iterator[None]:
    """Map every error to its message and exit code; a traceback only with --debug.

    Raises:
        SystemExit: with the error's exit code.
    """
    try:
        yield
    except HostwrightError as error:
        if debug:
            raise
        from hostwright.report import error_text

        print(error_text(error, sys.stderr, os.environ), file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:  # `inv ... | head`
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - lives until exit
        raise SystemExit(141) from None
    except Exception as error:
        if debug:
            raise
        print(
            f"unexpected {type(error).__name__}: {error}\n  This is a bug in Hostwright; --debug shows where.",
            file=sys.stderr,
        )
        raise SystemExit(1) from None


def required(value: str | None, usage: str) -> str:
    """A word that a task cannot do without. Invoke hands it whatever follows, `--help` too.

    Args:
        value: the word.
        usage: how the task is called: `inv sandbox.ssh NAME [--user root]`.

    Raises:
        SystemExit: help was wanted, and shown.
        UsageError: it is missing, or a flag.
    """
    if value in ("--help", "-h"):
        show_help(usage.split()[1])
    if not value or value.startswith("-"):
        raise UsageError(f"usage: {usage}")
    return value


def show_help(name: str) -> NoReturn:
    """What `inv --help NAME` shows.

    Raises:
        SystemExit: always, with code 0.
    """
    from invoke.program import Program

    from hostwright.tasks import ns

    Program(name="inv[oke]", binary="inv[oke]", namespace=ns).run(["inv", "--help", name], exit=False)
    raise SystemExit(0)


def end(code: int) -> None:
    """End a task with an exit code.

    Raises:
        SystemExit: unless the code is 0.
    """
    if code:
        raise SystemExit(code)


def number(text: str, flag: str, low: int = 0, high: int = 10**9) -> int:
    """An integer that came as text: a bad one would be a traceback if Invoke converted it.

    Raises:
        UsageError
    """
    try:
        value = int(text)
    except (TypeError, ValueError):
        value = low - 1
    if not low <= value <= high:
        raise UsageError(f'--{flag}: expected an integer from {low} to {high}, got "{text}"')
    return value


def find_inventory(name: str | None, environ: Mapping[str, str]) -> Path:
    """The inventory: named, else inventory.yaml here or in a folder above, else beside tasks.py.

    Raises:
        UsageError: there is none.
    """
    chosen = name or environ.get("HOSTWRIGHT_INVENTORY")
    if chosen:
        return Path(chosen)
    here = Path.cwd()
    places: list[Path] = [here, *here.parents]
    tasks = sys.modules.get("tasks")
    if tasks is not None and tasks.__file__:
        places.append(Path(tasks.__file__).parent)
    for place in places:
        if (place / "inventory.yaml").is_file():
            return place / "inventory.yaml"
    raise InventoryError(
        [f"there is no inventory.yaml in {here} or above"], hint="`inv init` writes one for this project."
    )


def ask(question: str, yes: bool, default: bool = False) -> bool:
    """Ask a question on a terminal; without one, or with --yes, take the answer for granted."""
    if yes:
        return True
    if not sys.stdin.isatty():
        return default
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
