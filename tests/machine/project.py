"""A user's project: a git repository with an app and an inventory, and the commands they type there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hostwright.sandbox import Sandbox, Server

ROOT = Path(__file__).resolve().parents[2]

INVENTORY = """\
project: {project}
defaults: {{user: {user}, identity_file: {identity}, hardening: off}}
apps:
  {app}:
    source: .
    module: app.main:app
    requirements: app/requirements.txt
    health: {{path: /health, timeout: 20, window: 0.5}}
    env: {{HELLO_GREETING: "Hello from {app}"}}
{domains}hosts:
  web1: {{address: {address}, apps: [{app}]}}
"""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    argv: tuple[str, ...]
    code: int
    out: str
    seconds: float

    def __str__(self) -> str:
        return f"$ inv {' '.join(self.argv)}\n{self.out}\nexit code {self.code}, {self.seconds:.2f} s"


class Project:
    """A project folder with its own HOME, so that nothing of the developer's is read or written."""

    def __init__(self, folder: Path, server: Server, name: str = "shop", app: str = "hello") -> None:
        self.folder = folder / name
        self.home = folder / f"{name}-home"
        self.server = server
        self.name, self.app = name, app
        (self.home / ".ssh").mkdir(parents=True)
        self.folder.mkdir()
        shutil.copytree(
            ROOT / "app", self.folder / "app", ignore=shutil.ignore_patterns("__pycache__", "tests")
        )
        (self.folder / "tasks.py").write_text("from hostwright.tasks import ns\n")
        self.git("init", "--quiet", "--initial-branch=main")
        self.write_inventory()

    # -- files and git -------------------------------------------------------------------------------------

    def write_inventory(self, user: str = "ubuntu", domains: str = "") -> None:
        line = f"    domains: [{domains}]\n" if domains else ""
        text = INVENTORY.format(
            project=self.name,
            app=self.app,
            user=user,
            identity=self.server.identity_file,
            address=self.server.address,
            domains=line,
        )
        (self.folder / "inventory.yaml").write_text(text)
        self.commit("inventory")

    def edit_inventory(self, old: str, new: str) -> None:
        path = self.folder / "inventory.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        self.commit("inventory")

    def git(self, *argv: str) -> str:
        author = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
        done = subprocess.run(
            ("git", *author, *argv), cwd=self.folder, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "--short=7", "HEAD")

    def change(self, message: str = "a change") -> str:
        path = self.folder / "app" / "main.py"
        path.write_text(path.read_text() + f"\n# {message}\n")
        return self.commit(message)

    # -- commands ------------------------------------------------------------------------------------------

    def argv(self, *argv: str) -> tuple[str, ...]:
        return (sys.executable, "-m", "invoke", *argv)

    def environ(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in ("SSH_AUTH_SOCK", "CI")}
        return {
            **kept,
            "HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            **more,
        }

    def inv(
        self, *argv: str, code: int | None = 0, timeout: float = 300, prefix: tuple[str, ...] = ()
    ) -> Done:
        """Run a command and insist on its exit code (None: any)."""
        began = time.monotonic()
        done = subprocess.run(
            (*prefix, *self.argv(*argv)),
            cwd=self.folder,
            env=self.environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        result = Done(argv, done.returncode, done.stdout, time.monotonic() - began)
        assert code is None or result.code == code, str(result)
        return result

    @contextmanager
    def started(self, *argv: str) -> Iterator[subprocess.Popen[str]]:
        """A command in the background, killed at the end of the block if it still runs."""
        process = subprocess.Popen(
            self.argv(*argv),
            cwd=self.folder,
            env=self.environ(PYTHONUNBUFFERED="1"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    # -- the server ----------------------------------------------------------------------------------------

    def curl(self, path: str = "/version", host: str = "") -> tuple[int, str]:
        """Status and body through nginx, from this machine."""
        header = ("-H", f"Host: {host}") if host else ()
        url = f"http://{self.server.address}{path}"
        done = subprocess.run(
            ("curl", "-sS", "-m", "10", "-w", "\n%{http_code}", *header, url),
            capture_output=True,
            text=True,
            check=False,
        )
        body, _, status = done.stdout.rpartition("\n")
        return int(status or 0), body


def sh(sandbox: Sandbox, server: Server, script: str, timeout: float = 60) -> str:
    """The output of a shell script of this test, run as root inside the server."""
    done = sandbox.exec(server.name, ("sh", "-ec", script), timeout=timeout)
    out = done.stdout if isinstance(done.stdout, str) else done.stdout.decode()
    err = done.stderr if isinstance(done.stderr, str) else done.stderr.decode()
    assert done.returncode == 0, out + err
    return out.strip()


def until(condition: object, seconds: float, what: str) -> None:
    """Poll with a deadline."""
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.05)
