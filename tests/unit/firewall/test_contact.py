"""First contact: what a firewall would cut, and us."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hostwright.remote import events, provision
from hostwright.remote.catalog import Catalog
from hostwright.remote.firewall.contact import cuts
from hostwright.remote.firewall.lockout import keep_us
from hostwright.remote.peer import peer
from hostwright.remote.records import Conflict
from hostwright.remote.resources.firewall import Firewall
from hostwright.testing import FakeSystem

from .conftest import NFT, UFW, V4, firewall, tuples

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LIST = "nft -n list ruleset"


def row(address: str, port: int, state: str, inode: int) -> str:
    return f"   0: {address}:{port:04X} 00000000:0000 {state} 0:0 00:0 0 0 0 {inode} 1 0 100 0 0 10 0\n"


def process(pid: int, name: str, unit: str, inode: int) -> dict[str, object]:
    return {
        f"/proc/{pid}/comm": f"{name}\n",
        f"/proc/{pid}/cgroup": f"0::/system.slice/{unit}\n",
        f"/proc/{pid}/fd/3": {"link": f"socket:[{inode}]"},
    }


def server(*tcp: str, udp: str = "", listed: str = "", **files: object) -> FakeSystem:
    tables = {"/proc/net/tcp": HEAD + "".join(tcp), "/proc/net/udp": HEAD + udp}
    return FakeSystem({**NFT, **tables, **files}, commands={LIST: listed})


def told(wanted: Firewall, system: FakeSystem) -> list[tuple[str, str]]:
    return [(cut.message, cut.hint) for cut in cuts(wanted, system)]


def test_nothing_but_ssh_and_nginx() -> None:
    rows = [row("00000000", port, "0A", 100 + port) for port in (22, 80, 443)]
    local = [row("0100007F", 5432, "0A", 1), row("3500007F", 53, "0A", 2)]
    asks = row("00000000", 68, "07", 3) + row("00000000", 40001, "07", 4) + row("00000000", 5355, "07", 5)
    assert told(firewall(), server(*rows, *local, udp=asks)) == []


def test_programs_that_would_be_cut() -> None:
    system = server(
        row("00000000", 5432, "0A", 7),
        row("00000000", 8080, "0A", 8),
        row("00000000", 8443, "0A", 9),
        udp=row("00000000", 123, "07", 11),
        **process(70, "postgres", "postgresql@15-main.service", 7),
        **process(80, "docker-proxy", "docker.service", 8),
    )
    allow = "To keep it open, say in the inventory: firewall: {allow: [%s]}"
    assert told(firewall("8443/tcp"), system) == [
        (
            "postgres (postgresql@15-main.service) listens on port 5432/tcp, which the firewall would close",
            allow % "5432",
        ),
        (
            "docker-proxy (docker.service) listens on port 8080/tcp, which the firewall would close",
            allow % "8080",
        ),
        ("a program listens on port 123/udp, which the firewall would close", allow % '"123/udp"'),
    ]


def test_sshd_is_moved_and_not_cut() -> None:
    system = server(row("00000000", 22, "0A", 7))
    assert told(firewall(ssh="2222/tcp", leaves=(22,)), system) == []
    (only,) = told(firewall(ssh="2222/tcp"), system)
    assert "22/tcp" in only[0]


RULESET = """\
table ip filter {
	chain INPUT {
		type filter hook input priority 0; policy drop;
		iifname "lo" accept
		tcp dport 22 counter packets 3 bytes 180 accept
		tcp dport { 8000-8010, 9000 } accept
		udp dport 1194 accept
	}
	chain OUTPUT {
		type filter hook output priority 0; policy accept;
		tcp dport 25 accept
	}
}
table ip nat {
	chain DOCKER {
		iifname != "docker0" tcp dport 8080 counter packets 0 bytes 0 dnat to 172.17.0.2:80
		meta l4proto tcp tcp dport 8081 counter packets 0 bytes 0 xt target "DNAT"
	}
}
table inet hostwright {
	chain input {
		tcp dport 7777 accept
	}
}
"""


def test_rules_of_others_that_open_something() -> None:
    assert [message for message, _ in told(firewall(), server(listed=RULESET))] == [
        "a rule in the table ip filter opens port 1194/udp, which the firewall would close",
        "a rule in the table ip filter opens port 8000-8010/tcp, which the firewall would close",
        "a rule in the table ip filter opens port 9000/tcp, which the firewall would close",
        "a rule in the table ip nat leads port 8080/tcp to somewhere else, which the firewall would close",
        "a rule in the table ip nat leads port 8081/tcp to somewhere else, which the firewall would close",
    ]


def test_what_ufw_was_told_goes_on_where_ufw_does() -> None:
    rows = [row("00000000", port, "0A", 100 + port) for port in (9000, 9001, 8005, 8080)]
    listed = RULESET.replace("tcp dport 22", "udp dport 1900 accept\n\t\ttcp dport 22")
    rules = tuples(
        f"allow tcp 9000,9001 {V4}",
        f"limit any 8000:8010 {V4}",
        f"deny tcp 8080 {V4}",
        f"allow any any {V4}_x",
    )
    system = server(*rows, listed=listed, **UFW, **{"/etc/ufw/user.rules": rules})
    assert [message for message, _ in told(firewall(), system)] == [
        "a program listens on port 8080/tcp, which the firewall would close",
        "a rule in the table ip nat leads port 8081/tcp to somewhere else, which the firewall would close",
    ]


def test_firewalld() -> None:
    system = server()
    system.happen({"units": {"firewalld.service": {"ActiveState": "active"}}})
    ((message, hint),) = told(firewall(), system)
    assert message.startswith("firewalld runs on this server and filters too")
    assert "sudo systemctl disable --now firewalld" in hint


# -- us ------------------------------------------------------------------------------------------------------


def logged_in(connection: str) -> FakeSystem:
    """The agent under sudo, which keeps nothing of sshd's environment."""
    return FakeSystem(
        {
            "/proc/self/environ": b"PATH=/usr/bin\0".decode(),
            "/proc/self/status": "Name:\tpython3\nPid:\t30\nPPid:\t20\n",
            "/proc/20/environ": f"LANG=C\0SSH_CONNECTION={connection}\0",
            "/proc/20/status": "Name:\tsudo\nPPid:\t10\n",
        }
    )


