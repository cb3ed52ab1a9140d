"""A systemd unit: enabled, running, and known to systemd as it is on disk. Unit files are File resources."""

from __future__ import annotations

from ..system import CommandFailed
from .base import Failed, Resource, Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping, Optional, Sequence

    from ..system import System
    from .base import Change, Context, State, Value

SUFFIXES = ("service", "socket", "timer", "path", "target", "mount", "automount", "swap", "slice")
# systemctl(1) is-enabled: with these there is nothing to enable or disable; others or a generator start them
FIXED = ("static", "generated", "indirect", "transient")
STATES = {"active": "running", "reloading": "running", "refreshing": "running", "activating": "starting"}
# how long a unit must stay up after its start before we believe it, seconds
SETTLE = 0.5
START_TIMEOUT = 180.0


class Unit(Resource):
    """`name` is the full name, `nginx.service` or `app@blue.service`.

    Args:
        enabled: starts at boot; None: as it is.
        running: runs now; None: as it is. A change of its configuration is a handler's business.
        provided_by: what brings the unit file ("the package nginx"): while that is not there, a check
            says "unknown until ... is installed" instead of guessing.
        when: conditions (features.py); where they do not hold, it stays as it is.

    Raises:
        ValueError: not the full name of a unit that can run.
    """

    kind = "unit"
    exclusive = True

    def __init__(
        self,
        *,
        name: str,
        enabled: Optional[bool] = None,
        running: Optional[bool] = None,
        provided_by: str = "",
        when: str = "",
        app: str = "",
        notify: Sequence[str] = (),
    ) -> None:
        super().__init__(name=name, app=app, notify=notify)
        stem, _, suffix = name.rpartition(".")
        if suffix not in SUFFIXES or not stem or stem.endswith("@"):
            raise ValueError(
                "%r is not the full name of a unit, such as nginx.service or app@1.service" % name
            )
        self.enabled = enabled
        self.running = running
        self.provided_by = provided_by
        self.when = when

    def desired(self, system: System) -> State:
        if self.when and not system.has(self.when):
            return {}
        state: dict[str, Value] = {"definition": "current"}
        if self.enabled is not None:
            state["enabled"] = self.enabled
        if self.running is not None:
            state["state"] = "running" if self.running else "stopped"
        return state

    def read(self, system: System) -> State:
        if self.when and not system.has(self.when):
            return {}
        found = system.unit(self.name)
        if found["LoadState"] == "not-found":
            if self.provided_by:
                raise Unknown("%s is installed" % self.provided_by)
            return {"definition": None, "enabled": False, "state": "stopped"}
        if found["LoadState"] == "masked" and (self.enabled or self.running):
            raise Failed(
                "%s is masked: somebody forbade to start it" % self.name,
                "If that is no longer meant: sudo systemctl unmask %s" % self.name,
            )
        return {
            "definition": self._definition(found),
            "enabled": self._enabled(found),
            "state": self._state(found),
        }

    def _definition(self, found: Mapping[str, str]) -> str:
        if found["NeedDaemonReload"] == "yes":
            return "stale"
        if found["LoadState"] in ("loaded", "masked", "merged"):
            return "current"
        return found["LoadState"]

    def _enabled(self, found: Mapping[str, str]) -> Optional[bool]:
        state = found["UnitFileState"]
        if state in FIXED:
            return self.enabled
        return state in ("enabled", "alias")

    def _state(self, found: Mapping[str, str]) -> str:
        state = STATES.get(found["ActiveState"])
        if state:
            return state
        # a unit that failed has stopped, if stopped is all that is wanted
        return "failed" if found["ActiveState"] == "failed" and self.running else "stopped"

    # -- apply -------------------------------------------------------------------------------------------

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        system.forget_units()
        found = system.unit(self.name)
        if found["NeedDaemonReload"] == "yes" or found["LoadState"] not in ("loaded", "masked"):
            system.run(("systemctl", "daemon-reload"), timeout=60)
            found = system.unit(self.name)
        if found["LoadState"] == "not-found":
            raise Failed("there is no unit %s on the server" % self.name, "Search: systemctl list-unit-files")
        if found["LoadState"] not in ("loaded", "masked"):
            raise self._unusable(system, found)
        if self.enabled is not None and self._enabled(found) != self.enabled:
            # the unit's real name: systemctl does not enable an alias
            verb = "enable" if self.enabled else "disable"
            system.run(("systemctl", verb, "--", found["Id"]), timeout=60)
        if self.running is True and self._state(found) != "running":
            self._start(system, found)
        elif self.running is False and self._state(found) != "stopped":
            system.run(("systemctl", "stop", "--", self.name), timeout=START_TIMEOUT)

    def _unusable(self, system: System, found: Mapping[str, str]) -> Failed:
        """systemd refuses the unit file; systemd-analyze knows the line."""
        result = system.run(("systemd-analyze", "verify", self.name), timeout=30, check=False, read_only=True)
        return Failed(
            "systemd cannot use %s: %s" % (self.name, found["LoadState"]),
            "Look at: systemctl cat %s" % self.name,
            tail=result.tail() or (found["LoadError"],),
        )

    def _start(self, system: System, found: Mapping[str, str]) -> None:
        since = int(system.now())
        if found["ActiveState"] == "failed":  # forget failed starts, they may have used up the limit
            system.run(("systemctl", "reset-failed", "--", self.name), timeout=60)
        argv = ("systemctl", "start", "--", self.name)
        result = system.run(argv, timeout=START_TIMEOUT, check=False)
        if result.ok:
            if self.name.endswith(".service"):  # Type=simple counts as started before it has done anything
                system.sleep(SETTLE)
            if self._state(system.unit(self.name)) == "running":
                return
        raise self._did_not_start(system, argv, result.exit_code, since)

    def _did_not_start(self, system: System, argv: Sequence[str], exit_code: int, since: int) -> Exception:
        system.forget_units()
        found = system.unit(self.name)
        journal = (
            "journalctl",
            "-u",
            self.name,
            "--since=@%d" % since,
            "-n",
            "20",
            "-o",
            "cat",
            "--no-pager",
        )
        lines = system.run(journal, timeout=30, check=False, read_only=True).out.splitlines()
        return CommandFailed(argv, exit_code, lines[-20:], "%s did not start: %s" % (self.name, ended(found)))


def ended(found: Mapping[str, str]) -> str:
    """How a unit ended, in words, from its properties (systemd.exec(5), "Process Exit Codes")."""
    result, status = found["Result"], found.get("ExecMainStatus", "0")
    if result == "success":
        return "it is %s (%s)" % (found["ActiveState"], found["SubState"])
    if result == "exit-code" and status != "0":
        return "its program ended with exit code %s" % status
    if result in ("signal", "core-dump"):
        return "its program was ended by signal %s" % status
    return {"timeout": "it was not ready in time", "start-limit-hit": "it was started too often"}.get(
        result, result
    )
