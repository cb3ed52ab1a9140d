"""Every error a user can meet, in one tree. Each says what happened, where, the evidence, and what to do next.

HostwrightError                 1
|-- UsageError                  2   a flag or a name that makes no sense
|   |-- InventoryError          2   problems in inventory.yaml, all of them at once
|   `-- RenderError             2   a template that does not render
|-- TransportError              3   the server could not be reached or spoken to
|   |-- HostNotFound            3   the name does not resolve
|   |-- HostUnreachable         3   refused, timed out, no route
|   |-- AuthenticationFailed    3
|   |-- HostKeyMismatch         3
|   |-- SudoFailed              3   needs a password, wrong password, not allowed
|   |-- UnsupportedServer       3   no Python that can be had, not Debian or Ubuntu, no systemd
|   |-- ProtocolError           3   noise instead of our frames, another protocol version
|   `-- ConnectionLost          3   a run that was started goes on at the server
|-- Cancelled                 130   Ctrl-C before anything was begun, or a second one
|-- SourceError                 1   git says no: uncommitted changes, unknown ref, unsupported repository
`-- SandboxError                1
    `-- SandboxUnavailable      1   this machine cannot run throw-away servers

How a run on a server ended (failed 1, busy 5, refused by the health gate 6, cancelled 130) is no error here but
its last event, RunFinished; report/monitor.py knows the exit codes.
"""

from __future__ import annotations

from collections.abc import Sequence


class HostwrightError(Exception):
    """Base of all errors that end a command.

    Args:
        message: one line: what happened.
        host: name or address of the server it happened on, if any.
        evidence: what was seen, e.g. the last lines of output; shown indented.
        hint: what to do next, ideally a command to type.
    """

    exit_code = 1

    def __init__(
        self, message: str, *, host: str | None = None, evidence: Sequence[str] = (), hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.host = host
        self.evidence = tuple(evidence)
        self.hint = hint

    def __str__(self) -> str:
        head = f"{self.host}  {self.message}" if self.host else self.message
        lines = [head, *(f"  | {line}" for line in self.evidence)]
        if self.hint:
            lines.append(f"  {self.hint}")
        return "\n".join(lines)


class UsageError(HostwrightError):
    """A flag, a host name or an app name that makes no sense."""

    exit_code = 2


class InventoryError(UsageError):
    """All problems found in an inventory, each `file:line:column  path: what is wrong`."""

    def __init__(self, problems: Sequence[str], *, hint: str | None = None) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__("\n".join([*self.problems, f"{count}, nothing was contacted."]), hint=hint)


class RenderError(UsageError):
    """A template is missing, does not parse, or uses a name nobody gave it."""


class TransportError(HostwrightError):
    """The server could not be reached or spoken to."""

    exit_code = 3


class HostNotFound(TransportError):
    """The name does not resolve."""


class HostUnreachable(TransportError):
    """Nothing answers: refused, timed out, no route."""


class AuthenticationFailed(TransportError):
    """The server accepts none of our keys for this user."""


class HostKeyMismatch(TransportError):
    """The server's host key is not the one we know, or was revoked."""


class SudoFailed(TransportError):
    """sudo needs a password, got a wrong one, or does not allow the user."""


class UnsupportedServer(TransportError):
    """Not a server we can manage: not Debian or Ubuntu, no systemd, no Python to be had."""


class ProtocolError(TransportError):
    """What came back was not ours: noise, or another protocol version."""


class ConnectionLost(TransportError):
    """The connection ended before the command did. A run that was started goes on at the server."""


class SourceError(HostwrightError):
    """The app's source cannot be deployed as asked."""


class Cancelled(HostwrightError):
    """The user does not want it any more, or not to watch it any more."""

    exit_code = 130


class SandboxError(HostwrightError):
    """A throw-away server failed."""


class SandboxUnavailable(SandboxError):
    """This machine cannot run throw-away servers; says why and what to use instead."""
