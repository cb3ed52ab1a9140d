"""Waits until a server that boots takes logins."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from ..errors import SandboxError
from .model import Server

CONSOLE_LINES = 15
LOGIN_TIMEOUT = 20  # seconds
ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][A-Z0-9])|\r")


def wait(server: Server, alive: Callable[[], bool], seconds: float, patience: float = 1) -> None:
    """Waits until the first user can log in over ssh.

    Args:
        server: that boots.
        alive: whether it has not stopped.
        seconds: how long it may take.
        patience: seconds in which a running sshd says its first word. To hang up sooner and to call again
            would keep a slow one busy for ever.

    Raises:
        SandboxError: not in time, or it stopped; the console's last lines are the evidence.
    """
    deadline = time.monotonic() + seconds
    problem = f"took longer than {seconds:g} s to boot"
    reason = ""
    while time.monotonic() < deadline:
        if not alive():
            problem = "stopped while it booted"
            break
        if _has_banner(server.address, patience):
            reason = _login(server, LOGIN_TIMEOUT * patience)
            if not reason:
                return
        else:
            reason = f"nothing answers at {server.address} port 22"
        time.sleep(0.05)
    seen = [*console_tail(server.console), *([reason] if reason else [])]
    raise SandboxError(problem, host=server.name, evidence=seen)


def console_tail(console: Path) -> list[str]:
    """The last lines of a console, without colours."""
    try:
        text = console.read_text(errors="replace")
    except FileNotFoundError:
        return []
    lines = (line.rstrip() for line in ESCAPES.sub("", text).splitlines())
    return [line for line in lines if line][-CONSOLE_LINES:]


def _has_banner(address: str, seconds: float) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=seconds) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _login(server: Server, seconds: float) -> str:
    """Empty when it works, else why not."""
    try:
        done = subprocess.run(
            server.ssh_argv("true"),
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return f"a login takes longer than {seconds:g} s"
    return "" if done.returncode == 0 else (done.stderr.strip() or f"ssh ended with {done.returncode}")
