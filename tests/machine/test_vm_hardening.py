"""What of hardening only a kernel of its own shows: settings, swap, packets that are dropped; after a reboot too."""

from __future__ import annotations

import json

import pytest

from hostwright.remote.resources.sysctl import parse
from hostwright.sandbox import Sandbox, Server

from .conftest import FreshServer
from .project import sh
from .tiny import Tiny
from .vm import PATIENCE, boot_id, boots_again, serves

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.soak, pytest.mark.timeout(3600)]

SWAP = "/var/lib/hostwright/swap"
SYSCTL = "/etc/sysctl.d/90-hostwright.conf"


def in_force(sandbox: Sandbox, server: Server) -> None:
    """Every setting of our file that no later file sets, and swap."""
    wanted = dict(parse(sh(sandbox, server, f"cat {SYSCTL}").encode()))
    left = sh(sandbox, server, "cat /var/lib/hostwright/left-alone/sysctl 2>/dev/null || true")
    keys = [key for key in wanted if "*" not in key and f"{key}:" not in left]
    assert len(keys) > 25, left
    found = sh(sandbox, server, "sysctl " + " ".join(keys)).replace(" = ", "=").splitlines()
    now = {key: " ".join(value.split()) for key, _, value in (line.partition("=") for line in found)}
    assert {key: now[key] for key in keys} == {key: wanted[key] for key in keys}
    assert "container" not in left
    assert SWAP in sh(sandbox, server, "cat /proc/swaps")
    assert sh(sandbox, server, f"stat -c %U:%a {SWAP}") == "root:600"


def no_rare_modules(sandbox: Sandbox, server: Server) -> None:
    """Nobody gets them loaded."""
    assert sh(sandbox, server, "modprobe cramfs 2>/dev/null && echo loaded || echo refused") == "refused"


# strangers ask: `open` is a connection, or silence after UDP that a program took
ASK = """
import json, socket, sys
address, *ports = sys.argv[1:]
found = {}
for port in ports:
    number, kind = port.split("/")
    link = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    link.settimeout(6)
    try:
        link.connect((address, int(number)))
        if kind == "udp":
            link.send(b"anybody?")
            link.recv(100)
        found[port] = "open"
    except TimeoutError:
        found[port] = "silence"
    except OSError as error:
        found[port] = error.strerror
print(json.dumps(found))
"""
# a program that strangers could reach
CARELESS = """
systemd-run --quiet --unit=careless python3 -m http.server 5432
for n in $(seq 300); do curl -s -o /dev/null http://127.0.0.1:5432/ && break; sleep 0.2; done
"""
# what comes in for it before the firewall, and is left after it
WITNESS = """
nft -f - <<'END'
table inet witness {
    chain before { type filter hook input priority -10; policy accept
        meta pkttype host tcp dport 5432 iif != "lo" counter
    }
    chain after { type filter hook input priority 10; policy accept
        meta pkttype host tcp dport 5432 iif != "lo" counter
    }
}
END
"""
CLOSED = ("5432/tcp", "9/tcp", "9/udp")  # one of a program that listens, two of none


def asked(sandbox: Sandbox, looker: Server, server: Server, *ports: str) -> dict[str, str]:
    """What another server gets of each port."""
    done = sandbox.exec(looker.name, ("python3", "-", server.address, *ports), 120, ASK)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def drops(sandbox: Sandbox, looker: Server, server: Server, *opened: str) -> None:
    """Packets to closed ports come in, and nothing comes of them."""
    sh(sandbox, server, CARELESS + WITNESS, timeout=180)
    found = asked(sandbox, looker, server, *opened, *CLOSED)
    assert found == {**dict.fromkeys(opened, "open"), **dict.fromkeys(CLOSED, "silence")}
    listed = json.loads(sh(sandbox, server, "nft -j list table inet witness"))["nftables"]
    rules = [entry["rule"] for entry in listed if "rule" in entry]
    packets = {rule["chain"]: rule["expr"][-1]["counter"]["packets"] for rule in rules}
    assert packets["before"] >= 2, "a first one, and again"
    assert packets["after"] == 0
    sh(sandbox, server, "nft delete table inet witness; systemctl stop careless")


def without_a_firewall(sandbox: Sandbox, looker: Server, server: Server) -> None:
    """The same questions: that there is silence is not for another reason."""
    sh(sandbox, server, CARELESS + "nft flush ruleset", timeout=180)
    found = asked(sandbox, looker, server, *CLOSED)
    assert found == {"5432/tcp": "open", "9/tcp": "Connection refused", "9/udp": "Connection refused"}


def test_what_is_hardened_is_in_force_after_a_reboot_too(
    vm: Tiny, sandbox: Sandbox, fresh_server: FreshServer
) -> None:
    looker = fresh_server("looker")
    in_force(sandbox, vm.server)
    no_rare_modules(sandbox, vm.server)
    drops(sandbox, looker, vm.server, "22/tcp", "80/tcp")
    before = boot_id(sandbox, vm.server)
    sandbox.exec(vm.server.name, ("systemctl", "reboot"))
    boots_again(sandbox, vm.server, before)
    serves(vm)
    in_force(sandbox, vm.server)
    no_rare_modules(sandbox, vm.server)
    drops(sandbox, looker, vm.server, "22/tcp", "80/tcp")
    done = vm.inv("provision", timeout=PATIENCE)
    assert " 0 changed, " in done.out, str(done)
    vm.edit_inventory("identity_file:", "hardening: {swap: false}, identity_file:")
    done = vm.inv("provision", timeout=PATIENCE)
    assert sh(sandbox, vm.server, "tail -n +2 /proc/swaps") == "", str(done)
    assert sh(sandbox, vm.server, f"ls {SWAP} /etc/systemd/system/*.swap 2>/dev/null || true") == ""
    without_a_firewall(sandbox, looker, vm.server)


# the packet of a program that has the server's network, but is in the cgroup of a unit
WITHIN = """
echo $$ >/sys/fs/cgroup$(systemctl show --property=ControlGroup --value {unit})/cgroup.procs
exec python3 -c '
import socket
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("{address}", 9))
    print("sent")
except OSError as error:
    print(error.strerror)
'
"""


def test_an_app_without_network_has_none_in_two_ways(
    vm: Tiny, sandbox: Sandbox, fresh_server: FreshServer
) -> None:
    """A network of its own that leads nowhere, and a filter of the kernel's for its cgroup."""
    other = fresh_server("other").address

    def within(address: str) -> str:
        unit = f"tiny@{vm.one_serves()}.service"
        return sh(sandbox, vm.server, WITHIN.format(unit=unit, address=address))

    assert vm.curl(f"/send?{other}") == (200, "sent")
    assert within(other) == "sent"

    vm.edit_inventory("    interface: wsgi", "    interface: wsgi\n    sandbox: {network: false}")
    vm.inv("restart", timeout=PATIENCE)

    assert vm.curl(f"/send?{other}") == (200, "Network is unreachable")
    assert within(other) == "Operation not permitted"
    assert within("127.0.0.1") == "sent", "by the second wall alone"
    vm.inv("verify", timeout=PATIENCE)
