"""The firewall as a resource: what differs, what is done about it, in which order."""

from __future__ import annotations

from typing import Any

import pytest

from hostwright.remote.firewall.paths import DROPIN, ENABLED, RULES, TABLE, UNIT, UNIT_FILE
from hostwright.remote.resources.base import Context, Failed, diff
from hostwright.remote.resources.firewall import Firewall, remove
from hostwright.remote.system import CommandFailed
from hostwright.testing import FakeSystem

from .conftest import COMMENT, NET, NFT, UFW, V4, V6, firewall, settled, tuples

CHECK = "nft -c -f -"
RELOAD = f"systemctl reload-or-restart -- {UNIT}"
SETTLE = "nft add element inet hostwright settling { 1-65535 timeout 1h }"


def changes(wanted: Firewall, system: FakeSystem) -> dict[str, list[Any]]:
    found = diff(wanted.desired(system), wanted.read(system))
    return {change.attribute: [change.before, change.after] for change in found}


def apply(wanted: Firewall, system: FakeSystem) -> list[str]:
    before = len(system.ran)
    wanted.refuse(system)
    wanted.apply(system, diff(wanted.desired(system), wanted.read(system)), Context(print, {}))
    return [" ".join(argv) for argv in system.ran[before:]]


def server(wanted: Firewall, **more: Any) -> FakeSystem:
    """A server whose commands do what they should for `wanted`."""
    files = {**NET, **NFT, **more.pop("files", {})}
    system = FakeSystem(files, commands=more.pop("commands", {}), **more)
    shape = {name: list(about) for name, about in wanted.ruleset(system).shape.items()} or None
    system.commands = {
        CHECK: "",
        "systemctl daemon-reload": "",
        f"systemctl enable --no-reload -- {UNIT}": {"files": {ENABLED: {"link": UNIT_FILE}}},
        RELOAD: {"nft": {TABLE: shape}},
        SETTLE: "",
        **system.commands,
    }
    return system


def test_the_first_time() -> None:
    wanted = firewall()
    system = server(wanted)
    found = changes(wanted, system)
    assert found["by"] == [None, "nftables"]
    assert found["open"] == [[], ["22/tcp", "80/tcp", "443/tcp"]]
    assert found["outside"] == [[], ["ens3"]]
    assert found["in force"] == [False, True]
    assert apply(wanted, system) == [
        CHECK,
        f"systemctl enable --no-reload -- {UNIT}",
        "systemctl daemon-reload",
        RELOAD,
        SETTLE,
    ]
    assert system.inputs[0] == system.read(RULES)
    assert changes(wanted, system) == {}


def test_as_it_should_be_nothing_is_started() -> None:
    wanted = firewall("8443/tcp")
    system = settled(wanted, server(wanted))
    assert changes(wanted, system) == {}
    assert system.ran == []


def test_one_more_port() -> None:
    system = settled(firewall(), server(firewall()))
    wanted = firewall("8443/tcp")
    system.commands = server(wanted).commands
    found = changes(wanted, system)
    assert found["open"] == [["22/tcp", "80/tcp", "443/tcp"], ["22/tcp", "80/tcp", "443/tcp", "8443/tcp"]]
    assert apply(wanted, system) == [CHECK, RELOAD], "connections are known by now: nothing has to settle"
    assert any(
        line == "+\t\ttcp dport 8443 accept" for line in wanted.content_diff(settled(firewall(), system))
    )


@pytest.mark.parametrize(
    ("nft", "said"),
    [
        (None, False),
        ({"input": ["drop", 13], "published": [None, 4], "forward": ["accept", 1]}, True),
        ({"input": ["accept", 13], "published": [None, 4], "forward": ["accept", 1]}, "not as it should be"),
        ({"input": ["drop", 14], "published": [None, 4], "forward": ["accept", 1]}, "not as it should be"),
        ({"input": ["drop", 13], "published": [None, 4]}, "not as it should be"),
        ({}, "not as it should be"),
    ],
)
def test_what_somebody_did_to_the_table(nft: Any, said: Any) -> None:
    wanted = firewall()
    system = settled(wanted, server(wanted))
    system.happen({"nft": {TABLE: nft}})
    assert changes(wanted, system) == ({} if said is True else {"in force": [said, True]})


