"""How long a switch takes beyond what the new release itself needs to boot, measured in the same run."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest

from hostwright.sandbox import Sandbox, Server

from .boot import boot
from .conftest import FreshServer
from .project import Project

# as in the inventory of `Project`
WINDOW = 0.5
# what may be added to the boot time, seconds; a noisy machine stretches both, so the boot time is counted twice
DEPLOY, ROLLBACK, NOISE = 1.0, 0.5, 2.0


def until_the_rename(shop: Project, *argv: str) -> float:
    """Seconds from the lock to the rename of `current`, as the server's own events say."""
    events = [json.loads(line) for line in shop.inv(*argv, "--json").out.splitlines() if line.startswith("{")]
    began = [event["t"] for event in events if event["event"] == "run_started"]
    switched = [event["t"] for event in events if event.get("step") == "switch" and "seconds" in event]
    return float(switched[-1] - began[-1])


@pytest.mark.alone
def test_a_switch_takes_little_longer_than_the_boot(
    tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer
) -> None:
    server: Server = fresh_server("quick")
    shop = Project(tmp_path, server)
    shop.change("first")
    shop.inv("provision")
    shop.inv("deploy")
    deploys, rollbacks, boots = [], [], []
    for number in range(3):
        shop.change(f"change {number}")
        boots.append(boot(sandbox, server, shop.app))
        deploys.append(until_the_rename(shop, "deploy") - WINDOW)
        rollbacks.append(until_the_rename(shop, "rollback") - WINDOW)
    booted, deploy, rollback = (statistics.median(times) for times in (boots, deploys, rollbacks))
    print(f"boot {booted:.2f} s; deploy less its window {deploy:.2f} s, rollback {rollback:.2f} s")
    assert deploy <= NOISE * booted + DEPLOY
    assert rollback <= NOISE * booted + ROLLBACK
