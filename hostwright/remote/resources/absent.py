"""A symlink that must not be there, when it is the one we mean."""

from __future__ import annotations

from .base import Resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from ..system import System
    from .base import Change, Context, State


class Absent(Resource):
    """`name` is the path of a symlink; it is removed only while it points to `link_to`.

    What somebody put in its place stays.
    """

    kind = "absent"

    def __init__(self, *, name: str, link_to: str, app: str = "", notify: Sequence[str] = ()) -> None:
        super().__init__(name=name, app=app, notify=notify)
        self.link_to = link_to

    def desired(self, system: System) -> State:
        return {"target": None}

    def read(self, system: System) -> State:
        target = system.readlink(self.name)
        return {"target": target if target == self.link_to else None}

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        system.unlink(self.name)
