"""How long a switch takes beyond what the new release itself needs to boot, measured in the same run."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest

from hostwright.sandbox import Sandbox, Server

from .conftest import FreshServer
from .project import Project, sh

# as in the inventory of `Project`
WINDOW = 0.5
# what may be added to the boot time, seconds; a noisy machine stretches both, so the boot time is counted twice
DEPLOY, ROLLBACK, NOISE = 1.0, 0.5, 2.0
# Runs on the server: an instance that is off is started; how long until all of its workers are up and it answers.
BOOT = """
import socket, subprocess, sys, time
app, release = sys.argv[1:]
units = ["%s@%s.%s" % (app, release, kind) for kind in ("socket", "service")]
subprocess.run(["systemctl", "stop", *units], check=True)
began = time.monotonic()
subprocess.run(["systemctl", "start", units[0]], check=True)
subprocess.run(["systemctl", "start", "--no-block", units[1]], check=True)
while True:
    with socket.socket(socket.AF_UNIX) as link:
        link.connect("/run/%s/%s.sock" % (app, release))
        link.sendall(b"GET /health HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
        good = link.recv(99).startswith(b"HTTP/1.1 200")
    show = ["systemctl", "show", "--property=StatusText", "--value", units[1]]
    words = subprocess.run(show, check=True, capture_output=True, text=True).stdout.split()
    if good and words and words[0] == words[2]:
        break
print(time.monotonic() - began)
"""


def boot(shop: Project, sandbox: Sandbox) -> float:
    """The boot time of the live release, three times, the middle one."""
    release = sh(sandbox, shop.server, "basename $(readlink /srv/hello/current)")
    times = []
    for _ in range(3):
        done = sandbox.exec(shop.server.name, ("python3", "-c", BOOT, "hello", release), timeout=60)
        assert done.returncode == 0, done.stderr
        times.append(float(done.stdout))
    return statistics.median(times)


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
        boots.append(boot(shop, sandbox))
        deploys.append(until_the_rename(shop, "deploy") - WINDOW)
        rollbacks.append(until_the_rename(shop, "rollback") - WINDOW)
    booted, deploy, rollback = (statistics.median(times) for times in (boots, deploys, rollbacks))
    print(f"boot {booted:.2f} s; deploy less its window {deploy:.2f} s, rollback {rollback:.2f} s")
    assert deploy <= NOISE * booted + DEPLOY
    assert rollback <= NOISE * booted + ROLLBACK
