"""Jobs at set times: one timer for all releases of an app, APP.NAME.timer, which starts the job of the live one."""

from __future__ import annotations

from .layout import RUNTIME_UNITS
from .processes import process_unit, show
from .shelf import Shelf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Mapping, Optional

    from ..system import System
    from .layout import Layout
    from .processes import Found, Processes

QUICK = 30.0
# when a timer with Persistent= elapsed last, systemd.timer(5)
STAMPS = "/var/lib/systemd/timers/stamp-%s"


def timer_unit(app: str, name: str) -> str:
    """The timer of a job: the same in all releases."""
    return "%s.%s.timer" % (app, name)


class Timers:
    """The timers of one app."""

    def __init__(self, system: System, layout: Layout) -> None:
        self._system = system
        self._layout = layout
        self._shelf = Shelf(system, layout)

    def declared(self, release: str) -> Mapping[str, Mapping[str, Any]]:
        """The timers of a release: name -> argv, calendar."""
        found: Mapping[str, Mapping[str, Any]] = self._shelf.about(release).get("timers") or {}
        return found

    def linked(self) -> list[str]:
        """The units of the timers that systemd knows, of whatever release."""
        prefix = self._layout.app + "."
        files = self._system.listdir(RUNTIME_UNITS)
        return [file for file in files if file.startswith(prefix) and file.endswith(".timer")]

    def idle(self, release: str) -> list[str]:
        """The timers of a release that do not do their work: they point to another one, or are off."""
        units = [timer_unit(self._layout.app, name) for name in self.declared(release)]
        shown = show(self._system, units, ("Id", "ActiveState"))
        return [
            unit
            for unit in units
            if self._system.readlink("%s/%s" % (RUNTIME_UNITS, unit)) != self._file(release, unit)
            or shown.get(unit, {}).get("ActiveState") != "active"
        ]

    def switch(self, release: str, processes: Processes) -> None:
        """From now on the jobs of this release run. A running job of another one goes on to its end.

        Args:
            release: the live one, its services linked; empty: none has timers.

        Raises:
            CommandFailed, OSError
        """
        names = self.declared(release) if release else {}
        wanted = [timer_unit(self._layout.app, name) for name in names]
        linked = self.linked()
        gone = [unit for unit in linked if unit not in wanted]
        late = self.idle(release) if wanted else []
        # first: one that runs would start what is looked at below
        stop = [*gone, *(unit for unit in late if unit in linked)]
        if stop:
            self._system.run(("systemctl", "stop", *stop), timeout=QUICK)
        for unit in gone:
            self._system.unlink("%s/%s" % (RUNTIME_UNITS, unit))
            # should it come back, then not to make up for what it was not to run
            self._system.unlink(STAMPS % unit)
        waiting = self._queue(release, processes.found()) if gone or late else []
        if late:
            for unit in late:
                self._system.symlink_atomic(self._file(release, unit), "%s/%s" % (RUNTIME_UNITS, unit))
            self._system.run(("systemctl", "daemon-reload"), timeout=QUICK)
            self._system.run(("systemctl", "start", *late), timeout=QUICK)
            if waiting:
                self._system.run(("systemctl", "start", "--no-block", *waiting), timeout=QUICK)

    def _file(self, release: str, unit: str) -> str:
        return "%s/units/extra/%s" % (self._layout.release(release), unit)

    def _queue(self, release: str, units: Iterable[Found]) -> list[str]:
        """A job never runs beside itself: the one of this release waits for what still runs in another.

        Returns:
            The jobs of this release that must be started: in another one they were waiting like that.
        """
        waiting: list[str] = []
        running: dict[str, list[str]] = {name: [] for name in (self.declared(release) if release else ())}
        for item in units:
            if not item.job or item.release == release:
                continue
            # or each would wait for the other
            self._system.remove_tree("%s/%s.d" % (RUNTIME_UNITS, item.unit))
            if item.queued:
                self._system.run(("systemctl", "cancel", item.queued), timeout=QUICK, check=False)
            if item.queued and item.name in running:
                waiting.append(process_unit(self._layout.app, item.name, release))
            elif item.runs and item.name in running:
                running[item.name].append(item.unit)
        for name, before in running.items():
            folder = "%s/%s.d" % (RUNTIME_UNITS, process_unit(self._layout.app, name, release))
            self._system.remove_tree(folder)
            if before:
                self._system.mkdir(folder)
                text = "[Unit]\nAfter=%s\n" % " ".join(before)
                self._system.write_atomic(folder + "/after.conf", text.encode(), mode=0o644)
        return waiting


def job_states(system: System, layout: Layout, units: Iterable[Found]) -> dict[str, dict[str, Any]]:
    """Of each timer of the live release: when its job runs next, and how it ended last.

    Args:
        units: the app's processes and jobs.
    """
    timers = Timers(system, layout)
    shelf = Shelf(system, layout)
    names = {timer_unit(layout.app, name): name for name in timers.declared(shelf.current())}
    shown = show(system, list(names), ("Id", "ActiveState", "NextElapseUSecRealtime", "LastTriggerUSec"))
    found = {}
    for unit, name in names.items():
        jobs = [item for item in units if item.job and item.name == name]
        state = shown.get(unit, {})
        ended = max(
            jobs, key=lambda job: moment(job.shown.get("ExecMainExitTimestamp", "")) or 0.0, default=None
        )
        result = ""
        if any(job.runs for job in jobs):
            result = "running"
        elif ended and ended.shown.get("ExecMainExitTimestamp"):
            result = ended.shown.get("Result", "")
        found[name] = {
            "active": state.get("ActiveState") == "active",
            "next": moment(state.get("NextElapseUSecRealtime", "")),
            "last": moment(state.get("LastTriggerUSec", "")),
            "result": result,
            "status": int(ended.shown.get("ExecMainStatus") or 0) if ended and result != "running" else 0,
        }
    return found


def moment(text: str) -> Optional[float]:
    """Unix seconds of a time as systemctl(1) prints it in UTC, "Sat 2026-11-21 10:07:40 UTC"; None for no time."""
    import calendar
    import time

    try:
        return float(calendar.timegm(time.strptime(text, "%a %Y-%m-%d %H:%M:%S UTC")))
    except ValueError:
        return None
