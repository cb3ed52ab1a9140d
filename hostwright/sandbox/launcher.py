"""Stays beside one sandbox server: starts systemd-nspawn in its cgroup, and again when the server reboots.

Run as a file under `python -I -S`, standard library only, so that it is small. systemd-nspawn asks whoever
started it for a reboot (exit code 133), and without systemd as PID 1 there is nobody else to answer.

    launcher.py CGROUP INTERFACE CONSOLE ARGV...
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

REBOOT = 133


def main(cgroup: Path, interface: str, console: Path, argv: list[str]) -> None:
    """Returns at once in the caller; the launcher proper goes on as nobody's child."""
    enter(cgroup / "launcher")  # before the caller goes on: it looks for us there
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    output = os.open(console, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    machine = cgroup / "machine"
    while boot(machine, argv) == REBOOT:
        wait_until_gone(Path("/sys/class/net", interface))
        remove_tree(machine)
    end(machine)


def boot(cgroup: Path, argv: list[str]) -> int:
    """One life of the server; its exit code, 0 when a signal ended it."""
    cgroup.mkdir()
    child = os.fork()
    if child == 0:
        enter(cgroup)
        os.execvp(argv[0], argv)  # noqa: S606  (no shell is what we want)
    _, status = os.waitpid(child, 0)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0


def enter(cgroup: Path) -> None:
    """Moves this process into a cgroup."""
    (cgroup / "cgroup.procs").write_text("0")


def end(cgroup: Path) -> None:
    """Kills what outlived a systemd-nspawn that was itself killed: half a server is worse than none."""
    for folder, _, _ in os.walk(cgroup):
        for pid in Path(folder, "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def wait_until_gone(path: Path) -> None:
    """Up to 10 s: the next life needs the same interface name."""
    for _ in range(500):
        if not path.exists():
            return
        time.sleep(0.02)


def remove_tree(cgroup: Path) -> None:
    """Removes the cgroups that the last life left."""
    for folder, _, _ in os.walk(cgroup, topdown=False):
        for _ in range(500):
            try:
                Path(folder).rmdir()
                break
            except OSError:
                time.sleep(0.02)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
