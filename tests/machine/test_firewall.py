"""The firewall on real servers: what another server sees of one, what stays as it is, what a boot brings back.

The tests of a server run in this order and build on one another.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hostwright.remote.firewall.paths import RULES
from hostwright.sandbox import Sandbox, Server

from .conftest import SUITES
from .project import sh
from .test_resources import Machine

SCAN = Path(__file__).with_name("scan.py").read_text()
# programs that anybody could reach; each says back what it hears
LISTEN = """
import selectors, socket
ready = selectors.DefaultSelector()
for kind, ports in ((socket.SOCK_STREAM, (80, 443, 5432, 8080, 40000)), (socket.SOCK_DGRAM, (53, 5000, 51820))):
    for port in ports:
        link = socket.socket(socket.AF_INET6, kind)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        link.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        link.bind(("::", port))
        if kind == socket.SOCK_STREAM:
            link.listen(1000)
        ready.register(link, selectors.EVENT_READ)
while True:
    for key, _ in ready.select():
        if key.fileobj.type == socket.SOCK_DGRAM:
            # answered from the address that was asked, as far as a single-homed server is concerned
            data, peer = key.fileobj.recvfrom(100)
            key.fileobj.sendto(data, peer)
        else:
            key.fileobj.accept()[0].close()
"""
UNIT = """\
[Service]
ExecStart=/usr/bin/python3 /opt/listen.py
[Install]
WantedBy=multi-user.target
"""
# two containers behind bridges, and what Docker does for `-p 8080:80` and `-p 8443:80`, for IPv4 and IPv6
DOCKER = """
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
ip netns add c1
ip link add docker0 type bridge
ip addr add 172.17.0.1/24 dev docker0
ip addr add fd17::1/64 dev docker0 nodad
ip link set docker0 up
ip link add v0 type veth peer name v1
ip link set v0 master docker0 up
ip link set v1 netns c1
ip netns exec c1 sh -ec 'ip addr add 172.17.0.2/24 dev v1; ip addr add fd17::2/64 dev v1 nodad
ip link set v1 up; ip link set lo up; ip route add default via 172.17.0.1; ip -6 route add default via fd17::1'
ip netns add c2
ip link add br-two type bridge
ip addr add 172.18.0.1/24 dev br-two
ip link set br-two up
ip link add v2 type veth peer name v3
ip link set v2 master br-two up
ip link set v3 netns c2
ip netns exec c2 sh -ec 'ip addr add 172.18.0.2/24 dev v3; ip link set v3 up; ip route add default via 172.18.0.1'
systemd-run --quiet --unit=container ip netns exec c1 python3 -m http.server 80 --bind ::
nft -f - <<'END'
table ip dockers { chain pre { type nat hook prerouting priority dstnat; policy accept
tcp dport { 8080, 8443 } dnat to 172.17.0.2:80
}
chain through { type filter hook forward priority filter; policy accept
ip daddr 172.17.0.2 tcp dport 80 accept
}
}
table ip6 dockers { chain pre { type nat hook prerouting priority dstnat; policy accept
tcp dport { 8080, 8443 } dnat to [fd17::2]:80
}
}
END
for n in $(seq 100); do curl -sf -m 5 -o /dev/null http://172.17.0.2/ && break; sleep 0.1; done
curl -sf -m 5 -o /dev/null 'http://[fd17::2]/'
"""
REACH = "python3 -c 'import socket; socket.create_connection((\"{}\", {}), 5)'\n"
FOREIGN = """
nft -f - <<'END'
table inet f2b-table { set banned { type ipv4_addr
elements = { 192.0.2.66 }
}
chain input { type filter hook input priority filter - 1; policy accept
ip saddr @banned reject
}
}
table ip libvirt { chain x { type filter hook forward priority filter; policy accept
}
}
END
"""


class Walled(Machine):
    """A server with programs that listen, and another that looks at it.

    Attributes:
        four, six: its addresses.
    """

    def __init__(self, sandbox: Sandbox, server: Server, looker: Server, number: int) -> None:
        super().__init__(sandbox, server.name)
        self.sandbox, self.server, self.looker = sandbox, server, looker
        self.four, self.six = server.address, with_ipv6(sandbox, server, number)

    def sh(self, script: str, timeout: float = 60) -> str:
        return sh(self.sandbox, self.server, script, timeout=timeout)

    def firewall(self, *allow: str, ssh: str = "22/tcp") -> dict[str, Any]:
        """Converge it; SSH, HTTP and HTTPS are open anyway."""
        return self.converge_one("firewall", RULES, ssh=ssh, allow=["80/tcp", "443/tcp", *allow])

    def seen(self, kind: str = "tcp", *ports: int) -> dict[str, list[int]]:
        """What the other server sees, by address."""
        found = {}
        for name, address in (("IPv4", self.four), ("IPv6", self.six)):
            argv = ("python3", "-", address, kind, *map(str, ports))
            done = self.sandbox.exec(self.looker.name, argv, 120, SCAN)
            assert done.returncode == 0, done.stderr
            found[name] = json.loads(done.stdout)
        return found

    def seen_from_here(self, *ports: int) -> list[int]:
        """What this machine sees."""
        argv = (sys.executable, "-", self.four, "tcp", *map(str, ports))
        done = subprocess.run(argv, input=SCAN, capture_output=True, text=True, check=True, timeout=60)
        return json.loads(done.stdout)  # type: ignore[no-any-return]


def with_ipv6(sandbox: Sandbox, server: Server, number: int) -> str:
    """Give a server an address of IPv6 beside its own, for good."""
    address = f"fd5e:c0de::{number}"
    sh(
        sandbox,
        server,
        f"mkdir -p /etc/systemd/network/10-host0.network.d; cd /etc/systemd/network; ls\n"
        f"for file in *host0*.network; do mkdir -p $file.d; printf '[Network]\\nAddress={address}/64\\n' "
        ">$file.d/six.conf; done\n"
        "networkctl reload; networkctl reconfigure host0\n"
        f"for n in $(seq 100); do ip -6 addr show dev host0 | grep -q '{address}/64 scope global *$' && break; "
        "sleep 0.1; done; ip -6 addr show dev host0 >&2",
    )
    return address


def both(*ports: int) -> dict[str, list[int]]:
    return {"IPv4": list(ports), "IPv6": list(ports)}


@pytest.fixture(scope="module")
def looker(sandbox: Sandbox) -> Iterator[Server]:
    name = f"fwlook-{os.getpid()}"
    server = sandbox.up(name, suite=SUITES[0], ephemeral=True)[0]
    with_ipv6(sandbox, server, 99)
    yield server
    sandbox.down(name)


@pytest.fixture(scope="module", params=SUITES)
def walled(sandbox: Sandbox, looker: Server, request: pytest.FixtureRequest) -> Iterator[Walled]:
    name = f"fw-{os.getpid()}-{request.param}"
    try:
        server = sandbox.up(name, suite=request.param, ephemeral=True)[0]
        found = Walled(sandbox, server, looker, 1 + SUITES.index(request.param))
        found.sh(
            "export DEBIAN_FRONTEND=noninteractive; apt-get update -qq\n"
            "apt-get install -qq -y --no-install-recommends nftables ufw >/dev/null 2>&1",
            timeout=180,
        )
        for path, text in (("/opt/listen.py", LISTEN), ("/etc/systemd/system/listen.service", UNIT)):
            found.run("sh", "-c", f"cat >{path}", input=text)
        found.sh("systemctl enable --quiet --now listen; sleep 0.5")
        yield found
    finally:
        sandbox.down(name)


def test_another_server_sees_three_ports(walled: Walled) -> None:
    open_before = walled.seen("tcp", 22, 80, 443, 5432, 8080, 40000, 40001)
    assert open_before == both(22, 80, 443, 5432, 8080, 40000), "this test can see"
    assert walled.seen("udp", 53, 5000, 51820) == both(53, 5000, 51820)

    first = walled.firewall()
    print(first)
    assert first["outcome"] == "changed", first
    assert first["left"] == []
    assert ["by", None, "nftables"] in first["changes"]
    assert ["outside", [], ["host0"]] in first["changes"]

    assert walled.seen() == both(22, 80, 443)
    assert walled.seen("udp", 53, 5000, 51820) == both()
    again = walled.firewall()
    assert again["outcome"] == "unchanged", again
    assert again["seconds"] < 0.1, again
    # what a server needs itself: names over UDP, TCP to elsewhere, and itself
    walled.sh(REACH.format("127.0.0.1", 8080) + REACH.format(walled.six, 8080))
    walled.sh(REACH.format(walled.looker.address, 22))


def test_a_port_is_open_to_whom_it_is_for(walled: Walled) -> None:
    near = f"{walled.looker.address}/32"
    done = walled.firewall("8080/tcp", "51820/udp", f"5432/tcp from {near} fd5e:c0de::99", "39999-40001/tcp")
    assert done["outcome"] == "changed"
    assert walled.seen("tcp", 22, 80, 443, 5432, 8080, 40000) == both(22, 80, 443, 5432, 8080, 40000)
    assert walled.seen("udp", 53, 51820) == both(51820)
    assert walled.seen_from_here(22, 5432, 8080) == [22, 8080]

    # what the inventory drops is closed
    done = walled.firewall("8080/tcp", ssh=f"22/tcp from {near}")
    assert done["outcome"] == "changed"
    assert walled.seen("tcp", 22, 80, 443, 5432, 8080, 40000)["IPv4"] == [22, 80, 443, 8080]
    assert walled.seen("tcp", 22, 80)["IPv6"] == [80], "only that address may log in"
    assert walled.seen_from_here(22, 80) == [80]
    assert walled.firewall()["outcome"] == "changed"
    assert walled.seen("tcp", 22, 80, 443, 5432, 8080, 40000) == both(22, 80, 443)


def test_a_container_is_not_open_by_rules_of_its_own(walled: Walled) -> None:
    walled.sh("systemctl stop listen")
    walled.sh(DOCKER)
    walled.sh("nft delete chain inet hostwright forward")
    assert walled.seen("tcp", 8080, 8443) == both(8080, 8443), "what our chain is for"

    repaired = walled.firewall()
    assert ["in force", "not as it should be", True] in repaired["changes"], repaired
    assert walled.seen("tcp", 22, 8080, 8443) == both(22)
    # the server itself, and containers among themselves
    walled.sh(REACH.format("172.17.0.2", 80) + "ip netns exec c2 " + REACH.format("172.17.0.1", 8080))

    near = f"{walled.looker.address} fd5e:c0de::99"
    assert walled.firewall("8080/tcp", f"8443/tcp from {near}")["outcome"] == "changed"
    assert walled.seen("tcp", 8080, 8443) == both(8080, 8443)
    assert walled.seen_from_here(8080, 8443) == [8080]
    assert walled.firewall()["outcome"] == "changed"
    assert walled.seen("tcp", 22, 8080, 8443) == both(22)
    assert walled.firewall()["outcome"] == "unchanged", "the container's bridge is no way in for strangers"
    walled.sh("systemctl start listen; sleep 0.3")


def test_tables_of_others_stay_and_ours_comes_back(walled: Walled) -> None:
    walled.sh(FOREIGN)
    before = walled.sh("nft list table inet f2b-table; nft list table ip libvirt; nft list table ip dockers")
    walled.firewall("8080/tcp")
    walled.firewall()
    assert before == walled.sh(
        "nft list table inet f2b-table; nft list table ip libvirt; nft list table ip dockers"
    )

    # nftables.service empties everything; whoever does so takes ours too, and it comes back at once
    for verb in ("start", "reload", "restart", "stop"):
        walled.sh(f"systemctl {verb} nftables.service")
        assert walled.firewall()["outcome"] == "unchanged", verb
        assert walled.seen("tcp", 22, 80, 8080) == both(22, 80), verb
    # by hand: nobody is told, but a run sees it
    walled.sh("nft flush ruleset")
    assert walled.seen("tcp", 22, 8080) == both(22, 8080)
    done = walled.firewall()
    assert done["changes"] == [["in force", False, True]], done
    assert walled.seen("tcp", 22, 8080) == both(22)


def test_rules_that_nft_refuses_change_nothing(walled: Walled) -> None:
    before = walled.sh(f"nft list table inet hostwright | grep -v expires; cat {RULES}")
    done = walled.converge_one("firewall", RULES, ssh="22/tcp", allow=["8443/tcp from 10.0.0.999"])
    assert done["outcome"] == "failed", done
    assert "nothing was changed" in done["message"], done
    assert before == walled.sh(f"nft list table inet hostwright | grep -v expires; cat {RULES}")


def test_after_a_power_cut_it_is_there_before_the_network(walled: Walled) -> None:
    walled.sandbox.crash(walled.server.name)
    walled.sandbox.start(walled.server.name)
    ask = "systemctl show -P {} {}"
    loaded = int(walled.sh(ask.format("ActiveEnterTimestampMonotonic", "hostwright-firewall")))
    for unit in ("systemd-networkd", "ssh", "listen"):
        began = int(walled.sh(ask.format("ExecMainStartTimestampMonotonic", unit)) or 0)
        assert began == 0 or 0 < loaded < began, unit
    walled.sh("systemctl is-active listen; sleep 0.5")
    assert walled.seen("tcp", 22, 80, 443, 5432, 8080, 40000) == both(22, 80, 443)
    assert walled.firewall()["outcome"] == "unchanged"


def test_ufw_where_it_is_in_use(walled: Walled) -> None:
    walled.sh("ufw allow 22/tcp; ufw limit 2222/tcp comment mine; ufw --force enable", timeout=120)
    foreign = walled.sh("grep -h tuple /etc/ufw/user*.rules")
    done = walled.firewall(
        "8080/tcp", f"5432/tcp from {walled.looker.address} fd5e:c0de::99", "40000-40001/tcp"
    )
    print(done)
    assert done["outcome"] == "changed", done
    assert done["left"] == []
    assert ["by", "nftables", "ufw"] in done["changes"]
    assert "chain input" not in walled.sh("nft list table inet hostwright"), "one of them filters, not both"
    assert walled.seen("tcp", 22, 80, 443, 5432, 8080, 40000) == both(22, 80, 443, 5432, 8080, 40000)
    assert walled.seen_from_here(22, 5432, 8080) == [22, 8080]
    again = walled.firewall(
        "8080/tcp", f"5432/tcp from {walled.looker.address} fd5e:c0de::99", "40000-40001/tcp"
    )
    assert again["outcome"] == "unchanged", again
    assert again["seconds"] < 0.1, again
    listed = walled.sh("ufw status")
    print(listed)
    assert listed.count("# hostwright") == 10, listed

    assert walled.firewall()["outcome"] == "changed"
    assert walled.seen() == both(22, 80, 443)
    kept = walled.sh("grep -h tuple /etc/ufw/user*.rules").splitlines()
    assert set(foreign.splitlines()) <= set(kept), "rules of others, among them the one for SSH, stay theirs"
    assert len(kept) == len(foreign.splitlines()) + 4
    walled.sh("ufw default allow incoming")
    assert walled.firewall()["changes"] == [["ufw by default", "allow", "deny"]]
    assert walled.seen("tcp", 22, 8080) == both(22)

    # a container is as little open as without ufw
    walled.sh("systemctl stop listen")
    walled.sh(DOCKER)
    assert walled.seen("tcp", 22, 8080, 8443) == both(22)
    walled.sh("systemctl start listen")


def test_from_ufw_back_to_nftables(walled: Walled) -> None:
    walled.sh("ufw disable")
    done = walled.firewall("8080/tcp")
    assert ["by", "ufw", "nftables"] in done["changes"], done
    assert done["left"] == []
    assert walled.sh("grep -hc 'comment=686f7374777269676874' /etc/ufw/user*.rules || true").split() == [
        "0",
        "0",
    ]
    assert "comment=6d696e65" in walled.sh("cat /etc/ufw/user.rules")
    walled.sh("systemctl restart listen; sleep 0.3")
    assert walled.seen("tcp", 22, 80, 443, 5432) == both(22, 80, 443)
    assert walled.firewall("8080/tcp")["outcome"] == "unchanged"
