"""Where `inv provision` is run from: noted once a day, forgotten after a month, in the form that fail2ban asks for."""

from __future__ import annotations

import pytest

from hostwright.remote.known import DAY, FOLDER, MOST, normal, remember
from hostwright.testing import FakeSystem


def test_an_address_is_noted_once_a_day() -> None:
    system = FakeSystem()
    remember(system, "203.0.113.9")
    assert system.listdir(FOLDER) == ["203.0.113.9"]
    assert system.nodes[FOLDER]["mode"] == 0o700
    first = system.nodes[f"{FOLDER}/203.0.113.9"]["mtime"]
    system.sleep(DAY / 2)
    remember(system, "203.0.113.9")
    assert system.nodes[f"{FOLDER}/203.0.113.9"]["mtime"] == first
    system.sleep(DAY)
    remember(system, "203.0.113.9")
    assert system.nodes[f"{FOLDER}/203.0.113.9"]["mtime"] > first


def test_others_are_forgotten_after_a_month() -> None:
    system = FakeSystem()
    remember(system, "203.0.113.9")
    system.sleep(31 * DAY)
    remember(system, "2001:db8::1")
    assert system.listdir(FOLDER) == ["2001:db8::1"]


def test_there_are_never_many() -> None:
    system = FakeSystem()
    for number in range(MOST + 5):
        remember(system, f"203.0.113.{number}")
        system.sleep(60)
    assert len(system.listdir(FOLDER)) == MOST
    assert "203.0.113.0" not in system.listdir(FOLDER)
    assert f"203.0.113.{MOST + 4}" in system.listdir(FOLDER)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
    ],
)
def test_it_is_written_as_fail2ban_writes_it(given: str, name: str) -> None:
    assert normal(given) == name


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        normal("../../etc/passwd")
