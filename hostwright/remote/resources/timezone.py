"""The server's time zone."""

from __future__ import annotations

from .base import Failed, Resource, Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from ..system import System
    from .base import Change, Context, State, Value

ZONES = "/usr/share/zoneinfo"
LOCALTIME = "/etc/localtime"
# Debian's own copy of the name, for programs that do not read the link; newer releases have none
NAME = "/etc/timezone"


class Timezone(Resource):
    """`name` is the zone, such as Etc/UTC or Europe/Berlin; see localtime(5). A host has one."""

    kind = "timezone"
    exclusive = True

    @property
    def id(self) -> str:
        """One for the host, so that two projects cannot want two zones."""
        return "timezone:host"

    def desired(self, system: System) -> State:
        state: dict[str, Value] = {"zone": self.name}
        if system.exists(NAME):
            state[NAME] = self.name
        return state

    def read(self, system: System) -> State:
        if not system.exists("%s/%s" % (ZONES, self.name)):
            # Etc/UTC is in every tzdata; without it the package is not there
            if not system.exists("%s/Etc/UTC" % ZONES):
                raise Unknown("the package tzdata is installed")
            raise Failed(
                "there is no time zone %s on the server" % self.name,
                "See: timedatectl list-timezones. Old names (US/Eastern) may need the package tzdata-legacy.",
            )
        target = system.readlink(LOCALTIME) or ""
        return {
            "zone": target.partition("zoneinfo/")[2] or None,
            NAME: (system.read(NAME) or b"").decode("utf-8", "replace").strip(),
        }

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        # timedatectl also tells the kernel; it needs D-Bus, which minimal images lack
        if system.which("timedatectl"):
            system.run(("timedatectl", "set-timezone", self.name), timeout=30, check=False)
        if self.read(system)["zone"] != self.name:
            system.symlink_atomic("%s/%s" % (ZONES, self.name), LOCALTIME)
        if system.exists(NAME) and self.read(system)[NAME] != self.name:
            system.write_atomic(NAME, self.name.encode() + b"\n", mode=0o644)
