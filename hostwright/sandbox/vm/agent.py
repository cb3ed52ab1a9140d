"""Runs commands in a VM through its guest agent: over a virtual serial line, with sshd or network broken too.

https://qemu.readthedocs.io/en/latest/interop/qemu-ga-ref.html
"""

from __future__ import annotations

import base64
import json
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import SandboxError
from ..locks import locked
from .qmp import connect

ANSWER = 60.0  # seconds within which an agent that is there answers, on a busy machine too
GRACE = 30.0  # seconds by which the server's clock may be late
TAKEN = {"exited": True, "signal": signal.SIGKILL}  # by a system that went down


class Silent(Exception):
    """The agent does not answer."""


class Agent:
    """The agent behind a socket.

    Args:
        path: of the socket, which qemu listens at.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def ask(self, command: str, seconds: float = ANSWER, **arguments: Any) -> Any:
        """What a command returns.

        Raises:
            Silent: no answer in time: no agent runs, or the system stands still.
            SandboxError: it refuses the command.
        """
        mark = secrets.randbits(48)
        hello = b"\xff" + _line("guest-sync-delimited", {"id": mark})
        with locked(self._path.with_suffix(".lock")), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(seconds)
            try:
                connect(connection, self._path, 1)
                stream = connection.makefile("rwb")
                stream.write(hello)
                stream.flush()
                self._skip_to(stream, mark)
                stream.write(_line(command, arguments))
                stream.flush()
                answer = json.loads(stream.readline() or b"null")
            except (OSError, SandboxError, ValueError) as error:
                raise Silent(str(error)) from error
        if not answer:
            raise Silent("it hung up")
        if "error" in answer:
            raise SandboxError(f"the guest agent refuses {command}", evidence=(answer["error"]["desc"],))
        return answer["return"]

    def _skip_to(self, stream: Any, mark: int) -> None:
        """Leaves out what the agent still had to say to somebody who has gone."""
        while True:
            line = stream.readline()
            if not line:
                raise Silent("it hung up")
            text = line.rpartition(b"\xff")[2]
            try:
                if json.loads(text).get("return") == mark:
                    return
            except ValueError:
                continue

    def run(
        self, argv: Sequence[str], timeout: float, stdin: str | None, environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Runs `argv` as root. One that the system takes with it when it goes down has return code -9.

        Raises:
            Silent: no agent answers from the beginning.
            subprocess.TimeoutExpired: it took longer than `timeout` seconds and was killed.
        """
        order: dict[str, Any] = {
            "path": "/usr/bin/timeout",
            "arg": ["--signal=KILL", f"{timeout:g}", *argv],
            "env": [f"{name}={value}" for name, value in environment.items()],
            "capture-output": True,
        }
        if stdin:
            order["input-data"] = base64.b64encode(stdin.encode()).decode()
        started = self.ask("guest-exec", **order)
        began = time.monotonic()
        state = self._end_of(started["pid"], began + timeout + GRACE)
        if state is None:
            raise subprocess.TimeoutExpired(list(argv), timeout)
        return _result(argv, state, timeout, time.monotonic() - began)

    def _end_of(self, pid: int, deadline: float) -> dict[str, Any] | None:
        """How a command ended; none when it had not by then."""
        heard, pause = time.monotonic(), 0.02
        while time.monotonic() < deadline:
            try:
                state: dict[str, Any] = self.ask("guest-exec-status", pid=pid, seconds=5)
            except SandboxError:  # it has come up again and knows of no such process
                return TAKEN
            except Silent:
                if time.monotonic() - heard > ANSWER:
                    return TAKEN
            else:
                heard = time.monotonic()
                if state["exited"]:
                    return state
            time.sleep(pause)
            pause = min(pause * 1.5, 0.25)
        return None


def _result(
    argv: Sequence[str], state: dict[str, Any], timeout: float, passed: float
) -> subprocess.CompletedProcess[str]:
    killed = state.get("signal") == signal.SIGKILL or state.get("exitcode") == 128 + signal.SIGKILL
    # one that was taken did not take too long, however long the system was away
    if killed and state is not TAKEN and passed >= timeout:
        raise subprocess.TimeoutExpired(list(argv), timeout)
    code = -state["signal"] if "signal" in state else state["exitcode"]
    texts = [
        base64.b64decode(state.get(name, "")).decode(errors="replace") for name in ("out-data", "err-data")
    ]
    return subprocess.CompletedProcess(list(argv), code, *texts)


def _line(command: str, arguments: Mapping[str, Any]) -> bytes:
    message = {"execute": command, **({"arguments": arguments} if arguments else {})}
    return json.dumps(message).encode() + b"\n"
