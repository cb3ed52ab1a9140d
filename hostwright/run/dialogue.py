"""One request to one agent: send it, hand on the events, answer what the agent asks. No printing, no threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hostwright.errors import ConnectionLost, ProtocolError, UnsupportedServer
from hostwright.remote import events, wire
from hostwright.transport.bundle import agent

if TYPE_CHECKING:
    from hostwright.transport.base import Channel

OnEvent = Callable[[events.Event], None]
# what to send for a question of the agent (SourceNeeded, SourceReady)
Answer = Callable[[events.Event], Iterable[bytes]]
QUESTIONS = (events.SourceNeeded, events.SourceReady)


class Dialogue:
    """Speaks to one agent over one channel.

    Args:
        channel: where the agent's command was started.
        host: the host's name, for errors.
        on_event: takes every event, the last one included.
        answer: frames for a question of the agent.
    """

    def __init__(self, channel: Channel, host: str, on_event: OnEvent, answer: Answer | None = None) -> None:
        self._channel = channel
        self._host = host
        self._on_event = on_event
        self._answer = answer
        self._greeted = False
        self._noise: list[str] = []

    def hold(self, request: Mapping[str, Any]) -> events.RunFinished:
        """Send the request and follow the events to the last one.

        Raises:
            ConnectionLost: the channel ended first; what was started may go on at the server.
            ProtocolError: what came was not ours.
            UnsupportedServer: not a system we can manage.
        """
        self._channel.send(wire.message({"protocol": wire.PROTOCOL, **request}))
        replaying = False
        for raw in self._channel.lines():
            fields = wire.parse_line(raw)
            if fields is None:
                if raw.strip():
                    self._noise.append(raw.decode("utf-8", "replace")[:200])
                continue
            event = self._typed(fields)
            if isinstance(event, events.AgentNeeded):
                self._channel.send(agent().frame())
                continue
            if isinstance(event, events.Hello):
                self._greet(event, needs_systemd=not request.get("inline"))
            if isinstance(event, events.Attached):
                replaying = not event.same
            self._on_event(event)
            if isinstance(event, QUESTIONS) and self._answer:
                self._reply(self._answer(event))
            if isinstance(event, events.RunFinished):
                if not replaying:
                    return event
                replaying = False
        raise self._ended()

    def _reply(self, frames: Iterable[bytes]) -> None:
        for frame in frames:
            try:
                self._channel.send(frame)
            except ConnectionLost:
                # an agent that does not wait for the answer any more says why; of a lost connection `lines` tells
                return

    def _typed(self, fields: Mapping[str, Any]) -> events.Event:
        try:
            return events.from_wire(fields)
        except ValueError as error:
            raise ProtocolError(f"the agent said something unknown: {error}", host=self._host) from error

    def _greet(self, hello: events.Hello, *, needs_systemd: bool) -> None:
        self._greeted = True
        if hello.protocol != wire.PROTOCOL:
            raise ProtocolError(
                f"the agent speaks protocol {hello.protocol}, this hostwright {wire.PROTOCOL}",
                host=self._host,
            )
        system, like = str(hello.facts.get("os_id")), str(hello.facts.get("os_like"))
        if not {system, *like.split()} & {"debian", "ubuntu"}:
            raise UnsupportedServer(
                f"this is {hello.facts.get('os_name')}; Hostwright manages Debian and Ubuntu", host=self._host
            )
        if needs_systemd and not hello.facts.get("systemd", True):
            raise UnsupportedServer(
                "systemd does not run on this server",
                host=self._host,
                hint="A container that starts something else as its first process cannot be managed.",
            )

    def _ended(self) -> Exception:
        """Why the channel ended before the agent's last word."""
        code, tail = self._channel.exit_code(), self._channel.stderr_tail()
        if self._greeted and code is None:
            return ConnectionLost("connection lost", host=self._host, hint="Try again.")
        said = (*self._noise[-10:], *tail)
        what = "the agent ended" if self._greeted else "the server answered, but the agent did not start"
        return ProtocolError(
            f"{what} (exit code {code})",
            host=self._host,
            evidence=said,
            hint="Is the user's login shell a shell? Does one of its start-up files print or exit? Silence it.",
        )
