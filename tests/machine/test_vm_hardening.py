"""What of hardening only a kernel of its own shows: settings and swap in force, now and after a reboot."""

from __future__ import annotations

import pytest

from hostwright.remote.resources.sysctl import parse
from hostwright.sandbox import Sandbox

from .project import sh
from .tiny import Tiny
from .vm import PATIENCE, boot_id, boots_again, serves

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.soak, pytest.mark.timeout(3600)]

SWAP = "/var/lib/hostwright/swap"
SYSCTL = "/etc/sysctl.d/90-hostwright.conf"


def in_force(sandbox: Sandbox, vm: Tiny) -> None:
    """Every setting of our file that no later file sets, swap, and the modules that nobody can have."""
    wanted = dict(parse(sh(sandbox, vm.server, f"cat {SYSCTL}").encode()))
    left = sh(sandbox, vm.server, "cat /var/lib/hostwright/left-alone/sysctl 2>/dev/null || true")
    keys = [key for key in wanted if "*" not in key and f"{key}:" not in left]
    assert len(keys) > 25, left
    found = sh(sandbox, vm.server, "sysctl " + " ".join(keys)).replace(" = ", "=").splitlines()
    now = {key: " ".join(value.split()) for key, _, value in (line.partition("=") for line in found)}
    assert {key: now[key] for key in keys} == {key: wanted[key] for key in keys}
    assert "container" not in left
    assert SWAP in sh(sandbox, vm.server, "cat /proc/swaps")
    assert sh(sandbox, vm.server, f"stat -c %U:%a {SWAP}") == "root:600"
    assert sh(sandbox, vm.server, "modprobe cramfs 2>/dev/null && echo loaded || echo refused") == "refused"


def test_kernel_settings_and_swap_are_in_force_after_a_reboot_too(vm: Tiny, sandbox: Sandbox) -> None:
    in_force(sandbox, vm)
    before = boot_id(sandbox, vm.server)
    sandbox.exec(vm.server.name, ("systemctl", "reboot"))
    boots_again(sandbox, vm.server, before)
    serves(vm)
    in_force(sandbox, vm)
    done = vm.inv("provision", timeout=PATIENCE)
    assert " 0 changed, " in done.out, str(done)
    vm.edit_inventory("identity_file:", "hardening: {swap: false}, identity_file:")
    done = vm.inv("provision", timeout=PATIENCE)
    assert sh(sandbox, vm.server, "tail -n +2 /proc/swaps") == "", str(done)
    assert sh(sandbox, vm.server, f"ls {SWAP} /etc/systemd/system/*.swap 2>/dev/null || true") == ""
