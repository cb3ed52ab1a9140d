"""The health gate: a release proves that it works, on its own socket, before it takes traffic."""

from __future__ import annotations

import re

from ..resources.unit import ended
from ..run import StepError
from .ask import Reply, ask
from .guard import full
from .instance import dead
from .journal import journal
from .shelf import Shelf
from .symptoms import advice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping, Optional

    from ..system import System
    from .instance import Instances
    from .layout import Layout
    from .processes import Watch

    Ask = Callable[..., Reply]

# one request may take this long, seconds; the unit is watched meanwhile
REQUEST = 10.0
INTERVAL = 0.2
# while workers come up one after the other; whoever waits for the release waits for this look
EAGER = 0.05
# a service that is simply off so long after its start was stopped by somebody
GRACE = 2.0
WORKERS = re.compile(r"(\d+) of (\d+) workers")


class Gate:
    """Watches one instance until it has proved itself.

    Args:
        health: path, expect (HTTP status), timeout, window, interval (seconds), headers; contains, the text that
            the answer must hold.
        beside: the release's processes that were started with it.
        ask: sends a request; tests give their own.
    """

    def __init__(
        self,
        system: System,
        layout: Layout,
        instances: Instances,
        release: str,
        health: Mapping[str, Any],
        beside: Optional[Watch] = None,
        ask: Ask = ask,
    ) -> None:
        self._system = system
        self._layout = layout
        self._instances = instances
        self._release = release
        self._health = health
        self._ask = ask
        self._beside = beside
        self._began = system.monotonic()
        self._since = int(system.now()) - 1
        self._tries = 0
        self._reply = Reply(0, 0.0)

    def watch(self) -> tuple[str, dict[str, Any]]:
        """Wait until every worker is up and each answer of the window was good.

        Returns:
            For people and for machines: what was seen.

        Raises:
            StepError: refused, with the reason and what the instance wrote.
            RunCancelled
        """
        health, good, since = self._health, 0, 0.0
        interval = health.get("interval", INTERVAL)
        deadline = self._began + health["timeout"]
        while True:
            reply = self._reply = self._probe()
            shown = self._alive()
            self._tries += 1
            now = self._system.monotonic()
            problem = self._problem(reply, shown)
            if problem:
                good = 0
                if now > deadline:
                    raise self._refused("not healthy after %.0f s: %s" % (now - self._began, problem))
                self._system.sleep(min(interval, EAGER) if few(shown) else interval)
                continue
            since = since if good else now
            good += 1
            if now - since >= health["window"]:
                break
            # the last look comes when the window is over, not up to an interval later
            self._system.sleep(min(interval, since + health["window"] - now))
        data = {
            "status": reply.status,
            "ms": round(reply.seconds * 1000, 1),
            "tries": self._tries,
            "good": good,
        }
        return "%d in %.0f ms, %d of %d" % (reply.status, data["ms"], good, self._tries), data

    def _problem(self, reply: Reply, shown: Mapping[str, str]) -> str:
        """Why this look was not good enough, or an empty string."""
        absent = few(shown)
        if reply.status == self._health["expect"]:
            return absent or self._lacking(reply)
        problem = "GET %s -> %s" % (self._health["path"], self._described(reply))
        return "%s; %s" % (problem, absent) if absent and not reply.status else problem

    def _lacking(self, reply: Reply) -> str:
        """The text that should have been in an answer and is not, and what came instead."""
        wanted = self._health.get("contains")
        if not wanted or wanted.encode() in reply.body:
            return ""
        said = 'it says "%s"' % reply.said if reply.said else "it is empty"
        return 'GET %s -> %s, but "%s" is not in the answer: %s' % (
            self._health["path"], reply, wanted, said,
        )  # fmt: skip

    def _described(self, reply: Reply) -> str:
        if not reply.status:
            return str(reply)
        to = " to %s" % reply.location if reply.location else ""
        said = ": %s" % reply.said if reply.said and not to else ""
        return "%s%s instead of %d%s" % (reply, to, self._health["expect"], said)

    def _probe(self) -> Reply:
        return self._ask(
            self._layout.socket(self._release),
            self._health["path"],
            self._health["headers"],
            min(REQUEST, self._health["timeout"]),
            lambda: self._alive() and None,
        )

    def _alive(self) -> Mapping[str, str]:
        """The state of the service.

        Raises:
            StepError: it has ended.
            RunCancelled
        """
        self._system.sleep(0)
        if self._beside:
            self._beside.look()
        shown = self._instances.show(self._release)
        stopped = shown.get("ActiveState") == "inactive" and self._system.monotonic() - self._began > GRACE
        if dead(shown) or stopped:
            raise self._refused(
                "it did not stay up: %s" % ended({"ActiveState": "", "SubState": "", **shown})
            )
        return shown

    def _refused(self, why: str) -> StepError:
        unit = self._layout.unit(self._release)
        tail = journal(self._system, unit, self._since)
        tries = " (%d %s)" % (self._tries, "try" if self._tries == 1 else "tries") if self._tries else ""
        settings = Shelf(self._system, self._layout).settings(self._release)
        what = advice(self._layout.app, self._health, self._reply, tail, settings)
        what = full(self._system, self._layout.root, self._layout.state) or what
        hint = ("%s All that it wrote: inv logs --release %s" % (what, self._release)).strip()
        return StepError(why + tries, tail, hint, refused=True)


def few(shown: Mapping[str, str]) -> str:
    """That not all workers of an instance are up yet, or an empty string."""
    found = WORKERS.search(shown.get("StatusText", ""))
    return "only %s are up" % found.group(0) if found and int(found[1]) < int(found[2]) else ""
