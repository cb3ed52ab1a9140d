"""`inv sandbox.*`: throw-away servers on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.tasks import task

from hostwright.tasks import frame

if TYPE_CHECKING:
    from hostwright.sandbox import Sandbox, Server

DEBUG = {"debug": frame.HELP["debug"]}


def say(line: str) -> None:
    """Progress of slow steps."""
    print(line, file=sys.stderr, flush=True)


def root() -> Path:
    """The checkout that the servers belong to: where tasks.py is."""
    tasks = sys.modules.get("tasks")
    return Path(tasks.__file__).resolve().parent if tasks and tasks.__file__ else Path.cwd()


def sandbox() -> Sandbox:
    """This checkout's servers.

    Raises:
        SandboxUnavailable
    """
    from hostwright.sandbox import Sandbox, ensure

    ensure(say)
    return Sandbox(root())


def names(given: Sequence[str] | None) -> list[str]:
    """Names of a flag that is repeatable and takes comma lists."""
    return [name.strip() for text in given or () for name in text.split(",") if name.strip()]


def forget(server: Server) -> None:
    """A throw-away server's key must not stay behind in ~/.ssh/known_hosts: its address comes again."""
    known = Path("~/.ssh/known_hosts").expanduser()
    if known.is_file():
        subprocess.run(
            ("ssh-keygen", "-q", "-R", server.address, "-f", str(known)), capture_output=True, check=False
        )


def show(server: Server) -> None:
    """A server in one line, and how to get in."""
    state = "running" if server.running else "stopped"
    login = f"--host ubuntu@{server.address} --identity {server.identity_file}"
    print(f"{server.name:12} {server.suite:9} {state:8} {login}")


@task(
    auto_shortflags=False,
    iterable=["name"],
    help={
        "name": "Name of a server, repeatable or a comma list (default: web1).",
        "suite": "bookworm, trixie, ... (default: this machine's).",
        "vm": "A VM with a kernel of its own, under qemu, instead of a container: boots in half a minute.",
        "like": "Name of a saved VM: go on from there (inv sandbox.save).",
        **DEBUG,
    },
)
def up(
    c: Context,
    name: Any = None,
    suite: str | None = None,
    vm: bool = False,
    like: str | None = None,
    debug: bool = False,
) -> None:
    """Boot throw-away servers."""
    with frame.errors(debug):
        box = sandbox()
        options: dict[str, Any] = {"suite": suite, "vm": vm, "like": like}
        for server in box.up(*(names(name) or ["web1"]), say=say, **options):
            forget(server)
            show(server)


@task(auto_shortflags=False, name="list", help=DEBUG)
def list_(c: Context, debug: bool = False) -> None:
    """Servers of this checkout."""
    with frame.errors(debug):
        for server in sandbox().servers():
            show(server)


@task(
    auto_shortflags=False, positional=["name"], help={"name": "Server.", "user": "ubuntu or root.", **DEBUG}
)
def ssh(c: Context, name: str | None = None, user: str = "ubuntu", debug: bool = False) -> None:
    """A shell on a server."""
    with frame.errors(debug):
        argv = sandbox().get(frame.required(name, "inv sandbox.ssh NAME [--user root]")).ssh_argv(user=user)
        sys.stdout.flush()
        os.execvp(argv[0], argv)  # noqa: S606 - no shell: argv


@task(auto_shortflags=False, positional=["name"], help={"name": "Server.", **DEBUG})
def crash(c: Context, name: str | None = None, debug: bool = False) -> None:
    """Pull a server's plug."""
    with frame.errors(debug):
        sandbox().crash(frame.required(name, "inv sandbox.crash NAME"))


@task(auto_shortflags=False, positional=["name"], help={"name": "VM.", **DEBUG})
def save(c: Context, name: str | None = None, debug: bool = False) -> None:
    """Keep a VM's running state, for others to begin like it, and end it: inv sandbox.up --like NAME."""
    with frame.errors(debug):
        sandbox().save(frame.required(name, "inv sandbox.save NAME"))


@task(auto_shortflags=False, positional=["name"], help={"name": "Server.", **DEBUG})
def start(c: Context, name: str | None = None, debug: bool = False) -> None:
    """Boot a crashed server again, on the same disk."""
    with frame.errors(debug):
        show(sandbox().start(frame.required(name, "inv sandbox.start NAME")))


@task(
    auto_shortflags=False,
    iterable=["name"],
    help={"name": "Name of a server, repeatable or a comma list; none: all of this checkout.", **DEBUG},
)
def down(c: Context, name: Any = None, debug: bool = False) -> None:
    """Throw servers away."""
    with frame.errors(debug):
        box = sandbox()
        for server in box.servers():
            if not names(name) or server.name in names(name):
                forget(server)
        box.down(*names(name))


@task(
    auto_shortflags=False,
    name="exec",
    positional=["name", "command"],
    help={"name": "Server.", "command": "A command line, split as a shell would.", **DEBUG},
)
def exec_(c: Context, name: str | None = None, command: str | None = None, debug: bool = False) -> None:
    """Run a command as root on a server, also when its sshd is broken: inv sandbox.exec web1 "systemctl status"."""
    import shlex

    with frame.errors(debug):
        usage = 'inv sandbox.exec NAME "COMMAND"'
        argv = shlex.split(frame.required(command, usage))
        result = sandbox().exec(frame.required(name, usage), argv, timeout=600)
        out, err = result.stdout, result.stderr
        sys.stdout.write(out if isinstance(out, str) else out.decode("utf-8", "replace"))
        sys.stderr.write(err if isinstance(err, str) else err.decode("utf-8", "replace"))
        frame.end(result.returncode)
