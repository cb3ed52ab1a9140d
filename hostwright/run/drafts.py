"""What hosts are sent, made while the connections to them are opened: neither needs the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

from hostwright.inventory import Host

Made = TypeVar("Made")
AT_ONCE = 2  # they compute, so more threads only take turns


class Drafts(Generic[Made]):
    """Makes something for each host in threads of its own. A context manager: what is not begun at its end never is.

    Args:
        make: for a host; what it raises, `of` raises.
        hosts: those for which it can be made at once.
    """

    def __init__(self, make: Callable[[Host], Made], hosts: Iterable[Host]) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="draft")
        self._drafts: dict[str, Future[Made]] = {host.name: self._pool.submit(make, host) for host in hosts}

    def __enter__(self) -> Drafts[Made]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def __contains__(self, host: Host) -> bool:
        return host.name in self._drafts

    def of(self, host: Host) -> Made:
        """A host's; waits until it is made."""
        return self._drafts[host.name].result()
