"""Where events are shown: one protocol, three ways, and the choice between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol, TextIO, runtime_checkable

from hostwright.errors import HostwrightError
from hostwright.remote import events
from hostwright.report.look import Look
from hostwright.report.monitor import Report
from hostwright.report.problems import error_lines


class Output(Protocol):
    """Shows what happens. It decides nothing. Its methods may be called from several threads."""

    def begin(self, hosts: Sequence[str], title: str) -> None:
        """A command begins on these hosts."""

    def event(self, host: str, event: events.Event) -> None:
        """Something happened on a host."""

    def error(self, host: str, error: HostwrightError) -> None:
        """A host's part of the command ended with an error."""

    def notice(self, text: str) -> None:
        """The controller has something to say."""

    def end(self, report: Report) -> None:
        """The command is over: the last word, and nothing moves any more."""

    def close(self) -> None:
        """Leave the terminal as it was. After `end`, or instead of it; a second time does nothing."""


@runtime_checkable
class Moving(Protocol):
    """An output that moves, and can hold still."""

    def pause(self) -> bool:
        """Hold still until `resume`; returns whether it moved."""

    def resume(self) -> None:
        """Go on moving."""


@contextmanager
def paused(output: object) -> Iterator[None]:
    """Nothing moves while a question is asked on the terminal."""
    moved = isinstance(output, Moving) and output.pause()
    try:
        yield
    finally:
        if moved and isinstance(output, Moving):
            output.resume()


def choose(stream: TextIO, *, json: bool, environ: Mapping[str, str], debug: bool = False) -> Output:
    """The output for a stream.

    Args:
        stream: where it goes, usually stdout.
        json: one JSON object a line.
        environ: NO_COLOR, FORCE_COLOR, TERM, CI, COLUMNS.
        debug: lines without motion, and all that commands print.
    """
    if json:
        from hostwright.report.jsonl import JsonlOutput

        return JsonlOutput(stream)
    look = Look.of(stream, environ)
    if not look.motion or debug:
        from hostwright.report.plain import PlainOutput

        return PlainOutput(stream, replace(look, motion=False), verbose=debug)
    from hostwright.report.live import LiveOutput

    return LiveOutput(stream, look, environ)


def error_text(error: HostwrightError, stream: TextIO, environ: Mapping[str, str]) -> str:
    """An error that ended a command, laid out for a stream."""
    look = Look.of(stream, environ)
    return "\n".join(look.paint(parts) for parts in error_lines(error, look))
