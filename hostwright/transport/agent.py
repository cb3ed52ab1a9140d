"""This machine's ssh agent: its keys, and forwarding it to a server. Imports paramiko: import it late."""

# mypy: disable-error-code="attr-defined"

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from paramiko.agent import AgentSSH
from paramiko.ssh_exception import SSHException

if TYPE_CHECKING:
    from paramiko import Channel
    from paramiko.agent import AgentKey

# an agent may ask its user to confirm or to touch a token
TIMEOUT = 60.0


class Agent(AgentSSH):
    """A conversation with an agent; no keys when there is none. Close it.

    Args:
        path: its socket; None means `SSH_AUTH_SOCK`.
    """

    def __init__(self, path: str | None = None) -> None:
        super().__init__()
        try:
            self._connect(connect(path))
        except (OSError, SSHException):
            self._close()  # a stale socket is no agent

    @property
    def keys(self) -> tuple[AgentKey, ...]:
        """What it holds, in its order."""
        return tuple(self.get_keys())

    @property
    def present(self) -> bool:
        """Whether an agent answered."""
        return self._conn is not None

    def close(self) -> None:
        """Hang up."""
        self._close()


def connect(path: str | None) -> socket.socket:
    """A socket to the agent at `path`, by default SSH_AUTH_SOCK; "none" is none (ssh_config(5)).

    Raises:
        OSError: nobody listens there.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(TIMEOUT)
        path = path or os.environ.get("SSH_AUTH_SOCK")
        if not path or path == "none":
            raise FileNotFoundError("no ssh agent")
        connection.connect(str(Path(path).expanduser()))
    except BaseException:
        connection.close()
        raise
    return connection


class Forwarding:
    """Lets commands on a server ask the agent at `path` while their channel is open."""

    def __init__(self, path: str | None) -> None:
        self._path = path

    def accept(self, channel: Channel) -> None:
        """Serve one connection the server opened for a program there. Called by paramiko's own thread."""
        threading.Thread(target=self._serve, args=(channel,), daemon=True).start()

    def _serve(self, channel: Channel) -> None:
        try:
            agent = connect(self._path)
        except OSError:
            channel.close()
            return
        back = threading.Thread(target=_copy, args=(agent, channel), daemon=True)
        back.start()
        _copy(channel, agent)
        back.join(TIMEOUT)
        agent.close()


def _copy(source: socket.socket | Channel, sink: socket.socket | Channel) -> None:
    """Bytes from one to the other until either ends; then both end."""
    try:
        while data := source.recv(16384):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue
    if not isinstance(sink, socket.socket):
        sink.close()