def test_where_we_come_from() -> None:
    found = peer(logged_in("203.0.113.9 51234 10.0.0.5 2222"))
    assert found
    assert (found.address, found.port) == ("203.0.113.9", 2222)
    assert peer(FakeSystem({"/proc/self/environ": "A=B\0", "/proc/self/status": "PPid:\t1\n"})) is None
    assert peer(FakeSystem({})) is None


@pytest.mark.parametrize(
    "wanted",
    [
        firewall(),
        firewall(ssh="22/tcp from 203.0.113.0/24"),
        firewall(ssh="2222/tcp", leaves=(22,)),
        firewall("22/tcp from 203.0.113.9", ssh="2201/tcp"),
    ],
)
def test_we_may_come_back(wanted: Firewall) -> None:
    keep_us(wanted, logged_in("203.0.113.9 51234 10.0.0.5 22"))


@pytest.mark.parametrize(
    ("wanted", "message", "hint"),
    [
        (
            firewall(ssh="22/tcp from 198.51.100.0/24 2001:db8::/32"),
            "the firewall would lock us out: we come from 203.0.113.9, and only 198.51.100.0/24 and 2001:db8::/32 "
            "could log in; nothing was changed",
            "Add 203.0.113.9, or a network that it is in, to `firewall: {ssh_from: [...]}`.",
        ),
        (
            firewall(ssh="2222/tcp from 198.51.100.0/24", leaves=(22,)),
            "the firewall would lock us out: we come from 203.0.113.9, and only 198.51.100.0/24 could log in; "
            "nothing was changed",
            "Add 203.0.113.9, or a network that it is in, to `firewall: {ssh_from: [...]}`.",
        ),
        (
            firewall(ssh="2201/tcp"),
            "the firewall would lock us out: we came in by port 22 of this server, and for SSH it would open only "
            "2201/tcp; nothing was changed",
            "Say `port: 22` if sshd listens there. If something on the way leads another port to it, "
            "say: firewall: {allow: [22]}",
        ),
    ],
)
def test_we_would_be_kept_out(wanted: Firewall, message: str, hint: str) -> None:
    with pytest.raises(Conflict) as caught:
        keep_us(wanted, logged_in("203.0.113.9 51234 10.0.0.5 22"))
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_whoever_is_on_the_server_itself_is_not_asked() -> None:
    keep_us(firewall(ssh="22/tcp from 198.51.100.0/24"), FakeSystem({}))


# -- through the action ----------------------------------------------------------------------------------------


OWNED = {"format": 1, "apps": {}, "owned": {firewall().id: {"projects": {}}}, "pending": {}}


def request(**fields: Any) -> dict[str, Any]:
    base = {"run": "r", "project": "p", "by": "ann@laptop", "began": 0.0, "apply": True}
    catalog = Catalog([firewall()], guarded=[firewall().id])
    return {**base, "paths": {"state": "/var/lib/hostwright"}, "catalog": catalog.to_wire(), **fields}


def serving() -> FakeSystem:
    return server(row("00000000", 5432, "0A", 7), **process(70, "postgres", "postgresql.service", 7))


def test_a_server_that_is_ours_already_is_asked_about_its_firewall() -> None:
    system, heard = serving(), list[events.Event]()
    before = repr(system.nodes)
    with pytest.raises(Conflict) as caught:
        provision.plan(request(), system, heard.append)
    assert (caught.value.message, caught.value.hint) == (
        "the firewall would cut one thing of this server; nothing was changed",
        "`inv provision --adopt` goes on, and keeps what it replaces or switches off.",
    )
    assert [event.message for event in heard if isinstance(event, events.Noticed)] == [
        "postgres (postgresql.service) listens on port 5432/tcp, which the firewall would close"
    ]
    assert repr(system.nodes) == before


def test_whoever_agrees_goes_on() -> None:
    system = serving()
    assert provision.plan(request(adopt=True), system, lambda _: None) is None, "there is something to do"
    system.put("/var/lib/hostwright/records.json", json.dumps(OWNED))
    assert provision.plan(request(), system, lambda _: None) is None, "it is asked once"


def test_a_check_only_tells() -> None:
    heard = list[events.Event]()
    finished = provision.plan(request(apply=False), serving(), heard.append)
    assert finished
    assert finished.changed == 1
    said = [event.message for event in heard if isinstance(event, events.Noticed)]
    assert said[1] == "a run would refuse to cut this"
    assert said[-1].startswith("would be proved by a new login")


def test_whoever_would_be_kept_out_is_told_before_anything_is_changed() -> None:
    system = logged_in("203.0.113.9 51234 10.0.0.5 2222")
    system.commands[LIST] = ""
    with pytest.raises(Conflict) as caught:
        provision.plan(request(), system, lambda _: None)
    assert "we came in by port 2222 of this server" in caught.value.message
    heard = list[events.Event]()
    assert provision.plan(request(apply=False), system, heard.append)
    said = [event.message for event in heard if isinstance(event, events.Noticed)]
    assert any(words.startswith("a run would refuse this: the firewall would lock us out") for words in said)
