"""The worker: does the run in a systemd unit of its own, so that no connection, logout or Ctrl-C can cut it.

A plain double fork would stay in the login session's scope and die with KillUserProcesses=yes
(logind.conf(5)); a transient unit does not.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

from . import actions, events, journal, lock
from .asked import Asking
from .records import Conflict
from .resources.base import Failed
from .run import Run, StepError, explain
from .system import CommandFailed, RunCancelled, System

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping

    from .paths import Paths

LAUNCH = "import sys; sys.path.insert(0, sys.argv[1]); from agent.worker import main; main(*sys.argv[2:])"

HOLD_POLL = 0.02


def launch(paths: Paths, request: Mapping[str, Any], system: System) -> None:
    """Start the worker of a request and return when it has been started.

    Raises:
        CommandFailed: systemd refused.
    """
    run = request["run"]
    handle = os.open(paths.request(run), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(request, file)
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    argv = (sys.executable, "-I", "-S", "-B", "-c", LAUNCH, home, paths.state, paths.runtime, run)
    if request.get("inline") or not os.path.isdir("/run/systemd/system"):
        _fork(paths, run)
        return
    unit = "hostwright-run-%s.service" % run
    properties = ("KillMode=mixed", "TimeoutStopSec=600", "SendSIGHUP=no", "OOMScoreAdjust=-500")
    options = [part for prop in properties for part in ("-p", prop)]
    what = "hostwright %s for %s" % (request["action"], request["by"])
    try:
        system.run(
            (
                "systemd-run",
                "--quiet",
                "--collect",
                "--unit",
                unit,
                "--description",
                what,
                *options,
                "--",
                *argv,
            ),
            timeout=60,
        )
    except CommandFailed:
        os.unlink(paths.request(run))  # it holds secrets, and nobody will read it
        raise


def _fork(paths: Paths, run: str) -> None:
    """Without systemd (the local transport of tests): a process of its own that outlives its parent."""
    if os.fork():
        os.wait()
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.closerange(3, 1024)  # the viewer's channel is not ours
    try:
        main(paths.state, paths.runtime, run)
    finally:
        os._exit(0)


def main(state: str, runtime: str, run_id: str) -> None:
    """The worker process."""
    from .paths import Paths

    os.umask(0o022)
    paths = Paths(state, runtime)
    paths.make()
    alive = lock.hold(paths.alive(run_id))
    while alive is None:  # a viewer looks at this very moment
        time.sleep(0.001)
        alive = lock.hold(paths.alive(run_id))
    with open(paths.request(run_id), "rb") as file:
        request = json.load(file)
    os.unlink(paths.request(run_id))
    stop = [False]

    def ask_to_stop(*_: object) -> None:
        stop[0] = True

    signal.signal(signal.SIGTERM, ask_to_stop)
    for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    cancel = paths.cancel(run_id)
    book = journal.Journal(paths, run_id, request.get("secrets", ()))

    def cancelled() -> bool:
        return stop[0] or os.path.exists(cancel)

    asking = Asking(
        lambda question: paths.answer(run_id, question), lambda: lock.held(paths.viewer(run_id)), cancelled
    )
    run = Run(book.emit, cancelled, lambda point: hold(paths, point, cancelled), asking)
    try:
        finished = _locked(paths, request, run)
    except BaseException as error:
        finished = events.RunFinished("failed", run.seconds, failed=1, message=explain(error))
    run.emit(finished)
    journal.prune(paths)
    os.close(alive)


def hold(paths: Paths, point: str, cancelled: Callable[[], bool]) -> None:
    """Stay at a point of a run as long as root's /run/hostwright/hold names it; `held` beside it says so.

    How tests stop a run where they want to cut it. Cancelling lets go.
    """
    asked, told = os.path.join(paths.runtime, "hold"), os.path.join(paths.runtime, "held")
    if not os.path.exists(asked):
        return
    while _read(asked) == point and not cancelled():
        if _read(told) != point:
            with open(told, "w", encoding="utf-8") as file:
                file.write(point)
        time.sleep(HOLD_POLL)
    if os.path.exists(told):
        os.unlink(told)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def _locked(paths: Paths, request: Mapping[str, Any], run: Run) -> events.RunFinished:
    me = {key: request[key] for key in ("run", "action", "project", "by", "began", "what")}
    me["digest"] = request.get("digest", "")

    def waiting(seconds: float) -> None:
        run.safe_point()
        if int(seconds * 10) % 20 == 0:
            run.emit(events.Waited(lock.holder(paths) or {}, seconds, request["wait"]))

    run.emit(
        events.RunStarted(
            request["run"],
            request["action"],
            request["project"],
            request["by"],
            request["began"],
            True,
            request["total"],
        )
    )
    try:
        handle = lock.take(paths, me, request["wait"], waiting)
    except RunCancelled:
        return events.RunFinished(
            "cancelled", run.seconds, message="stopped while waiting; nothing was changed"
        )
    if handle is None:
        return events.RunFinished("busy", run.seconds, message="another run holds this server")
    try:
        return attempt(request, run, paths)
    finally:
        os.close(handle)


def attempt(request: Mapping[str, Any], run: Run, paths: Paths) -> events.RunFinished:
    """The job of a request; every way it can end is a RunFinished."""
    system = System()
    system.cancelled = run.cancelled
    try:
        finished: events.RunFinished = actions.load(request["action"]).job(
            {**request, "paths": vars(paths)}, system, run
        )
    except RunCancelled as error:
        finished = events.RunFinished("cancelled", run.seconds, message=str(error))
    except StepError as error:
        finished = events.RunFinished(
            "refused" if error.refused else "failed", run.seconds, failed=1, message=error.message
        )
    except (Conflict, Failed) as error:
        run.emit(events.Noticed(error.message, error.hint))
        finished = events.RunFinished("failed", run.seconds, failed=1, message=error.message)
    except (CommandFailed, OSError) as error:
        finished = events.RunFinished("failed", run.seconds, failed=1, message=explain(error))
    finished.seconds = run.seconds
    return finished
