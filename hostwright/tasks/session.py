"""What a task needs to talk to hosts: the inventory, logins, an output; and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from invoke.context import Context

from hostwright.errors import HostwrightError, UsageError
from hostwright.tasks import frame

if TYPE_CHECKING:
    from hostwright.inventory import App, Host, Inventory
    from hostwright.report import Output, Report
    from hostwright.run.login import Logins


class Session:
    """One command of a user; a context manager that turns errors into messages and exit codes.

    Args:
        c: Invoke's context; `--dry` before the task means `--check`.
        inventory: --inventory.
        identity: --identity.
        as_json: --json.
        debug: --debug.
    """

    def __init__(
        self,
        c: Context,
        *,
        inventory: str | None,
        identity: str | None = None,
        as_json: bool = False,
        debug: bool = False,
    ) -> None:
        self.dry = bool(c.config.run.dry)
        self._inventory_name = inventory
        self._identity = identity
        self.as_json = as_json
        self._debug = debug
        self._errors = frame.errors(debug)
        self._loaded: Inventory | None = None
        self._output: Output | None = None

    def __enter__(self) -> Session:
        self._errors.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._output is not None:
            self._output.close()
        if self.as_json and isinstance(error, HostwrightError):  # programs need not read what people do
            from hostwright.report import error_json

            print(json.dumps({"event": "error", "host": error.host, **error_json(error)}), flush=True)
        self._errors.__exit__(kind, error, trace)

    # -- who -----------------------------------------------------------------------------------------------

    @property
    def inventory(self) -> Inventory:
        """The inventory, loaded once.

        Raises:
            InventoryError
        """
        if self._loaded is None:
            from hostwright.inventory import load

            self._loaded = load(frame.find_inventory(self._inventory_name, os.environ), os.environ)
        return self._loaded

    def hosts(
        self,
        spec: Sequence[str] | None,
        *,
        purpose: Literal["provision", "deploy", "any"],
        app: str | None = None,
    ) -> list[Host]:
        """The hosts a user named, or those a command means when none was.

        Raises:
            UsageError
        """
        from hostwright.inventory import select_hosts

        found = [] if spec or self.inventory.hosts or purpose == "provision" else self._remembered(app)
        found = found or select_hosts(self.inventory, tuple(spec or ()), purpose=purpose, app=app)
        if self._identity:
            path = Path(self._identity)
            with contextlib.suppress(RuntimeError):  # ~USER, and there is no such user: no such file either
                path = path.expanduser()
            if not path.is_file():
                raise UsageError(f"--identity: there is no file {path}")
            found = [host.model_copy(update={"identity_file": path.absolute()}) for host in found]
        return found

    def _remembered(self, app: str | None) -> list[Host]:
        """Where this project was provisioned last, when its inventory names no hosts."""
        from hostwright.run.remembered import recall

        found = [host for host in recall(self.inventory, os.environ) if app is None or app in host.apps]
        if found and not self.as_json:
            names = ", ".join(f"{host.user}@{host.name}" for host in found)
            print(
                f"using {names}, provisioned last; put it under hosts: in {self.inventory.path.name}",
                file=sys.stderr,
            )
        return found

    def remember(self, hosts: Sequence[Host]) -> None:
        """These servers are provisioned; the next command finds them although the inventory has no hosts."""
        from hostwright.run.remembered import remember

        if not self.inventory.hosts:
            remember(self.inventory, hosts, os.environ)

    def app(self, name: str | None) -> App:
        """The app a user named, or the only one.

        Raises:
            UsageError
        """
        from hostwright.inventory import select_app

        return select_app(self.inventory, name)

    @staticmethod
    def wait(text: str) -> int:
        """--wait as seconds.

        Raises:
            UsageError
        """
        return frame.number(text, "wait", 0, 86400)

    # -- what the user sees --------------------------------------------------------------------------------

    @property
    def output(self) -> Output:
        """Where events are shown."""
        if self._output is None:
            from hostwright.report import choose

            self._output = choose(sys.stdout, json=self.as_json, environ=os.environ, debug=self._debug)
        return self._output

    @property
    def logins(self) -> Logins:
        """How to get into hosts."""
        from hostwright.run.login import Logins

        return Logins(lambda host, line: self.say(f"{host}  {line}"), self.inventory, pause=self.pause)

    def pause(self) -> AbstractContextManager[None]:
        """Nothing moves on the terminal while a question is asked."""
        from hostwright.report import paused

        return paused(self._output)

    def say(self, line: str) -> None:
        """A word for people: into the report of a run; beside the answer of a query."""
        if self._output is not None:
            self._output.notice(line)
        else:
            print(line, file=sys.stderr, flush=True)

    def begin(self, hosts: Sequence[Host], title: str) -> None:
        """A command begins on these hosts."""
        self.output.begin([host.name for host in hosts], title)

    def finish(self, report: Report, then: str = "") -> None:
        """Show the summary and end with the report's exit code.

        Args:
            report: what happened.
            then: what to type next, shown when all went well and something changed.
        """
        self.output.end(report)
        if then and report.exit_code == 0 and report.counts["changed"] and not self.as_json:
            print(then)
        frame.end(report.exit_code)
