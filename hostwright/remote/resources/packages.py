"""apt packages: those that are missing in one transaction, and once, at first contact, all updates."""

from __future__ import annotations

from .. import dpkg
from .base import Failed, Resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping, Optional, Sequence

    from ..system import System
    from .base import Change, Context, State

STAMP = "/var/lib/hostwright/upgraded"
INFO = "/var/lib/dpkg/info"
# Debian policy 5.6.7, and an architecture
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789+-.:")


class Packages(Resource):
    """`name` is a word for the group.

    Args:
        packages: their names, or `name:architecture`; versions are apt's choice.
        lock_timeout: seconds to wait until other users of apt are done; they are never ended.
        unless: package -> others; where one of those is installed, that package is not wanted.

    Raises:
        ValueError: not a package name. apt would read `nginx-` as "remove nginx".
    """

    kind = "packages"

    def __init__(
        self,
        *,
        name: str,
        packages: Sequence[str],
        lock_timeout: float = 600.0,
        unless: Optional[Mapping[str, Sequence[str]]] = None,
        app: str = "",
        notify: Sequence[str] = (),
    ) -> None:
        super().__init__(name=name, app=app, notify=notify)
        for package in packages:
            if (
                len(package) < 2
                or not package[0].isalnum()
                or package.endswith("-")
                or set(package) - LETTERS
            ):
                raise ValueError("%r is not the name of a package" % package)
        self.packages = tuple(packages)
        self.lock_timeout = lock_timeout
        self.unless = {package: tuple(others) for package, others in (unless or {}).items()}

    def desired(self, system: System) -> State:
        return {name: "installed" for name in self.packages if not self._instead(system, name)}

    def _instead(self, system: System, package: str) -> bool:
        """Is one of the others there? dpkg keeps this file as long as a package is installed, not only configured."""
        return any(system.exists("%s/%s.md5sums" % (INFO, other)) for other in self.unless.get(package, ()))

    def read(self, system: System) -> State:
        return dpkg.states(system, self.packages)

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        from ..apt import Apt

        Apt(system, context.say, context.notice, self.lock_timeout).install(
            *(change.attribute for change in changes)
        )
        now = self.read(system)
        left = [name for name in self.desired(system) if now[name] != "installed"]
        if left:
            raise Failed(
                "apt-get ended well, but %s is not installed" % ", ".join(left),
                "A virtual package? Name one that provides it: apt-cache showpkg %s" % left[0],
            )


class Upgrade(Resource):
    """Brings the installed packages up to date, once, at first contact. `name` is "packages".

    Later updates are the server's own business (unattended-upgrades) or the operator's: a run that changes
    nothing must not ask the network. The stamp /var/lib/hostwright/upgraded remembers it.
    """

    kind = "upgrade"

    def __init__(
        self,
        *,
        name: str = "packages",
        lock_timeout: float = 600.0,
        app: str = "",
        notify: Sequence[str] = (),
    ) -> None:
        super().__init__(name=name, app=app, notify=notify)
        self.lock_timeout = lock_timeout

    def desired(self, system: System) -> State:
        return {"upgraded": "done"}

    def read(self, system: System) -> State:
        return {"upgraded": "done" if system.exists(STAMP) else None}

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        from ..apt import Apt

        apt = Apt(system, context.say, context.notice, self.lock_timeout)
        context.note = "%d updated" % apt.upgrade()
        folder = STAMP.rpartition("/")[0]
        if system.stat(folder) is None:
            system.mkdir(folder, mode=0o700)
        system.write_atomic(STAMP, b"%d\n" % system.now(), mode=0o600)
        if system.exists("/run/reboot-required"):
            context.notice("a reboot is needed before all updates are in use; nothing was restarted")
