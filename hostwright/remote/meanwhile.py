"""What can be looked at while systemd makes up its answer, which takes longer than all the rest. Runs on the server."""

from __future__ import annotations

from .resources.base import Failed, Unknown, diff
from .system import CommandFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from .resources.base import Change, Resource
    from .system import System


def unchanged(resources: Sequence[Resource], system: System) -> dict[str, list[Change]]:
    """What needs no answer of systemd and is as it should be, up to the first that is not, by id; without changes.

    What comes after a difference may look at what that one pretends to have changed. What cannot be read is told when
    it is its turn.
    """
    seen: dict[str, list[Change]] = {}
    for resource in resources:
        if resource.kind == "unit" or resource.units:
            continue
        try:
            changes = diff(resource.desired(system), resource.read(system))
        except (Failed, Unknown, CommandFailed, OSError):
            break
        if changes:
            break
        seen[resource.id] = changes
    return seen
