"""Old instances that still answer: each ends with its last connection, or at its deadline.

A transient service waits for that, systemd-run(1): it holds no lock, needs neither the agent nor the controller, and
is gone after a power cut, as the instance itself. A service that looks each second, not a timer: a timer would write
two lines to the journal at each look.
"""

from __future__ import annotations

from .processes import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..system import System
    from .instance import Instances
    from .layout import Layout

QUICK = 30.0
# how long the last quick requests to an old release may take to be seen by it; older ones end in its own time. nginx
# keeps a connection for much less (`keepalive` of its upstream)
SEEN, LOOK = 1.0, 0.005
# old instances that may answer at the same time; each takes the memory of a whole one
MOST = 3
# $1: seconds, $2: the socket's path, $3: its unit, $4: the service. 03 is SS_CONNECTED, include/uapi/linux/net.h.
# The socket first: a late connection would start the service again
WAIT = """\
read -r now _ < /proc/uptime
end=$((${now%.*} + $1))
while read -r now _ < /proc/uptime; [ "${now%.*}" -lt "$end" ]; do
    grep -q " 03 *[0-9][0-9]* $2\\$" /proc/net/unix || break
    sleep 1
done
systemctl stop "$3"
exec systemctl stop --no-block "$4"
"""


class Drain:
    """The old instances of one app that are ending."""

    def __init__(self, system: System, layout: Layout) -> None:
        self._system = system
        self._layout = layout
        self._prefix = "hostwright-drain-%s:" % layout.app

    def unit(self, release: str) -> str:
        """The service that waits for the end of a release's instance."""
        self._layout.release(release)
        return "%s%s.service" % (self._prefix, release)

    def begin(self, release: str, seconds: float) -> None:
        """Stop an instance when its last connection is gone, in so many seconds at the latest. Returns at once.

        Raises:
            CommandFailed
        """
        layout = self._layout
        words = (
            str(int(seconds)), layout.socket(release), layout.unit(release, "socket"), layout.unit(release),
        )  # fmt: skip
        self._system.run(
            ("systemd-run", "--quiet", "--collect", "--no-block", "--unit=" + self.unit(release),
             "--description=%s: release %s answers its last requests" % (layout.app, release),
             # systemd would put variables in: "$$" is a dollar sign, systemd.service(5), "Command lines"
             "--", "/bin/sh", "-euc", WAIT.replace("$", "$$"), "drain", *words),
            timeout=QUICK,
        )  # fmt: skip

    def leave(self, instances: Instances, release: str, seconds: float) -> int:
        """Let a release see the requests that are on their way to it, then let it end in its own time.

        Once `current` names another, no connect(2) can reach its socket, so the set of its connections only
        shrinks. A connection whose request was not read yet would be cut by a stop; one that lasts longer than a
        second is a request being answered or a WebSocket: those have so many seconds.

        Returns:
            How many connections are left.

        Raises:
            CommandFailed
        """
        end = self._system.monotonic() + SEEN
        left = instances.connections(release)
        while left and self._system.monotonic() < end:
            self._system.sleep(LOOK)
            left = instances.connections(release)
        if left and seconds:
            self.begin(release, seconds)
        else:
            instances.retire(release)
        return left

    def active(self) -> list[str]:
        """The releases whose instances are ending."""
        argv = (
            "systemctl",
            "list-units",
            "--plain",
            "--no-legend",
            "--full",
            "--type=service",
            self._prefix + "*",
        )
        out = self._system.run(argv, timeout=QUICK, read_only=True).out
        names = [line.split()[0] for line in out.splitlines() if line.split()]
        return sorted(name[len(self._prefix) : -len(".service")] for name in names)

    def too_many(self) -> list[str]:
        """Those that have been ending for longest, as far as they are more than MOST.

        By systemd's clock: ids are of the controllers', and a rollback may leave an old release last.
        """
        found = self.active()
        if len(found) <= MOST:
            return []
        since = "ActiveEnterTimestampMonotonic"
        shown = show(self._system, [self.unit(release) for release in found], ("Id", since))
        found.sort(key=lambda release: int(shown.get(self.unit(release), {}).get(since) or 0))
        return found[:-MOST]

    def end(self, release: str) -> None:
        """Nobody waits any more: the instance stays, or is stopped by the caller.

        Raises:
            CommandFailed: no answer.
        """
        # it may have come to its end this moment, and systemd knows it no more
        self._system.run(("systemctl", "stop", self.unit(release)), timeout=QUICK, check=False)
