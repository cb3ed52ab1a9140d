"""The nftables file, and how the kernel shows it."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from hostwright.remote.firewall import outside, ruleset
from hostwright.remote.firewall.rule import Rule, in_order
from hostwright.remote.firewall.ruleset import Ruleset
from hostwright.remote.system import System
from hostwright.testing import FakeSystem

from .conftest import NET

TEXTS = (
    "443/tcp",
    "22/tcp from 203.0.113.0/24 2001:db8::/32",
    "60000-61000/udp",
    "80/tcp",
    "5432/tcp from 10.0.0.0/8",
)


def made(*texts: str, interfaces: tuple[str, ...] = ("ens3",), filters: bool = True) -> Ruleset:
    return Ruleset([Rule.parse(text) for text in texts], interfaces, filters=filters)


def test_the_whole_file_is_one_transaction_about_our_own_table() -> None:
    text = made(*TEXTS).text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines[:3] == ["table inet hostwright", "delete table inet hostwright", "table inet hostwright {"]
    assert lines[-1] == "}"
    assert "flush" not in text
    assert text.count("table") == 4, "and a word in the head"
    assert "policy drop" in text


@pytest.mark.parametrize(
    ("rule", "inside", "published"),
    [
        ("80/tcp", ["tcp dport 80 accept"], ["meta l4proto tcp ct original proto-dst 80 accept"]),
        (
            "60000-61000/udp",
            ["udp dport 60000-61000 accept"],
            ["meta l4proto udp ct original proto-dst 60000-61000 accept"],
        ),
        (
            "22/tcp from 2001:db8::/32 203.0.113.7 10.0.0.0/8",
            [
                "ip saddr { 10.0.0.0/8, 203.0.113.7 } tcp dport 22 accept",
                "ip6 saddr { 2001:db8::/32 } tcp dport 22 accept",
            ],
            [
                "meta l4proto tcp ip saddr { 10.0.0.0/8, 203.0.113.7 } ct original proto-dst 22 accept",
                "meta l4proto tcp ip6 saddr { 2001:db8::/32 } ct original proto-dst 22 accept",
            ],
        ),
    ],
)
def test_a_rule(rule: str, inside: list[str], published: list[str]) -> None:
    lines = [line.strip() for line in made(rule).text.splitlines()]
    for wanted in (inside, published):
        at = lines.index(wanted[0])
        assert lines[at : at + len(wanted)] == wanted


def test_what_ipv6_and_leases_need_is_open_before_anything_is_dropped() -> None:
    lines = [line.strip() for line in made("22/tcp").text.splitlines()]
    for kind in ("packet-too-big", "nd-neighbor-solicit", "nd-router-advert", "mld-listener-query"):
        assert any(line.startswith("icmpv6 type {") and kind in line for line in lines)
    assert "ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept" in lines
    assert any("destination-unreachable" in line and line.startswith("icmp type") for line in lines)
    assert lines.index("ct state invalid drop") > next(
        n for n, line in enumerate(lines) if line.startswith("icmpv6")
    )


def test_it_says_itself_what_it_is() -> None:
    found = made(*TEXTS, interfaces=("ens3", "ens4"))
    assert ruleset.read(found.text) == ([str(rule) for rule in found.rules], ["ens3", "ens4"])
    assert [str(rule) for rule in found.rules] == [
        "22/tcp from 2001:db8::/32 203.0.113.0/24",
        "80/tcp",
        "443/tcp",
        "5432/tcp from 10.0.0.0/8",
        "60000-61000/udp",
    ]
    assert ruleset.read("") == ([], [])


def test_where_somebody_else_filters_only_containers_are_left() -> None:
    found = made("22/tcp", "80/tcp", filters=False)
    assert found.shape == {"published": (None, 3), "forward": ("accept", 1)}
    assert "chain input" not in found.text
    assert "settling" not in found.text
    assert made("22/tcp", interfaces=(), filters=False).shape == {}


def test_rules_are_there_once_and_in_order() -> None:
    rules = [Rule.parse(text) for text in ("443/tcp", "80/tcp", "443/tcp", "80/udp")]
    assert [str(rule) for rule in in_order(rules)] == ["80/tcp", "80/udp", "443/tcp"]


@pytest.mark.parametrize(
    ("rule", "address", "admitted"),
    [
        ("22/tcp", "203.0.113.9", True),
        ("22/tcp from 203.0.113.0/24", "203.0.113.9", True),
        ("22/tcp from 203.0.113.0/24", "203.0.114.9", False),
        ("22/tcp from 203.0.113.0/24", "::ffff:203.0.113.9", True),
        ("22/tcp from 2001:db8::/32", "2001:db8::7%eth0", True),
        ("22/tcp from 2001:db8::/32", "203.0.113.9", False),
    ],
)
def test_whom_a_rule_lets_in(rule: str, address: str, admitted: bool) -> None:
    assert Rule.parse(rule).admits(address) is admitted


def test_the_kernel_counts_as_we_do() -> None:
    """nft itself, in a network of its own: what `shape` says is what netlink tells."""
    if not shutil.which("nft") or not shutil.which("unshare"):
        pytest.skip("no nft here")
    found = made(*TEXTS)
    script = "nft -f - && exec python3 -c 'import sys; sys.path.insert(0, sys.argv[1])\n" + (
        'from hostwright.remote.system import System; print(System().nft_chains("hostwright"))\' "$0"'
    )
    done = subprocess.run(
        ("unshare", "--net", "sh", "-c", script, "."),
        input=found.text, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    if "Operation not permitted" in done.stderr:
        pytest.skip("needs root")
    assert done.stdout.strip() == str({**found.shape}).strip() or _same(done.stdout, found), done.stderr


def _same(printed: str, found: Ruleset) -> bool:
    import ast

    told: dict[str, object] = ast.literal_eval(printed.strip())
    return told == dict(found.shape)


def test_a_table_that_is_not_there() -> None:
    try:
        assert System().nft_chains("hostwright-no-such-table") is None
    except PermissionError:
        pytest.skip("needs root")


# -- outside -------------------------------------------------------------------------------------------------


def test_strangers_come_in_by_cards_and_by_default_routes() -> None:
    system = FakeSystem(
        {
            **NET,
            "/proc/net/ipv6_route": (
                f"{'0' * 32} 00 {'0' * 32} 00 fe80{'0' * 28} 00000400 00000001 00000000 00000003     he6\n"
                f"{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} ffffffff 00000001 00000000 00200200       lo\n"
                f"fd00{'0' * 28} 40 {'0' * 32} 00 {'0' * 32} 00000400 00000001 00000000 00000001     wg0\n"
            ),
            "/sys/class/net/ens4/device": None,
            "/sys/class/net/ens4.7/lower_ens4": None,
            "/sys/class/net/br0/lower_ens4.7": None,
            "/sys/class/net/br0/lower_tap1": None,
            "/sys/class/net/he6": None,
            "/sys/class/net/wg0": None,
            "/sys/class/net/tap1": None,
        }
    )
    assert outside.interfaces(system) == ["br0", "ens3", "ens4", "ens4.7", "he6"]


def test_without_a_network() -> None:
    assert outside.interfaces(FakeSystem({"/sys/class/net/lo": None})) == []
