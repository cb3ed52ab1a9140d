"""Talks to a qemu over its monitor socket (QEMU Machine Protocol)."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...errors import SandboxError
from ..locks import locked

PATIENCE = 60.0  # a qemu that begins on a busy machine


class Monitor:
    """An open monitor; made by `monitor`."""

    def __init__(self, connection: socket.socket) -> None:
        self._stream = connection.makefile("rwb")
        self._receive()  # the greeting
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: Any) -> Any:
        """What a command returns.

        Raises:
            SandboxError: qemu refuses it, or is gone.
        """
        message = {"execute": command, **({"arguments": arguments} if arguments else {})}
        try:
            self._stream.write(json.dumps(message).encode() + b"\n")
            self._stream.flush()
            while True:
                answer = self._receive()
                if "return" in answer:
                    return answer["return"]
                if "error" in answer:
                    raise SandboxError(f"qemu refuses {command}", evidence=(answer["error"]["desc"],))
        except OSError as error:
            raise SandboxError(f"qemu does not answer {command}", evidence=(str(error),)) from error

    def _receive(self) -> dict[str, Any]:
        """The next message; events are among them."""
        line = self._stream.readline()
        if not line:
            raise SandboxError("qemu ended")
        message: dict[str, Any] = json.loads(line)
        return message


@contextmanager
def monitor(path: Path) -> Iterator[Monitor]:
    """The monitor of the qemu that listens at `path`; it has one visitor at a time.

    Raises:
        SandboxError: nobody listens there.
    """
    with locked(path.with_suffix(".lock")), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connect(connection, path, PATIENCE)
        yield Monitor(connection)


def connect(connection: socket.socket, path: Path, seconds: float) -> None:
    """Connects to a socket that a qemu which has just begun may still have to make.

    Raises:
        SandboxError: not in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection.connect(str(path))
        except OSError as error:
            if time.monotonic() > deadline:
                raise SandboxError(f"nobody listens at {path}", evidence=(str(error),)) from error
            time.sleep(0.05)
        else:
            return
