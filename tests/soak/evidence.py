"""What the server says about a time under load: nginx's logs, and what the app counted."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

from hostwright.sandbox import Sandbox, Server
from tests.machine.project import sh
from tests.soak.counting import APP

LOGS = "/var/log/nginx"
# what nginx itself takes for an error; a warning is about a large body that goes through a file
SERIOUS = ("[error]", "[crit]", "[alert]", "[emerg]")


@dataclass(frozen=True)
class Evidence:
    """Of one stretch of time.

    Attributes:
        errors: lines of nginx's error logs.
        answers: how many answers of each status nginx gave.
        retried: lines of the access log where nginx asked more than one upstream.
        counted: how often the app was given each id, since the server was made.
    """

    errors: tuple[str, ...]
    answers: Counter[str]
    retried: tuple[str, ...]
    counted: Counter[str]


class Witness:
    """Reads what was written since it was made."""

    def __init__(
        self, sandbox: Sandbox, server: Server, app: str = APP, state: str = f"/var/lib/{APP}"
    ) -> None:
        self._sandbox = sandbox
        self._server = server
        self._error = (f"{LOGS}/error.log", f"{LOGS}/{app}.error.log")
        self._access = (f"{LOGS}/{app}.access.log",)
        self._state = state
        self._sizes = self._measure()

    def _measure(self) -> dict[str, int]:
        names = " ".join((*self._error, *self._access))
        out = sh(self._sandbox, self._server, f"for f in {names}; do touch $f; stat -c '%s %n' $f; done")
        return {line.split()[1]: int(line.split()[0]) for line in out.splitlines()}

    def _since(self, name: str) -> list[str]:
        command = f"tail -c +{self._sizes[name] + 1} {name}"
        return sh(self._sandbox, self._server, command, timeout=120).splitlines()

    def evidence(self) -> Evidence:
        """Everything until now."""
        errors = [line for name in self._error for line in self._since(name)]
        answers: Counter[str] = Counter()
        retried = []
        for name in self._access:
            for line in self._since(name):
                entry = json.loads(line)
                answers[str(entry["status"])] += 1
                if ", " in entry["upstream"]:
                    retried.append(line)
        text = sh(self._sandbox, self._server, f"cat {self._state}/counted 2>/dev/null || true", timeout=120)
        serious = tuple(line for line in errors if any(level in line for level in SERIOUS))
        return Evidence(serious, answers, tuple(retried), Counter(text.splitlines()))

    def instances(self) -> list[str]:
        """The app's service instances that run, or end."""
        argv = ("systemctl", "list-units", "--plain", "--no-legend", "--full", f"{APP}@*.service")
        done = self._sandbox.exec(self._server.name, argv)
        rows = [line.split() for line in str(done.stdout).splitlines()]
        return [row[0] for row in rows if len(row) > 3 and row[2] not in ("failed", "inactive")]
