"""Maintenance on the server: one file that nginx looks at, and never a page that nobody would see."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hostwright.remote import events, maintenance
from hostwright.remote.release.layout import Layout
from hostwright.remote.release.status import app_status
from hostwright.remote.run import StepError
from hostwright.testing import FakeSystem

FLAG = "/etc/hostwright/maintenance/hello"
NOW = 1_800_000_000.0
SITE = "    if (-f /etc/hostwright/maintenance/hello) { return 503; }\n"
HERE = {
    "/etc/systemd/system/hello@.service": "",
    "/etc/hostwright": None,
    "/etc/nginx/sites-enabled/hostwright-hello.conf": "server { include hostwright/hello/app.conf; }\n",
    "/etc/nginx/hostwright/hello/app.conf": SITE,
}


class Heard:
    """The controller's end."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] = []

    def emit(self, event: events.Event) -> None:
        assert isinstance(event, events.Answered)
        self.answers.append(dict(event.data))


def switch(system: FakeSystem, on: bool, by: str = "ann@laptop") -> dict[str, Any]:
    heard = Heard()
    finished = maintenance.query({"app": "hello", "on": on, "by": by}, system, heard)  # type: ignore[arg-type]
    assert finished.outcome == "done"
    (answer,) = heard.answers
    assert finished.changed == answer["changed"]
    return answer


def test_on_and_off_and_each_a_second_time() -> None:
    system = FakeSystem(HERE, now=NOW)
    on = {"app": "hello", "on": True, "changed": True, "since": NOW, "by": "ann@laptop"}
    assert switch(system, True) == on
    node = system.nodes[FLAG]
    assert (node["mode"], node["uid"], node["gid"]) == (0o644, 0, 0)
    assert system.nodes["/etc/hostwright/maintenance"]["mode"] == 0o755
    system.sleep(60)
    assert switch(system, True, "bob@ci") == {**on, "changed": False}, "it tells who was first"
    assert switch(system, False) == {**on, "on": False}
    assert FLAG not in system.nodes
    assert switch(system, False) == {"app": "hello", "on": False, "changed": False, "since": None, "by": ""}
    assert system.ran == [], "nothing is started, nothing reloaded"


@pytest.mark.parametrize("content", ["", "broken {", "[]", '{"since": "soon", "by": 1}'])
def test_a_file_made_by_hand_counts(content: str) -> None:
    system = FakeSystem({**HERE, FLAG: {"content": content, "mtime": 5.0}}, now=NOW)
    assert switch(system, True) == {"app": "hello", "on": True, "changed": False, "since": 5.0, "by": ""}
    assert switch(system, False)["changed"]


def test_a_folder_that_nginx_cannot_look_into_is_opened() -> None:
    system = FakeSystem({**HERE, "/etc/hostwright/maintenance": {"dir": True, "mode": 0o700}})
    switch(system, True)
    assert system.nodes["/etc/hostwright/maintenance"]["mode"] == 0o755


def test_an_app_that_is_not_here() -> None:
    system = FakeSystem({"/etc/hostwright": None})
    with pytest.raises(StepError) as caught:
        switch(system, True)
    assert str(caught.value) == "the app hello is not on this server; nothing was changed"
    assert caught.value.hint == "`inv provision` puts it there."
    assert not switch(system, False)["changed"]


@pytest.mark.parametrize(
    "site", ["", "# " + SITE, SITE.replace("hello", "hello-2"), SITE.replace("hello", "hello2")]
)
def test_a_site_that_does_not_look_is_refused(site: str) -> None:
    system = FakeSystem({**HERE, "/etc/nginx/hostwright/hello/app.conf": site})
    with pytest.raises(StepError) as caught:
        switch(system, True)
    assert str(caught.value) == f"nginx does not look at {FLAG} here; nothing was changed"
    assert "`inv provision` writes what is needed" in caught.value.hint
    assert FLAG not in system.nodes


def test_a_template_of_ones_own_may_look_from_anywhere_in_the_site() -> None:
    files = {**HERE, "/etc/nginx/hostwright/hello/app.conf": ""}
    files["/etc/nginx/sites-enabled/hostwright-hello.tls.conf"] = SITE
    assert switch(FakeSystem(files), True)["changed"]


def test_not_the_name_of_an_app() -> None:
    with pytest.raises(ValueError, match="not the name of an app"):
        maintenance.query({"app": "../x", "on": True, "by": ""}, FakeSystem(), Heard())  # type: ignore[arg-type]


def test_status_tells_it() -> None:
    system = FakeSystem({**HERE, FLAG: json.dumps({"since": 7.0, "by": "ann@laptop"})})
    assert app_status(system, Layout("hello"))["maintenance"] == {"since": 7.0, "by": "ann@laptop"}
    switch(system, False)
    assert app_status(system, Layout("hello"))["maintenance"] is None
