"""One command over SSH: stdin, stdout by lines, and finding out why it did not run."""

from __future__ import annotations

import contextlib
import shlex
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hostwright.errors import ConnectionLost, ProtocolError, SudoFailed, TransportError
from hostwright.remote import wire
from hostwright.transport import refusals, sudo

if TYPE_CHECKING:
    from paramiko import Channel

    from hostwright.transport.ssh import SshTransport

TICK = 5.0  # seconds without output after which the server is asked for a sign of life
SILENCE = 30.0  # seconds without one after which it is taken for dead
TAIL_LINES, TAIL_BYTES = 20, 64 * 1024
# Until the command has answered, what was sent is kept: if sudo wants a password first, it is sent again.
# More than this cannot be under way unread (a server's window is 2 MiB), so then the command runs.
KEPT = 4 << 20


class SshChannel:
    """A command on a server. See hostwright.transport.base.Channel.

    Args:
        transport: the connection.
        argv: the command.
        root: run it as root.
        keep_agent: leave the forwarded ssh agent to it.
        patience: seconds within which our agent must have said something; None: it is another command.
    """

    def __init__(
        self,
        transport: SshTransport,
        argv: Sequence[str],
        *,
        root: bool,
        keep_agent: bool,
        patience: float | None = None,
    ) -> None:
        self._transport = transport
        self._argv = tuple(argv)
        self._root = root
        self._keep_agent = keep_agent
        self._patience = patience
        self._lock = threading.Lock()
        self._answered = False
        self._stderr = bytearray()
        through_sudo = root and transport.user != "root"
        self._kept: list[bytes] | None = [] if through_sudo else None
        command = sudo.without_password(argv, keep_agent=keep_agent) if through_sudo else self._argv
        self._channel = self._start(command)

    def _start(self, argv: Sequence[str]) -> Channel:
        channel = self._transport.start(shlex.join(argv), forward_agent=self._keep_agent)
        channel.settimeout(TICK)
        self._began = time.monotonic()
        return channel

    # -- stdin ---------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send all of it; see Channel.send. While it is open whether the command runs, nothing is lost."""
        with self._lock:
            if self._kept is not None:
                self._kept.append(data)
                if sum(map(len, self._kept)) > KEPT:
                    self._kept = None
            try:
                self._send(self._channel, data)
            except OSError as error:
                # not answered yet, so most likely refused: `lines` says why, or sends it again
                if self._answered or not self._transport.alive:
                    raise self._lost(self._transport.reason or str(error)) from error

    def _send(self, channel: Channel, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                sent = channel.send(bytes(view[: 1 << 15]))
            except TimeoutError:
                self._check_alive()
                continue
            if not sent:
                raise OSError("the command does not read any more")
            view = view[sent:]

    # -- stdout --------------------------------------------------------------------------------------------

    def lines(self) -> Iterator[bytes]:
        """Lines of stdout; see Channel.lines."""
        yield from self._lines()
        if self._start_with_password():
            yield from self._lines()
        self._raise_refusal()

    def _lines(self) -> Iterator[bytes]:
        rest = b""
        while data := self._receive():
            whole, rest = wire.split_lines(rest + data)
            for line in whole:
                if not self._answered:
                    self._look_at(line)
                yield line
        if rest:
            yield rest

    def _look_at(self, line: bytes) -> None:
        """Our agent's lines are RS and an object: then the command runs. Anything else is noise, or a refusal.

        An RS alone may be of what we sent, given back by something that is no agent.
        """
        if wire.RS + b"{" in line:
            with self._lock:
                self._answered, self._kept = True, None
        elif problem := refusals.other_user(line.decode("utf-8", "replace")):
            raise self._named(problem)

    def _receive(self) -> bytes:
        """What comes next on stdout; nothing at its end. Keeps stderr flowing and notices a dead server."""
        while True:
            self._check_patience()
            try:
                data: bytes = self._channel.recv(1 << 16)
            except TimeoutError:
                self._drain_stderr()
                self._check_alive()
                with contextlib.suppress(OSError):  # recv tells that better
                    self._transport.knock()
                continue
            self._drain_stderr()
            return data

    def _check_alive(self) -> None:
        silent = self._transport.silence
        if silent > SILENCE:
            raise self._lost(f"no sign of life for {silent:.0f} s")

    def _check_patience(self) -> None:
        if self._answered or self._patience is None or time.monotonic() - self._began < self._patience:
            return
        raise ProtocolError(
            f"logged in, but the agent did not start within {self._patience:.0f} s",
            host=self._transport.name,
            evidence=self.stderr_tail(),
            hint=f"Does a shell start-up file of {self._transport.user} wait, or start another program?",
        )

    # -- the end -------------------------------------------------------------------------------------------

    def _raise_refusal(self) -> None:
        """Say why the command never ran, if so."""
        code = self.exit_code()
        if code is None and not self._transport.alive:
            raise self._lost(self._transport.reason)
        if self._answered:
            return
        user, tail = self._transport.user, self.stderr_tail()
        if problem := refusals.explain(self._argv, code, tail, user=user, root=self._root):
            raise self._named(problem)

    def _named(self, problem: TransportError) -> TransportError:
        problem.host = problem.host or self._transport.name
        return problem

    def _lost(self, why: str) -> ConnectionLost:
        return ConnectionLost(f"connection lost: {why}", host=self._transport.name, hint="Try again.")

    def exit_code(self) -> int | None:
        """The exit code; see Channel.exit_code."""
        self._channel.status_event.wait(TICK)
        code = int(self._channel.exit_status)
        return code if code >= 0 else None

    def stderr_tail(self) -> tuple[str, ...]:
        """The last lines of stderr."""
        self._drain_stderr()
        lines = bytes(self._stderr).decode("utf-8", "replace").splitlines()
        return tuple(line.rstrip() for line in lines if line.strip())[-TAIL_LINES:]

    def _drain_stderr(self) -> None:
        while self._channel.recv_stderr_ready():
            data = self._channel.recv_stderr(1 << 16)
            if not data:
                break
            self._stderr += data
        del self._stderr[:-TAIL_BYTES]

    def close(self) -> None:
        """Give the command up: its stdin ends, and what it writes goes nowhere."""
        with contextlib.suppress(OSError):
            self._channel.close()

    # -- sudo with a password --------------------------------------------------------------------------------

    def _start_with_password(self) -> bool:
        """After `sudo -n` has failed: start the command again with the password. True when it runs now.

        Raises:
            SudoFailed: the password is wrong, or it is not the password that was missing.
        """
        if self._kept is None or not self._transport.alive or self.exit_code() in (None, 0):
            return False
        if not sudo.worth_a_password(self.stderr_tail()):
            return False
        password = self._transport.sudo_password()
        if password is None:
            return False
        prompt = sudo.Prompt.new(self._transport.user)
        channel = self._start(prompt.argv(self._argv, keep_agent=self._keep_agent))
        try:
            self._stderr[:] = prompt.answer(channel, password).encode()
        except SudoFailed as problem:
            channel.close()
            raise self._named(problem) from None
        except OSError as error:
            raise self._lost(self._transport.reason) from error
        with self._lock:
            self._channel = channel
            kept, self._kept = self._kept or [], None
            for data in kept:
                self._send(channel, data)
        return True
