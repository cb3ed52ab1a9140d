"""The switches of hardening: everything is on unless it is switched off."""

from __future__ import annotations

import pytest

from hostwright.inventory.hardening import OFF, HardeningSettings, Updates
from tests.unit.inventory.conftest import Loader

FILE = """\
apps: {{hello: {{module: "a:b"}}}}
defaults: {{hardening: {defaults}}}
hosts: {{web1: {{hardening: {host}}}}}
"""
SWITCHES = tuple(HardeningSettings.model_fields)


def hardening(inventory_of: Loader, host: str) -> HardeningSettings:
    return inventory_of(FILE.format(defaults="{}", host=host)).hosts["web1"].hardening


@pytest.mark.parametrize("text", ["", "on", "yes", "true", "{}", "~"])
def test_all_is_on_by_default(inventory_of: Loader, text: str) -> None:
    found = hardening(inventory_of, text)
    assert found == HardeningSettings()
    assert all(getattr(found, name) for name in SWITCHES if name != "updates")
    assert found.updates == Updates()
    assert found.updates.reboot is None
    assert found.swap == "auto"


@pytest.mark.parametrize("text", ["off", "no", "false"])
def test_all_of_it_can_be_switched_off(inventory_of: Loader, text: str) -> None:
    found = hardening(inventory_of, text)
    assert found == OFF
    assert not any(getattr(found, name) for name in SWITCHES)


@pytest.mark.parametrize("name", SWITCHES)
def test_each_can_be_switched_off_alone(inventory_of: Loader, name: str) -> None:
    found = hardening(inventory_of, f"{{{name}: false}}")
    assert not getattr(found, name)
    assert [other for other in SWITCHES if getattr(found, other) in (None, False, "")] == [name]


def test_the_host_wins_over_the_defaults_as_a_whole(inventory_of: Loader) -> None:
    found = inventory_of(FILE.format(defaults="off", host="{swap: 1G}")).hosts["web1"].hardening
    assert found == HardeningSettings(swap="1G")


@pytest.mark.parametrize(
    ("written", "meant"), [('"04:30"', "04:30"), ("04:30", "04:30"), ("22:30", "22:30"), ("4:05", "04:05")]
)
def test_the_time_of_a_reboot_needs_no_quotes(inventory_of: Loader, written: str, meant: str) -> None:
    found = hardening(inventory_of, f"{{updates: {{reboot: {written}}}}}")
    assert found.updates == Updates(reboot=meant)


def test_the_name_of_a_server(inventory_of: Loader) -> None:
    found = inventory_of('apps: {hello: {module: "a:b"}}\nhosts: {web1: {hostname: Web1.example.com}}')
    assert found.hosts["web1"].hostname == "web1.example.com"
