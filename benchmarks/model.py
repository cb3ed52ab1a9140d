"""What a case measures and what comes out of it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Samples:
    """One quantity of one peer, measured again and again.

    Attributes:
        peer: who; a limit is a peer too ("ssh", "the machine").
        what: the quantity: "RTT 50 ms", "p99 at 8 connections".
        unit: "s", "requests/s", "MiB", "requests failed", "round trips".
        values: in the order they were measured.
        note: what a reader must know of them.
    """

    peer: str
    what: str
    unit: str
    values: tuple[float, ...]
    note: str = ""

    @property
    def median(self) -> float:
        """Of the values."""
        return statistics.median(self.values)


@dataclass(frozen=True)
class Target:
    """A figure we promised, and whether it holds.

    Attributes:
        text: the promise: "no-op at 50 ms: at most 1.2 times ssh".
        figure: what was measured.
        bound: what it is held against.
        at_least: the figure must not be below the bound, rather than not above.
        smoke: a generous bound that `--quick` fails on; None: nothing is demanded there.
    """

    text: str
    figure: float
    bound: float
    at_least: bool = False
    smoke: float | None = None

    @property
    def holds(self) -> bool:
        """As promised."""
        return self.figure >= self.bound if self.at_least else self.figure <= self.bound

    @property
    def passes_smoke(self) -> bool:
        """Not so far off that something must be broken."""
        if self.smoke is None:
            return True
        return self.figure >= self.smoke if self.at_least else self.figure <= self.smoke


@dataclass(frozen=True)
class Result:
    """What a case found.

    Attributes:
        case: its name.
        title: one line for people.
        samples: all that was measured.
        targets: what was promised.
        limit: the name of the peer among the samples that nobody can beat, "" without one.
        notes: what was left out or went wrong, one sentence each.
    """

    case: str
    title: str
    samples: tuple[Samples, ...]
    targets: tuple[Target, ...] = ()
    limit: str = ""
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def of(self, peer: str, what: str) -> Samples:
        """The samples of one quantity of one peer.

        Raises:
            KeyError: it was not measured.
        """
        for samples in self.samples:
            if (samples.peer, samples.what) == (peer, what):
                return samples
        raise KeyError(f"{peer}: {what}")

    def ratio(self, peer: str, other: str, what: str) -> float:
        """Median of one over median of another."""
        return self.of(peer, what).median / self.of(other, what).median


@dataclass(frozen=True)
class Options:
    """How a case is run.

    Attributes:
        rounds: how often each peer does it; pairs are measured in turn.
        peers: the names of those that take part, Hostwright always among them.
        quick: for CI: fewer rounds, sizes and peers, the same code.
    """

    rounds: int
    peers: Sequence[str]
    quick: bool = False
