"""What is true of a host's firewall: in the kernel now, and after the next boot."""

from __future__ import annotations

from typing import Any

import pytest

from hostwright.remote.firewall.paths import DROPIN, RULES, TABLE, UNIT


@pytest.fixture(autouse=True)
def wanted(server):
    """Only where the inventory wants one."""
    if not server.hardening.firewall:
        pytest.skip("hardening: {firewall: false}")


def ufw_is_on(host: Any) -> bool:
    found: bool = host.run("grep -qix 'ENABLED=yes' /etc/ufw/ufw.conf && test -x /usr/sbin/ufw").succeeded
    return found


def test_firewall_is_loaded_at_boot(host):
    assert host.service(UNIT).is_enabled
    assert host.service(UNIT).is_running
    assert host.file(DROPIN).exists, "a restart of nftables.service would leave the server open"
    rules = host.file(RULES)
    assert (rules.user, rules.group, rules.mode) == ("root", "root", 0o644)


def test_firewall_in_force_is_the_one_of_its_file(host):
    """Compared as nft itself lists it, in a network namespace that ends at once: nobody's rules change."""
    live = host.run("nft -s list table inet %s", TABLE)
    assert live.succeeded, f"{live.stderr}\nsomebody emptied the rules: inv provision loads them again"
    script = f"nft -f {RULES} && exec nft -s list table inet {TABLE}"
    meant = host.run("unshare --net sh -c %s", script)
    assert meant.succeeded, meant.stderr
    assert _rules(live.stdout) == _rules(meant.stdout)


def _rules(listing: str) -> list[str]:
    """Without what an hour after the first load is gone by itself, and without what nft calls an interface."""
    lines = [line.strip() for line in listing.splitlines()]
    return [line for line in lines if line and not line.startswith("elements = ")]


def test_firewall_keeps_out_what_is_not_open(host):
    if ufw_is_on(host):
        assert "deny (incoming)" in host.check_output("LC_ALL=C ufw status verbose")
    else:
        chain = host.check_output("nft list chain inet %s input", TABLE)
        assert "policy drop" in chain


def test_firewall_lets_ssh_and_http_in(host, server):
    rules = host.file(RULES).content_string.splitlines()
    opened = [line.removeprefix("# open: ") for line in rules if line.startswith("# open: ")]
    assert {"80/tcp", "443/tcp"} <= set(opened)
    assert any(line.split(" ")[0] == f"{server.port}/tcp" for line in opened)
