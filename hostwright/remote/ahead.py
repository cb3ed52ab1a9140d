"""Work that needs nothing of what comes before it is done beside that: apt mostly waits for the disk."""

from __future__ import annotations

from .resources.base import Failed, Unknown, diff

TYPE_CHECKING = False
if TYPE_CHECKING:
    from threading import Event, Thread
    from typing import Iterable

    from .resources.base import Resource
    from .system import System

# seconds between two looks for what a resource waits for
POLL = 0.05


class Ahead:
    """What has begun, by resource.

    Args:
        resources: those that are `early` and differ begin as soon as they are `ready`.
        system: the server.
    """

    def __init__(self, resources: Iterable[Resource], system: System) -> None:
        self._begun: dict[str, tuple[Thread, Event]] = {}
        for resource in resources:
            if resource.early and _differs(resource, system):
                self._begun[resource.id] = _started(resource, system)

    def wait(self, resource: Resource) -> None:
        """It is its turn: until what was begun for it has ended, well or not; what was not, does not begin any more."""
        thread, turn = self._begun.pop(resource.id, (None, None))
        if thread and turn:
            turn.set()
            thread.join()


def _differs(resource: Resource, system: System) -> bool:
    try:
        return bool(diff(resource.desired(system), resource.read(system)))
    except (Failed, Unknown, OSError):
        return False  # told when it is its turn


def _started(resource: Resource, system: System) -> tuple[Thread, Event]:
    import threading

    turn = threading.Event()
    apart = system.apart()
    apart.cancelled = system.cancelled

    def work() -> None:
        try:
            while not resource.ready(apart):
                if turn.wait(POLL):
                    return
            resource.ahead(apart)
        except Exception:
            pass  # `apply` does it again, and tells

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread, turn
