"""The group whose members may log in. Nobody is taken out: who leaves the inventory is locked by its account."""

from __future__ import annotations

from .. import accounts
from .base import Failed, Resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from ..system import System
    from .base import Change, Context, State


class LoginGroup(Resource):
    """`name` is the group.

    Args:
        members: who must be in it; they may be made earlier in the same run. When it is made, everybody joins who
            could log in with a key until then: a group that is new must not shut out anybody.
    """

    kind = "login_group"

    def __init__(
        self, *, name: str, members: Sequence[str] = (), app: str = "", notify: Sequence[str] = ()
    ) -> None:
        super().__init__(name=name, app=app, notify=notify)
        self.members = tuple(members)

    def desired(self, system: System) -> State:
        found = system.group(self.name)
        return {"exists": True, "members": sorted({*self.members, *(found[1] if found else ())})}

    def read(self, system: System) -> State:
        found = system.group(self.name)
        return {"exists": found is not None, "members": sorted(found[1]) if found else []}

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        found = system.group(self.name)
        joining = list(self.members)
        if found is None:
            system.run(("groupadd", "--system", "--", self.name), timeout=accounts.TIMEOUT)
            before = [person.name for person in self._with_keys(system) if person.name not in joining]
            if before:
                context.notice(
                    "%s could log in with a key before, and still can: members of %s"
                    % (", ".join(before), self.name)
                )
            joining += before
        for member in joining:
            if system.user(member) is None:
                raise Failed("there is no user %s to add to the group %s" % (member, self.name))
            if found is None or member not in found[1]:
                system.run(("gpasswd", "--add", member, self.name), timeout=accounts.TIMEOUT)

    def _with_keys(self, system: System) -> list[accounts.Person]:
        """People, not root, who have a key."""
        return [
            person
            for person in accounts.people(system)
            if person.uid and list(accounts.keys_in(accounts.lines_of(system, person.keys)))
        ]
