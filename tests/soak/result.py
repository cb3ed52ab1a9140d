"""What a piece of a soak found, kept until all of them are done."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.soak.bench import Bench
from tests.soak.traffic import Plan
from tests.soak.verdict import Verdict


@dataclass
class Result:
    """Of one piece.

    Attributes:
        scenario: results of the same scenario are summed up.
        counts: kind of request -> how many, how many failed.
        lost: what was lost and must not have been; any of it fails the soak.
        problems: what else was not as promised; fails the soak too.
        notes: figures for the log, one line each.
        ends: how WebSockets ended.
        quiet, switching: seconds of quick requests, for the ratio of their p99.
        switches: seconds that each switch took, from the command to its end.
        steps: step of a switch -> seconds of each.
        facts: what is the same for the whole piece: saturation, rate, share.
    """

    scenario: str
    counts: dict[str, list[int]] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ends: dict[str, int] = field(default_factory=dict)
    quiet: list[float] = field(default_factory=list)
    switching: list[float] = field(default_factory=list)
    switches: list[float] = field(default_factory=list)
    steps: dict[str, list[float]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, scenario: str, verdict: Verdict) -> Result:
        """With what every verdict says."""
        counts = {kind: list(pair) for kind, pair in verdict.counts.items()}
        return cls(scenario, counts, list(verdict.lost), ends=dict(verdict.ends))

    def insist(self, condition: bool, what: str) -> None:
        """Note a problem unless it is as promised."""
        if not condition:
            self.problems.append(what)

    def save(self, path: Path) -> None:
        """Whole or not at all."""
        aside = path.with_suffix(".tmp")
        aside.write_text(json.dumps(asdict(self)))
        aside.rename(path)

    @classmethod
    def load(cls, path: Path) -> Result:
        """Read what `save` wrote."""
        return cls(**json.loads(path.read_text()))


@dataclass(frozen=True)
class Piece:
    """A few minutes of a soak.

    Attributes:
        name: of its own in the soak; its result is kept under it.
        run: does it on a bench whose app is live and healthy, and leaves it so.
    """

    name: str
    run: Callable[[Bench, Plan], Result]
