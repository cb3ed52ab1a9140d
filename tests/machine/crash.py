"""Runs that are stopped at a step and cut there: their worker, their controller, their connection, the power."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from hostwright.remote.release import deploy, rollback

from .project import sh, until
from .tiny import Tiny

STEPS = {"deploy": deploy.STEPS, "rollback": rollback.STEPS}
RUNTIME = "/run/hostwright"
# within this a machine that has booted serves again; it is a second or two on one that is not busy
SOON = 20.0


def switched(action: str, step: str) -> bool:
    """Is the new release live once this step is over?"""
    steps = STEPS[action]
    return steps.index(step) >= steps.index("switch")


@contextmanager
def stopped_at(tiny: Tiny, point: str, *argv: str) -> Iterator[subprocess.Popen[str]]:
    """A command whose run stays at a point while the block runs; goes on after it, without the command.

    Args:
        point: a step that was finished, or "begin:STEP".
    """
    sh(tiny.sandbox, tiny.server, f"install -d -m 700 {RUNTIME}; echo {point} > {RUNTIME}/hold")
    with tiny.started(*argv) as process:
        try:
            _wait_until_held(tiny, point, process)
            yield process
        finally:
            if tiny.sandbox.get(tiny.server.name).running:
                let_go(tiny)


def _wait_until_held(tiny: Tiny, point: str, process: subprocess.Popen[str]) -> None:
    script = f'for _ in $(seq 50); do [ "$(cat {RUNTIME}/held 2>&1)" = {point} ] && exit; sleep 0.02; done; echo no'
    end = time.monotonic() + (600 if tiny.server.vm else 60)
    while sh(tiny.sandbox, tiny.server, script):
        assert process.poll() is None, f"ended before {point}: {process.communicate()[0]}"
        assert time.monotonic() < end, f"not at {point} in time"


def let_go(tiny: Tiny) -> None:
    """The run that stays at a point goes on."""
    sh(tiny.sandbox, tiny.server, f"rm -f {RUNTIME}/hold")


# -- what is cut ---------------------------------------------------------------------------------------------


def kill_worker(tiny: Tiny) -> None:
    """The run on the server, as it stands."""
    sh(tiny.sandbox, tiny.server, "systemctl kill --signal=KILL 'hostwright-run-*.service'")
    runs_end(tiny)


def kill_controller(process: subprocess.Popen[str]) -> None:
    """The command the user typed."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def cut_connection(tiny: Tiny) -> None:
    """Every ssh session of the server."""
    script = "pids=$(pgrep -f '^sshd(-session)?: (ubuntu|root)'); test -n \"$pids\"; kill -KILL $pids"
    sh(tiny.sandbox, tiny.server, script)


def runs_end(tiny: Tiny, seconds: float = 60) -> None:
    """Nothing of ours runs on the server any more."""
    running = "systemctl list-units --plain --no-legend 'hostwright-run-*.service'"
    until(lambda: not sh(tiny.sandbox, tiny.server, running), seconds, "the run ends")


def goes_on_without(tiny: Tiny, what: str, action: str, step: str) -> None:
    """A run that loses its controller or its connection after a step comes to its end, and the next one is well.

    Args:
        what: "controller" or "connection".
        action: "deploy" or "rollback".
    """
    before, commit = tiny.one_serves(), tiny.change(f"no {what} at {action} {step}")
    with stopped_at(tiny, step, action) as process:
        if what == "controller":
            kill_controller(process)
        else:
            cut_connection(tiny)
            said, _ = process.communicate(timeout=60)
            assert process.returncode == 3, said
            assert "; what was started goes on at the server" in said
    runs_end(tiny)
    live = tiny.one_serves()
    assert live.endswith(commit) if action == "deploy" else live != before
    tiny.inv("deploy")
    assert tiny.one_serves().endswith(commit)


class Boot:
    """The power comes back: what the site answers from the first moment on, and how long that took.

    Attributes:
        statuses: of all answers until the first 200; nobody listening is none.
        seconds: from the time logins work to the first 200; negative when it answered earlier.
    """

    def __init__(self, tiny: Tiny) -> None:
        self.statuses: list[int] = []
        self._url = f"http://{tiny.server.address}/version"
        self._stop = threading.Event()
        self._first = 0.0
        asking = threading.Thread(target=self._ask)
        asking.start()
        try:
            tiny.sandbox.start(tiny.server.name)
            booted = time.monotonic()
            asking.join(SOON)
        finally:
            self._stop.set()
        asking.join()
        assert self._first, f"no answer {SOON} s after the boot: {self.statuses[-5:]}"
        self.seconds = self._first - booted

    def _ask(self) -> None:
        while not self._stop.is_set():
            try:
                with urllib.request.urlopen(self._url, timeout=SOON) as answer:
                    self.statuses.append(answer.status)
                    self._first = time.monotonic()
                    return
            except urllib.error.HTTPError as error:
                self.statuses.append(error.code)
            except OSError:
                pass
            time.sleep(0.02)


def power_cut(tiny: Tiny, process: subprocess.Popen[str] | None = None) -> Boot:
    """Cut the power (and the command that was running), then boot."""
    tiny.sandbox.crash(tiny.server.name)
    if process is not None:
        kill_controller(process)
    return Boot(tiny)
