"""What the hosts of one deploy have in common: the commit of a branch that may move, and the versions of packages.

Each host fetches and resolves for itself, so two of them could get different answers a moment apart. The first
answer counts for all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from hostwright.errors import HostwrightError
from hostwright.remote import events
from hostwright.report import Output, Report

# seconds that a host without a lock waits for those that have not said whether they have one
GRACE = 15.0


@dataclass(frozen=True)
class Packages:
    """What a host gets to know about its packages.

    Args:
        host: who found them; empty: nobody did yet.
        text: the lock.
        leads: this host finds them, and the others wait for it.
    """

    host: str = ""
    text: str = ""
    leads: bool = False


class Agreement:
    """Asked by the threads of the hosts, told by the one that shows events.

    Args:
        hosts: their names.
        grace: seconds, see GRACE.

    Attributes:
        several: there is somebody to agree with.
    """

    def __init__(self, hosts: Sequence[str], grace: float = GRACE) -> None:
        self.several = len(hosts) > 1
        self._changed = threading.Condition()
        self._silent = set(hosts)
        self._grace = grace
        self._commit = ""
        self._found: dict[str, Packages] = {}
        self._leaders: dict[str, str] = {}

    def commit(self, found: str) -> str:
        """The commit that all hosts get: what the first one found.

        Args:
            found: what this one found.
        """
        with self._changed:
            self._commit = self._commit or found
            return self._commit

    @property
    def agreed(self) -> str:
        """The commit, or an empty string as long as nobody found one."""
        with self._changed:
            return self._commit

    def packages(self, host: str, given: str, text: str) -> Packages:
        """What a host's packages are; waits while another host is finding that out.

        Args:
            given: the same on hosts whose packages are the same.
            text: the lock this host has for that already, or an empty string.
        """
        with self._changed:
            if text:
                self._found.setdefault(given, Packages(host, text))
            self._heard(host)
            end = time.monotonic() + self._grace
            while given not in self._found:
                if given not in self._leaders and (not self._silent or time.monotonic() > end):
                    self._leaders[given] = host
                    return Packages(leads=True)
                self._changed.wait(0.2)
            return self._found[given]

    def hear(self, host: str, event: events.Event) -> None:
        """Something happened on a host."""
        with self._changed:
            if isinstance(event, events.PackagesLocked):
                self._found.setdefault(event.given, Packages(host, event.text))
                self._changed.notify_all()
            elif isinstance(event, (events.Waited, events.Attached)):
                # behind another run, it may be silent for long
                self._heard(host)
            elif isinstance(event, events.RunFinished):
                self._left(host)

    def left(self, host: str) -> None:
        """A host is out of it."""
        with self._changed:
            self._left(host)

    def _left(self, host: str) -> None:
        # whoever waited for it finds the packages itself
        self._leaders = {given: leader for given, leader in self._leaders.items() if leader != host}
        self._heard(host)

    def _heard(self, host: str) -> None:
        self._silent.discard(host)
        self._changed.notify_all()


class Told:
    """An output that tells an agreement what it shows; what is for the other hosts alone it does not show."""

    def __init__(self, output: Output, agreement: Agreement) -> None:
        self._output = output
        self._agreement = agreement

    def begin(self, hosts: Sequence[str], title: str) -> None:
        """See Output."""
        self._output.begin(hosts, title)

    def event(self, host: str, event: events.Event) -> None:
        """See Output."""
        self._agreement.hear(host, event)
        if isinstance(event, events.PackagesLocked):
            return
        if isinstance(event, events.SourceReady):
            if self._agreement.agreed not in ("", event.commit):
                return  # it gets another one, and says so
            shown = events.SourceReady(event.commit, event.subject, event.current)
            shown.t = event.t
            event = shown
        self._output.event(host, event)

    def error(self, host: str, error: HostwrightError) -> None:
        """See Output."""
        self._agreement.left(host)
        self._output.error(host, error)

    def notice(self, text: str) -> None:
        """See Output."""
        self._output.notice(text)

    def end(self, report: Report) -> None:
        """See Output."""
        self._output.end(report)

    def close(self) -> None:
        """See Output."""
        self._output.close()
