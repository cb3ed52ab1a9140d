"""Instances: the socket unit and the service unit of one release."""

from __future__ import annotations

from ..system import CommandFailed
from .layout import KINDS
from .memory import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping

    from ..system import System
    from .layout import Layout

QUICK = 30.0
# how long an instance that takes no traffic may take to stop before it is killed
ABANDON = 10.0
# and one that finishes what it is doing; its unit allows less
RETIRED = 150.0
PROPERTIES = (
    "ActiveState", "SubState", "Result", "ExecMainCode", "ExecMainStatus", "NRestarts", "StatusText", "MainPID",
    "NeedDaemonReload", "DropInPaths", "MemoryCurrent", "ControlGroup", "ActiveEnterTimestampMonotonic",
)  # fmt: skip
# while a release starts beside the one that has the traffic; nice(1) does nothing between services
WEIGHTS = ("CPUWeight", "IOWeight")
STARTING = 20
# and should memory end, it goes first: proc(5) oom_score_adj
EXPENDABLE = 500
CONTROL = "/run/systemd/system.control"
CONNECTED = "03"  # SS_CONNECTED in /proc/net/unix, include/uapi/linux/net.h; a listener is 01


class Instances:
    """The instances of one app."""

    def __init__(self, system: System, layout: Layout) -> None:
        self._system = system
        self._layout = layout

    # -- looking -------------------------------------------------------------------------------------------

    def show(self, release: str, kind: str = "service") -> Mapping[str, str]:
        """The properties of a unit of a release, as systemctl(1) prints them."""
        argv = ("systemctl", "show", "--property=" + ",".join(PROPERTIES), self._layout.unit(release, kind))
        out = self._system.run(argv, timeout=QUICK, read_only=True).out
        return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)

    def states(self) -> dict[str, dict[str, str]]:
        """release -> kind -> active state, of every instance that systemd knows and that is not simply off."""
        options = ("--all", "--plain", "--no-legend", "--full", "--type=service,socket")
        argv = ("systemctl", "list-units", *options, "%s@*" % self._layout.app)
        found: dict[str, dict[str, str]] = {}
        for line in self._system.run(argv, timeout=QUICK, read_only=True).out.splitlines():
            words = line.split()
            if len(words) < 4 or words[2] == "inactive":
                continue
            release, _, kind = words[0].partition("@")[2].rpartition(".")
            found.setdefault(release, {})[kind] = words[2]
        return found

    def connections(self, release: str) -> int:
        """How many connections to its socket there are: queued, being answered, or held open; unix(7)."""
        path = self._layout.socket(release)
        count = 0
        for line in (self._system.read("/proc/net/unix") or b"").decode("utf-8", "replace").splitlines():
            fields = line.split(None, 7)
            if len(fields) == 8 and fields[7] == path and fields[5] == CONNECTED:
                count += 1
        return count

    # -- starting ------------------------------------------------------------------------------------------

    def start(self, release: str, *, gently: bool = False) -> None:
        """Start listening, then the app; returns before the app is up.

        Args:
            gently: what has the traffic goes before it, until `settle`.

        Raises:
            CommandFailed: systemd refused.
        """
        self.link(release)
        service = self._layout.unit(release)
        shown = self.show(release)
        if shown.get("NeedDaemonReload") == "yes" or self._layout.drop_in(
            release, "service"
        ) not in shown.get("DropInPaths", ""):
            self._system.run(("systemctl", "daemon-reload"), timeout=QUICK)
        self._system.run(("systemctl", "reset-failed", service), timeout=QUICK, check=False)
        if shown.get("ActiveState") not in (None, "inactive", "failed"):
            self._end_without_socket(release)
        if gently:
            self._weigh(release, str(STARTING))
        self._system.run(("systemctl", "start", self._layout.unit(release, "socket")), timeout=QUICK)
        self._system.run(("systemctl", "start", "--no-block", service), timeout=QUICK)

    def _end_without_socket(self, release: str) -> None:
        """A stop that was cut between socket and service left one that nobody can reach.

        Systemd does not start a socket while its service runs: "Socket service already active, refusing".
        """
        if self.show(release, "socket").get("ActiveState") != "active":
            self._system.run(("systemctl", "stop", self._layout.unit(release)), timeout=RETIRED)

    def lower(self, release: str) -> None:
        """Should memory end, this instance goes first. Set as soon as its first process is there: others inherit it."""
        for _ in range(25):
            if self._expend(release, EXPENDABLE):
                return
            self._system.sleep(0.02)

    def settle(self, release: str) -> None:
        """The instance has the traffic now: take `gently` and `lower` back."""
        self._expend(release, 0)
        self._weigh(release, "")

    def unsettled(self, release: str) -> bool:
        """Was it started gently, and nobody took that back?"""
        setting = self._system.read("%s/50-CPUWeight.conf" % self._controls(release)) or b""
        return b"CPUWeight=%d" % STARTING in setting

    def _controls(self, release: str) -> str:
        return "%s/%s.d" % (CONTROL, self._layout.unit(release))

    def _weigh(self, release: str, value: str) -> None:
        settings = ["%s=%s" % (name, value) for name in WEIGHTS]
        argv = ("systemctl", "set-property", "--runtime", self._layout.unit(release), *settings)
        # a courtesy: where systemd has no such controller, the release starts all the same
        self._system.run(argv, timeout=QUICK, check=False)

    def _expend(self, release: str, value: int) -> int:
        found = processes(self._system, self.show(release))
        for pid in found:
            self._system.tell("/proc/%d/oom_score_adj" % pid, b"%d" % value)
        return len(found)

    def link(self, release: str) -> None:
        """Show systemd what this release changes about the units. In /run: the boot unit does it again."""
        for kind in KINDS:
            folder = self._layout.drop_in(release, kind)
            if self._system.stat(folder) is None:
                self._system.mkdir(folder)
            target = "%s/units/%s.conf" % (self._layout.release(release), kind)
            self._system.symlink_atomic(target, folder + "/release.conf")

    # -- stopping ------------------------------------------------------------------------------------------

    def retire(self, release: str) -> None:
        """Stop an instance that had the traffic: it may finish what it is doing. Returns at once.

        The socket first: a late connection would start the service again.

        Raises:
            CommandFailed
        """
        self._system.run(("systemctl", "stop", self._layout.unit(release, "socket")), timeout=QUICK)
        self._system.run(("systemctl", "stop", "--no-block", self._layout.unit(release)), timeout=QUICK)

    def abandon(self, release: str) -> None:
        """Stop an instance that never had traffic, whatever it is doing."""
        socket, service = self._layout.unit(release, "socket"), self._layout.unit(release)
        self._system.run(("systemctl", "stop", socket), timeout=QUICK, check=False)
        try:
            self._system.run(("systemctl", "stop", service), timeout=ABANDON, check=False)
        except CommandFailed:
            kill = ("systemctl", "kill", "--kill-who=all", "--signal=SIGKILL", service)
            self._system.run(kill, timeout=QUICK, check=False)
            self._system.run(("systemctl", "stop", service), timeout=QUICK, check=False)
        self._system.run(("systemctl", "reset-failed", service, socket), timeout=QUICK, check=False)
        self.unlink(release)

    def unlink(self, release: str) -> None:
        """Take back `link`."""
        for kind in KINDS:
            self._system.remove_tree(self._layout.drop_in(release, kind))
        self._system.remove_tree(self._controls(release))


def dead(shown: Mapping[str, str]) -> bool:
    """Has the service ended although nobody stopped it?"""
    return (
        shown.get("ActiveState") == "failed"
        or shown.get("SubState") in ("auto-restart", "auto-restart-queued")
        or shown.get("NRestarts", "0") not in ("", "0")
    )
