"""One request to each of several hosts, in threads; the main thread shows events and hears Ctrl-C."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hostwright.errors import Cancelled, ConnectionLost, HostwrightError, TransportError
from hostwright.inventory import Host
from hostwright.remote import events, wire
from hostwright.report import Output, Report
from hostwright.run.dialogue import Dialogue
from hostwright.run.interrupts import Interrupts
from hostwright.transport.base import Channel, PythonMissing, Transport
from hostwright.transport.bundle import agent

Connect = Callable[[Host], Transport]
RequestFor = Callable[[Host, Transport], dict[str, Any]]
AnswerFor = Callable[[Host, events.Event], Iterable[bytes]]
# what we know or can try for a host: its data, seconds we have; None: no answer
Look = Callable[[Host, Mapping[str, Any], float], dict[str, Any] | None]
# what a thread tells the main thread: an event, an error, or None when it is done
Message = tuple[str, events.Event | HostwrightError | None]
# seconds between signs of life; the agent leaves when it hears none for 60 s
PING = 5.0
# seconds until the agent must have said its first word
PATIENCE = 60.0


@dataclass
class Worker:
    """One host's thread and the channel it speaks on.

    Attributes:
        names: what the host may ask us to look at.
        looks: what else it may ask, by question.
    """

    host: Host
    names: Collection[str] = ()
    looks: Mapping[str, Look] = field(default_factory=dict)
    channel: Channel | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    begun: bool = False
    started: bool = False
    greeted: bool = False
    stop: bool = False
    over: bool = False

    def begin(self, channel: Channel) -> None:
        """From here on the server may be doing something.

        Raises:
            Cancelled: the user did not want that any more.
        """
        with self.lock:
            if self.stop:
                raise Cancelled("stopped before anything was started")
            self.begun, self.channel = True, channel

    def hear(self, event: events.Event) -> None:
        """The agent's first word: from now on it understands ours. Later: its run has started."""
        self.started = self.started or isinstance(event, (events.RunStarted, events.Attached))
        if isinstance(event, events.Hello):
            self.greeted = True
            if self.stop:
                self.control("cancel")
        elif isinstance(event, events.Asked):
            threading.Thread(target=self._answer, args=(event,), daemon=True).start()

    def _answer(self, event: events.Asked) -> None:
        """What can be seen from here; in a thread of its own, because looking takes seconds."""
        from hostwright.run import outside

        look = self.looks.get(event.question)
        if look is not None:
            data = look(self.host, event.data, event.timeout)
        else:
            data = outside.answer(event.question, event.data, event.timeout, self.names)
        if data is not None:
            self._say({"control": "answer", "id": event.id, "data": data})

    def end(self) -> None:
        """Nobody listens on the channel any more."""
        with self.lock:
            self.channel, self.greeted = None, False

    def refuse(self) -> bool:
        """Begin nothing, or stop as soon as the agent listens; False where nothing is going on."""
        with self.lock:
            self.stop = True
            return self.begun and not self.over

    def control(self, word: str) -> None:
        """Say `ping` or `cancel` to the agent."""
        self._say({"control": word})

    def _say(self, message: dict[str, Any]) -> None:
        """Send the agent a control frame; the host's thread sees for itself when that fails."""
        with self.lock:
            if self.channel is None or not self.greeted:
                return
            try:
                self.channel.send(wire.message(message))
            except TransportError:
                return


