"""Events about what goes into a release: its commit and its packages. See events.py."""

from __future__ import annotations

from .event import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Optional, Sequence


class SourceNeeded(Event):
    """The server wants the commit; it has these already."""

    event = "source_needed"

    def __init__(self, commit: str, have: Sequence[str]) -> None:
        self.commit = commit
        self.have = have


class SourceReady(Event):
    """The commit is on the server; it waits for the release's identity.

    `lock`, where several hosts get the same: what the packages are found by (`given`), and the lock that this host
    has for that (`text`, empty without one); None where nothing has to be found.
    """

    event = "source_ready"

    def __init__(
        self,
        commit: str,
        subject: str,
        current: Optional[Mapping[str, Any]] = None,
        lock: Optional[Mapping[str, str]] = None,
    ) -> None:
        self.commit = commit
        self.subject = subject
        self.current = current
        self.lock = lock


class PackagesLocked(Event):
    """This host found the versions of the packages, for the others too. See SourceReady."""

    event = "packages_locked"

    def __init__(self, given: str, text: str) -> None:
        self.given = given
        self.text = text
