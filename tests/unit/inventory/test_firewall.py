"""The `firewall:` of a host: what it takes, what it becomes on the server."""

from __future__ import annotations

import pytest

from hostwright.inventory import Host
from hostwright.recipes.firewall import firewall
from hostwright.remote.resources.firewall import Firewall

from .conftest import Loader

HOSTS = "apps: {{}}\nhosts: {{web1: {{address: 203.0.113.10, {}}}}}\n"


def host(inventory_of: Loader, keys: str) -> Host:
    return inventory_of(HOSTS.format(keys)).hosts["web1"]


def resource(inventory_of: Loader, keys: str) -> Firewall:
    inventory = inventory_of(HOSTS.format(keys))
    (found,) = firewall(inventory, inventory.hosts["web1"])
    assert isinstance(found, Firewall)
    return found


def test_without_a_word(inventory_of: Loader) -> None:
    found = resource(inventory_of, "")
    assert (found.ssh, found.allow, found.leaves) == ("22/tcp", ("80/tcp", "443/tcp"), ())


@pytest.mark.parametrize("keys", ["hardening: off", "hardening: {firewall: false}"])
def test_switched_off(inventory_of: Loader, keys: str) -> None:
    inventory = inventory_of(HOSTS.format(keys))
    assert firewall(inventory, inventory.hosts["web1"]) == []


def test_what_it_takes(inventory_of: Loader) -> None:
    found = host(
        inventory_of,
        "firewall: {allow: [8443, '53', 51820/udp, 60000-61000/udp, "
        "{port: 5432, from: [10.0.0.0/8, '2001:DB8::/32']}], ssh_from: [192.0.2.7]}",
    ).firewall
    assert [(allowed.port, allowed.sources) for allowed in found.allow] == [
        ("8443/tcp", ()),
        ("53/tcp", ()),
        ("51820/udp", ()),
        ("60000-61000/udp", ()),
        ("5432/tcp", ("10.0.0.0/8", "2001:db8::/32")),
    ]
    assert found.ssh_from == ("192.0.2.7",)


def test_what_becomes_of_it(inventory_of: Loader) -> None:
    found = resource(
        inventory_of,
        "port: 2222, bootstrap_port: 22, firewall: {allow: [8443, "
        "{port: 5432, from: ['2001:db8::/32', 10.0.0.0/8]}], ssh_from: [192.0.2.7]}",
    )
    assert found.ssh == "2222/tcp from 192.0.2.7"
    assert found.allow == ("80/tcp", "443/tcp", "8443/tcp", "5432/tcp from 10.0.0.0/8 2001:db8::/32")
    assert found.leaves == (22,), "the port that sshd is moved away from in the same run"
