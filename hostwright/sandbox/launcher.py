"""Stays beside one sandbox server: starts systemd-nspawn in its cgroup, and again when the server reboots.

Run as a file under `python -I -S` and standard library only, so that it is small. Started without
systemd as PID 1 there is nobody else to answer systemd-nspawn's "reboot" (exit code 133).

    launcher.py CGROUP INTERFACE CONSOLE ARGV...
"""

from __future__ import annotations

import os
import sys
import time

REBOOT = 133


def main(arguments: list[str]) -> int:
    """Returns at once in the caller; the launcher proper goes on as nobody's child."""
    cgroup, interface, console, *argv = arguments
    enter(os.path.join(cgroup, "launcher"))  # before the caller goes on: it looks for us there
    if os.fork():
        return 0
    os.setsid()
    if os.fork():
        os._exit(0)
    output = os.open(console, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    while boot(os.path.join(cgroup, "machine"), argv) == REBOOT:
        wait_until_gone(os.path.join("/sys/class/net", interface))
        remove_tree(os.path.join(cgroup, "machine"))
    return 0


def boot(cgroup: str, argv: list[str]) -> int:
    """One life of the server; its exit code, 0 when a signal ended it."""
    os.mkdir(cgroup)
    child = os.fork()
    if child == 0:
        enter(cgroup)
        os.execvp(argv[0], argv)
    _, status = os.waitpid(child, 0)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0


def enter(cgroup: str) -> None:
    """Moves this process into a cgroup."""
    with open(os.path.join(cgroup, "cgroup.procs"), "w") as file:
        file.write("0")


def wait_until_gone(path: str) -> None:
    """Up to 10 s: the next life needs the same interface name."""
    for _ in range(500):
        if not os.path.exists(path):
            return
        time.sleep(0.02)


def remove_tree(folder: str) -> None:
    """Removes the cgroups that the last life left."""
    for inner, _, _ in os.walk(folder, topdown=False):
        for _ in range(500):
            try:
                os.rmdir(inner)
                break
            except OSError:
                time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
