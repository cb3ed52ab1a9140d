"""A testinfra backend over the agent: one connection and one channel for all tests of a host, as root."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult

from hostwright.errors import ConnectionLost, ProtocolError
from hostwright.remote import events, wire
from hostwright.run.fleet import PATIENCE
from hostwright.run.request import request
from hostwright.transport.base import Transport
from hostwright.transport.bundle import agent


class AgentBackend(BaseBackend):  # type: ignore[misc]  # testinfra ships no types
    """Runs testinfra's commands through one agent.

    Args:
        name: the host's name in the inventory.
        transport: an open connection; closed with the backend.
    """

    NAME = "hostwright"

    def __init__(self, name: str, transport: Transport) -> None:
        super().__init__(name)
        self._encoding = "utf-8"
        self._transport = transport
        self._channel = transport.open(agent().argv(), patience=PATIENCE)
        self._lines: Iterator[bytes] = self._channel.lines()
        wanted = request("commands", "verify", "verify", protocol=wire.PROTOCOL)
        self._channel.send(wire.message(wanted))
        self._next(events.Hello)

    def run(self, command: str, *args: str, **kwargs: Any) -> CommandResult:
        """Run a shell command line on the server; `args` are quoted into it.

        Raises:
            ConnectionLost
        """
        line = self.get_command(command, *args)
        self._channel.send(wire.message({"command": line}))
        answer = self._next(events.Answered)
        assert isinstance(answer, events.Answered)
        out, err = (base64.b64decode(answer.data[name]) for name in ("out", "err"))
        return self.result(answer.data["exit_code"], line.encode(), out, err)

    def _next(self, wanted: type[events.Event]) -> events.Event:
        for raw in self._lines:
            fields = wire.parse_line(raw)
            if fields is None:
                continue
            event = events.from_wire(fields)
            if isinstance(event, events.AgentNeeded):
                self._channel.send(agent().frame())
            elif isinstance(event, wanted):
                return event
            elif isinstance(event, events.RunFinished):
                raise ProtocolError(f"the agent ended: {event.message}", host=self.hostname)
        raise ConnectionLost(
            "connection lost while verifying", host=self.hostname, evidence=self._channel.stderr_tail()
        )

    def close(self) -> None:
        """End the agent and the connection."""
        with suppress(ConnectionLost):
            self._channel.send(wire.message({"done": True}))
        self._channel.close()
        self._transport.close()
