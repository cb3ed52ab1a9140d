"""A terminal: what is finished scrolls by as lines, what is happening now stays at the bottom, alive."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TextIO

from rich.console import Console, Group
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.text import Text

from hostwright.errors import HostwrightError
from hostwright.remote import events
from hostwright.report.activity import Activity
from hostwright.report.lines import Lines
from hostwright.report.look import NARROWEST, Look
from hostwright.report.monitor import Report
from hostwright.report.text import Line, Span, cells, crop, elapsed, line, pad, text_of

FRAMES_PER_SECOND = TURNS_PER_SECOND = 10
SPINNER, ASCII_SPINNER = "\u280b\u2819\u2839\u2838\u283c\u2834\u2826\u2827\u2807\u280f", "-\\|/"
# columns left free at the right: a terminal echoes ^C there, and a full line would wrap
MARGIN = 3
STYLES = {
    "host": "bold",
    "dim": "dim",
    "created": "green",
    "changed": "yellow",
    "removed": "red",
    "unknown": "magenta",
    "running": "cyan",
    "failed": "bold red",
    "good": "green",
    "bold": "bold",
}


class LiveOutput:
    """Shows lines above and one moving line a host below.

    Args:
        stream: a terminal.
        look: what it can show; the width is asked for again and again.
        environ: for COLUMNS and LINES.
        clock: seconds that only grow.
        wall: Unix time.
    """

    def __init__(
        self,
        stream: TextIO,
        look: Look,
        environ: Mapping[str, str],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._look = look
        self._clock = clock
        self._wall = wall
        self._console = Console(
            file=stream,
            force_terminal=True,
            color_system="auto" if look.colour else None,
            highlight=False,
            markup=False,
            emoji=False,
            _environ=dict(environ),
        )
        self._lock = threading.RLock()
        self._lines = Lines(look, wall=wall)
        self._activities: dict[str, Activity] = {}
        self._hosts: tuple[str, ...] = ()
        self._began = clock()
        self._live: Live | None = None
        # widths of the moving lines on the screen, to find them again after a resize
        self._drawn: list[int] = []

    # -- a command -----------------------------------------------------------------------------------------

    def begin(self, hosts: Sequence[str], title: str) -> None:
        """A command begins on these hosts; the clock starts."""
        self.close()
        self._began = self._clock()
        self._hosts = tuple(hosts)
        self._lines = Lines(self._look_now(), hosts, wall=self._wall)
        self._activities = {host: Activity(host, self._began) for host in hosts}
        self._print(self._lines.title(hosts, title))
        self.resume()

    def event(self, host: str, event: events.Event) -> None:
        """Show an event."""
        now = self._clock()
        with self._lock:
            self._lines.resize(self._look_now())
            self._follow(host, event, now)
            made = self._lines.event(host, event, now - self._began)
        self._print(made)

    def error(self, host: str, error: HostwrightError) -> None:
        """Show an error that ended a host's part."""
        with self._lock:
            self._activities.pop(host, None)
            made = self._lines.error(host, error)
        self._print(made)

    def notice(self, text: str) -> None:
        """Show a word of the controller."""
        with self._lock:
            made = self._lines.notice(text)
        self._print(made)

    def end(self, report: Report) -> None:
        """Nothing moves any more; the last word."""
        self.close()
        self._print(self._lines.end(list(report.hosts.values()), self._clock() - self._began))

    def close(self) -> None:
        """Take the moving lines away and give the cursor back."""
        self.pause()
        atexit.unregister(self.close)

    def _follow(self, host: str, event: events.Event, now: float) -> None:
        activity = self._activities.setdefault(host, Activity(host, now))
        activity.feed(event, now)
        if activity.over:
            for other in list(self._activities.values()):
                other.someone_is_done()

    # -- motion --------------------------------------------------------------------------------------------

    def pause(self) -> bool:
        """Hold still until `resume`; returns whether it moved."""
        live, self._live = self._live, None
        if live is None:
            return False
        try:
            live.stop()
        finally:  # whatever went wrong while drawing, a terminal without a cursor is worse
            self._console.show_cursor(True)
            self._drawn = []
        return True

    def resume(self) -> None:
        """Go on moving."""
        if self._live is not None:
            return
        atexit.register(self.close)
        self._live = Live(
            console=self._console,
            get_renderable=self._frame,
            refresh_per_second=FRAMES_PER_SECOND,
            transient=True,
            vertical_overflow="crop",
        )
        self._live.start(refresh=True)

    # -- drawing -------------------------------------------------------------------------------------------

    def _print(self, lines: Sequence[Line]) -> None:
        """Lines above the moving ones. Not wrapped here: what a terminal wraps can be copied as one line."""
        if lines:
            self._console.print(Group(*(self._text(parts) for parts in lines)), soft_wrap=True)

    def _text(self, parts: Line) -> Text:
        text = Text(no_wrap=True, overflow="ignore")
        for span in parts:
            text.append(self._look.encodable(span.text), STYLES.get(span.style))
        text.rstrip()
        return text

    def _look_now(self) -> Look:
        return replace(self._look, width=max(self._console.width, NARROWEST))

    def _frame(self) -> Group:
        """The moving lines. Called with Live's lock held, by the refreshing thread too: takes none of ours"""
        self._find_again()
        now, width = self._clock(), max(self._console.width, NARROWEST)
        activities = list(self._activities.values())
        active = [activity for activity in activities if not activity.over]
        most = max(self._console.height - 2, 1)
        lines = [self._moving(activity, now, width - MARGIN) for activity in active[:most]]
        if len(active) > most:
            lines[-1] = line(f"  and {len(active) - most + 1} more hosts")
        self._drawn = [cells(text_of(parts)) for parts in lines]
        return Group(*(self._text(parts) for parts in lines))

    def _find_again(self) -> None:
        """After the terminal became narrower it has wrapped what we drew: go up to where it begins."""
        width = self._console.width
        extra = sum((drawn - 1) // width for drawn in self._drawn if drawn)
        if extra > 0:
            up = ((ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1))
            self._console.control(Control(ControlType.CARRIAGE_RETURN, *up * extra))

    def _moving(self, activity: Activity, now: float, width: int) -> Line:
        frames = SPINNER if self._look.unicode else ASCII_SPINNER
        spinner = frames[int(now * TURNS_PER_SECOND) % len(frames)]
        column = max((cells(host) for host in self._hosts), default=0)
        start = f"{pad(activity.host, column)}  " if len(self._hosts) > 1 else "  "
        facts = "  ".join(part for part in (elapsed(now - activity.since), activity.progress) if part)
        parts = line(
            Span(start, "host"), Span(f"{spinner} ", "running"), activity.doing, "  ", Span(facts, "dim")
        )
        if activity.said:
            parts = (*parts, Span("  "), Span(activity.said, "dim"))
        shown = (Span(self._look.encodable(span.text), span.style) for span in parts)
        return crop(tuple(shown), width, self._look.ellipsis)
