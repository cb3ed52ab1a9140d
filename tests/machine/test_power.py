"""The power is cut after every step of a deploy and of a rollback: one release serves, without help."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from hostwright.sandbox import Sandbox

from .crash import STEPS, Boot, power_cut, stopped_at, switched
from .project import sh
from .tiny import Tiny


@pytest.fixture(scope="module")
def tiny(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiny]:
    """Two releases of an app, so that there is one to roll back to."""
    name = f"power-{os.getpid()}"
    found = Tiny(tmp_path_factory.mktemp("power"), sandbox.up(name, ephemeral=True, say=print)[0], sandbox)
    found.inv("provision")
    found.inv("deploy")
    found.change("second")
    found.inv("deploy")
    yield found
    sandbox.down(name)


def served_at_once(boot: Boot) -> None:
    """The first answer is a good one: what comes before the app is up waits in its socket."""
    print(f"answered {boot.seconds:+.2f} s after the login prompt")
    assert boot.statuses == [200]


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS["deploy"])
def test_power_cut_after_a_step_of_a_deploy(tiny: Tiny, step: str) -> None:
    before, commit = tiny.live(), tiny.change(f"power cut after {step}")
    with stopped_at(tiny, step, "deploy") as process:
        served_at_once(power_cut(tiny, process))
    live = tiny.one_serves()
    assert live.endswith(commit) if switched("deploy", step) else live == before
    tiny.inv("deploy")
    assert tiny.one_serves().endswith(commit)
    tiny.nothing_is_left()


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS["rollback"])
def test_power_cut_after_a_step_of_a_rollback(tiny: Tiny, step: str) -> None:
    before = tiny.live()
    with stopped_at(tiny, step, "rollback") as process:
        served_at_once(power_cut(tiny, process))
    assert (tiny.one_serves() != before) == switched("rollback", step)
    commit = tiny.change(f"after the rollback cut after {step}")
    tiny.inv("deploy")
    assert tiny.one_serves().endswith(commit)


@pytest.mark.slow
def test_power_cut_between_the_switch_and_its_line_in_the_log(tiny: Tiny) -> None:
    """The rename is the commit point; the log learns of it from the next run."""
    commit = tiny.change("switched and not written")
    with stopped_at(tiny, "switch", "deploy") as process:
        sh(tiny.sandbox, tiny.server, "sed -i '$d' /srv/tiny/releases.jsonl")
        served_at_once(power_cut(tiny, process))
    assert tiny.live().endswith(commit)
    tiny.change("the next one")
    assert "the log says so now" in tiny.inv("deploy").out
    tiny.one_serves()


@pytest.mark.slow
def test_who_watches_when_the_power_goes_is_told(tiny: Tiny) -> None:
    before = tiny.live()
    tiny.change("watched")
    with stopped_at(tiny, "health", "deploy") as process:
        power_cut(tiny)
        said, _ = process.communicate(timeout=90)
    assert process.returncode == 3, said
    assert "connection lost" in said
    assert tiny.one_serves() == before
