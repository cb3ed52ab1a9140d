"""What a release runs beside its web server: processes that stay up, and the jobs that timers start.

Each is a unit of its own, APP.NAME@RELEASE.service; its file lies in the release and is linked below
/run/systemd/system before it starts. A dot cannot be in an app's name, so these are nobody else's units. What runs
is found through these links: they last as long as what was started through them.
"""

from __future__ import annotations

import re

from ..resources.unit import ended
from ..run import StepError
from ..system import CommandFailed
from .instance import dead
from .journal import journal
from .layout import RUNTIME_UNITS
from .shelf import Shelf
from .symptoms import heard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Mapping, Optional, Sequence

    from ..system import System
    from .layout import Layout

UNIT = re.compile(r"([a-z][a-z0-9-]*)@([a-z0-9][a-z0-9-]*)\.service\Z")
RUNNING = ("active", "activating", "reloading", "refreshing", "deactivating")
PROPERTIES = (
    "Id", "Type", "ActiveState", "SubState", "Result", "ExecMainStatus", "ExecMainExitTimestamp", "NRestarts",
    "MemoryCurrent", "ControlGroup", "ActiveEnterTimestamp", "Job",
)  # fmt: skip
QUICK, LOOK = 30.0, 0.2
# systemd ends what does not end itself; this much later we give up on systemd
MARGIN = 30.0
# what never was of use may take so long to end
ABANDON = 10.0
# as Process.stop of the inventory, for releases that do not tell
STOP = 60.0


def process_unit(app: str, name: str, release: str) -> str:
    """The service of a process or a job in a release."""
    return "%s.%s@%s.service" % (app, name, release)


def show(system: System, units: Sequence[str], properties: Sequence[str]) -> dict[str, dict[str, str]]:
    """Properties by unit, as systemctl(1) `show` prints them; times in UTC."""
    if not units:
        return {}
    argv = ("systemctl", "show", "--property=" + ",".join(properties), "--", *units)
    out = system.run(argv, timeout=QUICK, read_only=True, env={"TZ": "UTC"}).out
    blocks = [
        dict(line.split("=", 1) for line in text.splitlines() if "=" in line) for text in out.split("\n\n")
    ]
    return {block["Id"]: block for block in blocks if block.get("Id")}


class Found:
    """A process or a job that systemd knows.

    Attributes:
        job: a timer starts it; it ends by itself.
        queued: of systemd, the number of the start that waits for something else; or an empty string.
        runs: also: is about to, or has not ended yet.
        stopping: it was asked to end.
    """

    def __init__(self, name: str, release: str, unit: str, shown: Mapping[str, str]) -> None:
        self.name = name
        self.release = release
        self.unit = unit
        self.shown = shown
        self.job = shown.get("Type") == "oneshot"
        job, active = shown.get("Job", ""), shown.get("ActiveState") in RUNNING
        self.queued = "" if active or job == "0" else job
        self.runs = active or bool(self.queued)
        self.stopping = shown.get("ActiveState") == "deactivating"


