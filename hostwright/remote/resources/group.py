"""A group. Members are only added: who else is in it is not ours to say."""

from __future__ import annotations

from .base import Failed, Resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from ..system import System
    from .base import Change, Context, State

TIMEOUT = 60.0


class Group(Resource):
    """`name` is the group's name.

    Args:
        system: takes its number from the range of system groups; of a group that exists it stays as it is.
        members: users that must be in it; they may be made earlier in the same run.
    """

    kind = "group"
    exclusive = True

    def __init__(
        self,
        *,
        name: str,
        system: bool = True,
        members: Sequence[str] = (),
        app: str = "",
        notify: Sequence[str] = (),
    ) -> None:
        super().__init__(name=name, app=app, notify=notify)
        self.system = system
        self.members = tuple(members)

    def desired(self, system: System) -> State:
        found = system.group(self.name)
        return {"exists": True, "members": sorted({*self.members, *(found[1] if found else ())})}

    def read(self, system: System) -> State:
        found = system.group(self.name)
        return {"exists": found is not None, "members": sorted(found[1]) if found else []}

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        found = system.group(self.name)
        if found is None:
            system.run(
                ("groupadd", *(("--system",) if self.system else ()), "--", self.name), timeout=TIMEOUT
            )
        for member in self.members:
            if system.user(member) is None:
                raise Failed("there is no user %s to add to the group %s" % (member, self.name))
            if found is None or member not in found[1]:
                system.run(("gpasswd", "--add", member, self.name), timeout=TIMEOUT)
