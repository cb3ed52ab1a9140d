"""What is remembered of attempts: the CA is never asked so often that it locks a name out."""

from __future__ import annotations

import json

import pytest

from hostwright.remote.resources.base import Failed
from hostwright.remote.tls import status
from hostwright.remote.tls.attempts import FOLDER, Attempts
from hostwright.remote.tls.explain import Refusal
from hostwright.testing import FakeSystem

CA, OTHER = "https://ca.test/dir", "https://other.test/dir"
NOW = 1_800_000_000.0
PATH = f"{FOLDER}/shop.json"


def book(system: FakeSystem, directory: str = CA) -> Attempts:
    return Attempts(system, "shop", directory)


def refused(*names: str, kind: str = "validation", retry_after: float | None = None) -> Refusal:
    refusal = Refusal(kind, "no", "", retry_after=retry_after, counts=kind == "validation")
    refusal.names = names
    return refusal


def fail(system: FakeSystem, times: int, *names: str) -> None:
    for _ in range(times):
        book(system).failed(names, refused(*names))


def test_three_failures_of_a_name_within_an_hour_are_enough() -> None:
    system = FakeSystem(now=NOW)
    fail(system, 2, "a.test", "b.test")
    book(system).refuse(["a.test"])
    system.sleep(600)
    fail(system, 1, "a.test")
    with pytest.raises(Failed) as error:
        book(system).refuse(["a.test", "c.test"])
    assert error.value.message == (
        "the CA was not asked again: too many attempts for these names have failed, and it locks out who goes on"
    )
    assert error.value.hint == (
        "From 2027-01-15 09:00 UTC on it may be asked again. What went wrong last is below; put that right first."
    )
    assert error.value.reason == "rate_limited"
    assert error.value.tail == ("no",)
    book(system).refuse(["b.test"])
    book(system, OTHER).refuse(["a.test"])
    system.sleep(3000)
    book(system).refuse(["a.test"])


def test_a_wildcard_and_its_domain_are_one_name_to_the_ca() -> None:
    system = FakeSystem(now=NOW)
    fail(system, 3, "*.a.test")
    with pytest.raises(Failed):
        book(system).refuse(["a.test"])


def test_only_what_the_ca_counts_counts() -> None:
    system = FakeSystem(now=NOW)
    for _ in range(5):
        book(system).failed(["a.test"], refused(kind="unreachable"))
    book(system).refuse(["a.test"])
    assert len(book(system).failures) == 5


def test_the_names_that_failed_are_blamed_and_no_others() -> None:
    system = FakeSystem(now=NOW)
    for _ in range(3):
        book(system).failed(["a.test", "b.test"], refused("b.test"))
    book(system).refuse(["a.test"])
    with pytest.raises(Failed):
        book(system).refuse(["a.test", "b.test"])


@pytest.mark.parametrize(("said", "until"), [(NOW + 9000, NOW + 9000), (None, NOW + 3600)])
def test_a_rate_limit_is_remembered_until_its_end(said: float | None, until: float) -> None:
    system = FakeSystem(now=NOW)
    book(system).failed(["a.test"], refused(kind="rate_limited", retry_after=said))
    assert book(system).wait_until(["a.test"]) == until
    assert status.remembered(system, "shop")["retry_after"] == until
    system.sleep(until - NOW + 1)
    assert book(system).wait_until(["a.test"]) is None


def test_a_certificate_forgives_everything() -> None:
    system = FakeSystem(now=NOW)
    fail(system, 3, "a.test")
    book(system).succeeded()
    book(system).refuse(["a.test"])
    assert status.remembered(system, "shop") == {"failures": [], "retry_after": None}


def test_as_cert_status_reads_it() -> None:
    system = FakeSystem(now=NOW)
    fail(system, 3, "a.test")
    found = status.remembered(system, "shop")
    assert found["retry_after"] == NOW + 3600
    assert [(one["at"], one["names"], one["reason"]) for one in found["failures"]] == [
        (NOW, ["a.test"], "no")
    ] * 3
    assert system.nodes[PATH]["mode"] == 0o600
    assert system.nodes[FOLDER]["mode"] == 0o700


@pytest.mark.parametrize("content", ["", "[]", "{", '{"failures": 3}', "null"])
def test_what_somebody_damaged_is_as_if_nothing_had_happened(content: str) -> None:
    system = FakeSystem({PATH: content}, now=NOW)
    book(system).refuse(["a.test"])
    fail(system, 1, "a.test")
    assert len(json.loads(system.read(PATH) or b"")["failures"]) == 1


def test_no_more_are_kept_than_anybody_reads() -> None:
    system = FakeSystem(now=NOW)
    for _ in range(30):
        book(system).failed(["a.test"], refused(kind="disk"))
    assert len(book(system).failures) == 20


def test_an_attempt_that_was_cut_short_is_known() -> None:
    system = FakeSystem(now=NOW)
    assert not book(system).begun
    book(system).begin(fresh=True)
    assert book(system).begun
    book(system).failed(["a.test"], refused())
    assert not book(system).begun
    before = system.read(PATH)
    book(system).begin(fresh=False)
    assert system.read(PATH) == before
