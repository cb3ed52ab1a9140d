"""Two at once on one server: they take turns, both end well, and no visitor notices."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator

import pytest

from hostwright.sandbox import Sandbox

from .crash import let_go, stopped_at
from .lines import Lines
from .load import Load
from .project import sh, until
from .tiny import Tiny


@pytest.fixture(scope="module")
def tiny(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiny]:
    """Two releases of an app, so that there is one to roll back to."""
    name = f"together-{os.getpid()}"
    server = sandbox.up(name, ephemeral=True, say=print)[0]
    found = Tiny(tmp_path_factory.mktemp("together"), server, sandbox)
    found.inv("provision")
    found.inv("deploy")
    found.change("second")
    found.inv("deploy")
    yield found
    sandbox.down(name)


def together(tiny: Tiny, first: str, step: str, second: str) -> None:
    """The second begins while the first is after a step; both must end well, and nobody is refused."""
    with Load(tiny.server.address) as load:
        with stopped_at(tiny, step, first) as process:
            takes_its_turn(tiny, process, Lines(process), second, lambda: let_go(tiny))
        tiny.one_serves()
    nothing_was_lost(load)


def takes_its_turn(
    tiny: Tiny,
    process: subprocess.Popen[str],
    said: Lines,
    second: str,
    go_on: Callable[[], object],
) -> None:
    """A second command says what it waits for; when the first may go on, both end well."""
    with tiny.started(second) as other:
        waiting = Lines(other)
        until(
            lambda: waiting.has("another run holds this server: .*by "), 30, "the second says that it waits"
        )
        go_on()
        assert process.wait(120) == 0, said.end(10)
        heard = waiting.end(120)
        assert other.wait(10) == 0, heard


def nothing_was_lost(load: Load) -> None:
    assert load.failures == []
    assert load.count > 50
    assert load.slow > 0


def test_two_deploys(tiny: Tiny) -> None:
    commit = tiny.change("deployed twice at once")
    together(tiny, "deploy", "tree", "deploy")
    assert tiny.live().endswith(commit)


def test_a_deploy_during_a_rollback(tiny: Tiny) -> None:
    commit = tiny.change("deployed during a rollback")
    together(tiny, "rollback", "start", "deploy")
    assert tiny.live().endswith(commit)


def test_a_rollback_during_a_deploy(tiny: Tiny) -> None:
    """It goes back from what the deploy made live."""
    before = tiny.one_serves()
    tiny.change("rolled back at once")
    together(tiny, "deploy", "health", "rollback")
    assert tiny.live() == before


HOLD_APT = """\
import fcntl, os, time
file = open("/var/lib/dpkg/lock-frontend", "w")
fcntl.lockf(file, fcntl.LOCK_EX)
open("/run/holds-apt", "w").write(str(os.getpid()))
time.sleep(300)
"""


@pytest.fixture
def apt_waits(tiny: Tiny) -> Iterator[Callable[[], object]]:
    """Somebody else uses apt until the function is called."""
    argv = ("setsid", "-f", "sh", "-c", 'exec python3 -c "$1" </dev/null >/dev/null 2>&1', "sh", HOLD_APT)
    tiny.sandbox.exec(tiny.server.name, argv)
    until(
        lambda: sh(tiny.sandbox, tiny.server, "cat /run/holds-apt 2>&1 || true").isdigit(),
        10,
        "apt is locked",
    )

    def end() -> None:
        sh(tiny.sandbox, tiny.server, "kill $(cat /run/holds-apt) 2>/dev/null || true")

    yield end
    end()


def test_a_deploy_during_a_provision(tiny: Tiny, apt_waits: Callable[[], object]) -> None:
    tiny.edit_inventory("web1: {", "web1: {packages: [tree], ")
    commit = tiny.change("deployed during a provision")
    with Load(tiny.server.address) as load:
        with tiny.started("provision") as process:
            lines = Lines(process)
            until(lambda: lines.has("waiting for apt"), 60, "provision waits for apt")
            takes_its_turn(tiny, process, lines, "deploy", apt_waits)
        tiny.one_serves()
    nothing_was_lost(load)
    assert tiny.live().endswith(commit)
    assert sh(tiny.sandbox, tiny.server, "command -v tree")
