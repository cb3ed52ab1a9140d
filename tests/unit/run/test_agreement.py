"""Several hosts get the same: the commit of a branch that moves, and versions of packages."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from hostwright.errors import HostUnreachable
from hostwright.inventory import load
from hostwright.remote import events, wire
from hostwright.report import Output
from hostwright.run.agreement import Agreement, Packages, Told
from hostwright.run.deploy import Deploy

from .test_fleet import iter_reader

INVENTORY = """\
project: shop
defaults: {user: ubuntu}
apps:
  hello: {source: "https://git.invalid/hello.git", module: app.main:app, requirements: requirements.txt}
hosts:
  web1: {address: 203.0.113.1, apps: [hello]}
  web2: {address: 203.0.113.2, apps: [hello]}
"""
ONE, TWO = "1" * 40, "2" * 40
LOCK = "flask==3.1.0 --hash=sha256:aa\n"


def ready(commit: str = ONE, lock: dict[str, str] | None = None) -> events.SourceReady:
    return events.SourceReady(commit, "one", None, lock)


class Asked:
    """The threads of hosts that ask for their packages."""

    def __init__(self, agreement: Agreement) -> None:
        self.agreement = agreement
        self.answers: dict[str, Packages] = {}
        self.threads: dict[str, threading.Thread] = {}

    def ask(self, host: str, text: str = "", given: str = "g") -> Asked:
        def run() -> None:
            self.answers[host] = self.agreement.packages(host, given, text)

        self.threads[host] = threading.Thread(target=run, daemon=True)
        self.threads[host].start()
        return self

    def answer(self, host: str) -> Packages:
        self.threads[host].join(5)
        return self.answers[host]

    def waits(self, host: str) -> bool:
        self.threads[host].join(0.3)
        return self.threads[host].is_alive()


def test_the_first_commit_counts() -> None:
    agreement = Agreement(["web1", "web2"])
    assert agreement.agreed == ""
    assert agreement.commit(TWO) == agreement.commit(ONE) == agreement.agreed == TWO


def test_one_host_waits_for_nobody() -> None:
    agreement = Agreement(["web1"])
    assert not agreement.several
    assert Asked(agreement).ask("web1").answer("web1") == Packages(leads=True)


def test_one_finds_the_packages_and_the_others_get_them() -> None:
    agreement = Agreement(["web1", "web2", "web3"])
    asked = Asked(agreement).ask("web2")
    assert asked.waits("web2"), "web1 and web3 may have them already"
    asked.ask("web1")
    asked.ask("web3")
    agreement.hear("web1", events.Noticed("something else"))
    leaders = [host for host in ("web1", "web2", "web3") if not asked.waits(host)]
    assert len(leaders) == 1
    assert asked.answer(leaders[0]).leads
    agreement.hear(leaders[0], events.PackagesLocked("g", LOCK))
    for host in {"web1", "web2", "web3"} - set(leaders):
        assert asked.answer(host) == Packages(leaders[0], LOCK)


def test_a_host_that_was_added_gets_what_the_others_run() -> None:
    agreement = Agreement(["old", "new"])
    asked = Asked(agreement).ask("new")
    assert asked.waits("new")
    assert asked.ask("old", LOCK).answer("old") == Packages("old", LOCK)
    assert asked.answer("new") == Packages("old", LOCK)


def test_hosts_that_were_deployed_one_by_one_get_the_same_from_now_on() -> None:
    asked = Asked(Agreement(["web1", "web2"])).ask("web1", LOCK)
    assert asked.answer("web1").text == asked.ask("web2", "flask==2\n").answer("web2").text == LOCK


def test_another_platform_is_another_question() -> None:
    asked = Asked(Agreement(["bookworm", "trixie"])).ask("bookworm", LOCK, given="3.11")
    asked.ask("trixie", given="3.13")
    assert asked.answer("trixie") == Packages(leads=True)


@pytest.mark.parametrize("how", ["error", "finished"])
def test_when_the_first_fails_the_next_one_tries(how: str) -> None:
    agreement = Agreement(["web1", "web2", "web3"])
    asked = Asked(agreement)
    for host in ("web1", "web2", "web3"):
        asked.ask(host)
    (leader,) = [host for host in ("web1", "web2", "web3") if not asked.waits(host)]
    if how == "error":
        agreement.left(leader)
    else:
        agreement.hear(leader, events.RunFinished("failed", 1.0, failed=1))
    left = {"web1", "web2", "web3"} - {leader}
    (second,) = [host for host in left if not asked.waits(host)]
    agreement.hear(second, events.PackagesLocked("g", LOCK))
    (third,) = left - {second}
    assert asked.answer(third) == Packages(second, LOCK)


@pytest.mark.parametrize(
    "event", [events.Waited({}, 0.0, 600.0), events.Attached({}), events.RunFinished("failed", 1.0)]
)
def test_nobody_waits_for_a_host_that_is_busy_or_out_of_it(event: events.Event) -> None:
    agreement = Agreement(["web1", "web2"])
    asked = Asked(agreement).ask("web1")
    assert asked.waits("web1")
    agreement.hear("web2", event)
    assert asked.answer("web1").leads


def test_nobody_waits_long_for_a_host_that_says_nothing() -> None:
    asked = Asked(Agreement(["web1", "web2"], grace=0.1)).ask("web1")
    assert asked.answer("web1").leads


class Shown:
    """Remembers what is shown."""

    def __init__(self) -> None:
        self.events: list[tuple[str, events.Event]] = []
        self.errors: list[str] = []

    def event(self, host: str, event: events.Event) -> None:
        self.events.append((host, event))

    def error(self, host: str, error: Exception) -> None:
        self.errors.append(host)


def test_what_is_for_the_other_hosts_is_not_shown() -> None:
    agreement, shown = Agreement(["web1", "web2"]), Shown()
    told: Output = Told(shown, agreement)  # type: ignore[arg-type]
    told.event("web1", ready(ONE, {"given": "g", "text": LOCK}))
    told.event("web1", events.PackagesLocked("g", LOCK))
    agreement.commit(ONE)
    told.event("web2", ready(TWO))
    assert shown.events == [("web1", ready(ONE))]
    assert Asked(agreement).ask("web2").answer("web2") == Packages("web1", LOCK)


def test_a_host_that_cannot_be_reached_is_no_reason_to_wait() -> None:
    agreement, shown = Agreement(["web1", "web2"]), Shown()
    told: Output = Told(shown, agreement)  # type: ignore[arg-type]
    asked = Asked(agreement).ask("web1")
    assert asked.waits("web1")
    told.error("web2", HostUnreachable("no answer", host="web2"))
    assert asked.answer("web1").leads
    assert shown.errors == ["web2"]


# -- what the agents are told ------------------------------------------------------------------------------------------


def answers(deploy: Deploy, host: str, event: events.SourceReady) -> dict[str, Any]:
    found = deploy.inventory.hosts[host]
    (frame,) = deploy.answer(found, event)
    message = wire.read_frame(iter_reader(frame))
    assert isinstance(message, dict)
    return message


@pytest.fixture
def deploy(tmp_path: Path) -> Deploy:
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    inventory = load(tmp_path / "inventory.yaml", {})
    found = Deploy(inventory, inventory.apps["hello"], None, allow_dirty=False, wait=1)
    found.agreement = Agreement(["web1", "web2"])
    return found


def test_a_host_that_fetched_another_commit_is_told_which(deploy: Deploy) -> None:
    first = answers(deploy, "web1", ready(TWO))
    assert answers(deploy, "web2", ready(ONE)) == {"commit": TWO}
    again = answers(deploy, "web2", ready(TWO))
    assert first["release"]["id"] == again["release"]["id"]
    assert first["release"]["id"].endswith("-2222222")


def test_a_lock_goes_only_to_who_does_not_have_it(deploy: Deploy) -> None:
    first = answers(deploy, "web1", ready(ONE, {"given": "g", "text": LOCK}))
    assert "lock" not in first
    assert not first["leads"]
    second = answers(deploy, "web2", ready(ONE, {"given": "g", "text": ""}))
    assert second["lock"] == {"host": "web1", "text": LOCK}


def test_one_host_is_not_asked_about_its_packages(deploy: Deploy) -> None:
    web1 = deploy.inventory.hosts["web1"]
    assert deploy.request_for(web1, None)["share"] is True  # type: ignore[arg-type]
    deploy.agreement = Agreement(["web1"])
    assert deploy.request_for(web1, None)["share"] is False  # type: ignore[arg-type]
    assert "leads" not in answers(deploy, "web1", ready(ONE))
