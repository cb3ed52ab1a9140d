"""The part of a deploy and of a rollback that counts: start, prove, switch, drain, clean up. All or nothing.

The rename of `current` is the only commit point. Whatever goes wrong before it leaves the old release as it
was; what goes wrong after it is told, and done again by the next run.
"""

from __future__ import annotations

from .. import events, maintenance
from ..journal import Redact
from ..run import ERRORS, StepError, explain_short
from ..system import RunCancelled
from .beside import Beside
from .drain import MOST, Drain
from .gate import Gate
from .heal import heal
from .instance import Instances
from .layout import Layout
from .memory import require_memory
from .prune import prune
from .record import Log
from .shelf import Shelf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping, Optional

    from ..run import Run
    from ..system import System

# an instance that stops may take as long as its unit allows, and a little
STOPPED = 150.0


class Transaction:
    """One deploy or rollback of one app on this host.

    Args:
        request: `app`, `by`, `keep_releases`, `switch` (overlap, restart).
        action: "deploy", "rollback" or "restart", for the log.
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
        self.drain = Drain(system, self.layout)
        self.beside = Beside(system, self.layout)
        self.before = ""
        self.release = ""
        # the release was made by this run: nobody misses it when it fails
        self.made = False
        # the release that it is but for its environment: `rollback --keep-env`
        self.of = ""
        self.later: list[Callable[[], object]] = []  # what a build leaves to be cleaned up
        self._started = False
        # it was still answering its last requests when we began
        self._drained = False
        # since when the old instance does not run, for `switch: restart`; System.monotonic
        self._stopped: Optional[float] = None
        self._live = False
        # it was live, and a process of it did not stay up
        self._turned = False
        # it has the same code, packages and configuration as `before`
        self._again = False

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
        except (*ERRORS, RunCancelled) as error:
            if not self._live:
                return self._undo(error)
            self._notice(error)
        for finish in (self._drain, self._prune, *self.later):
            try:
                finish()
            except ERRORS as error:
                self._notice(error)
        about = self.shelf.about(self.release)
        data = {key: about.get(key, "") for key in ("id", "commit", "subject")}
        data.update(before=self.before, again=self._again)
        # nobody sees it as long as that is on
        data["maintenance"] = maintenance.state(self.system, self.layout.app)
        state = self._state(self.release)
        return events.RunFinished("done", self.run.seconds, changed=1, state=state, data=data)

    # -- until the commit point ----------------------------------------------------------------------------

    def guard_memory(self) -> str:
        """Is there memory for two? Asked by whoever makes the release, before anything is built.

        Returns:
            For people: what is free.

        Raises:
            StepError: no.
        """
        if not self.before or self.request.get("switch") == "restart":
            return ""
        return require_memory(self.system, self.instances.show(self.before))

    def _prove(self) -> None:
        if self.request.get("switch") == "restart" and self.before:
            self._stop_first()
        with self.run.step("start", self.release) as step:
            self._drained = self.release in self.drain.active()
            if self._drained:
                self.drain.end(self.release)
            self._wait_until_stopped(self.release)
            self._started = True
            self.beside.link(self.release)
            self.instances.start(self.release, gently=self._stopped is None)
            step.detail = self.release + (", which still runs" if self._drained else "")
            beside = self.beside.begin(self.release)
        with self.run.step("health") as step:
            if self._stopped is None:
                self.instances.lower(self.release)
            health = self.shelf.about(self.release)["health"]
            gate = Gate(self.system, self.layout, self.instances, self.release, health, beside)
            step.detail, step.data = gate.watch()
            beside.finish()

    def _stop_first(self) -> None:
        """`switch: restart`: nobody answers from here until the new release does."""
        with self.run.step("stop", self.before) as step:
            self._stopped = self.system.monotonic()
            self.instances.retire(self.before)
            self._wait_until_stopped(self.before, told=True)
            step.detail = "%s; requests fail until the switch" % self.before

    def _wait_until_stopped(self, release: str, told: bool = False) -> None:
        """A release that we left a moment ago may still be finishing; systemd starts it again only after that."""
        end = self.system.monotonic() + STOPPED
        while self.instances.show(release).get("ActiveState") == "deactivating":
            if not told:
                self.run.emit(events.Noticed("waiting for the last requests that %s still answers" % release))
                told = True
            if self.system.monotonic() > end:
                raise StepError(
                    "the instance of %s does not stop" % release, hint="systemctl status tells why."
                )
            self.system.sleep(0.1)

    def _switch(self) -> None:
        with self.run.step("switch") as step:
            self._again = bool(self.before) and self.shelf.alike(self.release, self.before)
            due = self.beside.due(self.release)
            if self.before and self.before != self.release:
                # pages of the old release are still open in browsers, and ask for its files
                self.system.symlink_atomic("releases/" + self.before, self.layout.previous)
            self.run.safe_point()
            start = self.system.monotonic()
            # one rename(2), then fsync of /srv/APP
            try:
                self.system.symlink_atomic("releases/" + self.release, self.layout.current)
            except OSError as error:
                if self.shelf.current() != self.release:
                    raise
                # it was the fsync: nginx follows the new link already
                what = "the switch may not survive a power cut: %s" % explain_short(error)
                self.run.emit(events.Noticed(what))
            now = self.system.monotonic()
            self._live = True
            # from here there is no way back but a rollback
            self.run.cancelled = self.system.cancelled = lambda: False
            if not due:
                self._record()
            step.detail, step.data = (
                "%.1f ms" % ((now - start) * 1000),
                {"ms": round((now - start) * 1000, 3)},
            )
            if self._stopped is not None:
                step.detail += ", after %.1f s without a release" % (now - self._stopped)

        if due:
            self._take_over()
            self._record()

    def _record(self) -> None:
        about = self.shelf.about(self.release)
        self.log.add(
            "live", self.release, by=self.request["by"], action=self.action, before=self.before, again=self._again,
            commit=about.get("commit", ""), subject=about.get("subject", ""), seconds=round(self.run.seconds, 2),
            **({"of": self.of} if self.of else {}),
        )  # fmt: skip

    # -- after it ------------------------------------------------------------------------------------------

    def _take_over(self) -> None:
        """Processes that may not run twice and timers change places; one that does not stay up turns it all back."""
        try:
            with self.run.step("processes") as step:
                step.detail = self.beside.take_over(self.release)
        except ERRORS:
            self._turn_back()
            raise

    def _drain(self) -> None:
        if self.instances.unsettled(self.release):
            self.instances.settle(self.release)
        if not self.before or self.before == self.release or self._stopped is not None:
            return
        with self.run.step("drain") as step:
            seconds = float(self.shelf.about(self.before).get("drain", 0))
            left = self.drain.leave(self.instances, self.before, seconds)
            if left and seconds:
                step.detail = "%d %s may take %.0f s more" % (
                    left, "connection" if left == 1 else "connections", seconds,
                )  # fmt: skip
            step.data = {"left": left, "seconds": seconds if left else 0}
            for release in self.drain.too_many():
                self.drain.end(release)
                self.instances.retire(release)
                self.run.emit(
                    events.Noticed("ended %s, which still answered: %d do by now" % (release, MOST))
                )

    def _prune(self) -> None:
        with self.run.step("prune") as step:
            self.beside.processes.tidy(self.release)
            gone = prune(self.system, self.layout, int(self.request["keep_releases"]))
            step.detail = "%d removed" % len(gone) if gone else ""
            step.data = {"removed": gone}

    def _notice(self, error: BaseException) -> None:
        message = "%s is live, but cleaning up failed: %s" % (self.release, explain_short(error))
        self.run.emit(events.Noticed(message, "The next run does it again."))

    # -- back ----------------------------------------------------------------------------------------------

    def _turn_back(self) -> None:
        """The second rename: the old release has the traffic again, and its processes run."""
        self._start_again()
        if self.before:
            # what is open in browsers by now asks for the files of the release that goes
            self.system.symlink_atomic("releases/" + self.release, self.layout.previous)
            self.system.symlink_atomic("releases/" + self.before, self.layout.current)
        else:
            self.system.unlink(self.layout.current)
            self.system.fsync_directory(self.layout.root)
        self._live, self._turned = False, True
        try:
            self.beside.take_over(self.before, prove=False)
        except ERRORS as problem:
            self.run.emit(
                events.Noticed("its processes: %s" % explain_short(problem), "The next run starts them.")
            )

    def _undo(self, error: BaseException) -> events.RunFinished:
        """As if nothing had been tried; a release that the gate refused stays for a look at it."""
        cancelled = isinstance(error, RunCancelled)
        refused = isinstance(error, StepError) and error.refused
        self.system.cancelled = lambda: False
        release = self.release or (self.request.get("release") or {}).get("id", "")
        about = self.shelf.about(release) or self.request
        # what a release command did stays, whoever stopped the run: a rollback must be able to tell
        told = not cancelled or (self.made and self.shelf.about(release).get("release_command"))
        try:
            self._stop_again(release)
            if self.made and not refused and not self._turned:
                self.shelf.remove(release)
            if release and told and (self.made or self._started):
                self.log.add(
                    "bad" if refused else "failed", release, by=self.request["by"], action=self.action,
                    commit=about.get("commit", ""), subject=about.get("subject", ""),
                    seconds=round(self.run.seconds, 2),
                    why=Redact(self.request.get("secrets", ())).text(explain_short(error)),
                )  # fmt: skip
        except ERRORS as problem:
            self.run.emit(events.Noticed("cleaning up failed too: %s" % explain_short(problem)))
        return events.RunFinished(
            "cancelled" if cancelled else "refused" if refused else "failed",
            self.run.seconds,
            failed=0 if cancelled else 1,
            message=explain_short(error),
            state=self._state(self.before) + (" again" if self._turned else "; nothing was switched"),
            data={"release": release, "before": self.before},
        )

    def _stop_again(self, release: str) -> None:
        try:
            if self._started:
                self.beside.abandon(release)
            drain = float(self.shelf.about(release).get("drain", 0))
            if self._turned and self.before:
                self.drain.leave(self.instances, release, drain)
            elif self._drained:
                if self._started:
                    self.instances.settle(release)
                self.drain.begin(release, drain)
            elif self._started:
                self.instances.abandon(release)
        finally:
            self._start_again()

    def _start_again(self) -> None:
        """After `switch: restart`, the old release."""
        if self._stopped is not None:
            self.instances.start(self.before)
            gone, self._stopped = self.system.monotonic() - self._stopped, None
            self.run.emit(events.Noticed("%s was started again, after %.1f s" % (self.before, gone)))

    def _state(self, release: str) -> str:
        if not release:
            return "nothing is live yet"
        return "%s is live" % (self.shelf.about(release).get("commit", "")[:7] or release)
