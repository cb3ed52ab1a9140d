"""The same agent as a subprocess of this machine: what unit tests and experiments run on. Public."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress

from hostwright.errors import ConnectionLost


class LocalChannel:
    """A process on this machine, spoken to like a command over SSH."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the channel
        self._sending = threading.Lock()
        self._process = subprocess.Popen(
            list(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr
        )

    def send(self, data: bytes) -> None:
        """Send all of it, in one piece whoever else sends.

        Raises:
            ConnectionLost: the process is gone.
        """
        assert self._process.stdin
        try:
            with self._sending:
                self._process.stdin.write(data)
                self._process.stdin.flush()
        except (BrokenPipeError, ValueError) as error:
            raise ConnectionLost("the local agent ended", evidence=self.stderr_tail()) from error

    def lines(self) -> Iterator[bytes]:
        """Lines of stdout without their newline, as they come."""
        assert self._process.stdout
        for line in self._process.stdout:
            yield line.rstrip(b"\n")

    def stderr_tail(self) -> tuple[str, ...]:
        """The last lines of stderr."""
        self._stderr.seek(0)
        return tuple(self._stderr.read().decode("utf-8", "replace").splitlines()[-10:])

    def exit_code(self) -> int | None:
        """The exit code once the process has ended."""
        try:
            return self._process.wait(5)
        except subprocess.TimeoutExpired:
            return None

    def close(self) -> None:
        """Close its input, wait, and end it when that is not enough."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                with suppress(BrokenPipeError):
                    stream.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stderr.close()


class LocalTransport:
    """Runs commands on this machine as this user."""

    label = "this machine"

    public_key = ""

    def open(
        self,
        argv: Sequence[str],
        *,
        root: bool = True,
        forward_agent: bool = False,
        patience: float | None = None,
    ) -> LocalChannel:
        """Start a command. What else is asked for means nothing here: it is this user, with this agent."""
        return LocalChannel(argv)

    def close(self) -> None:
        """Nothing to close."""
