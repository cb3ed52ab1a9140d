"""How processes and timers change places with those of the release before; around the switch, and when healing."""

from __future__ import annotations

from ..resources.base import Failed
from ..resources.calendar import check_calendars
from ..run import StepError
from . import command, credentials
from .instance import Instances
from .layout import UNITS
from .processes import Processes, Watch
from .shelf import Shelf
from .timers import Timers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from ..system import System
    from .layout import Layout
    from .processes import Found

RELOAD = ("systemctl", "daemon-reload")
QUICK = 30.0
# what a boot unit has that starts more than the web server
STARTS_THEM = b"units/start"


def check(system: System, layout: Layout, release: Mapping[str, Any]) -> None:
    """Can this server give the release what it asks for beside its web server? Asked before anything is built.

    Args:
        release: of the request: `files`, `processes`, `timers`.

    Raises:
        StepError: no.
    """
    credentials.check(system, release)
    if not release.get("processes") and not release.get("timers"):
        return
    boot = "%s/%s.service" % (UNITS, layout.app)
    if STARTS_THEM not in (system.read(boot) or b""):
        raise StepError(
            "this server was provisioned before it could run processes and timers", hint="inv provision first"
        )
    timers = {name: timer["calendar"] for name, timer in (release.get("timers") or {}).items()}
    if timers:
        try:
            check_calendars(system, timers)
        except Failed as error:
            raise StepError(error.message, error.tail, error.hint) from error


def check_programs(system: System, layout: Layout, release: str) -> None:
    """Are the programs of its processes and jobs there? Asked as soon as the release is on disk.

    Raises:
        StepError: one is not.
    """
    about = Shelf(system, layout).about(release)
    for kind in ("processes", "timers"):
        for name, item in (about.get(kind) or {}).items():
            try:
                command.found(system, layout, release, item["argv"])
            except StepError as error:
                message = "%s.%s.command: %s" % (kind, name, error.message)
                raise StepError(message, error.tail, error.hint) from error


class Beside:
    """What runs beside the web server of one app."""

    def __init__(self, system: System, layout: Layout) -> None:
        self._system = system
        self._layout = layout
        self._shelf = Shelf(system, layout)
        self.processes = Processes(system, layout)
        self.timers = Timers(system, layout)

    # -- around the switch ---------------------------------------------------------------------------------

    def link(self, release: str) -> None:
        """Make systemd read the units of a release, all at once. Before its instance starts.

        Raises:
            CommandFailed, OSError
        """
        if self.processes.link(release):
            Instances(self._system, self._layout).link(release)
            self._system.run(RELOAD, timeout=QUICK)

    def begin(self, release: str) -> Watch:
        """Start what may run in two releases at once. With the instance.

        Returns:
            Tells whether they stay up.

        Raises:
            CommandFailed
        """
        names = [name for name, process in self.processes.declared(release).items() if process["overlap"]]
        watch = Watch(self._system, self._layout, release, names)
        self.processes.start(release, names)
        return watch

    def due(self, release: str) -> bool:
        """Is there something to do once this release is live? `release` may be empty: nothing is live then."""
        declared = release and (self.processes.declared(release) or self.timers.declared(release))
        return bool(declared or self.timers.linked() or self._others(release))

    def take_over(self, release: str, *, prove: bool = True) -> str:
        """Stop the others', start this release's, and let the timers start its jobs. Right after the rename.

        Args:
            release: the live one; empty: nothing is live any more.
            prove: they must stay up through their windows.

        Returns:
            For people: what happened.

        Raises:
            StepError: refused: a process did not stay up. CommandFailed, OSError
        """
        declared = self.processes.declared(release) if release else {}
        others = self._others(release)
        together = {name for name, process in declared.items() if process["overlap"]}
        self.processes.stop([item for item in others if item.name not in together])
        running = self._running(release)
        names = [name for name in declared if name not in running]
        if names:
            watch = Watch(self._system, self._layout, release, names)
            self.processes.start(release, names)
            if prove:
                watch.finish()
        # these had somebody beside them all the time
        self.processes.stop([item for item in others if item.name in together], wait=False)
        self.timers.switch(release, self.processes)
        words = [*declared, *(self.timers.declared(release) if release else {})]
        gone = sorted({item.name for item in others} - set(words))
        return ", ".join(words + ["%s stopped" % name for name in gone])

    def abandon(self, release: str) -> None:
        """See `Processes.abandon`."""
        self.processes.abandon(release)

    def _others(self, release: str) -> list[Found]:
        """The processes of other releases that run."""
        return [
            item for item in self.processes.found() if item.release != release and item.runs and not item.job
        ]

    def _running(self, release: str) -> set[str]:
        found = self.processes.found()
        return {item.name for item in found if item.release == release and item.runs and not item.stopping}

    # -- healing -------------------------------------------------------------------------------------------

    def heal(self, current: str) -> list[str]:
        """What the live release declares runs, and no other release's processes do.

        Returns:
            For people: what was amiss.

        Raises:
            CommandFailed, OSError
        """
        if current and not self._shelf.about(current):
            return []  # damaged by hand: nothing tells what it runs, so what runs stays
        said = []
        running = self._running(current)
        declared = self.processes.declared(current) if current else {}
        missing = [name for name in declared if name not in running]
        strays = [item for item in self._others(current) if not item.stopping or item.name in missing]
        self.processes.stop(strays)
        for item in strays:
            said.append("stopped %s of %s, which is not live" % (item.name, item.release))
        late = self.timers.idle(current) if current else []
        if (missing or late) and self.processes.link(current):
            self._system.run(RELOAD, timeout=QUICK)
        if missing:
            self.processes.start(current, missing)
            said.append("started %s of %s, which did not run" % (", ".join(missing), current))
        self.timers.switch(current, self.processes)
        if late:
            said.append("%s: on again, for %s" % (", ".join(late), current))
        self.processes.tidy(current)
        return said
