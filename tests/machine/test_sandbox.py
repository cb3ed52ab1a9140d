"""The sandbox itself, in checkouts of its own so that nothing of anybody else's servers is counted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hostwright.errors import SandboxError
from hostwright.sandbox import Sandbox, Server, delayed_path
from hostwright.sandbox.command import run
from hostwright.sandbox.disk import Disk
from hostwright.sandbox.registry import STATE, Checkout, Registry

from .conftest import SUITES, FreshServer

MAKER = """
import sys; from pathlib import Path; from hostwright.sandbox import Sandbox
checkout, suite, *names = sys.argv[1:]
Sandbox(Path(checkout)).up(*names, suite=suite, ephemeral=True)
"""
CONNECT = """
import socket, sys, time
start = time.perf_counter()
socket.create_connection((sys.argv[1], 22), 10).close()
print((time.perf_counter() - start) * 1000)
"""


@pytest.fixture
def own(sandbox: Sandbox, tmp_path: Path) -> Iterator[Sandbox]:
    """A checkout nobody else has servers in."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    made = Sandbox(checkout)
    yield made
    made.down()


def entry(sandbox: Sandbox) -> Checkout:
    return Registry(STATE / "registry.json").checkouts[str(sandbox.checkout)]


def traces(checkout: Checkout) -> list[str]:
    """Everything on this machine that carries the checkout's mark."""
    found = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if checkout.id in line]
    found += [str(path) for path in Path("/sys/class/net").glob(f"*{checkout.id}*")]
    found += [str(path) for path in Path("/sys/fs/cgroup").rglob(f"*{checkout.id}*")]
    found += [str(path) for path in Path("/run/netns").glob(f"*{checkout.id}*")]
    found += [str(path) for path in Path("/run/systemd/nspawn").rglob(f"*{checkout.id}*")]
    found += [line for line in run("nft", "list", "ruleset").splitlines() if checkout.id in line]
    found += [line for line in run("ps", "-eo", "pid,args").splitlines() if f"/{checkout.id}/" in line]
    found += [str(STATE / checkout.id)] if (STATE / checkout.id).exists() else []
    return found


def output(server: Server, *command: str, user: str = "ubuntu") -> str:
    return run(*server.ssh_argv(*command, user=user), timeout=60)


def attempt(server: Server, *command: str) -> subprocess.CompletedProcess[str]:
    argv = server.ssh_argv(*command)
    return subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)


