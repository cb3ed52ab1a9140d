"""What the SSH channel runs: answer a query, find nothing to do, or start a worker and show what it does.

It may be cut at any moment: the worker does not notice, and the next session attaches to it.
"""

from __future__ import annotations

import os
import select
import time

from . import actions, asked, events, lock, wire
from .conversation import Conversation, Gone
from .records import Conflict
from .resources.base import Failed
from .run import StepError, explain
from .system import CommandFailed, RunCancelled, System
from .worker import launch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping, Optional

    from .paths import Paths

POLL = 0.02
# the controller says it is there every 5 s; a black hole on the way must not keep us for ever
SILENCE = 60.0
# how long a worker may take to write its first event
FIRST_EVENT = 60.0


class Session:
    """One request of one controller."""

    def __init__(self, conversation: Conversation, paths: Paths) -> None:
        self.conversation = conversation
        self.paths = paths
        self.heard = time.monotonic()
        # the run that was attached to is what was asked for: its last word was the answer
        self.answered = False

    def serve(self, request: dict[str, Any]) -> None:
        """Answer the request; whatever goes wrong ends as a RunFinished.

        Raises:
            Gone: the controller is gone.
        """
        start = time.monotonic()
        try:
            finished = self._serve(request)
        except RunCancelled:
            finished = events.RunFinished("cancelled", 0.0, message="stopped; nothing was changed")
        except StepError as error:
            self.conversation.emit(
                events.StepFailed(
                    "prepare", error.message, time.monotonic() - start, tail=error.tail, hint=error.hint
                )
            )
            finished = events.RunFinished("failed", 0.0, failed=1, message=error.message)
        except (Conflict, Failed) as error:
            self.conversation.emit(events.Noticed(error.message, error.hint))
            finished = events.RunFinished("failed", 0.0, failed=1, message=error.message)
        except CommandFailed as error:
            self.conversation.emit(
                events.StepFailed(
                    "prepare", error.reason, time.monotonic() - start, error.argv, error.exit_code, error.tail
                )
            )
            finished = events.RunFinished("failed", 0.0, failed=1, message=str(error))
        except (OSError, ValueError, wire.WireError) as error:
            finished = events.RunFinished("failed", 0.0, failed=1, message=explain(error))
        except Gone:
            raise
        except Exception as error:
            import traceback

            traceback.print_exc()  # stderr: shown by the controller with --debug
            finished = events.RunFinished(
                "failed", 0.0, failed=1, message="a bug in the agent: " + explain(error)
            )
        if finished is not None:
            finished.seconds = finished.seconds or time.monotonic() - start
            self.conversation.emit(finished)

    def _serve(self, request: dict[str, Any]) -> Optional[events.RunFinished]:
        """Returns the last event, or None when it was sent already (it came out of a journal)."""
        module = actions.load(request["action"])
        system = System()
        request["paths"] = vars(self.paths)
        if hasattr(module, "query"):
            answer: events.RunFinished = module.query(request, system, self.conversation)
            return answer
        busy = self._wait_for_host(request)
        if busy or self.answered:
            return busy
        if hasattr(module, "plan"):
            finished: Optional[events.RunFinished] = module.plan(request, system, self.conversation.emit)
            if finished is not None:
                return finished
        if hasattr(module, "prepare"):
            request = module.prepare(request, system, self.conversation)
        self.paths.make()
        launch(self.paths, {key: value for key, value in request.items() if key != "paths"}, system)
        return self.view(request["run"], "this run")

    # -- another run holds the host ------------------------------------------------------------------------

    def _wait_for_host(self, request: Mapping[str, Any]) -> Optional[events.RunFinished]:
        """Attach to a run that lost its viewer; wait for one that has one."""
        limit, start, told = float(request["wait"]), time.monotonic(), -10.0
        while True:
            holder = lock.holder(self.paths)
            if holder is None:
                return None
            run = holder.get("run", "")
            # when that run has ended, whoever holds the lock by now has not written its own name yet
            alive = run and lock.held(self.paths.alive(run), shared=True)
            if alive and request.get("attach", True) and not lock.held(self.paths.viewer(run)):
                digest = request.get("digest", "")
                self.answered = bool(digest) and digest == lock.asked(self.paths)
                self.conversation.emit(events.Attached(holder, self.answered))
                lost = self.view(run, "that run")
                if self.answered:
                    return lost
                if lost:
                    self.conversation.emit(lost)
                continue
            waited = time.monotonic() - start
            if waited > limit:
                self.conversation.emit(events.Waited(holder, waited, limit))
                return events.RunFinished("busy", waited, message="another run holds this server")
            if waited - told >= 5:
                told = waited
                self.conversation.emit(events.Waited(holder, waited, limit))
            if self._control(lambda: None) in ("cancel", "detach"):
                raise RunCancelled("stopped by the user")
            time.sleep(POLL)

    # -- showing a run -------------------------------------------------------------------------------------

    def view(self, run: str, what: str) -> Optional[events.RunFinished]:
        """Send the journal of a run until its end; None when the journal had one."""
        watching = lock.hold(self.paths.viewer(run), exclusive=False)
        try:
            return self._follow(run, what)
        finally:
            if watching is not None:
                os.close(watching)

    def _follow(self, run: str, what: str) -> Optional[events.RunFinished]:
        start, handle, rest = time.monotonic(), -1, b""
        try:
            while True:
                # asked before reading: what the worker wrote last is read in this round
                alive = lock.held(self.paths.alive(run), shared=True)
                if handle < 0:
                    handle = self._open(run)
                lines, rest = wire.split_lines(rest + self._read(handle))
                for line in lines:
                    self.conversation.send_line(line + b"\n")
                    if b'"event":"run_finished"' in line:
                        return None
                if not alive and (handle >= 0 or time.monotonic() - start > FIRST_EVENT):
                    message = "%s ended without a last word (run %s): see journalctl -u hostwright-run-%s" % (
                        what,
                        run,
                        run,
                    )
                    return events.RunFinished("lost", 0.0, failed=1, message=message)
                if self._control(lambda: self._cancel(run), run) == "detach":
                    return events.RunFinished("detached", 0.0, message="run %s goes on at the server" % run)
        finally:
            if handle >= 0:
                os.close(handle)

    def _open(self, run: str) -> int:
        try:
            return os.open(self.paths.journal(run), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return -1

    def _read(self, handle: int) -> bytes:
        return os.read(handle, 1 << 20) if handle >= 0 else b""

    def _cancel(self, run: str) -> None:
        os.close(os.open(self.paths.cancel(run), os.O_WRONLY | os.O_CREAT, 0o600))

    def _control(self, cancel: Callable[[], None], run: str = "") -> str:
        """Look for a word of the controller for a moment; returns it ("ping", "cancel", "detach"), or nothing.

        An answer to a question of the `run` that is shown is laid down for it.

        Raises:
            Gone: it is gone.
        """
        ready, _, _ = select.select([self.conversation.source], [], [], POLL)
        if not ready:
            if time.monotonic() - self.heard > SILENCE:
                raise Gone("nothing heard from the controller")
            return ""
        frame = wire.read_frame(lambda size: os.read(self.conversation.source, size))
        self.heard = time.monotonic()
        if frame is None:
            raise Gone("the controller is gone")
        word = frame.get("control", "") if isinstance(frame, dict) else ""
        if word == "cancel":
            cancel()
        elif word == "answer" and run and isinstance(frame, dict):
            asked.keep(self.paths, run, frame)
        return str(word)
