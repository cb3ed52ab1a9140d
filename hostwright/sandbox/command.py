"""Runs a program on this machine, as an argv tuple, with a deadline."""

from __future__ import annotations

import subprocess

from ..errors import SandboxError

EVIDENCE_LINES = 12


def run(*argv: str, stdin: str | None = None, timeout: float = 60, env: dict[str, str] | None = None) -> str:
    """Its standard output.

    Args:
        argv: program and arguments.
        stdin: text for its standard input; none means empty.
        timeout: seconds.
        env: the whole environment; none means ours.

    Raises:
        SandboxError: it is not there, took too long or failed; carries its last lines.
    """
    try:
        done = subprocess.run(
            argv,
            check=False,
            input=stdin or "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=env,
        )
    except FileNotFoundError as error:
        raise SandboxError(f"{argv[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        shown = (" ".join(argv),)
        raise SandboxError(f"{argv[0]} did not finish in {timeout:g} s", evidence=shown) from error
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).splitlines()[-EVIDENCE_LINES:]
        raise SandboxError(
            f"{argv[0]} failed with exit code {done.returncode}", evidence=(" ".join(argv), *lines)
        )
    return done.stdout


def succeeds(*argv: str) -> bool:
    """Whether it ends with exit code 0 within 60 s."""
    try:
        run(*argv)
    except SandboxError:
        return False
    return True
