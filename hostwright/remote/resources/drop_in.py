"""Settings of a unit that is not ours, such as nginx's sandbox: a file that is proved before it is believed.

A sandbox takes effect when the service starts, and a reload does not apply it. So a bad one would strike at the next
boot, when nobody is looking: a trial inside the same sandbox comes first.
"""

from __future__ import annotations

import os

from ..system import CommandFailed
from .base import Failed
from .file import Before, File, restore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from ..system import System
    from .base import Change, Context

RELOAD = ("systemctl", "daemon-reload")
# what a trial is run with: not what starts it again
NOT_TRIED = ("Restart", "RestartSec")
# where sites of nginx are, and how ours are called
SITES = ("/etc/nginx/sites-enabled", "/etc/nginx/conf.d")
OURS = "hostwright"
APPS = "/srv"


class DropIn(File):
    """`name` is /etc/systemd/system/UNIT.d/FILE.conf; its lines are of the section [Service].

    Args:
        content, conditional: as of a File.
        trial: a command that must succeed inside the new settings (nginx -t); what only it shows is that something on
            this server needs what they forbid.

    Where the unit runs and somebody is served, the settings wait for its next start, and the run says so; where nobody
    is, it is started anew.
    """

    kind = "drop_in"
    isolated = True

    def __init__(
        self,
        *,
        name: str,
        content: str,
        trial: Sequence[str] = (),
        conditional: bool = True,
        app: str = "",
        notify: Sequence[str] = (),
    ) -> None:
        super().__init__(name=name, content=content, conditional=conditional, app=app, notify=notify)
        self.trial = tuple(trial)

    @property
    def _unit(self) -> str:
        return os.path.basename(os.path.dirname(self.name))[: -len(".d")]

    def to_wire(self) -> dict[str, object]:
        names = ("name", "content", "trial", "conditional", "app", "notify")
        return {"kind": self.kind, **{name: getattr(self, name) for name in names}}

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        before = Before(system, self.name)
        super().apply(system, changes, context)
        system.forget_units()
        if system.unit(self._unit)["LoadState"] == "not-found":
            return  # it starts with them, once it is installed
        try:
            self._try(system)
            system.run(RELOAD, timeout=60)
            if system.unit(self._unit)["ActiveState"] != "active":
                return
            if serves(system):
                context.note = "after its next restart"
                context.notice(
                    "%s answers visitors, so it is not restarted now: its sandbox is in force after its next start "
                    "(a reboot, an update of it, or: sudo systemctl restart %s)" % (self._unit, self._unit)
                )
                return
            system.run(("systemctl", "restart", self._unit), timeout=120)
        except BaseException:
            self._put_back(system, before)
            raise

    def _try(self, system: System) -> None:
        """Does the trial succeed within the settings?

        Raises:
            Failed: it fails, and only there.
        """
        if not self.trial:
            return
        settings = ["--property=" + line for line in self._settings(system)]
        unit = "hostwright-trial-%s" % self._unit
        argv = (
            "systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--service-type=exec", "--unit=" + unit,
            *settings, "--", *self.trial,
        )  # fmt: skip
        tried = system.run(argv, timeout=60, check=False)
        if tried.ok or not system.run(self.trial, timeout=60, check=False, read_only=True).ok:
            return  # what fails without them too is not their fault
        raise Failed(
            "%s cannot work within its sandbox on this server; the old state was put back" % self._unit,
            "Something that it needs is forbidden: see above. To do without: hardening: {nginx: false}",
            tail=tried.tail(),
        )

    def _settings(self, system: System) -> list[str]:
        text = (system.read(self.name) or b"").decode()
        lines = [line.strip() for line in text.splitlines()]
        found = [line for line in lines if "=" in line and not line.startswith(("#", ";", "["))]
        return [line for line in found if line.partition("=")[0] not in NOT_TRIED]

    def _put_back(self, system: System, before: Before) -> None:
        restore([before])
        try:
            system.run(RELOAD, timeout=60)
            if system.unit(self._unit)["ActiveState"] == "failed":
                system.run(("systemctl", "reset-failed", self._unit), timeout=30)
                system.run(("systemctl", "start", self._unit), timeout=120)
        except CommandFailed:
            pass  # what went wrong before is what must be told


def take_away(system: System, name: str) -> None:
    """Remove one; a service that runs keeps its settings until its next start.

    Raises:
        CommandFailed, OSError
    """
    system.unlink(name)
    system.run(RELOAD, timeout=60)


def serves(system: System) -> bool:
    """Would a restart of nginx be noticed? An app of ours is live, or there are sites that are not ours."""
    if any(system.readlink("%s/%s/current" % (APPS, name)) for name in system.listdir(APPS)):
        return True
    return any(not name.startswith(OURS) for folder in SITES for name in system.listdir(folder))