class Processes:
    """The processes and jobs of one app."""

    def __init__(self, system: System, layout: Layout) -> None:
        self._system = system
        self._layout = layout
        self._shelf = Shelf(system, layout)

    # -- looking -------------------------------------------------------------------------------------------

    def declared(self, release: str) -> Mapping[str, Mapping[str, Any]]:
        """The processes of a release: name -> argv, overlap, window and stop (seconds)."""
        found: Mapping[str, Mapping[str, Any]] = self._shelf.about(release).get("processes") or {}
        return found

    def unit(self, name: str, release: str) -> str:
        """See `process_unit`."""
        return process_unit(self._layout.app, name, release)

    def found(self) -> list[Found]:
        """All that is linked, of every release, in one question."""
        linked = list(self._linked())
        shown = show(self._system, [unit for _, _, unit in linked], PROPERTIES)
        return [Found(name, release, unit, shown.get(unit, {})) for name, release, unit in linked]

    def busy(self) -> set[str]:
        """The releases of which a process or a job runs: they must stay on disk."""
        return {found.release for found in self.found() if found.runs}

    def _linked(self) -> Iterable[tuple[str, str, str]]:
        """(name, release, unit) of each link."""
        prefix = self._layout.app + "."
        for file in self._system.listdir(RUNTIME_UNITS):
            match = UNIT.match(file[len(prefix) :]) if file.startswith(prefix) else None
            if match:
                yield match.group(1), match.group(2), file

    # -- links ---------------------------------------------------------------------------------------------

    def link(self, release: str) -> bool:
        """Show systemd the services of a release. In /run: the boot unit does it again.

        Returns:
            Whether something is new to it, so that it must read its units again.
        """
        changed = False
        folder = self._layout.release(release) + "/units/extra"
        for file in self._system.listdir(folder):
            path, target = "%s/%s" % (RUNTIME_UNITS, file), "%s/%s" % (folder, file)
            if file.endswith(".service") and self._system.readlink(path) != target:
                self._system.symlink_atomic(target, path)
                changed = True
        return changed

    def unlink(self, found: Iterable[Found]) -> None:
        """Take back `link` of what does not run: systemd forgets such units by itself."""
        idle = [item for item in found if not item.runs]
        failed = [item.unit for item in idle if item.shown.get("ActiveState") == "failed"]
        if failed:
            self._system.run(("systemctl", "reset-failed", *failed), timeout=QUICK, check=False)
        for item in idle:
            path = "%s/%s" % (RUNTIME_UNITS, item.unit)
            self._system.unlink(path)
            self._system.remove_tree(path + ".d")

    def tidy(self, current: str) -> None:
        """Take back the links of releases that are not live, as far as nothing of them runs."""
        self.unlink(item for item in self.found() if item.release != current)

    # -- starting and stopping -----------------------------------------------------------------------------

    def start(self, release: str, names: Sequence[str]) -> None:
        """Start processes of a linked release; `Watch` tells whether they do.

        One that is still ending since the release was left is waited for.
        """
        units = [self.unit(name, release) for name in names]
        if units:
            declared = self.declared(release)
            longest = max(float(declared[name].get("stop", STOP)) for name in names)
            self._system.run(("systemctl", "reset-failed", *units), timeout=QUICK, check=False)
            self._system.run(("systemctl", "start", *units), timeout=longest + 2 * MARGIN, check=False)

    def stop(self, items: Sequence[Found], *, wait: bool = True) -> None:
        """Ask processes to end, all at once; systemd kills what takes longer than its `stop`.

        Raises:
            CommandFailed
        """
        units = [item.unit for item in items if not item.job]
        if not units:
            return
        if not wait:
            self._system.run(("systemctl", "stop", "--no-block", *units), timeout=QUICK)
            return
        longest = max(
            float(self.declared(item.release).get(item.name, {}).get("stop", STOP)) for item in items
        )
        self._system.run(("systemctl", "stop", *units), timeout=longest + MARGIN)

    def abandon(self, release: str) -> None:
        """End the processes of a release that does not go live, whatever they do. A job of it is left alone."""
        mine = [item for item in self.found() if item.release == release]
        units = [item.unit for item in mine if not item.job]
        if units:
            try:
                self._system.run(("systemctl", "stop", *units), timeout=ABANDON, check=False)
            except CommandFailed:
                kill = ("systemctl", "kill", "--kill-who=all", "--signal=SIGKILL", *units)
                self._system.run(kill, timeout=QUICK, check=False)
                self._system.run(("systemctl", "stop", *units), timeout=QUICK, check=False)
        self.unlink(item for item in self.found() if item.release == release)


class Watch:
    """Processes of a release that were just started, and must stay up, each for its window.

    Args:
        names: which.
    """

    def __init__(self, system: System, layout: Layout, release: str, names: Sequence[str]) -> None:
        self._system = system
        self._layout = layout
        self._release = release
        declared = Processes(system, layout).declared(release)
        self._windows = {
            process_unit(layout.app, name, release): (name, float(declared[name]["window"])) for name in names
        }
        self._began: Optional[float] = None
        self._since = int(system.now()) - 1

    def look(self) -> bool:
        """Do all of them run?

        Raises:
            StepError: one has ended: refused, with what it wrote.
        """
        if self._began is None:  # not before: their start may have waited for the end of others
            self._began = self._system.monotonic()
        shown = show(self._system, list(self._windows), PROPERTIES)
        for unit, (name, _) in self._windows.items():
            state = shown.get(unit, {})
            if dead(state) or state.get("ActiveState") in (None, "inactive", "deactivating"):
                raise self._refused(unit, name, state)
        return all(state["ActiveState"] == "active" for state in shown.values())

    def finish(self) -> None:
        """Wait until each was up as long as it must.

        Raises:
            StepError, RunCancelled
        """
        if not self._windows:
            return
        longest = max(window for _, window in self._windows.values())
        while not (self.look() and self._up() >= longest):
            if self._up() > longest + MARGIN:
                raise StepError("a process does not start", hint="systemctl status tells why.", refused=True)
            self._system.sleep(LOOK)

    def _up(self) -> float:
        return self._system.monotonic() - (self._began or 0.0)

    def _refused(self, unit: str, name: str, state: Mapping[str, str]) -> StepError:
        how = ended({"ActiveState": "gone", "SubState": "", "Result": "", "ExecMainStatus": "0", **state})
        if state.get("Result") == "success" and state.get("ExecMainStatus") == "0":
            how = "its program ended (exit code 0)"
        tail = journal(self._system, unit, self._since)
        what = heard(self._layout.app, tail, Shelf(self._system, self._layout).settings(self._release))
        hint = "%s All that it wrote: inv logs --process %s --release %s" % (what, name, self._release)
        message = "the process %s did not stay up: %s" % (name, how)
        return StepError(message, tail, hint.strip(), refused=True)
