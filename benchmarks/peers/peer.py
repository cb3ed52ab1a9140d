"""What every peer is asked to do, and with what."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.memory import watched
from hostwright.sandbox import Server

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / ".bench"  # where the peers are installed
VENV = BENCH / "venv"
PATIENCE = 900.0  # seconds
# nobody's users forbid Python to keep what it has compiled
DEVELOPERS = ("SSH_AUTH_SOCK", "CI", "PYTHONDONTWRITEBYTECODE")


@dataclass(frozen=True)
class Work:
    """The site that every peer builds: `benchmarks/README.md` says what that is.

    Attributes:
        servers: bare ones; each gets the same.
        repository: a git checkout on this machine, with `app/`, branch main. Peers that pull find it as a bare
            repository on the server itself, at `remote`, so that no network is between them and it.
        remote: path of the bare repository on each server, owned by root: root pulls from it.
        apps: names; each gets a unit, a virtual environment, an nginx site and the domain NAME.example.com.
        certificate: PEM file on this machine for *.example.com.
        key: its private key.
        admin: the name of a user who gets sudo and logs in with `admin_key`.
        admin_key: an OpenSSH public key line.
        folder: where the peer may write its own files; its commands run there.
        home: the HOME of its commands, with an empty .ssh.
        watch: take samples of the memory of its commands, which costs them a little time.
        prefix: argv that begins each of its commands: a path with a round-trip time, or none.
    """

    servers: tuple[Server, ...]
    repository: Path
    remote: str
    apps: tuple[str, ...]
    certificate: Path
    key: Path
    admin: str
    admin_key: str
    folder: Path
    home: Path
    watch: bool = False
    prefix: tuple[str, ...] = ()

    @staticmethod
    def domain(app: str) -> str:
        """The name that an app is visited by."""
        return f"{app}.example.com"

    @staticmethod
    def greeting(app: str) -> str:
        """What an app's HELLO_GREETING is."""
        return f"Hello from {app}"

    def environ(self, **more: str) -> dict[str, str]:
        """The environment of a peer's command: this machine's, without what is the developer's own."""
        kept = {name: value for name, value in os.environ.items() if name not in DEVELOPERS}
        return {**kept, "HOME": str(self.home), **more}


@dataclass(frozen=True)
class Done:
    """A command of a peer that went well.

    Attributes:
        seconds: wall time.
        cpu: processor seconds of it and its children on this machine.
        rss_mib: the largest resident size of any of them, MiB; with `Work.watch` what all of them had at once, with
            what they share counted once.
        out: what it printed.
    """

    seconds: float
    cpu: float
    rss_mib: float
    out: str

    def __add__(self, later: Done) -> Done:
        """This command and then another, as one."""
        most = max(self.rss_mib, later.rss_mib)
        return Done(self.seconds + later.seconds, self.cpu + later.cpu, most, self.out + later.out)


class Failed(RuntimeError):
    """A peer's command failed; its text ends with what it printed last."""


class Peer(Protocol):
    """Who does the work. Commands raise `Failed`."""

    name: str

    def prepare(self, work: Work) -> None:
        """Write what it needs into `work.folder`; not measured."""

    def provision(self, work: Work) -> Done:
        """Bare servers, or ones that are as they should be, become the site, the app's code included."""

    def deploy(self, work: Work) -> Done:
        """What is at the tip of main runs; the repository (and `remote`) has a new commit since the last one."""

    def rollback(self, work: Work) -> Done | None:
        """What ran before the last deploy runs again; None where the peer knows no such thing."""


def tool(name: str) -> str:
    """Path of a peer's command."""
    return str(VENV / "bin" / name)


def measured(
    argv: Sequence[str], work: Work, env: Mapping[str, str] | None = None, timeout: float = PATIENCE
) -> Done:
    """Run a command of a peer in its folder.

    Args:
        argv: the command; `work.prefix` goes before it.
        env: its whole environment; None: `work.environ()`.
        timeout: seconds.

    Raises:
        Failed: it ended with another exit code than 0, or not in time.
    """
    with tempfile.TemporaryFile("w+") as written:
        began = time.monotonic()
        process = subprocess.Popen(
            (*work.prefix, *argv),
            cwd=work.folder,
            env=work.environ() if env is None else env,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        timer = threading.Timer(timeout, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        with watched(process.pid) if work.watch else nullcontext() as memory:
            # wait4(2): of the command and of all its descendants that were waited for
            _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        written.seek(0)
        out = written.read()
    if process.returncode != 0:
        raise Failed(f"{' '.join(argv)} ended with {process.returncode} after {seconds:.0f} s\n{out[-4000:]}")
    rss = memory.most if memory else used.ru_maxrss / 1024
    return Done(seconds, used.ru_utime + used.ru_stime, rss, out)
