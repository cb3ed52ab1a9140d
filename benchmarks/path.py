"""A round-trip time between the peers and their servers, and how many round trips a command needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from benchmarks.peers.peer import Work
from hostwright.sandbox import DelayedPath, delayed_path


@dataclass(frozen=True)
class Distance:
    """An open path to the servers. At 0 ms commands take it too, so that only the delay differs."""

    path: DelayedPath

    def set(self, rtt_ms: float) -> None:
        """From now on."""
        self.path.set_rtt(rtt_ms)

    def over(self, work: Work) -> Work:
        """The same work, with commands whose packets take the path."""
        return replace(work, prefix=self.path.prefix)


@contextmanager
def distance(work: Work) -> Iterator[Distance]:
    """A path of its own to the servers of this checkout, those of other works included."""
    with delayed_path(work.servers[0].address, 0.0) as path:
        yield Distance(path)


def round_trips(near: tuple[float, float], far: tuple[float, float]) -> float:
    """How many round trips a command waits for: the slope of its time over the round-trip time.

    Args:
        near: round-trip time in milliseconds, and the seconds that the command took.
        far: the same at another one.
    """
    return (far[1] - near[1]) * 1000 / (far[0] - near[0])
