"""What a run survives: a killed controller, Ctrl-C, a session that logind ends, a held lock, another run."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from hostwright.sandbox import Sandbox

from .conftest import FreshServer
from .lines import Lines
from .project import Project, sh, until


@pytest.mark.parametrize("kill_user_processes", [False, True])
def test_controller_killed_in_the_middle_of_apt(
    tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer, kill_user_processes: bool
) -> None:
    server = fresh_server("killed")
    if kill_user_processes:
        sh(
            sandbox,
            server,
            "mkdir -p /etc/systemd/logind.conf.d; printf '[Login]\\nKillUserProcesses=yes\\n' > "
            "/etc/systemd/logind.conf.d/kill.conf; systemctl restart systemd-logind",
        )
    shop = Project(tmp_path, server)
    running = lambda: sh(sandbox, server, "pgrep -x dpkg || pgrep -x apt-get || true")  # noqa: E731
    with shop.started("provision") as process:
        until(running, 60, "apt runs")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert running(), "apt goes on without its controller"
    again = shop.inv("provision")
    assert re.search(r"attach|replay|goes on", again.out, re.IGNORECASE), again
    assert re.search(r"0 failed", again.out) or "failed" not in again.out
    assert re.search(r"0 changed", shop.inv("provision").out)


def test_ctrl_c_stops_at_a_safe_point_and_the_next_run_completes(
    tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer
) -> None:
    server = fresh_server("ctrlc")
    shop = Project(tmp_path, server)
    with shop.started("provision") as process:
        lines = Lines(process)
        until(lambda: sh(sandbox, server, "pgrep -x dpkg || pgrep -x apt-get || true"), 60, "apt runs")
        os.kill(process.pid, signal.SIGINT)
        said = lines.end(120)
        code = process.wait(10)
    assert code == 130, said
    assert "safe point" in said
    assert re.search(r"skipped", said), said
    sh(sandbox, server, 'test -z "$(dpkg --audit)"')
    shop.inv("provision")
    assert re.search(r"0 changed", shop.inv("provision").out)


def test_two_runs_at_once_and_a_held_apt_lock(
    tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer
) -> None:
    server = fresh_server("two")
    shop = Project(tmp_path, server)
    hold = "import fcntl,time; f=open('/var/lib/dpkg/lock-frontend','w'); fcntl.lockf(f, fcntl.LOCK_EX); time.sleep(12)"
    sh(sandbox, server, f'mkdir -p /var/lib/dpkg; setsid -f python3 -c "{hold}" >/dev/null 2>&1')
    with shop.started("provision") as process:
        lines = Lines(process)
        until(lambda: lines.has(r"waiting for apt"), 30, "the first run says what it waits for")
        assert lines.has(r"python3")
        second = shop.inv("provision", "--wait", "1", code=5)
        assert "another run holds this server" in second.out
        assert re.search(r"by \S+@\S+", second.out), second
        said = lines.end(200)
        assert process.wait(10) == 0, said
    assert re.search(r"0 changed", shop.inv("provision").out)
