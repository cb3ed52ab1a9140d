"""A bare VM, without a site: what the agent sets is in force in a kernel of its own, and after a power cut too.

The part of the VM tests that has time in `inv test`.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from hostwright.errors import SandboxUnavailable
from hostwright.recipes.render import renderer
from hostwright.remote.firewall.paths import RULES
from hostwright.sandbox import Sandbox, ensure

from .conftest import FreshServer
from .project import sh
from .test_resources import Machine
from .test_vm_hardening import SWAP, SYSCTL, drops, in_force, without_a_firewall

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

NFT = "apt-get -qq update && apt-get -qqy install --no-install-recommends nftables >/dev/null 2>&1"


def test_settings_swap_and_firewall_survive_a_power_cut(
    tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer
) -> None:
    try:
        ensure(print, vm=True)
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    began = time.monotonic()
    server, looker = fresh_server("kernel", vm=True), fresh_server("looker")
    took = {"boot": time.monotonic() - began}
    sh(sandbox, server, NFT, timeout=900)
    took["nftables"] = time.monotonic() - began
    content = renderer(tmp_path)("sysctl/hostwright.conf.j2")
    resources = (
        {"kind": "file", "name": SYSCTL, "content": content},
        {"kind": "sysctl", "name": SYSCTL},
        {"kind": "swap", "name": SWAP},
        {"kind": "firewall", "name": RULES, "ssh": "22/tcp", "allow": []},
    )
    machine = Machine(sandbox, server.name)
    machine.run("mkdir", "-p", str(Path(SWAP).parent))
    first = machine.converge(*resources)
    assert [(done["outcome"], done["left"]) for done in first] == [("changed", [])] * 4, first
    took["set"] = time.monotonic() - began
    in_force(sandbox, server)
    drops(sandbox, looker, server, "22/tcp")
    took["seen"] = time.monotonic() - began

    sandbox.crash(server.name)
    sandbox.start(server.name)
    took["again"] = time.monotonic() - began

    in_force(sandbox, server)
    drops(sandbox, looker, server, "22/tcp")
    # the driver was never synced, and a file of ext4 may be empty after a power cut: it is put there again
    second = Machine(sandbox, server.name).converge(*resources)
    assert [done["outcome"] for done in second] == ["unchanged"] * 4, second
    without_a_firewall(sandbox, looker, server)
    took["end"] = time.monotonic() - began
    print(", ".join(f"{what} at {seconds:.0f} s" for what, seconds in took.items()))
