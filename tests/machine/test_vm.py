"""What only a kernel of its own shows: a real boot, memory that runs out, a panic, a plug that is pulled.

Marked `soak`: see docs/sandbox.md.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostwright.errors import SandboxError
from hostwright.sandbox import Sandbox
from hostwright.sandbox.command import run

from .conftest import FreshServer
from .crash import kill_controller, stopped_at
from .project import sh, until
from .test_sandbox import entry, traces
from .tiny import Tiny
from .vm import BOOT_ID, PATIENCE, Site, boot_id, boots_again, serves

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.soak, pytest.mark.timeout(3600)]


def test_a_bare_system_becomes_a_site_that_a_reboot_does_not_end(
    saved_site: Site, vm: Tiny, sandbox: Sandbox
) -> None:
    """Provisioned, deployed and verified by the fixture, with the commands of the README."""
    release = vm.one_serves()
    before = boot_id(sandbox, vm.server)

    sandbox.exec(vm.server.name, ("systemctl", "reboot"))
    boots_again(sandbox, vm.server, before)

    serves(vm)
    assert vm.one_serves() == release
    done = vm.inv("verify", timeout=PATIENCE)
    print(saved_site.seconds, done)


def test_an_app_that_takes_too_much_memory_is_ended_alone_and_serves_again(
    vm: Tiny, sandbox: Sandbox
) -> None:
    assert vm.one_serves()
    unit = sh(sandbox, vm.server, "systemctl list-units --plain --no-legend 'tiny@*.service' | cut -d' ' -f1")

    # swap would be taken for what is over the limit
    swap = f"cat /sys/fs/cgroup$(systemctl show --property=ControlGroup --value {unit})/memory.swap.max"
    assert sh(sandbox, vm.server, swap) == "0"

    vm.curl("/eat")

    killed = "journalctl --no-pager -k | grep 'Memory cgroup out of memory' || true"
    until(lambda: sh(sandbox, vm.server, killed), PATIENCE, "it is ended")
    serves(vm)
    assert sh(sandbox, vm.server, f"systemctl is-active {unit} nginx.service").split() == ["active", "active"]
    vm.one_serves()


def test_a_panic_reboots_and_it_serves_again(vm: Tiny, sandbox: Sandbox) -> None:
    release, before = vm.one_serves(), boot_id(sandbox, vm.server)
    crash = "sysctl -q kernel.panic=5; (sleep 1; echo c >/proc/sysrq-trigger) >/dev/null 2>&1 &"
    sh(sandbox, vm.server, crash)
    boots_again(sandbox, vm.server, before)
    serves(vm)
    assert vm.one_serves() == release


@pytest.mark.parametrize("step", ["tree", "health", "switch"])
def test_the_plug_is_pulled_in_a_deploy(vm: Tiny, sandbox: Sandbox, step: str) -> None:
    """What had not reached the disk is gone: it serves after the boot, and the next deploy heals."""
    before, commit = vm.one_serves(), vm.change(f"unplugged after {step}")
    with stopped_at(vm, step, "deploy") as process:
        sandbox.crash(vm.server.name)
        kill_controller(process)
        sandbox.start(vm.server.name)
    serves(vm)
    live = vm.one_serves()
    assert live.endswith(commit) if step == "switch" else live == before
    vm.inv("deploy", timeout=PATIENCE)
    assert vm.one_serves().endswith(commit)
    vm.nothing_is_left()


@pytest.fixture
def own(sandbox: Sandbox, tmp_path: Path) -> Iterator[Sandbox]:
    """A checkout nobody else has servers in."""
    (tmp_path / "checkout").mkdir()
    made = Sandbox(tmp_path / "checkout")
    yield made
    made.down()


def test_a_vm_takes_logins_keeps_what_was_synced_and_leaves_nothing(
    own: Sandbox, fresh_server: FreshServer
) -> None:
    [server] = own.up("one", vm=True, ephemeral=True, say=print)
    checkout = entry(own)
    for user in server.users:
        assert run(*server.ssh_argv("hostname", user=user), timeout=120).strip() == "one"
    other = fresh_server("other")
    script = "import socket, sys; print(socket.create_connection((sys.argv[1], 22), 20).recv(3))"
    assert "b'SSH'" in run(*other.ssh_argv("python3", "-c", script, server.address), timeout=60)
    assert own.exec("one", ("sh", "-c", "pwd; id -u; cat; exit 7"), input="a b\n").stdout == "/\n0\na b\n"
    with pytest.raises(subprocess.TimeoutExpired):
        own.exec("one", ("sleep", "1234"), timeout=1)
    assert "1234" not in own.exec("one", ("ps", "-eo", "args")).stdout
    first = boot_id(own, server)
    # the kernel would write by itself within seconds
    later = "sysctl -q vm.dirty_writeback_centisecs=0"
    sh(own, server, f"{later}; seq 100000 >/root/lost; seq 100000 >/root/kept; sync /root/kept")

    own.crash("one")
    with pytest.raises(SandboxError, match="one  is not running"):
        own.exec("one", ("true",))
    again = own.start("one")

    assert again.address == server.address
    assert boot_id(own, server) != first
    assert sh(own, server, "stat -c %s /root/kept; stat -c %s /root/lost").split() == ["588895", "0"]
    own.down()
    assert traces(checkout) == []


def test_others_go_on_from_where_one_was_saved(own: Sandbox) -> None:
    own.up("first", vm=True, ephemeral=True, say=print)
    sh(own, own.get("first"), "echo kept >/run/in-memory")
    own.save("first")
    assert not own.get("first").running
    with pytest.raises(SandboxError, match="first  is saved, so that others begin like it; it stays down"):
        own.start("first")
    began = time.monotonic()
    pair = own.up("a", "b", like="first", ephemeral=True, say=print)
    print(f"two in {time.monotonic() - began:.1f} s")
    for server in pair:
        assert sh(own, server, "cat /run/in-memory") == "kept"
        behind = time.time() - float(sh(own, server, "date +%s.%N"))
        assert -2 < behind < 10
        shown = run(*server.ssh_argv("cat", BOOT_ID), timeout=120)
        assert shown.strip() == boot_id(own, server)
    assert len({server.address for server in pair}) == 2
    own.crash("a")
    own.start("a")
    with pytest.raises(SandboxError, match="a  is not saved"):
        own.up("c", like="a")
    disk = next(Path("/var/lib/hostwright-sandbox").glob(f"{entry(own).id}/servers/first/vm/disk.qcow2"))
    os.utime(disk)
    with pytest.raises(SandboxError, match="first  was saved with another disk"):
        own.up("c", like="first")
