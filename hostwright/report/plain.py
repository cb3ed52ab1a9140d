"""Lines for pipes and logs: nothing moves, nothing is shortened, and a long step gives a sign of life."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from hostwright.errors import HostwrightError
from hostwright.remote import events
from hostwright.report.activity import Activity
from hostwright.report.lines import Lines
from hostwright.report.look import Look
from hostwright.report.monitor import Report
from hostwright.report.text import Line, Span, elapsed, line

# seconds without a line after which a host is said to be still at it
HEARTBEAT = 30.0


class PlainOutput:
    """Writes lines.

    Args:
        stream: where.
        look: its colours and width.
        verbose: also what commands print.
        clock: seconds that only grow.
        wall: Unix time.
        heartbeat: seconds of silence between signs of life.
    """

    def __init__(
        self,
        stream: TextIO,
        look: Look,
        *,
        verbose: bool = False,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self._stream = stream
        self._look = look
        self._verbose = verbose
        self._clock = clock
        self._wall = wall
        self._heartbeat = heartbeat
        self._lock = threading.RLock()
        self._lines = Lines(look, verbose=verbose, wall=wall)
        self._activities: dict[str, Activity] = {}
        self._spoke: dict[str, float] = {}
        self._began = clock()
        self._stop: threading.Event | None = None

    def begin(self, hosts: Sequence[str], title: str) -> None:
        """A command begins on these hosts; the clock starts."""
        self.close()
        with self._lock:
            self._began = self._clock()
            self._lines = Lines(self._look, hosts, verbose=self._verbose, wall=self._wall)
            self._activities = {host: Activity(host, self._began) for host in hosts}
            self._spoke = dict.fromkeys(hosts, self._began)
            self._write(self._lines.title(hosts, title))
        self._stop = threading.Event()
        threading.Thread(target=self._beat, args=(self._stop,), name="heartbeat", daemon=True).start()

    def event(self, host: str, event: events.Event) -> None:
        """Show an event, if there is something to show."""
        with self._lock:
            now = self._clock()
            self._follow(host, event, now)
            made = self._lines.event(host, event, now - self._began)
            if made:
                self._spoke[host] = now
            self._write(made)

    def error(self, host: str, error: HostwrightError) -> None:
        """Show an error that ended a host's part."""
        with self._lock:
            self._activities.pop(host, None)
            self._write(self._lines.error(host, error))

    def notice(self, text: str) -> None:
        """Show a word of the controller."""
        with self._lock:
            self._write(self._lines.notice(text))

    def end(self, report: Report) -> None:
        """Show the last word."""
        self.close()
        with self._lock:
            self._write(self._lines.end(list(report.hosts.values()), self._clock() - self._began))

    def close(self) -> None:
        """Stop the heartbeat."""
        if self._stop is not None:
            self._stop.set()
            self._stop = None

    def still(self, now: float) -> list[Line]:
        """A line for each host that was silent for too long; the clock of its silence starts again."""
        lines = []
        for host, activity in self._activities.items():
            if activity.over or now - self._spoke.get(host, now) < self._heartbeat:
                continue
            self._spoke[host] = now
            who = f"{host}  " if len(self._spoke) > 1 else "  "
            said = f"  ({activity.said})" if activity.said else ""
            text = f"still: {activity.doing}, {elapsed(now - activity.since)}"
            lines.append(line(Span(who, "host"), text, Span(said, "dim")))
        return lines

    def _follow(self, host: str, event: events.Event, now: float) -> None:
        activity = self._activities.setdefault(host, Activity(host, now))
        activity.feed(event, now)
        if activity.over:
            for other in list(self._activities.values()):
                other.someone_is_done()

    def _beat(self, stop: threading.Event) -> None:
        while not stop.wait(min(1.0, self._heartbeat / 2)):
            with self._lock:
                if not stop.is_set():
                    self._write(self.still(self._clock()))

    def _write(self, lines: Sequence[Line]) -> None:
        """Whole events at once, so that lines of several hosts do not mix."""
        if not lines:
            return
        self._stream.write("".join(self._look.paint(parts) + "\n" for parts in lines))
        self._stream.flush()
