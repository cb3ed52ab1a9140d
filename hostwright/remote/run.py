"""One run on the server: its events, its steps, and the user's wish to stop."""

from __future__ import annotations

import errno
import time
from contextlib import contextmanager

from . import events
from .system import CommandFailed, RunCancelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator, Mapping, Optional

    from .asked import Asking

    Request = Mapping[str, Any]
    Emit = Callable[[events.Event], None]


class StepError(Exception):
    """A step of a release failed; says why and what to do.

    Args:
        message: one line: what happened.
        tail: evidence, e.g. the last lines of the new instance's journal.
        hint: what to do next.
        refused: the health gate said no (exit code 6) rather than something broke (exit code 1).
    """

    def __init__(
        self, message: str, tail: tuple[str, ...] = (), hint: str = "", refused: bool = False
    ) -> None:
        super().__init__(message)
        self.message = message
        self.tail = tail
        self.hint = hint
        self.refused = refused


class Step:
    """What a step reports when it ends: `detail` for people, `data` for machines."""

    def __init__(self) -> None:
        self.detail = ""
        self.data: dict[str, Any] = {}


# how a step of a release fails; the last three where somebody's hand damaged a file of ours
ERRORS = (StepError, CommandFailed, OSError, ValueError, LookupError, TypeError)


class Run:
    """Gives events a time and hands them on.

    Args:
        emit: where events go: the journal, or the channel.
        cancelled: true once the user asked to stop.
        hold: called when a step begins ("begin:NAME") and when it is finished ("NAME"); see `worker.hold`.
        asking: how the controller is asked; None: there is nobody to ask.
    """

    def __init__(
        self,
        emit: Emit,
        cancelled: Callable[[], bool],
        hold: Callable[[str], None] = lambda point: None,
        asking: Optional[Asking] = None,
    ) -> None:
        self._emit = emit
        self.cancelled = cancelled
        self._hold = hold
        self._asking = asking
        self.began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self.began

    def emit(self, event: events.Event) -> None:
        """Hand on an event."""
        event.t = round(self.seconds, 4)
        self._emit(event)

    def output(self, source: str) -> Callable[[str], None]:
        """A function that takes lines a command prints on behalf of `source`."""
        return lambda line: self.emit(events.Output(source, line))

    def ask(self, question: str, data: Mapping[str, Any], timeout: float) -> Optional[dict[str, Any]]:
        """What the controller answers to a question; see asked.py. None: nobody is there, or not in time (seconds)."""
        return self._asking(self.emit, question, data, timeout) if self._asking else None

    def watched(self) -> bool:
        """Does anybody see what is told now?"""
        return self._asking is not None and self._asking.watched()

    def reach(self, point: str) -> None:
        """A point of a run besides its steps, where tests stop it; see `hold`."""
        self._hold(point)

    def safe_point(self) -> None:
        """Where nothing is half done.

        Raises:
            RunCancelled: the user asked to stop.
        """
        if self.cancelled():
            raise RunCancelled("stopped by the user")

    @contextmanager
    def step(self, name: str, detail: str = "") -> Iterator[Step]:
        """A named step with its time; a failure is reported and raised again. Begins at a safe point."""
        self.safe_point()
        start = time.monotonic()
        self.emit(events.StepStarted(name, detail))
        self._hold("begin:" + name)
        step = Step()
        try:
            yield step
        except CommandFailed as error:
            self.emit(
                events.StepFailed(
                    name, str(error), time.monotonic() - start, error.argv, error.exit_code, error.tail
                )
            )
            raise
        except StepError as error:
            self.emit(
                events.StepFailed(
                    name, error.message, time.monotonic() - start, tail=error.tail, hint=error.hint
                )
            )
            raise
        except RunCancelled:
            raise
        except Exception as error:
            self.emit(events.StepFailed(name, explain(error), time.monotonic() - start))
            raise
        self.emit(events.StepFinished(name, step.detail, time.monotonic() - start, step.data))
        self._hold(name)


def explain(error: BaseException) -> str:
    """One line for an exception nobody foresaw."""
    if isinstance(error, OSError) and error.strerror:
        where = " (%s)" % error.filename if error.filename else ""
        if error.errno == errno.ENOSPC:
            return "%s%s: see df -h and df -i on the server" % (error.strerror, where)
        return "%s%s" % (error.strerror, where)
    return "%s: %s" % (type(error).__name__, error)


def explain_short(error: BaseException) -> str:
    """One line for whatever ends a release."""
    if isinstance(error, StepError):
        return error.message
    if isinstance(error, CommandFailed):
        return "%s: %s" % (error.argv[0], error.reason)
    if isinstance(error, RunCancelled):
        return "stopped by the user"
    return explain(error)
