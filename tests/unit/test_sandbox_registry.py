"""Which names and addresses a checkout gets."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostwright.errors import SandboxError
from hostwright.sandbox import network
from hostwright.sandbox.registry import (
    BLOCKS,
    FIRST_SERVER,
    LAST_SERVER,
    REMEMBERED,
    Checkout,
    choose_block,
    identify,
    next_octet,
    registry_locked,
)


def test_a_checkout_keeps_its_place_and_others_get_their_own(tmp_path: Path) -> None:
    with registry_locked(tmp_path) as registry:
        first = registry.add(Path("/one"), [])
        second = registry.add(Path("/two"), [])
    with registry_locked(tmp_path) as registry:
        assert registry.add(Path("/one"), []) == first
        assert registry.of_address(second.address(7)) == second
        registry.remove(first)
        assert list(registry.checkouts) == ["/two"]
        with pytest.raises(SandboxError, match=r"^192\.0\.2\.1 is no sandbox server's address$"):
            registry.of_address("192.0.2.1")
    assert first.id != second.id
    assert not first.network.overlaps(second.network)


def test_a_registry_of_another_version_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "registry.json").write_text('{"format": 99, "checkouts": []}')
    with pytest.raises(SandboxError, match="was written by another version of this tool"):
        with registry_locked(tmp_path):
            pass


def test_checkouts_without_servers_are_forgotten_before_addresses_run_out(tmp_path: Path) -> None:
    with registry_locked(tmp_path) as registry:
        busy = registry.add(Path("/busy"), [])
        (tmp_path / busy.id).mkdir()
        for number in range(3 * len(BLOCKS)):
            registry.add(Path(f"/idle{number}"), [])
        assert registry.add(Path("/busy"), []) == busy
        assert len(registry.checkouts) <= REMEMBERED


def test_addresses_go_round_instead_of_being_given_out_again(tmp_path: Path) -> None:
    with registry_locked(tmp_path) as registry:
        registry.add(Path("/one"), [])
        assert [registry.take_octet(Path("/one"), set()) for _ in range(3)] == [2, 3, 4]


@pytest.mark.parametrize(
    ("last", "taken", "chosen"),
    [(1, [], 2), (2, [], 3), (2, [3, 4], 5), (LAST_SERVER, [], 2), (LAST_SERVER, [2], 3), (5, [6], 7)],
)
def test_next_octet(last: int, taken: list[int], chosen: int) -> None:
    assert next_octet(last, taken) == chosen


def test_next_octet_says_when_there_is_none() -> None:
    with pytest.raises(SandboxError, match=r"^this checkout has 249 servers already\n  ./run sandbox.down$"):
        next_octet(1, range(FIRST_SERVER, LAST_SERVER + 1))


@given(st.text(min_size=1), st.sets(st.integers(0, len(BLOCKS) - 1), max_size=len(BLOCKS) - 1))
def test_a_block_is_never_given_twice(path: str, taken: set[int]) -> None:
    assert choose_block(path, taken, []) not in taken


def test_a_block_keeps_clear_of_routes_but_not_of_a_whole_vpn() -> None:
    free = choose_block("/one", [], [])
    assert choose_block("/one", [], [IPv4Network("10.0.0.0/8")]) == free
    assert choose_block("/one", [], [BLOCKS[free]]) != free
    inside = next(BLOCKS[free].subnets(new_prefix=30))
    assert choose_block("/one", [], [inside]) != free


def test_no_block_left() -> None:
    with pytest.raises(SandboxError, match=r"no free addresses in 10\.213\.0\.0/16: 128 checkouts"):
        choose_block("/one", range(len(BLOCKS)), [])


def test_names_stay_short_enough_for_the_kernel() -> None:
    name = identify("/one", [])
    assert identify("/one", []) == name
    assert identify("/one", [name]) not in ("", name)
    checkout = Checkout("/one", name, len(BLOCKS) - 1)
    longest = (checkout.bridge, "vb-" + checkout.machine(LAST_SERVER), f"hw{checkout.id}p63h")
    assert all(len(interface) <= 15 for interface in longest)
    assert checkout.gateway not in {checkout.address(octet) for octet in range(FIRST_SERVER, LAST_SERVER + 1)}
    assert not checkout.servers.overlaps(checkout.paths)


def test_only_what_leaves_the_checkout_is_translated() -> None:
    rules = network.ruleset(Checkout("/one", "abc123", 1))
    assert "ip saddr 10.213.2.0/24 ip daddr != 10.213.2.0/23 masquerade" in rules
    assert rules.startswith("table ip hostwright_abc123\ndelete table ip hostwright_abc123\n")
