"""What left the catalog since the last run: it is taken back, and what cannot be is said."""

from __future__ import annotations

import time

from . import dpkg, events
from .resources import withdraw
from .resources.base import Failed
from .system import CommandFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .converge import Converge

# what becomes of a user that we made
RETIRED = "it is locked and its keys are removed; its home stays"

# kinds that know themselves how they are taken back
WITHDRAWN = ("swap", "sysctl", "tightened")


class Dropped:
    """Made before the loop, while the records still are what the last run left.

    Args:
        converge: the loop.
    """

    def __init__(self, converge: Converge) -> None:
        self._converge = converge
        self._system, self._records = converge.system, converge.records
        # packages that the last run saw to
        self._packages = {
            package
            for resource in converge.catalog.resources
            if resource.kind == "packages"
            for package in self._records.state_of(resource.id)
        }

    def remove(self) -> None:
        """Take back what only we own and nothing wants any more; the first failure ends it."""
        self._tell_packages()
        converge = self._converge
        for kind, name in self._records.dropped(converge.catalog):
            start, id, title = time.monotonic(), "%s:%s" % (kind, name), "%s %s" % (kind, name)
            if self._records.app_of(id) in converge.failed_apps - {""}:
                continue
            if kind in ("file", "symlink") and self._system.stat(name) is None:
                self._records.forget(id)
                continue
            if kind == "account":
                converge.notice("the user %s is no longer in the inventory: %s" % (name, RETIRED))
            try:
                converge.guarded.before(id, name)
                self._reload_due(id)
                if converge.apply:
                    self._remove(kind, name)
            except (Failed, CommandFailed, OSError) as error:
                converge.failed(id, title, error, start)
                return
            if converge.apply:
                self._records.forget(id)
            converge.count("changed")
            change = {"attribute": "state", "before": "present", "after": None}
            note = "no longer in the catalog"
            converge.run.emit(
                events.ResourceChanged(id, title, [change], time.monotonic() - start, note=note)
            )

    def _tell_packages(self) -> None:
        """Packages stay: others may need them by now."""
        wanted = {
            package
            for resource in self._converge.catalog.resources
            if resource.kind == "packages"
            for package in getattr(resource, "packages", ())
        }
        left = dpkg.states(self._system, sorted(self._packages - wanted))
        names = [name for name, state in left.items() if state == "installed"]
        if names:
            self._converge.notice(
                "no longer asked for, and left installed: %s (sudo apt-get purge NAME removes one)"
                % ", ".join(names)
            )

    def _reload_due(self, id: str) -> None:
        """What reads a file that goes is reloaded, as if it had changed."""
        converge = self._converge
        for name in self._records.notified_by(id):
            handler = converge.catalog.handler(name)
            if handler and converge.apply:
                self._records.add_pending(handler, id)
            elif handler:
                converge.would_notify.setdefault(name, []).append(id)

    def _remove(self, kind: str, name: str) -> None:
        if kind == "unit":
            self._system.run(("systemctl", "disable", "--now", "--", name), timeout=120, check=False)
        elif kind == "sshd":
            from .ssh.leave import leave

            leave(self._system, name)
        elif kind == "account":
            from .accounts import retire

            retire(self._system, name)
        elif kind in WITHDRAWN:
            left = withdraw(kind, self._system, name)
            if left:
                self._converge.notice(left)
        elif kind == "firewall":
            from .resources.firewall import remove

            remove(self._system, name)
        elif kind == "drop_in":
            from .resources.drop_in import take_away

            take_away(self._system, name)
        else:
            self._system.unlink(name)
