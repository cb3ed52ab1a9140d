"""The part of a deploy and of a rollback that counts: start, prove, switch, drain, clean up. All or nothing.

The rename of `current` is the only commit point. Whatever goes wrong before it leaves the old release as it
was; what goes wrong after it is told, and done again by the next run.
"""

from __future__ import annotations

from .. import events
from ..run import StepError, explain
from ..system import CommandFailed, RunCancelled
from .gate import Gate
from .heal import heal
from .instance import Instances
from .layout import Layout
from .prune import prune
from .record import Log, Shelf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping

    from ..run import Run
    from ..system import System

# how long the last quick requests to the old release may take to be seen by it; older ones end in its own time
DRAIN, LOOK = 1.0, 0.005


class Transaction:
    """One deploy or rollback of one app on this host.

    Args:
        request: `app`, `by`, `keep_releases`.
        action: "deploy" or "rollback", for the log.
    """

    def __init__(self, request: Mapping[str, Any], system: System, run: Run, action: str) -> None:
        self.request = request
        self.system = system
        self.run = run
        self.action = action
        self.layout = Layout(request["app"])
        self.shelf = Shelf(system, self.layout)
        self.log = Log(system, self.layout)
        self.instances = Instances(system, self.layout)
        self.before = ""
        self.release = ""
        # the release was made by this run: nobody misses it when it fails
        self.made = False
        self._started = False
        self._live = False

    def carry_out(self, make: Callable[[Transaction], str]) -> events.RunFinished:
        """Do all of it.

        Args:
            make: builds or chooses the release and returns its id.
        """
        self.before = self.shelf.current()
        try:
            heal(self.system, self.layout, self.run)
            self.release = make(self)
            self._prove()
            self._switch()
        except (StepError, CommandFailed, OSError, RunCancelled) as error:
            if not self._live:
                return self._undo(error)
            self._notice(error)
        for finish in (self._drain, self._prune):
            try:
                finish()
            except (StepError, CommandFailed, OSError) as error:
                self._notice(error)
        about = self.shelf.about(self.release)
        data = {key: about.get(key, "") for key in ("id", "commit", "subject")}
        return events.RunFinished(
            "done",
            self.run.seconds,
            changed=1,
            state=self._state(self.release),
            data={**data, "before": self.before},
        )

    # -- until the commit point ----------------------------------------------------------------------------

    def _prove(self) -> None:
        with self.run.step("start", self.release) as step:
            self._wait_until_stopped()
            self._started = True
            self.instances.start(self.release)
            step.detail = self.release
        with self.run.step("health") as step:
            health = self.shelf.about(self.release)["health"]
            gate = Gate(self.system, self.layout, self.instances, self.release, health)
            step.detail, step.data = gate.watch()

    def _wait_until_stopped(self) -> None:
        """A release that we left a moment ago may still be finishing; systemd starts it again only after that."""
        told = False
        while self.instances.show(self.release).get("ActiveState") == "deactivating":
            if not told:
                self.run.emit(
                    events.Noticed("waiting for the last requests that %s still answers" % self.release)
                )
                told = True
            self.system.sleep(0.1)

    def _switch(self) -> None:
        with self.run.step("switch") as step:
            again = bool(self.before) and self.shelf.alike(self.release, self.before)
            self.run.safe_point()
            start = self.system.monotonic()
            # one rename(2), then fsync of /srv/APP
            self.system.symlink_atomic("releases/" + self.release, self.layout.current)
            milliseconds = (self.system.monotonic() - start) * 1000
            self._live = True
            # from here there is no way back but a rollback
            self.run.cancelled = self.system.cancelled = lambda: False
            about = self.shelf.about(self.release)
            self.log.add(
                "live", self.release, by=self.request["by"], action=self.action, before=self.before, again=again,
                commit=about.get("commit", ""), subject=about.get("subject", ""), seconds=round(self.run.seconds, 2),
            )  # fmt: skip
            step.detail, step.data = "%.1f ms" % milliseconds, {"ms": round(milliseconds, 3)}

    # -- after it ------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Let the old release see the requests that are on their way to it, then let it end in its own time.

        After the rename no connect(2) can reach the old socket, so the set of its connections only shrinks. A
        connection whose request was not read yet would be cut by a stop; one that lasts longer than a second is
        a request being answered, which a stop waits for, or a WebSocket.
        """
        if not self.before or self.before == self.release:
            return
        with self.run.step("drain") as step:
            end = self.system.monotonic() + DRAIN
            left = self.instances.connections(self.before)
            while left and self.system.monotonic() < end:
                self.system.sleep(LOOK)
                left = self.instances.connections(self.before)
            self.instances.retire(self.before)
            step.detail = "%d connections still open" % left if left else ""
            step.data = {"left": left}

    def _prune(self) -> None:
        with self.run.step("prune") as step:
            gone = prune(self.system, self.layout, int(self.request["keep_releases"]))
            step.detail = "%d removed" % len(gone) if gone else ""
            step.data = {"removed": gone}

    def _notice(self, error: BaseException) -> None:
        message = "%s is live, but cleaning up failed: %s" % (self.release, explain_short(error))
        self.run.emit(events.Noticed(message, "The next run does it again."))

    # -- back ----------------------------------------------------------------------------------------------

    def _undo(self, error: BaseException) -> events.RunFinished:
        """As if nothing had been tried; a release that the gate refused stays for a look at it."""
        cancelled = isinstance(error, RunCancelled)
        refused = isinstance(error, StepError) and error.refused
        self.system.cancelled = lambda: False
        release = self.release or (self.request.get("release") or {}).get("id", "")
        try:
            if self._started:
                self.instances.abandon(release)
            if self.made and not refused:
                for path in (self.layout.release(release), "%s/.%s.tmp" % (self.layout.releases, release)):
                    self.system.remove_tree(path)
            if release and not cancelled and (self.made or self._started):
                about = self.shelf.about(release) or self.request
                self.log.add(
                    "bad" if refused else "failed", release, by=self.request["by"], action=self.action,
                    commit=about.get("commit", ""), subject=about.get("subject", ""),
                    seconds=round(self.run.seconds, 2), why=explain_short(error),
                )  # fmt: skip
        except (CommandFailed, OSError) as problem:
            self.run.emit(events.Noticed("cleaning up failed too: %s" % explain_short(problem)))
        return events.RunFinished(
            "cancelled" if cancelled else "refused" if refused else "failed",
            self.run.seconds,
            failed=0 if cancelled else 1,
            message=explain_short(error),
            state=self._state(self.before) + "; nothing was switched",
            data={"release": release, "before": self.before},
        )

    def _state(self, release: str) -> str:
        if not release:
            return "nothing is live yet"
        return "%s is live" % (self.shelf.about(release).get("commit", "")[:7] or release)


def explain_short(error: BaseException) -> str:
    """One line."""
    if isinstance(error, StepError):
        return error.message
    if isinstance(error, CommandFailed):
        return "%s: %s" % (error.argv[0], error.reason)
    if isinstance(error, RunCancelled):
        return "stopped by the user"
    return explain(error)
