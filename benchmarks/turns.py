"""Peers measured in turn, so that what else the machine does meets all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.model import Samples
from benchmarks.peers.peer import Done, Failed

Runs = Mapping[str, Callable[[], Done]]


@dataclass
class Turns:
    """What was measured, by peer.

    Attributes:
        done: peer -> its commands that went well, in order.
        failed: peer -> why it takes no further part.
    """

    done: dict[str, list[Done]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def samples(
        self, what: str, unit: str, value: Callable[[Done], float] = lambda done: done.seconds
    ) -> tuple[Samples, ...]:
        """One quantity of all peers."""
        return tuple(
            Samples(peer, what, unit, tuple(map(value, runs))) for peer, runs in self.done.items() if runs
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Who failed, and why."""
        return tuple(f"{peer} failed: {_last_line(why)}" for peer, why in self.failed.items())


def in_turn(
    runs: Runs, rounds: int, say: Callable[[str], None], fewer: Mapping[str, int] | None = None
) -> Turns:
    """Each peer once a round. One that fails takes no further part; the others go on.

    Args:
        runs: peer -> what it does.
        rounds: how often.
        fewer: peer -> a smaller number of rounds, for slow ones: they take part in the first.
    """
    turns = Turns({peer: [] for peer in runs})
    for number in range(rounds):
        for peer, run in runs.items():
            if peer in turns.failed or number >= (fewer or {}).get(peer, rounds):
                continue
            try:
                turns.done[peer].append(run())
            except Failed as error:
                turns.failed[peer] = str(error)
                say(f"{peer} failed: {error}")
    for peer, done in turns.done.items():
        say(f"{peer:12} " + " ".join(f"{one.seconds:.3f}" for one in done))
    return turns


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ... ".join(dict.fromkeys((lines[0], lines[-1])))[:300] if lines else "no reason given"