class Fleet:
    """Runs one request on each host.

    Args:
        connect: opens a connection to a host.
        output: what the user sees.
        hosts: in the order of the inventory.
        forward_agent: the agents may use this machine's ssh agent (for git over ssh).
        names_of: what of the world a host may ask us to look at: its names and addresses.
        looks: what else a host may ask us, by question; they do not raise.
        lasting: what was begun goes on without us, so the first Ctrl-C asks it to stop and the second leaves it.
    """

    def __init__(
        self,
        hosts: Sequence[Host],
        connect: Connect,
        output: Output,
        *,
        forward_agent: bool = False,
        lasting: bool = True,
        names_of: Callable[[Host], Collection[str]] = lambda _: (),
        looks: Mapping[str, Look] | None = None,
    ) -> None:
        self.hosts = tuple(hosts)
        self._connect = connect
        self._output = output
        self._forward_agent = forward_agent
        self._lasting = lasting
        self._names_of = names_of
        self._looks = dict(looks or {})
        self._messages: queue.Queue[Message] = queue.Queue()

    def run(
        self,
        request_for: RequestFor,
        *,
        answer: AnswerFor | None = None,
        on_missing_python: Callable[[Host, Transport], bool] | None = None,
        report: Report | None = None,
    ) -> Report:
        """Run the request on every host and report.

        Args:
            request_for: the request of a host, made when its connection is open.
            answer: frames for an agent's question.
            on_missing_python: called when the server has no Python; True when it has one now.
            report: goes on counting in this one.

        Raises:
            Cancelled: Ctrl-C before anything was begun, or a second one.
        """
        report = report or Report([host.name for host in self.hosts])
        workers = [Worker(host, self._names_of(host), self._looks) for host in self.hosts]
        with Interrupts() as interrupts:
            for worker in workers:
                threading.Thread(
                    target=self._serve, args=(worker, request_for, answer, on_missing_python), daemon=True
                ).start()
            self._listen(workers, report, interrupts)
        return report

    def _listen(self, workers: Sequence[Worker], report: Report, interrupts: Interrupts) -> None:
        """Show what the threads say until the last one is done; hear Ctrl-C meanwhile."""
        left, heeded = len(workers), 0
        pinged = time.monotonic()
        while left:
            if interrupts.count > heeded:
                heeded += 1
                self._interrupted(workers, heeded)
            if time.monotonic() - pinged >= PING:
                pinged = time.monotonic()
                self._control(workers, "ping")
            try:
                host, message = self._messages.get(timeout=0.1)
            except queue.Empty:
                continue
            left -= self._show(report, host, message)

    def _show(self, report: Report, host: str, message: events.Event | HostwrightError | None) -> int:
        """Fold a message into the report and show it; 1 when the host's thread is done."""
        if message is None:
            return 1
        if isinstance(message, HostwrightError):
            report.error(host, message)
            self._output.error(host, message)
        else:
            report.feed(host, message)
            self._output.event(host, message)
        return 0

    # -- Ctrl-C --------------------------------------------------------------------------------------------

    def _interrupted(self, workers: Sequence[Worker], count: int) -> None:
        names = ", ".join([worker.host.name for worker in workers if worker.refuse()])
        if not names:
            raise Cancelled("Stopped before anything was started.")
        if count == 1:
            self._control(workers, "cancel")
        if not self._lasting:
            if count > 1:
                raise Cancelled("Stopped.")
        elif count == 1:
            self._output.notice(
                f"Cancelling on {names}: stopping at the next safe point. "
                "Press Ctrl-C again to leave it to itself."
            )
        else:
            raise Cancelled(
                f"Not watching {names} any more: the run there goes on to its next safe point and stops.",
                hint="The same command attaches to it, shows what it did, and goes on from there.",
            )

    def _control(self, workers: Sequence[Worker], word: str) -> None:
        """Say a word to every agent; in a thread, because a channel that is sending a commit is busy."""

        def say() -> None:
            for worker in workers:
                worker.control(word)

        threading.Thread(target=say, daemon=True).start()

    # -- one host's thread -----------------------------------------------------------------------------------

    def _serve(
        self,
        worker: Worker,
        request_for: RequestFor,
        answer: AnswerFor | None,
        on_missing_python: Callable[[Host, Transport], bool] | None,
    ) -> None:
        host = worker.host

        def emit(event: events.Event) -> None:
            worker.hear(event)
            self._messages.put((host.name, event))

        try:
            transport = self._connect(host)
            try:
                self._speak(worker, transport, request_for(host, transport), emit, answer, on_missing_python)
            finally:
                transport.close()
        except HostwrightError as error:
            error.host = error.host or host.name
            if isinstance(error, ConnectionLost) and worker.started and self._lasting:
                error.message += "; what was started goes on at the server"
                error.hint = "Watch it with the same command: it attaches, nothing runs twice."
            self._messages.put((host.name, error))
        except Exception as error:  # a bug of ours must not leave the main thread waiting
            problem = HostwrightError(
                f"{type(error).__name__}: {error}", host=host.name, hint="This is a bug."
            )
            problem.__cause__ = error
            self._messages.put((host.name, problem))
        finally:
            worker.over = True
            self._messages.put((host.name, None))

    def _speak(
        self,
        worker: Worker,
        transport: Transport,
        request: dict[str, Any],
        emit: Callable[[events.Event], None],
        answer: AnswerFor | None,
        on_missing_python: Callable[[Host, Transport], bool] | None,
    ) -> None:
        host = worker.host
        for attempt in (1, 2):
            channel = transport.open(agent().argv(), forward_agent=self._forward_agent, patience=PATIENCE)
            try:
                worker.begin(channel)
                reply = (lambda event: answer(host, event)) if answer else None
                Dialogue(channel, host.name, emit, reply).hold(request)
                return
            except PythonMissing:
                if attempt == 2 or on_missing_python is None or not on_missing_python(host, transport):
                    raise
            finally:
                worker.end()
                channel.close()
