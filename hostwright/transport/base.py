"""How commands reach a server: what every transport offers, and the errors that belong to none alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from hostwright.errors import UnsupportedServer


class PythonMissing(UnsupportedServer):
    """The server has no python3. `hostwright.transport.python.install_python` puts one there."""


class Channel(Protocol):
    """One running command: its stdin, its stdout line by line, the end of its stderr, its exit code."""

    def send(self, data: bytes) -> None:
        """Send all of it to the command's stdin. Threads may do so at the same time; each call is one piece.

        Raises:
            ConnectionLost: it cannot arrive any more.
        """

    def lines(self) -> Iterator[bytes]:
        """Lines of stdout without their newline, as they come, until the command closes it.

        Raises:
            TransportError: the command could not be run (sudo, no Python), or the connection was lost.
        """

    def stderr_tail(self) -> tuple[str, ...]:
        """The last lines of stderr."""

    def exit_code(self) -> int | None:
        """The command's exit code, once `lines` has ended; None when the server did not tell one."""

    def close(self) -> None:
        """Give the command up. What it started elsewhere goes on."""


class Transport(Protocol):
    """A server that runs commands."""

    @property
    def label(self) -> str:
        """Who is logged in where, e.g. `ubuntu@203.0.113.10:22`."""

    @property
    def public_key(self) -> str:
        """The key that was accepted, as a line of authorized_keys; empty where no key was needed."""

    def open(
        self,
        argv: Sequence[str],
        *,
        root: bool = True,
        forward_agent: bool = False,
        patience: float | None = None,
    ) -> Channel:
        """Start a command, as root unless told otherwise. Returns at once; `lines` says how it went.

        With `forward_agent` it may use this machine's ssh agent (for git over ssh). With `patience` it is
        our agent, and must say its first word within so many seconds.

        Raises:
            TransportError: the connection is gone.
        """

    def close(self) -> None:
        """Log out."""
