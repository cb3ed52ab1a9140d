"""When a reload of nginx has happened. Runs on the server.

A reload only sends a signal, nginx(8): the master reads the new configuration, starts workers with it and tells
the old ones to stop. Until those close their sockets both accept, and what the old ones accept is answered with
the old configuration. Where the master cannot use the new one (a port that another program holds; `nginx -t` does
not see that), it starts no workers at all and goes on as before.
"""

from __future__ import annotations

from .outcome import CommandFailed, RunCancelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .system import System

UNIT = "nginx.service"
LOG = "/var/log/nginx/error.log"
# seconds; nginx itself waits 0.1 between starting the new workers and stopping the old
PATIENCE, LOOK = 10.0, 0.02
# the titles that nginx gives its processes: ngx_process_cycle.c
WORKER, LEAVING = b"nginx: worker process", b"is shutting down"


class NginxReload:
    """One reload, begun when the object is made: before the command that asks for it."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._master = self._main_pid()
        self._old = self._accepting()

    def finish(self) -> str:
        """Wait until only the new configuration accepts connections.

        Returns:
            What is not as it should be although the new configuration is in use; empty when all is well.

        Raises:
            CommandFailed: nginx did not take the new configuration.
        """
        if not self._old or self._main_pid() != self._master:
            return ""  # it did not run, or was started anew: nothing of the old is left
        end = self._system.monotonic() + PATIENCE
        while True:
            accepting = self._accepting()
            old = accepting & self._old
            if accepting and not old:
                return ""
            if self._system.monotonic() >= end:
                break
            try:
                self._system.sleep(LOOK)
            except RunCancelled:  # it was asked to reload; the user does not want to wait for it
                return ""
        if accepting == old:
            why = "nginx did not take its new configuration and goes on with the old one"
            raise CommandFailed(("systemctl", "reload", UNIT), 0, self._said(), why)
        pids = ", ".join(map(str, sorted(old)))
        return "nginx still answers with its old configuration too (pid %s)" % pids

    def _said(self) -> list[str]:
        lines = self._system.run(("tail", "-n", "20", LOG), timeout=10, check=False, read_only=True).out
        return [line for line in lines.splitlines() if "[emerg]" in line][-3:]

    def _main_pid(self) -> int:
        argv = ("systemctl", "show", "--property=MainPID", "--value", UNIT)
        shown = self._system.run(argv, timeout=20, check=False, read_only=True).out.strip()
        return int(shown) if shown.isdigit() else 0

    def _accepting(self) -> set[int]:
        """The master's workers that accept connections."""
        found: set[int] = set()
        if not self._master:
            return found
        for name in filter(str.isdigit, self._system.listdir("/proc")):
            try:
                title = self._system.read("/proc/%s/cmdline" % name) or b""
                if title.startswith(WORKER) and LEAVING not in title and self._parent(name) == self._master:
                    found.add(int(name))
            except OSError:  # it has just ended
                continue
        return found

    def _parent(self, name: str) -> int:
        for line in (self._system.read("/proc/%s/status" % name) or b"").splitlines():
            if line.startswith(b"PPid:"):
                return int(line.split()[1])
        return 0
