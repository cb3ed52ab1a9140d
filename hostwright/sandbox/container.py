"""One server's processes: boot, power cut, and running a command inside without sshd."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SandboxError
from . import login
from .cgroup import Cgroup
from .command import run
from .model import Server
from .network import remove_interface

BOOT_TIMEOUT = 60.0
STOP_TIMEOUT = 15.0
# Boots hang when the machine's inotify instances run out: about ten for each server, 128 by default.
INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_WANTED = 1024
INSIDE = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
}


@dataclass(frozen=True)
class Container:
    """A server as systemd-nspawn sees it.

    Attributes:
        machine: its name for systemd-nspawn; `vb-` plus it names its interface on this machine.
        hostname: its own idea of its name.
        root: its file system, attached.
        bridge: what its interface joins.
        cgroup: where its processes are.
        console: file that gets what it writes on its console.
    """

    machine: str
    hostname: str
    root: Path
    bridge: str
    cgroup: Cgroup
    console: Path

    @property
    def interface(self) -> str:
        """Its network interface on this machine."""
        return f"vb-{self.machine}"

    def argv(self) -> tuple[str, ...]:
        """The argv of systemd-nspawn(1). It registers with nobody: this machine need not run systemd."""
        return (
            *("systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "-D", str(self.root)),
            *(f"--machine={self.machine}", f"--hostname={self.hostname}", f"--network-bridge={self.bridge}"),
            *("--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=pipe"),
            "--kill-signal=SIGRTMIN+3",
        )

    def boot(self) -> None:
        """Starts it and returns at once; removes first what a killed predecessor left."""
        self.clear()
        if int(INOTIFY.read_text()) < INOTIFY_WANTED:
            INOTIFY.write_text(str(INOTIFY_WANTED))
        self.cgroup.make()
        launcher = Path(__file__).with_name("launcher.py")
        arguments = (str(self.cgroup.folder), self.interface, str(self.console), *self.argv())
        environment = {
            "PATH": os.defpath + ":/usr/sbin:/sbin",
            "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
            "SYSTEMD_NSPAWN_TMPFS_TMP": "0",  # whether /tmp is on the disk is the release's own choice
        }
        run(sys.executable, "-I", "-S", str(launcher), *arguments, env=environment)

    def power_cut(self) -> None:
        """Kills its init process, which takes every other process with it. Nothing is written or said."""
        init = self.cgroup.init()
        if init is not None:
            # the kernel says goodbye on each socket of a killed process; without power nobody would
            remove_interface(self.interface)
            os.kill(init, signal.SIGKILL)
            # systemd-nspawn sees it, takes its interface down and ends by itself
            self.cgroup.wait_empty(STOP_TIMEOUT)
        self.clear()

    def clear(self) -> None:
        """Removes what is left of its processes, cgroups, interface and systemd-nspawn's own records."""
        if self.cgroup.folder.exists():
            self.cgroup.kill()
        remove_interface(self.interface)
        for left in ("unix-export", "propagate"):
            place = Path("/run/systemd/nspawn", left, self.machine)
            if os.path.ismount(place):
                run("umount", "--lazy", str(place))
            if place.is_dir():
                place.rmdir()

    def wait_for_login(self, server: Server) -> None:
        """Waits until the first user can log in over ssh.

        Raises:
            SandboxError: not in time, or it stopped; the console's last lines are the evidence.
        """
        login.wait(server, lambda: bool(self.cgroup.pids()), BOOT_TIMEOUT)

    def execute(
        self, argv: Sequence[str], timeout: float, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs `argv` as root inside, through its namespaces: it works with sshd broken.

        Raises:
            SandboxError: the server is not running.
            subprocess.TimeoutExpired: it took longer than `timeout` seconds and was killed.
        """
        init = self.cgroup.init()
        if init is None:
            raise SandboxError("is not running", host=self.hostname, hint="./run sandbox.start")
        enter = ("nsenter", "--target", str(init), "--all", "--root", "--wd", "--", *argv)
        process = subprocess.Popen(
            enter,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=INSIDE,
            start_new_session=True,
        )
        try:
            output, errors = process.communicate(stdin or "", timeout)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # nsenter's child too
            process.communicate()
            raise
        return subprocess.CompletedProcess(argv, process.returncode, output, errors)