def test_what_somebody_did_to_the_files() -> None:
    wanted = firewall()
    system = settled(wanted, server(wanted))
    system.put(RULES, "table inet hostwright { }\n")
    system.unlink(ENABLED)
    system.unlink(DROPIN)
    found = changes(wanted, system)
    assert set(found) == {
        "open",
        "outside",
        "content",
        "content of hostwright-firewall.service",
        "at boot",
        "by",
    }
    assert apply(wanted, system)[1:] == [
        f"systemctl enable --no-reload -- {UNIT}",
        "systemctl daemon-reload",
        RELOAD,
    ]
    assert changes(wanted, system) == {}


def test_rules_that_nft_refuses() -> None:
    wanted = firewall()
    refused = {"exit": 1, "err": "/dev/stdin:9:1-4: Error: Could not process rule"}
    system = server(wanted, commands={CHECK: refused})
    with pytest.raises(CommandFailed) as caught:
        apply(wanted, system)
    assert caught.value.reason.startswith("nft refused the new rules (")
    assert caught.value.reason.endswith("nothing was changed")
    assert caught.value.tail == ("/dev/stdin:9:1-4: Error: Could not process rule",)
    assert system.read(RULES) is None


def test_rules_that_cannot_be_loaded_do_not_wait_for_the_next_boot() -> None:
    wanted = firewall()
    system = settled(wanted, server(wanted))
    before = system.read(RULES)
    system.commands[RELOAD] = {"exit": 1, "err": "Job failed"}
    with pytest.raises(CommandFailed):
        apply(firewall("8443/tcp"), system)
    assert system.read(RULES) == before


def test_without_nft() -> None:
    system = FakeSystem(NET)
    with pytest.raises(Failed) as caught:
        apply(firewall(), system)
    assert (caught.value.message, caught.value.hint) == (
        "nft is not installed on this server",
        "sudo apt-get install nftables",
    )


# -- ufw -----------------------------------------------------------------------------------------------------

OURS = {
    "/etc/ufw/user.rules": tuples(*(f"allow tcp {port} {V4}{COMMENT}" for port in (22, 80, 443))),
    "/etc/ufw/user6.rules": tuples(*(f"allow tcp {port} {V6}{COMMENT}" for port in (22, 80, 443))),
}


def with_ufw(*allow: str, files: dict[str, Any] | None = None) -> tuple[Firewall, FakeSystem]:
    wanted = firewall(*allow)
    return wanted, server(wanted, files={**UFW, **(files or {})})


def test_ufw_gets_what_is_missing() -> None:
    foreign = {
        "/etc/ufw/user.rules": tuples(f"limit tcp 22 {V4}", f"allow any 443 {V4}", f"deny tcp 8443 {V4}"),
        "/etc/ufw/user6.rules": tuples(f"limit tcp 22 {V6}"),
    }
    wanted, system = with_ufw("8443/tcp from 10.0.0.0/8 2001:db8::/32", "60000-61000/udp", files=foreign)
    add = "ufw allow proto {} from {} to any port {} comment hostwright"
    system.commands |= {
        add.format("tcp", "any", "80"): "",
        add.format("tcp", "any", "443"): "",
        add.format("tcp", "10.0.0.0/8", "8443"): "",
        add.format("tcp", "2001:db8::/32", "8443"): "",
        add.format("udp", "any", "60000:61000"): "",
    }
    found = changes(wanted, system)
    assert found["by"] == [None, "ufw"]
    assert found["open"][0] == ["22/tcp"], "theirs will do; 443 is not open for IPv6"
    assert apply(wanted, system)[1:6] == [
        add.format("tcp", "any", "80"),
        add.format("tcp", "any", "443"),
        add.format("tcp", "10.0.0.0/8", "8443"),
        add.format("tcp", "2001:db8::/32", "8443"),
        add.format("udp", "any", "60000:61000"),
    ]
    assert b"chain input" not in (system.read(RULES) or b"")


