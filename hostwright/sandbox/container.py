"""One server's processes: boot, power cut, and running a command inside without sshd."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SandboxError
from .cgroup import Cgroup
from .command import run
from .model import Server
from .network import remove_interface

BOOT_TIMEOUT = 60.0
STOP_TIMEOUT = 15.0
CONSOLE_LINES = 15
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
ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][A-Z0-9])|\r")


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

    def console_tail(self) -> list[str]:
        """The last lines of its console, without colours."""
        try:
            text = self.console.read_text(errors="replace")
        except FileNotFoundError:
            return []
        lines = (line.rstrip() for line in ESCAPES.sub("", text).splitlines())
        return [line for line in lines if line][-CONSOLE_LINES:]

    def wait_for_login(self, server: Server, seconds: float = BOOT_TIMEOUT) -> None:
        """Waits until the first user can log in over ssh.

        Raises:
            SandboxError: not in time, or it stopped; the console's last lines are the evidence.
        """
        deadline = time.monotonic() + seconds
        problem = f"took longer than {seconds:g} s to boot"
        reason = ""
        while time.monotonic() < deadline:
            if not self.cgroup.pids():
                problem = "stopped while it booted"
                break
            if _has_banner(server.address):
                reason = _login(server)
                if not reason:
                    return
            else:
                reason = f"nothing answers at {server.address} port 22"
            time.sleep(0.05)
        seen = [*self.console_tail(), *([reason] if reason else [])]
        raise SandboxError(problem, host=self.hostname, evidence=seen)

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


def _has_banner(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _login(server: Server) -> str:
    """Empty when it works, else why not."""
    try:
        done = subprocess.run(
            server.ssh_argv("true"),
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
        )
    except subprocess.TimeoutExpired:
        return "a login takes longer than 20 s"
    return "" if done.returncode == 0 else (done.stderr.strip() or f"ssh ended with {done.returncode}")
