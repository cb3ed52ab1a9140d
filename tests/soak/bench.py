"""A server with the counting app on it, and visitors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hostwright.sandbox import Sandbox, Server
from tests.machine.project import sh
from tests.soak.counting import Counting
from tests.soak.evidence import Witness
from tests.soak.traffic import Plan, Traffic, saturation

# of what the server can take; the visitors of a run never come at more than LIMIT a second, to keep the time of
# this machine for the server
SHARE, LIMIT = 0.25, 250.0


@dataclass
class Bench:
    """Where a scenario happens.

    Attributes:
        folder: for what is written on the way.
        say: told what happens.
        saturation: requests a second that the server took at the begin; 0 before `measure`.
    """

    sandbox: Sandbox
    server: Server
    shop: Counting
    folder: Path
    say: Callable[[str], None] = print
    saturation: float = 0.0

    @classmethod
    def make(
        cls, sandbox: Sandbox, server: Server, folder: Path, say: Callable[[str], None] = print
    ) -> Bench:
        """Provision the server and deploy the first version."""
        shop = Counting(folder, server)
        shop.inv("provision")
        shop.switch("deploy")
        return cls(sandbox, server, shop, folder, say)

    def measure(self) -> Plan:
        """Find out what the server can take, and plan visitors who come at SHARE of it."""
        plan = Plan(self.server.address)
        self.saturation = saturation(plan, self.folder / "saturation.tsv")
        rate = min(SHARE * self.saturation, LIMIT)
        share = 100 * rate / self.saturation
        self.say(f"saturation {self.saturation:.0f}/s, load {rate:.0f}/s ({share:.0f} %)")
        return plan.scaled(rate)

    def witness(self) -> Witness:
        """What the server writes from now on."""
        return Witness(self.sandbox, self.server)

    @contextmanager
    def visitors(self, plan: Plan, name: str) -> Iterator[Traffic]:
        """Visitors while the block runs; they have been there for 3 s when it begins."""
        with Traffic(plan, self.folder / f"{name}-{time.time_ns()}.tsv") as traffic:
            traffic.waits_for(3)
            yield traffic

    def sh(self, script: str, timeout: float = 60) -> str:
        """The output of a script that root runs on the server."""
        return sh(self.sandbox, self.server, script, timeout)
