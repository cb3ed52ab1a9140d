"""What the loop does for resources that need reloads first, or that nothing else depends on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from hostwright.remote import events
from hostwright.remote.ahead import Ahead
from hostwright.remote.catalog import Catalog, Handler
from hostwright.remote.converge import Converge
from hostwright.remote.records import Records
from hostwright.remote.resources.base import Change, Context, Failed, Resource
from hostwright.remote.resources.file import File
from hostwright.remote.resources.unit import Unit
from hostwright.remote.run import Run
from hostwright.remote.system import System
from hostwright.testing import FakeSystem

if TYPE_CHECKING:
    from hostwright.remote.resources.base import State

RELOAD = Handler(name="reload web", argv=("reload",), validate=("check",))


class Asked(Resource):
    """Needs what the reload puts into use."""

    kind = "asked"
    settles = True
    isolated = True

    def __init__(self, *, name: str, fails: bool = False, notify: Sequence[str] = ()) -> None:
        super().__init__(name=name, notify=notify)
        self.fails = fails

    def desired(self, system: System) -> State:
        return {"there": True}

    def read(self, system: System) -> State:
        return {"there": system.exists(f"/etc/{self.name}")}

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        system.run(("ask", self.name), timeout=1)
        if self.fails:
            raise Failed("refused", "Ask again.")
        system.write_atomic(f"/etc/{self.name}", b"", mode=0o644)

    def pretend(self, system: System) -> None:
        system.run(("pretend", self.name), timeout=1)


def converge(system: FakeSystem, *resources: Resource, apply: bool = True) -> list[events.Event]:
    heard: list[events.Event] = []
    records = Records(system, "/var/lib/hostwright", "p")
    catalog = Catalog(resources, [RELOAD])
    finished = Converge(catalog, system, records, Run(heard.append, lambda: False), apply=apply).converge()
    return [*heard, finished]


def site(name: str) -> File:
    return File(name=f"/etc/{name}", content="x", notify=(RELOAD.name,))


def system(**commands: object) -> FakeSystem:
    return FakeSystem(commands={"reload": "", "check": "", "ask ...": "", "pretend ...": "", **commands})


def test_due_reloads_come_before_it_and_its_own_after_it() -> None:
    server = system()
    converge(server, site("site"), Asked(name="certificate", notify=(RELOAD.name,)))
    assert server.ran == [("check",), ("reload",), ("ask", "certificate"), ("check",), ("reload",)]


def test_nothing_is_reloaded_for_one_that_is_as_it_should_be() -> None:
    server = system()
    server.put("/etc/certificate", "")
    converge(server, site("site"), Asked(name="certificate"), site("other"))
    assert server.ran == [("check",), ("reload",)], "once, at the end"


def test_its_failure_stops_nothing_else() -> None:
    server = system()
    heard = converge(server, site("site"), Asked(name="one", fails=True), Asked(name="two"), site("other"))
    failed = [event for event in heard if isinstance(event, events.ResourceFailed)]
    assert [(event.title, event.message, event.hint) for event in failed] == [
        ("asked one", "refused", "Ask again.")
    ]
    finished = heard[-1]
    assert isinstance(finished, events.RunFinished)
    assert (finished.outcome, finished.changed, finished.failed, finished.skipped) == ("failed", 3, 1, 0)
    assert server.exists("/etc/two")
    assert server.exists("/etc/other")


def test_a_reload_that_fails_is_its_failure_and_stays_due() -> None:
    server = system(check=[{"exit": 1, "err": "emerg"}, {"exit": 1, "err": "emerg"}])
    heard = converge(server, site("site"), Asked(name="certificate"))
    failed = [event for event in heard if isinstance(event, events.ResourceFailed)]
    assert [event.message for event in failed] == ["reload web first: exit code 1", "exit code 1"]
    assert ("ask", "certificate") not in server.ran
    assert Records(server, "/var/lib/hostwright", "p").pending() != []


def test_a_check_pretends_and_asks_nobody() -> None:
    server = system()
    converge(server, site("site"), Asked(name="certificate"), apply=False)
    assert server.ran == [("pretend", "certificate")]


def test_what_left_the_catalog_of_an_app_that_failed_stays_until_it_does_not() -> None:
    """Its old certificate may be what still serves."""

    def old(app: str) -> File:
        return File(name=f"/etc/{app}/fullchain.pem", content="x", app=app)

    server = system()
    converge(server, old("shop"), old("blog"))
    failing = Asked(name="certificate", fails=True)
    failing.app = "shop"
    others = [File(name=f"/etc/{app}/else", content="x", app=app) for app in ("shop", "blog")]
    converge(server, failing, *others)
    assert server.exists("/etc/shop/fullchain.pem")
    assert not server.exists("/etc/blog/fullchain.pem")
    failing.fails = False
    converge(server, failing, *others)
    assert not server.exists("/etc/shop/fullchain.pem")


class Early(Asked):
    """Takes long, and needs nothing of what comes before it."""

    kind = "early"
    settles = False
    early = True

    def ahead(self, system: System) -> None:
        if self.fails:
            raise OSError("no room")
        system.write_atomic(f"/etc/{self.name}.new", b"", mode=0o600)

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        begun = system.exists(f"/etc/{self.name}.new")
        system.write_atomic(f"/etc/{self.name}", b"begun" if begun else b"late", mode=0o644)


class Waits(Asked):
    """Goes on when the early one has begun."""

    kind = "waits"
    settles = False

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        end = time.monotonic() + 10
        while not system.exists("/etc/key.new") and time.monotonic() < end:
            time.sleep(0.001)
        assert system.exists("/etc/key.new"), "it began only when it was its turn"
        assert not system.exists("/etc/key"), "it changed something before it was its turn"
        system.write_atomic(f"/etc/{self.name}", b"", mode=0o644)


def test_what_takes_long_begins_before_what_comes_before_it() -> None:
    server = system()
    converge(server, Waits(name="packages"), Early(name="key"))
    assert server.read("/etc/key") == b"begun"


def test_what_failed_ahead_is_done_when_it_is_its_turn() -> None:
    server = system()
    converge(server, Early(name="key", fails=True))
    assert server.read("/etc/key") == b"late"


def test_nothing_begins_in_a_check_or_without_a_difference() -> None:
    server = system()
    converge(server, Early(name="key"), apply=False)
    server.put("/etc/other", "")
    converge(server, Early(name="other"))
    assert not server.exists("/etc/key.new")
    assert not server.exists("/etc/other.new")


def test_the_thread_has_a_system_of_its_own() -> None:
    """Of one for both, each would close what the other has open: the question that systemd is asked."""
    given: list[System] = []

    class Notes(Early):
        kind = "notes"

        def read(self, system: System) -> State:
            return {"there": False}

        def ahead(self, system: System) -> None:
            given.append(system)

    real, resource = System(), Notes(name="key")
    Ahead([resource], real).wait(resource)
    assert len(given) == 1
    assert given[0] is not real


def test_a_look_reads_what_is_not_systemds_first(monkeypatch: pytest.MonkeyPatch) -> None:
    system = FakeSystem()
    system.write_atomic("/etc/there", b"", mode=0o644)
    system.units["web.service"] = {**system.UNIT, "Id": "web.service", "ActiveState": "active"}
    order: list[str] = []
    unit, exists = system.unit, system.exists
    monkeypatch.setattr(system, "unit", lambda name: order.append(name) or unit(name))
    monkeypatch.setattr(system, "exists", lambda path: order.append(path) or exists(path))
    heard = converge(system, Unit(name="web.service", running=True), Asked(name="there"), apply=False)
    assert [event.id for event in heard if isinstance(event, events.ResourceUnchanged)] == [
        "unit:web.service",
        "asked:there",
    ]
    assert order == ["/etc/there", "web.service"]


def test_what_was_seen_does_not_count_once_something_pretends() -> None:
    """The file is as it should be, until the unit before it pretends to be stopped and takes it along."""

    class Taking(Unit):
        def pretend(self, system: System) -> None:
            system.unlink("/etc/there")

    system = FakeSystem(commands={"pretend there": ""})
    system.write_atomic("/etc/there", b"", mode=0o644)
    system.units["web.service"] = {**system.UNIT, "Id": "web.service", "ActiveState": "active"}
    heard = converge(system, Taking(name="web.service", running=False), Asked(name="there"), apply=False)
    changed = [event.id for event in heard if isinstance(event, events.ResourceChanged)]
    assert changed == ["unit:web.service", "asked:there"]


def test_what_cannot_be_read_is_told_in_its_turn() -> None:
    class Broken(Asked):
        def read(self, system: System) -> State:
            raise Failed("unreadable", "Look.")

    system = FakeSystem()
    system.units["web.service"] = {**system.UNIT, "Id": "web.service", "ActiveState": "active"}
    heard = converge(system, Unit(name="web.service", running=True), Broken(name="x"), apply=False)
    kinds = [type(event) for event in heard]
    assert kinds.index(events.ResourceUnchanged) < kinds.index(events.ResourceFailed)
    assert kinds.count(events.ResourceFailed) == 1