def until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def up_elsewhere(checkout: Path, *names: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen((sys.executable, "-c", MAKER, str(checkout), SUITES[0], *names))


def test_two_servers_at_once_are_two_machines(own: Sandbox) -> None:
    first, second = own.up("one", "two", suite=SUITES[0], ephemeral=True)

    assert [server.name for server in own.servers()] == ["one", "two"]
    for server in (first, second):
        assert server.running
        assert server.identity_file.stat().st_mode & 0o777 == 0o600
        assert output(server, "hostname").strip() == server.name
        assert output(server, "sudo", "-n", "id", "-u").strip() == "0"
        assert output(server, "id", "-u", user="root").strip() == "0"
        assert own.exec(server.name, ("systemctl", "is-system-running", "--wait")).stdout == "running\n"
    assert output(first, "cat", "/etc/machine-id") != output(second, "cat", "/etc/machine-id")
    assert {line.split()[2] for line in first.known_hosts.read_text().splitlines()}.isdisjoint(
        line.split()[2] for line in second.known_hosts.read_text().splitlines()
    )
    assert float(output(first, "python3", "-c", CONNECT, second.address)) < 1000


@pytest.mark.parametrize("suite", SUITES)
def test_a_server_is_as_bare_as_a_cloud_image_and_reaches_the_registries(
    fresh_server: FreshServer, suite: str
) -> None:
    server = fresh_server("bare", suite)

    assert f"VERSION_CODENAME={suite}" in output(server, "cat", "/etc/os-release")
    assert "No module named ensurepip" in attempt(server, "python3", "-m", "ensurepip").stderr
    assert attempt(server, "test", "-e", "/usr/sbin/nginx").returncode == 1
    on_disk = output(server, "stat", "-c", "%d", "/tmp") == output(server, "stat", "-c", "%d", "/")
    assert on_disk is (suite != "trixie")
    assert output(server, "find", "/var/lib/apt/lists", "-name", "*Release").strip() == ""
    assert "passwordauthentication no" in output(server, "sudo", "/usr/sbin/sshd", "-T")
    output(server, "sudo", "apt-get", "update", "-q")
    output(server, "sudo", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "python3-venv")
    output(server, "python3", "-m", "venv", "/tmp/venv")
    output(server, "/tmp/venv/bin/pip", "install", "-q", "idna")


def test_a_power_cut_keeps_what_was_written(fresh_server: FreshServer, sandbox: Sandbox) -> None:
    server = fresh_server("cut")
    output(server, "dd", "if=/dev/zero", "of=kept", "bs=1k", "count=3", "conv=fsync")
    boot = output(server, "cat", "/proc/sys/kernel/random/boot_id")

    sandbox.crash(server.name)

    assert not sandbox.get(server.name).running
    with pytest.raises(SandboxError, match="is not running"):
        sandbox.exec(server.name, ("true",))
    again = sandbox.start(server.name)
    assert (again.running, again.address) == (True, server.address)
    assert output(again, "stat", "-c", "%s", "kept").strip() == "3072"
    assert output(again, "cat", "/proc/sys/kernel/random/boot_id") != boot


def test_a_reboot_from_within_comes_back(fresh_server: FreshServer, sandbox: Sandbox) -> None:
    server = fresh_server("reboot")
    boot = output(server, "cat", "/proc/sys/kernel/random/boot_id")

    sandbox.exec(server.name, ("systemctl", "reboot"))

    def is_back() -> bool:
        shown = attempt(server, "cat", "/proc/sys/kernel/random/boot_id")
        return shown.returncode == 0 and shown.stdout != boot

    assert until(is_back)


def test_a_poweroff_from_within_is_seen_and_start_boots_again(
    fresh_server: FreshServer, sandbox: Sandbox
) -> None:
    server = fresh_server("off")
    sandbox.exec(server.name, ("systemctl", "poweroff"))
    assert until(lambda: not sandbox.get(server.name).running)
    [again] = sandbox.up(server.name)
    assert output(again, "hostname").strip() == server.name


def test_exec_needs_no_sshd(fresh_server: FreshServer, sandbox: Sandbox) -> None:
    name = fresh_server("inside").name
    sandbox.exec(name, ("systemctl", "stop", "ssh.socket", "ssh.service"))

    assert sandbox.exec(name, ("cat",), input="a b\n").stdout == "a b\n"
    assert sandbox.exec(name, ("sh", "-c", "pwd; id -u; exit 7")).returncode == 7
    assert sandbox.exec(name, ("printf", "%s.", "a b", "$HOME", "'")).stdout == "a b.$HOME.'."
    with pytest.raises(subprocess.TimeoutExpired):
        sandbox.exec(name, ("sleep", "1234"), timeout=0.5)
    assert until(lambda: "1234" not in sandbox.exec(name, ("ps", "-eo", "args")).stdout)


def test_down_leaves_nothing(own: Sandbox) -> None:
    own.up("one", "two", suite=SUITES[0], ephemeral=True, disk_mib=512)
    checkout = entry(own)
    assert traces(checkout)

    own.down("one")
    assert [server.name for server in own.servers()] == ["two"]
    own.down()

    assert own.servers() == []
    assert until(lambda: not traces(checkout), 5), traces(checkout)
    assert not (own.checkout / ".sandbox").exists()
    assert "hostwright-sandbox/" + checkout.id not in run("losetup", "--list")


def test_a_killed_systemd_nspawn_is_cleared_away(own: Sandbox) -> None:
    own.up("one", suite=SUITES[0], ephemeral=True)
    checkout = entry(own)
    machine = next(
        Path("/sys/fs/cgroup").rglob(f"hostwright-{checkout.id}-*/machine/supervisor/cgroup.procs")
    )

    os.kill(int(machine.read_text().split()[0]), signal.SIGKILL)

    assert until(lambda: not own.get("one").running)
    again = own.start("one")
    assert output(again, "hostname").strip() == "one"
    own.down()
    assert until(lambda: not traces(checkout), 5), traces(checkout)


@pytest.mark.parametrize("seconds", [0.3, 0.6, 1.0])
def test_what_a_killed_run_left_goes_with_the_next(own: Sandbox, seconds: float) -> None:
    maker = up_elsewhere(own.checkout, "half")
    assert until(lambda: bool(own.servers()), 60)
    time.sleep(seconds)
    maker.kill()
    maker.wait()

    own.up("other", suite=SUITES[0], ephemeral=True)

    assert [server.name for server in own.servers()] == ["other"]
    checkout = entry(own)
    own.down()
    assert until(lambda: not traces(checkout), 5), traces(checkout)


def test_servers_of_a_deleted_checkout_go_with_the_next_run(own: Sandbox, tmp_path: Path) -> None:
    other = Sandbox(tmp_path / "other")
    other.checkout.mkdir()
    other.up("lost", suite=SUITES[0])
    lost = entry(other)
    shutil.rmtree(other.checkout)

    own.up("kept", suite=SUITES[0], ephemeral=True)

    assert until(lambda: not traces(lost), 5), traces(lost)
    assert str(other.checkout) not in Registry(STATE / "registry.json").checkouts
    assert [server.name for server in own.servers()] == ["kept"]


def test_several_processes_may_ask_at_once(own: Sandbox) -> None:
    makers = [up_elsewhere(own.checkout, name) for name in ("one", "two", "three")]
    found: set[tuple[str, str]] = set()

    def all_seen() -> bool:
        found.update((server.name, server.address) for server in own.servers())
        return len(found) == 3

    assert until(all_seen, 60)
    assert [maker.wait(120) for maker in makers] == [0, 0, 0]
    assert len({address for _, address in found}) == 3


def test_one_name_asked_for_twice_at_once_is_one_server(own: Sandbox) -> None:
    own.up("keeps-checkout", suite=SUITES[0], ephemeral=True)
    maker = up_elsewhere(own.checkout, "same")
    [server] = own.up("same", suite=SUITES[0])
    assert maker.wait(60) == 0
    assert server.name == "same"


def test_a_small_disk_fills_up(fresh_server: FreshServer, sandbox: Sandbox) -> None:
    server = fresh_server("small", disk_mib=100)
    full = sandbox.exec(server.name, ("dd", "if=/dev/zero", "of=/var/filler", "bs=1M", "count=200"))
    assert "No space left on device" in full.stderr
    sandbox.crash(server.name)
    again = sandbox.start(server.name)
    assert output(again, "hostname").strip() == server.name


def test_a_disk_works_where_no_overlay_can_lie(sandbox: Sandbox, tmp_path: Path) -> None:
    for name in ("lower", "upper", "work", "merged", "base"):
        (tmp_path / name).mkdir()
    (tmp_path / "base/file").write_text("from below")
    layers = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    run("mount", "-t", "overlay", "overlay", "-o", layers, str(tmp_path / "merged"))
    disk = Disk(tmp_path / "merged/disk")
    try:
        disk.make()
        disk.attach(tmp_path / "base")
        assert (disk.root / "file").read_text() == "from below"
        (disk.root / "file").write_text("changed")
        assert (tmp_path / "base/file").read_text() == "from below"
    finally:
        disk.remove()
        run("umount", str(tmp_path / "merged"))


@pytest.mark.alone
def test_a_delayed_path_takes_its_round_trip_time(fresh_server: FreshServer) -> None:
    server = fresh_server("far")

    def handshake(prefix: tuple[str, ...]) -> float:
        """Milliseconds; the best of twenty, as the machine may be busy."""
        argv = (*prefix, sys.executable, "-c", CONNECT, server.address)
        return min(float(run(*argv)) for _ in range(20))

    with delayed_path(server.address, 50) as path:
        assert 50 <= handshake(path.prefix) < 55
        path.set_rtt(10)
        assert 10 <= handshake(path.prefix) < 15
        with delayed_path(server.address, 30) as second:
            assert 30 <= handshake(second.prefix) < 35
            assert second.client != path.client
        assert run(*path.prefix, *server.ssh_argv("hostname")).strip() == server.name
        namespace = path.prefix[-1]
    assert not Path("/run/netns", namespace).exists()
    assert handshake(()) < 10


def test_a_delayed_path_of_a_killed_run_goes_with_the_next(own: Sandbox) -> None:
    [server] = own.up("far", suite=SUITES[0], ephemeral=True)
    script = (
        "import sys, time; from hostwright.sandbox import delayed_path\n"
        "with delayed_path(sys.argv[1], 5) as path: print(path.prefix[-1], flush=True); time.sleep(600)"
    )
    argv = (sys.executable, "-c", script, server.address)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        namespace = Path("/run/netns", holder.stdout.readline().strip())
        assert namespace.exists()
        holder.kill()
    with delayed_path(server.address, 5):
        pass
    assert not namespace.exists()
    own.down()


def test_errors_say_what_there_is(own: Sandbox) -> None:
    with pytest.raises(SandboxError, match='no server is called "web9"\n  There are none'):
        own.get("web9")
    own.up("web1", suite=SUITES[0], ephemeral=True)
    with pytest.raises(SandboxError, match='no server is called "web9"\n  There are: web1'):
        own.down("web9")
    with pytest.raises(SandboxError, match=f"web1  exists already, with {SUITES[0]} instead of {SUITES[1]}"):
        own.up("web1", suite=SUITES[1])
    with pytest.raises(SandboxError, match=r"could not build a base system of .* nosuch"):
        own.up("web2", suite="nosuch")
    assert [server.name for server in own.servers()] == ["web1"]


def test_a_server_that_does_not_boot_shows_its_console_and_leaves_nothing(
    own: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hostwright.sandbox.container.Container.argv", lambda _: ("echo", "no init found"))
    with pytest.raises(SandboxError, match=r"web1  stopped while it booted\n  \| no init found"):
        own.up("web1", suite=SUITES[0])
    assert own.servers() == []


def test_the_registry_is_readable_json(own: Sandbox) -> None:
    own.up("web1", suite=SUITES[0], ephemeral=True)
    stored = json.loads((STATE / "registry.json").read_text())
    assert str(own.checkout) in [checkout["path"] for checkout in stored["checkouts"]]


FORWARDING = """
from hostwright.sandbox import network
from hostwright.sandbox.command import run
from hostwright.sandbox.registry import Checkout
run("nft", "-f", "-", stdin='''
table ip filter {
  chain FORWARD {
    type filter hook forward priority 0
    policy drop
    iifname "docker0" accept
  }
}
''')
before = run("nft", "list", "ruleset")
checkout = Checkout("/checkout", "abc123", 7)
for _ in range(2):
    network.ensure_network(checkout)
    print(run("nft", "list", "chain", "ip", "filter", "FORWARD").count('"hw-abc123" accept'))
network.remove_network(checkout)
print(run("nft", "list", "ruleset") == before, "hw-abc123" in run("ip", "link"))
"""


def test_servers_reach_the_world_where_docker_or_ufw_drop_what_is_forwarded(sandbox: Sandbox) -> None:
    # in a network namespace of its own, as such a rule would cut off everybody else's servers
    assert run("unshare", "--net", sys.executable, "-c", FORWARDING) == "2\n2\nTrue False\n"
