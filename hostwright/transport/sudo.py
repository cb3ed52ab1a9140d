"""Becoming root: sudo and sudo-rs, with and without a password, judged by what they do before what they say.

First `sudo -n`, which never asks. Only if that fails and there is a password, once more with `-S`: the
password is sent when the prompt has come, never ahead. Sent ahead, it would be input of the command wherever
sudo does not ask, and what follows a wrong one would be taken for further guesses. So the command says when
it runs (`STARTED`).
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hostwright.errors import SudoFailed

if TYPE_CHECKING:
    from paramiko import Channel

    from hostwright.inventory import Secret

PROMPT_TIMEOUT = 60.0  # seconds; sudo's PAM may wait for something of its own
# English messages, and a Python that speaks UTF-8, whatever the login's locale is
LOCALE = ("env", "LC_ALL=C.UTF-8")
# constant scripts for sh -c; the command is their arguments
STARTED = 'printf %s "$0" >&2; exec "$@"'
# sudo drops the variable, and sudo-rs has no --preserve-env
WITH_AGENT = 'exec sudo -n env "SSH_AUTH_SOCK=$SSH_AUTH_SOCK" "$@"'
ASK_WITH_AGENT = 'exec sudo -k -S -p "$0" env "SSH_AUTH_SOCK=$SSH_AUTH_SOCK" "$@"'


def without_password(argv: Sequence[str], *, keep_agent: bool = False) -> tuple[str, ...]:
    """The argv of a command as root where sudo asks for nothing.

    Args:
        argv: the command.
        keep_agent: leave it the ssh agent that the login has.
    """
    way = ("sh", "-c", WITH_AGENT, "sh") if keep_agent else ("sudo", "-n")
    return (*LOCALE, *way, *argv)


@dataclass(frozen=True)
class Prompt:
    """What to look for on stderr when sudo asks for a password.

    Attributes:
        asks: the prompt, or a part of it (sudo-rs writes words of its own around).
        runs: what the command writes before it is itself.
        user: who is logged in; for errors.
    """

    asks: str
    runs: str
    user: str

    @classmethod
    def new(cls, user: str) -> Prompt:
        """One that nothing writes by accident."""
        token = secrets.token_hex(8)
        return cls(f"[password {token}]", f"[started {token}]", user)

    def argv(self, argv: Sequence[str], *, keep_agent: bool = False) -> tuple[str, ...]:
        """As `without_password`; -k makes sudo ask even where it remembers, so there is one way only."""
        way = ("sh", "-c", ASK_WITH_AGENT) if keep_agent else ("sudo", "-k", "-S", "-p")
        return (*LOCALE, *way, self.asks, "sh", "-c", STARTED, self.runs, *argv)

    def answer(self, channel: Channel, password: Secret) -> str:
        """Wait for the prompt, send the password, wait until the command runs.

        Returns:
            What else came on stderr.

        Raises:
            SudoFailed: sudo asked again (once is enough: guesses lock accounts), or ended, or did neither.
        """
        heard = self._await(channel, self.asks, self.runs)
        if self.runs not in heard:
            channel.sendall(password.reveal().encode() + b"\n")
            heard = self._await(channel, self.runs, self.asks)
            if self.runs not in heard:
                raise _wrong_password(self._lines(heard), self.user)
        return "\n".join(self._lines(heard))

    def _await(self, channel: Channel, *marks: str) -> str:
        """stderr up to one of the marks."""
        deadline = time.monotonic() + PROMPT_TIMEOUT
        heard = ""
        while not any(mark in heard for mark in marks):
            try:
                data = channel.recv_stderr(4096)
            except TimeoutError:
                if time.monotonic() < deadline:
                    continue
                data = b""
            if not data:
                raise explain(self._lines(heard), self.user)
            heard += data.decode("utf-8", "replace")
        return heard

    def _lines(self, heard: str) -> list[str]:
        text = heard.replace(self.asks, "").replace(self.runs, "").replace("[sudo: ] Password:", "")
        return [line.strip() for line in text.splitlines() if line.strip()]


# What sudo says, by what it means. Sources: sudo 1.8 to 1.9 (plugins/sudoers), sudo-rs 0.2
# (src/common/error.rs, src/pam/error.rs). Anything else that sudo says is shown as it is.
NEEDS_PASSWORD = re.compile(
    r"a password is required|a terminal is required|no tty present and no askpass"
    r"|interactive authentication is required|[Ii]nteraction (is )?required"
    r"|Authentication required but not attempted",
)
WRONG_PASSWORD = re.compile(
    r"incorrect password attempt|Sorry, try again|[Aa]uthentication failed, try again"
    r"|incorrect authentication attempt|Incorrect authentication attempt|no password was provided",
)
NOT_ALLOWED = re.compile(
    r"is not in the sudoers file|may not run sudo|is not allowed to execute|is not allowed to run sudo"
    r"|may not run .* on |I'm sorry .*\. I'm afraid I can't do that|is not allowed to authenticate as",
)
NO_TTY = re.compile(r"you must have a tty to run sudo")
NO_SUDO = re.compile(r"sudo['’]?: (No such file or directory|not found|command not found)")
LOCKED = re.compile(r"[Aa]ccount validation failure|[Aa]ccount or password is expired|[Pp]assword expired")
# a warning, not a failure
HARMLESS = re.compile(r"unable to resolve host|^\s*$")
FROM_SUDO = re.compile(
    r"^(\S*/)?sudo(-rs)?: |^Sorry, user |is not in the sudoers file|is not allowed to run sudo"
)


def speaks(lines: Sequence[str]) -> bool:
    """Whether it was sudo that failed, not the command it was to run."""
    said = [line for line in lines if not HARMLESS.search(line)]
    return any(FROM_SUDO.search(line) or NO_SUDO.search(line) for line in said[-4:])


def worth_a_password(lines: Sequence[str]) -> bool:
    """Whether sudo may do it when it gets a password."""
    text = "\n".join(lines)
    hopeless = (NOT_ALLOWED, NO_TTY, NO_SUDO, re.compile(r"command not found"))
    return speaks(lines) and not any(pattern.search(text) for pattern in hopeless)


def explain(lines: Sequence[str], user: str) -> SudoFailed:
    """Why sudo failed, and what to do.

    Args:
        lines: what it wrote on stderr.
        user: who is logged in.
    """
    text = "\n".join(lines)
    evidence = tuple(line for line in lines if not HARMLESS.search(line))[-5:]
    rule = f"{user} ALL=(ALL) NOPASSWD:ALL"
    if NO_SUDO.search(text):
        return SudoFailed(
            f"{user} is not root, and sudo is not installed",
            evidence=evidence,
            hint="Log in as root: user: root",
        )
    if NO_TTY.search(text):
        return SudoFailed(
            "sudo insists on a terminal (requiretty)",
            evidence=evidence,
            hint=f"In the server's sudoers: Defaults:{user} !requiretty",
        )
    if NOT_ALLOWED.search(text):
        return SudoFailed(
            f"{user} may not use sudo",
            evidence=evidence,
            hint=f"As root on the server: usermod -aG sudo {user}, or log in as another user.",
        )
    if LOCKED.search(text):
        return SudoFailed(f"the account of {user} is locked or expired", evidence=evidence)
    if WRONG_PASSWORD.search(text):
        return _wrong_password(evidence, user)
    if NEEDS_PASSWORD.search(text):
        return SudoFailed(
            f"sudo needs the password of {user}",
            evidence=evidence,
            hint=f"In the inventory: sudo_password: ask. Or in a file of /etc/sudoers.d: {rule}",
        )
    return SudoFailed(f"sudo failed for {user}", evidence=evidence)


def _wrong_password(evidence: Sequence[str], user: str) -> SudoFailed:
    return SudoFailed(
        f"sudo did not accept the password of {user}",
        evidence=evidence,
        hint="It was tried once only: wrong guesses lock accounts.",
    )
