"""A run, its controller or its connection is cut at a step: it ends well by itself, or the next run puts it right."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import pytest

from hostwright.sandbox import Sandbox

from .crash import STEPS, goes_on_without, kill_controller, kill_worker, let_go, stopped_at, switched
from .lines import Lines
from .project import sh, until
from .tiny import Tiny


@pytest.fixture(scope="module")
def tiny(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiny]:
    """Two releases of an app, so that there is one to roll back to."""
    name = f"cut-{os.getpid()}"
    found = Tiny(tmp_path_factory.mktemp("cut"), sandbox.up(name, ephemeral=True, say=print)[0], sandbox)
    found.inv("provision")
    found.inv("deploy")
    found.change("second")
    found.inv("deploy")
    yield found
    sandbox.down(name)


# -- the worker ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS["deploy"])
def test_a_deploy_killed_after_a_step(tiny: Tiny, step: str) -> None:
    before, commit = tiny.live(), tiny.change(f"killed after {step}")
    with stopped_at(tiny, step, "deploy") as process:
        kill_worker(tiny)
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 1, said
    assert "ended without a last word" in said
    live = tiny.live()
    assert live.endswith(commit) if switched("deploy", step) else live == before
    tiny.inv("deploy")
    assert tiny.one_serves().endswith(commit)
    tiny.nothing_is_left()
    states = [row["state"] for row in tiny.releases()]
    assert states.count("previous") == 1, states


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS["rollback"])
def test_a_rollback_killed_after_a_step(tiny: Tiny, step: str) -> None:
    before = tiny.live()
    with stopped_at(tiny, step, "rollback"):
        kill_worker(tiny)
    assert (tiny.live() != before) == switched("rollback", step)
    commit = tiny.change(f"after the rollback killed after {step}")
    tiny.inv("deploy")
    assert tiny.one_serves().endswith(commit)


def test_a_rollback_after_a_killed_deploy_needs_no_deploy_between(tiny: Tiny) -> None:
    good = tiny.one_serves()
    tiny.change("to go back from")
    tiny.inv("deploy")
    tiny.change("killed while it starts")
    with stopped_at(tiny, "start", "deploy"):
        kill_worker(tiny)
    said = tiny.inv("rollback").out
    assert re.search(r"that an interrupted run left", said), said
    assert tiny.one_serves() == good


# -- the controller and the connection -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "step"), [("deploy", "tree"), ("deploy", "health"), ("rollback", "start")]
)
def test_a_run_goes_on_without_its_controller(tiny: Tiny, action: str, step: str) -> None:
    goes_on_without(tiny, "controller", action, step)


@pytest.mark.parametrize(
    ("action", "step"), [("deploy", "venv"), ("deploy", "switch"), ("rollback", "health")]
)
def test_a_run_goes_on_without_its_connection(tiny: Tiny, action: str, step: str) -> None:
    goes_on_without(tiny, "connection", action, step)


def test_the_same_command_again_shows_the_run_that_lost_its_controller(tiny: Tiny) -> None:
    """And does not do it twice."""
    commit = tiny.change("watched again")
    with stopped_at(tiny, "health", "deploy") as process:
        kill_controller(process)
        with tiny.started("deploy") as again:
            lines = Lines(again)
            until(lambda: lines.has("attach"), 20, "it shows that run")
            let_go(tiny)
            said = lines.end(60)
            assert again.wait(10) == 0, said
    assert tiny.one_serves().endswith(commit)
    assert [row["commit"][:7] for row in tiny.releases()].count(commit) == 1, said


def test_ctrl_c_before_the_switch(tiny: Tiny) -> None:
    """At a step's end, and in the middle of a release command."""
    before = tiny.one_serves()
    tiny.edit_inventory('release_command: "true"', "release_command: sleep 300")
    tiny.change("with a slow command")
    sleeping = "pgrep -x -u tiny sleep || true"
    with tiny.started("deploy") as process:
        until(lambda: sh(tiny.sandbox, tiny.server, sleeping), 60, "the release command runs")
        os.kill(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert sh(tiny.sandbox, tiny.server, sleeping) == ""
    assert tiny.live() == before
    tiny.edit_inventory("release_command: sleep 300", 'release_command: "true"')
    with stopped_at(tiny, "render", "deploy") as process:
        os.kill(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert tiny.one_serves() == before
    tiny.nothing_is_left()
