"""Work that needs nothing of what comes before it is done beside that: apt mostly waits for the disk."""

from __future__ import annotations

from .resources.base import Failed, Unknown, diff

TYPE_CHECKING = False
if TYPE_CHECKING:
    from threading import Thread
    from typing import Iterable

    from .resources.base import Resource
    from .system import System


class Ahead:
    """What has begun, by resource.

    Args:
        resources: those that are `early` and differ begin now.
        system: the server.
    """

    def __init__(self, resources: Iterable[Resource], system: System) -> None:
        self._threads: dict[str, Thread] = {}
        for resource in resources:
            if resource.early and _differs(resource, system):
                self._threads[resource.id] = _started(resource, system)

    def wait(self, resource: Resource) -> None:
        """Until what was begun for it has ended, well or not."""
        thread = self._threads.pop(resource.id, None)
        if thread:
            thread.join()


def _differs(resource: Resource, system: System) -> bool:
    try:
        return bool(diff(resource.desired(system), resource.read(system)))
    except (Failed, Unknown, OSError):
        return False  # told when it is its turn


def _started(resource: Resource, system: System) -> Thread:
    import threading

    def work() -> None:
        try:
            resource.ahead(system.apart())
        except Exception:
            pass  # `apply` does it again, and tells

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread
