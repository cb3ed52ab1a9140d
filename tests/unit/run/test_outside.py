"""What the controller answers an agent: its names as the world sees them, in time, whatever happens."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import dns.exception
import dns.message
import dns.name
import dns.rdatatype
import dns.resolver
import dns.rrset
import pytest

from hostwright.remote.tls import outlook
from hostwright.run import outside

DATA = {"names": ["shop.test"], "domains": ["shop.test"], "path": "/.well-known/acme-challenge/p", "token": "t",
        "reached": "192.0.2.1"}  # fmt: skip
OURS = frozenset({"shop.test", "192.0.2.1"})


class Zone:
    """A DNS: (name, type) -> records, or the exception that is the answer."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str] | Exception] = {}
        self.asked: list[tuple[str, str]] = []

    def resolve(self, name: Any, kind: str, search: bool) -> Iterator[Any]:
        text = dns.name.from_text(name).to_text(True) if isinstance(name, str) else name.to_text(True)
        self.asked.append((text, kind))
        found = self.records.get((text, kind))
        if isinstance(found, Exception):
            raise found
        if found is None:
            if any(owner == text for owner, _ in self.records):
                query = dns.message.make_query(text, kind)
                raise dns.resolver.NoAnswer(response=dns.message.make_response(query))
            raise dns.resolver.NXDOMAIN
        return iter(dns.rrset.from_text(text, 60, "IN", kind, *found))


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Zone:
    found = Zone()
    monkeypatch.setattr(outside, "_resolver", lambda: found)
    return found


def test_addresses(zone: Zone) -> None:
    zone.records = {("shop.test", "A"): ["192.0.2.1"], ("shop.test", "AAAA"): ["2001:db8::1"]}
    assert outside.addresses("shop.test") == {"addresses": ["192.0.2.1", "2001:db8::1"], "error": ""}
    assert outside.addresses("192.0.2.7") == {"addresses": ["192.0.2.7"], "error": ""}
    assert outside.addresses("none.test") == {"addresses": [], "error": "nxdomain"}


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (dns.resolver.NoNameservers(), "servfail"),
        (dns.exception.Timeout(), "silent"),
        (OSError("x"), "silent"),
    ],
)
def test_a_dns_that_does_not_work(zone: Zone, raised: Exception, error: str) -> None:
    zone.records = {("shop.test", "A"): raised, ("shop.test", "AAAA"): raised, ("shop.test", "CAA"): raised}
    assert outside.addresses("shop.test") == {"addresses": [], "error": error}
    assert outside.caa("shop.test")["error"] == error


def test_caa_is_that_of_the_nearest_domain_above(zone: Zone) -> None:
    zone.records = {("shop.test", "CAA"): ['0 issue "letsencrypt.org"', '128 IssueWild ";"']}
    found = outside.caa("*.a.b.shop.test")
    assert found == {
        "at": "shop.test",
        "records": [[0, "issue", "letsencrypt.org"], [128, "issuewild", ";"]],
        "error": "",
    }
    assert [name for name, _ in zone.asked] == ["a.b.shop.test", "b.shop.test", "shop.test"]


def test_no_caa_anywhere(zone: Zone) -> None:
    assert outside.caa("shop.test") == {"at": "", "records": [], "error": ""}
    assert [name for name, _ in zone.asked] == ["shop.test", "test"]


def test_the_whole_answer(zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    zone.records = {("shop.test", "A"): ["192.0.2.1"]}
    monkeypatch.setattr(outlook, "fetch", lambda *_: {"ok": True, "error": "", "url": "u"})
    found = outside.answer("reachable", DATA, 5.0, OURS)
    assert found is not None
    assert abs(found.pop("now") - time.time()) < 5
    assert found == {
        "names": {
            "shop.test": {
                "addresses": ["192.0.2.1"],
                "error": "",
                "fetches": {"192.0.2.1": {"ok": True, "error": "", "url": "u"}},
            }
        },
        "caa": {"shop.test": {"at": "", "records": [], "error": ""}},
        "reached": ["192.0.2.1"],
    }


def test_what_is_not_seen_in_time_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object) -> Any:
        time.sleep(3)

    monkeypatch.setattr(outside, "addresses", slow)
    monkeypatch.setattr(outside, "caa", lambda name: {"at": "", "records": [], "error": ""})
    began = time.monotonic()
    found = outside.answer("reachable", DATA, 1.2, OURS)
    assert time.monotonic() - began < 2
    assert found is not None
    assert (found["names"], list(found["caa"])) == ({}, ["shop.test"])


def test_no_answer_to_what_nobody_knows_or_to_nonsense() -> None:
    assert outside.answer("danced", {}, 5.0, OURS) is None
    assert outside.answer("reachable", {**DATA, "names": 3}, 5.0, OURS) is None


@pytest.mark.parametrize(
    "more",
    [
        {"names": ["shop.test", "router.lan"]},
        {"names": ["10.0.0.1"]},
        {"domains": ["other.test"]},
        {"reached": "10.0.0.1"},
        {"path": "/admin?reboot=1"},
        {"path": "/.well-known/acme-challenge/../../admin"},
        {"path": "/.well-known/acme-challenge/x y"},
    ],
)
def test_a_server_does_not_look_around_in_our_network_through_us(
    zone: Zone, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    monkeypatch.setattr(outlook, "fetch", lambda *_: pytest.fail("it looked"))
    assert outside.answer("reachable", {**DATA, **more}, 5.0, OURS) is None
    assert zone.asked == []


def test_dns_is_imported_when_it_is_needed() -> None:
    """`inv --list` stays quick: neither the tasks nor what runs them imports it."""
    code = "import sys, hostwright.tasks, hostwright.run.fleet, hostwright.run.outside; print('dns' in sys.modules)"
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