def test_ufw_as_it_should_be() -> None:
    wanted, system = with_ufw(files=OURS)
    assert changes(wanted, settled(wanted, system)) == {}
    assert system.ran == []


def test_ufw_loses_what_was_dropped_and_only_that() -> None:
    more = tuples(f"allow tcp 9000 {V4}", f"allow tcp 8443 {V4}{COMMENT}", f"allow udp 53 {V4} comment=6d79")
    files = {**OURS, "/etc/ufw/user.rules": OURS["/etc/ufw/user.rules"] + more}
    wanted, system = with_ufw(files=files)
    settled(wanted, system)
    delete = "ufw delete allow proto tcp from any to any port 8443"
    system.commands[delete] = {"files": OURS}
    assert changes(wanted, system) == {
        "open": [["22/tcp", "80/tcp", "443/tcp", "8443/tcp"], ["22/tcp", "80/tcp", "443/tcp"]]
    }
    assert apply(wanted, system) == [CHECK, delete, RELOAD]


def test_ufw_that_lets_everything_in() -> None:
    files = {**OURS, "/etc/default/ufw": "IPV6=yes\nDEFAULT_INPUT_POLICY=ACCEPT\n"}
    wanted, system = with_ufw(files=files)
    settled(wanted, system)
    system.commands["ufw default deny incoming"] = {"files": {"/etc/default/ufw": UFW["/etc/default/ufw"]}}
    assert changes(wanted, system) == {"ufw by default": ["allow", "deny"]}
    assert "ufw default deny incoming" in apply(wanted, system)


def test_ufw_that_does_not_see_ipv6() -> None:
    address = "20010db8000000000000000000000001 02 40 00 80     ens3\n"
    wanted, system = with_ufw(files={"/etc/default/ufw": "IPV6=no\n", "/proc/net/if_inet6": address})
    with pytest.raises(Failed) as caught:
        wanted.read(system)
    assert (
        caught.value.message == "ufw does not filter IPv6 on this server, and the server has an IPv6 address"
    )
    assert caught.value.hint == "Say IPV6=yes in /etc/default/ufw, then: sudo ufw reload"
    system.put("/proc/net/if_inet6", "fe800000000000000000000000000001 02 40 20 80     ens3\n")
    wanted.read(system)


def test_ufw_is_switched_off_later() -> None:
    files = {**OURS, "/etc/ufw/ufw.conf": "ENABLED=no\n"}
    wanted, system = with_ufw(files=files)
    settled(wanted, system)
    assert changes(wanted, system) == {"left in ufw": [["22/tcp", "80/tcp", "443/tcp"], []]}
    delete = "ufw delete allow proto tcp from any to any port {}"
    gone = {"/etc/ufw/user.rules": tuples(), "/etc/ufw/user6.rules": tuples()}
    system.commands |= {delete.format(port): {"files": gone} for port in (22, 80, 443)}
    assert apply(wanted, system) == [CHECK, RELOAD, *(delete.format(port) for port in (22, 80, 443))]


# -- away ----------------------------------------------------------------------------------------------------


def test_it_goes_when_the_inventory_has_none_any_more() -> None:
    wanted = firewall()
    system = settled(wanted, server(wanted))
    system.commands[f"systemctl disable --now -- {UNIT}"] = {"nft": {TABLE: None}, "removed": [ENABLED]}
    remove(system, RULES)
    for path in (RULES, UNIT_FILE, DROPIN, ENABLED):
        assert not system.exists(path)
