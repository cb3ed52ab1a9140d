"""When an app's jobs run: nothing is changed, but systemd must understand it before a deploy wants it to."""

from __future__ import annotations

from .base import Failed, Resource, Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping, Sequence

    from ..system import System
    from .base import Change, Context, State

TIMEOUT = 30.0
HINT = 'How times are written: man systemd.time, "Calendar Events"; e.g. "*-*-* 03:00" or "hourly".'


class Calendar(Resource):
    """`name` is the app.

    Args:
        timers: name -> when it runs, as systemd.time(7) writes it.
    """

    kind = "calendar"

    def __init__(
        self, *, name: str, timers: Mapping[str, str], app: str = "", notify: Sequence[str] = ()
    ) -> None:
        super().__init__(name=name, app=app, notify=notify)
        self.timers = dict(timers)

    def desired(self, system: System) -> State:
        return {"understood": True}

    def read(self, system: System) -> State:
        if not system.which("systemd-analyze"):
            raise Unknown("systemd is installed")
        check_calendars(system, self.timers)
        return {"understood": True}

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        raise AssertionError("nothing differs")


def check_calendars(system: System, timers: Mapping[str, str]) -> None:
    """Does systemd understand when these run?

    Raises:
        Failed: it does not, in its own words.
    """
    argv = ("systemd-analyze", "calendar", "--")
    if system.run((*argv, *timers.values()), timeout=TIMEOUT, check=False, read_only=True).ok:
        return
    for name, when in timers.items():
        result = system.run((*argv, when), timeout=TIMEOUT, check=False, read_only=True)
        if not result.ok:
            raise Failed(
                "timers.%s.calendar: systemd does not understand %r" % (name, when), HINT, tail=result.tail()
            )
